package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReadmeCommands runs what the README tells a newcomer to type, in its order, on a home of their own with Cursor's file
// in it. `make test` is not run within itself; that the README names it is checked.
func TestReadmeCommands(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n >= 150 {
		t.Errorf("the README has %d lines, want under 150", n)
	}
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".cursor"), 0o755); err != nil {
		t.Fatal(err)
	}
	cursor := fmt.Sprintf(`{"mcpServers": {"crm": {"command": %q, "args": ["demo-server", "crm"]}, "billing": {"command": %q, "args": ["demo-server", "billing"]}}}`, binary, binary)
	if err := os.WriteFile(filepath.Join(home, ".cursor", "mcp.json"), []byte(cursor), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "bin"), filepath.Join(home, "bin")); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{ // what each command prints, at least
		"make run":         `(?m)^Remit serves http://127\.0\.0\.1:\d+$`,
		"bin/remit import": `2 upstreams added to remit\.yaml`,
		"bin/remit crawl":  `12 tools of 2 servers`,
		"bin/remit search": `billing/refund_payment`,
		"bin/remit serve":  `sign in as admin once`,
		"make test":        "",
	}
	commands := regexp.MustCompile(`(?m)^\$ (.*)$`).FindAllStringSubmatch(string(text), -1)
	for _, m := range commands {
		line, _, _ := strings.Cut(m[1], " #")
		line = strings.TrimSpace(line)
		key := strings.Join(strings.Fields(line)[:2], " ")
		pattern, known := want[key]
		if !known {
			t.Errorf("the README's command %q is not checked here", line)
			continue
		}
		delete(want, key)
		if key == "make test" {
			continue
		}
		dir := home
		if key == "make run" {
			dir = root
		}
		out := until(t, dir, home, line, regexp.MustCompile(pattern))
		t.Logf("$ %s\n%s", line, out)
		if key == "make run" {
			for _, expected := range []string{"go build -trimpath -o bin/remit ./cmd/remit", "bin/remit demo"} {
				if !strings.Contains(string(text), expected) || !strings.Contains(out, expected) {
					t.Errorf("the README and `make run` differ in %q:\n%s", expected, out)
				}
			}
		}
	}
	for key := range want {
		t.Errorf("the README lacks %q", key)
	}
}

var pageAt = regexp.MustCompile(`Remit serves (http://\S+)`)

// until runs a command line until it ends or, for a server, until the pattern is printed and its page answers; then it is
// interrupted as by Ctrl-C and must end well.
func until(t *testing.T, dir, home, line string, pattern *regexp.Regexp) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+home, "REMIT_LISTEN=127.0.0.1:0", "XDG_CONFIG_HOME=", "XDG_DATA_HOME=",
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOFLAGS=-buildvcs=false")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); w.Close() }()
	var out strings.Builder
	interrupted := false
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		out.WriteString(scan.Text() + "\n")
		at := pageAt.FindStringSubmatch(out.String())
		if at == nil || interrupted || !pattern.MatchString(out.String()) {
			continue
		}
		interrupted = true
		if res, err := http.Get(at[1] + "/sign-in"); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: the page does not answer: %v", line, err)
		} else {
			res.Body.Close()
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	}
	if err := <-ended; err != nil && !interrupted {
		t.Errorf("%s: %v\n%s", line, err, out.String())
	}
	if !pattern.MatchString(out.String()) {
		t.Errorf("%s printed\n%swant %s", line, out.String(), pattern)
	}
	return out.String()
}

func goEnv(t *testing.T, name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
