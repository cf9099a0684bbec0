package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// containerFile is what is read of deploy/Containerfile: the steps that build, and how the image is run.
type containerFile struct {
	build           []string // of the first stage
	env             []string
	user            string
	entrypoint, cmd []string
	probe           []string
}

func readContainerfile(t *testing.T) (c containerFile) {
	t.Helper()
	text, err := os.ReadFile("../deploy/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	list := func(text string) (words []string) {
		if err := json.Unmarshal([]byte(text), &words); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return words
	}
	for line := range strings.Lines(string(text)) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch instruction {
		case "RUN":
			c.build = append(c.build, rest)
		case "ENV":
			c.env = append(c.env, strings.Fields(rest)...)
		case "USER":
			c.user = rest
		case "ENTRYPOINT":
			c.entrypoint = list(rest)
		case "CMD":
			c.cmd = list(rest)
		case "HEALTHCHECK":
			c.probe = list(rest[strings.Index(rest, "["):])
		}
	}
	return c
}

// built runs the build stage's steps on the sources that git has, in a folder of their own, and returns the binary.
func (c containerFile) built(t *testing.T) string {
	t.Helper()
	src, out := t.TempDir(), t.TempDir()
	steps := append([]string{"git -C '" + must(t)(filepath.Abs("..")) + "' ls-files -z | tar -C '" + must(t)(filepath.Abs("..")) + "' --null -T - -c | tar -x"}, c.build...)
	for _, step := range steps {
		cmd := exec.Command("sh", "-ec", strings.ReplaceAll(step, "/out/", out+"/"))
		cmd.Dir = src
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", step, err, text)
		}
	}
	for _, dir := range []string{"data", "checkpoints"} {
		if info, err := os.Stat(filepath.Join(out, dir)); err != nil || !info.IsDir() {
			t.Errorf("the build makes no %s: %v", dir, err)
		}
	}
	return filepath.Join(out, "remit")
}

func must(t *testing.T) func(string, error) string {
	return func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// boxed runs a program as the container does: the account of the image without any right, in a root that is read-only and has nothing but
// the image's files, with a tmpfs where the image wants one. Only the network is the machine's.
const boxed = `root=$1; shift
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=0777 tmpfs "$root/data"
exec setpriv --no-new-privs unshare --user --map-user=$USER_ID --map-group=$GROUP_ID --root="$root" --wd=/ -- "$@"`

// TestContainerfile builds what the image holds by the build stage's own steps, twice, in different places: one static binary, the same to
// the bit. It then runs as the image says, in an empty root.
func TestContainerfile(t *testing.T) {
	c := readContainerfile(t)
	file := c.built(t)
	binary, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(c.built(t))
	if err != nil || sha256.Sum256(binary) != sha256.Sum256(again) {
		t.Errorf("a second build elsewhere is another: %v", err)
	}
	parsed, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	if libraries, err := parsed.ImportedLibraries(); err != nil || len(libraries) > 0 || slices.ContainsFunc(parsed.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Errorf("it is not static: %v, %v", libraries, err)
	}
	if home, err := os.UserHomeDir(); err == nil && bytes.Contains(binary, []byte(home+"/go/pkg/mod")) {
		t.Error("it names folders of the machine that built it")
	}

	root := t.TempDir()
	certificates, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{c.entrypoint[0]: binary, "/etc/ssl/certs/ca-certificates.crt": certificates,
		"/etc/remit/remit.yaml": []byte("upstreams:\n  crm: {command: " + c.entrypoint[0] + ", args: [demo-server, crm]}\n")} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil { // of the test's own mode
		t.Fatal(err)
	}
	uid, gid, _ := strings.Cut(c.user, ":")
	port := freePort(t)
	run := func(args ...string) *exec.Cmd {
		cmd := exec.Command("unshare", append([]string{"--user", "--map-root-user", "--mount", "sh", "-ec", boxed, "boxed", root}, args...)...)
		cmd.Env = append(slices.Clone(c.env), "USER_ID="+uid, "GROUP_ID="+gid, "PATH="+os.Getenv("PATH"), "REMIT_CONFIG=/etc/remit/remit.yaml", fmt.Sprintf("REMIT_LISTEN=127.0.0.1:%d", port))
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return cmd
	}
	var log safeBuffer
	serve := run(append(c.entrypoint, c.cmd...)...)
	serve.Stdout, serve.Stderr = &log, &log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serve.Wait() }()
	t.Cleanup(func() { _ = serve.Process.Kill() })
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	waitFor(t, "the container's server", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v\n%s\nThe test needs util-linux 2.38 or newer, and unprivileged user namespaces or root.", err, &log)
		default:
		}
		res, err := http.Get(url + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK && strings.Contains(log.String(), "/link/")
	})
	if out, err := run(c.probe...).CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Errorf("the image's probe: %v, %s", err, out)
	}
	res, err := http.Get(regexp.MustCompile(`http://\S+/link/\S+`).FindString(log.String()))
	if err != nil {
		t.Fatal(err)
	}
	page, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusOK || !strings.Contains(string(page), "One-time sign-in") {
		t.Errorf("the first sign-in: %s\n%.300s", res.Status, page)
	}
	// What the kernel says of the process: no capability, none to be had, another account, a root that it cannot write to.
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", serve.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`CapEff:\s+0+\n`, `CapPrm:\s+0+\n`, `CapAmb:\s+0+\n`, `NoNewPrivs:\s+1\n`} {
		if !regexp.MustCompile(want).Match(status) {
			t.Errorf("the process has more rights than it should: want %s of\n%s", want, status)
		}
	}
	if mapped, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", serve.Process.Pid)); err != nil || !slices.Equal(strings.Fields(string(mapped))[:1], []string{uid}) {
		t.Errorf("it runs as %s, %v, want %s", mapped, err, uid)
	}
	for _, elsewhere := range []string{"/elsewhere", "/etc/remit", "/usr/bin"} {
		if out, err := run(c.entrypoint[0], "audit", "key", "--data", elsewhere).CombinedOutput(); err == nil || !strings.Contains(string(out), "read-only file system") {
			t.Errorf("it writes to %s: %v, %s", elsewhere, err, out)
		}
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("told to stop, it ended with %v\n%s", err, &log)
	}
}
