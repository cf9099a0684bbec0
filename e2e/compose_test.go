package e2e_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"remit/internal/services"
)

// composeFile is what is read of deploy/compose/compose.yaml, as the tool reads it that runs it.
type composeFile struct {
	Services map[string]struct {
		Command     []string
		Environment map[string]string
		Healthcheck *struct{ Test []string }
		Secrets     []struct{ Source string }
		Ports       []struct {
			HostIP string `json:"host_ip"`
		}
		ReadOnly    bool     `json:"read_only"`
		CapDrop     []string `json:"cap_drop"`
		SecurityOpt []string `json:"security_opt"`
		Memory      string   `json:"mem_limit"`
		Privileged  bool
	}
	Secrets map[string]struct{ File string }
}

// manifests runs e2e/manifests on a deployment.
func manifests(kind, path string) ([]byte, error) {
	cmd := exec.Command(manifestReader, kind, path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.Bytes())
	}
	return out, nil
}

func readCompose(t *testing.T) (c composeFile) {
	t.Helper()
	text, err := manifests("compose", "../deploy/compose/compose.yaml")
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestComposeFile holds the Compose file against the specification's schema, and every service against what it promises: nothing is
// written but where a volume is, no rights, bounded memory, probes, secrets in files alone, and one way in, on loopback.
func TestComposeFile(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged || s.Memory == "" {
			t.Errorf("%s is not held as it should be: %+v", name, s)
		}
		if s.Healthcheck == nil && name != "proxy" { // which the probes of others are made by
			t.Errorf("%s has no probe", name)
		}
		for variable, value := range s.Environment {
			if strings.Contains(strings.ToLower(variable), "password") && !strings.HasPrefix(value, "/run/secrets/") {
				t.Errorf("%s: %s is no file of a secret", name, variable)
			}
		}
		for _, p := range s.Ports {
			if name != "proxy" || p.HostIP != "127.0.0.1" {
				t.Errorf("%s is reached at %+v", name, p)
			}
		}
	}
	if len(c.Services) != 5 {
		t.Errorf("there are %d services, want two replicas, a proxy, PostgreSQL and Redis", len(c.Services))
	}
	text, err := os.ReadFile("../deploy/compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, mistake := range [][2]string{{"read_only: true", "readonly: true"}, {"depends_on: [remit-a, remit-b]", "depends_on: [remit-c]"}} {
		path := filepath.Join(t.TempDir(), "compose.yaml")
		if err := os.WriteFile(path, []byte(substitute(t, string(text), mistake[0], mistake[1])), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := manifests("compose", path); err == nil {
			t.Errorf("%q passes the check", mistake[1])
		}
	}
}

// substitute replaces each first text by the second; one that is not there fails the test.
func substitute(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("there is no %q in\n%s", pair[0], text)
		}
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	return text
}

// stack is what the Compose file describes, with processes in place of containers: its configurations, secrets, commands and probes, in
// which nothing but paths and addresses is another.
type stack struct {
	t        *testing.T
	dir      string
	compose  composeFile
	url      string // of the proxy
	client   *http.Client
	proxy    *safeBuffer // its log
	replicas map[string]*container
}

type container struct {
	config, address string
	env             []string
	cmd             *exec.Cmd
	ended           chan error
	log             safeBuffer
}

func startStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{t: t, dir: t.TempDir(), compose: readCompose(t), replicas: map[string]*container{}}
	if out, err := exec.Command("cp", "-r", "../deploy/compose/.", s.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for range 2 { // a second time it changes nothing
		cmd := exec.Command(filepath.Join(s.dir, "secrets.sh"))
		cmd.Env = append(os.Environ(), "REMIT="+binary)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("secrets.sh: %v: %s", err, out)
		}
	}
	for name, secret := range s.compose.Secrets {
		if info, err := os.Stat(filepath.Join(s.dir, "secrets", filepath.Base(secret.File))); err != nil || info.Size() == 0 {
			t.Errorf("the script makes no %s: %v", name, err)
		}
	}
	if info, err := os.Stat(filepath.Join(s.dir, "secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others reach the secrets: %v, %v", info, err)
	}
	postgres, err := services.NewPostgres()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Database("remit"); err != nil {
		t.Fatal(err)
	}
	where, err := url.Parse(postgres.URL)
	if err != nil {
		t.Fatal(err)
	}
	redis := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s.redis(redis)
	front := freePort(t)
	s.url = fmt.Sprintf("https://localhost:%d", front)
	proxied := s.read("haproxy.cfg")
	for _, name := range []string{"a", "b"} {
		r := &container{config: filepath.Join(s.dir, name+".yaml"), address: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
		for variable, value := range s.compose.Services["remit-"+name].Environment {
			r.env = append(r.env, variable+"="+s.secret(value))
		}
		r.env = append(r.env, "REMIT_CONFIG="+r.config, "PATH="+os.Getenv("PATH"))
		s.write(name+".yaml", s.secret(substitute(t, s.read("remit.yaml"), "listen: 0.0.0.0:8321", "listen: "+r.address, "https://localhost:8443", s.url,
			"data: /data", "data: "+filepath.Join(s.dir, "data-"+name), "@postgres:5432/remit?sslmode=disable", "@/remit?host="+where.Query().Get("host"), "redis:6379", redis,
			"/checkpoints", s.dir, "172.31.83.0/28", "127.0.0.1/32", "/usr/bin/remit", binary)))
		proxied = substitute(t, proxied, "remit-"+name+":8321", r.address)
		s.replicas[name] = r
	}
	s.write("haproxy.cfg", s.secret(substitute(t, proxied, "bind :8443", fmt.Sprintf("bind 127.0.0.1:%d", front))))
	both := make(chan error, 2)
	for name := range s.replicas {
		s.serve(name)
		go func() { both <- s.replicas[name].ready() }()
	}
	for range s.replicas {
		if err := <-both; err != nil {
			t.Fatal(err)
		}
	}
	s.trust()
	s.proxy = s.run("haproxy", "-W", "-db", "-f", filepath.Join(s.dir, "haproxy.cfg"))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the proxy said:\n%s", s.proxy)
			for name, r := range s.replicas {
				t.Logf("replica %s said:\n%s", name, &r.log)
			}
		}
	})
	return s
}

func (s *stack) read(name string) string {
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *stack) write(name, text string) {
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// secret is text with the paths of a container's secrets as they are here.
func (s *stack) secret(text string) string {
	return strings.ReplaceAll(text, "/run/secrets/", filepath.Join(s.dir, "secrets")+"/")
}

// redis runs the service's own command, on a port of this machine.
func (s *stack) redis(address string) {
	command := slices.Clone(s.compose.Services["redis"].Command)
	for i := range command {
		command[i] = s.secret(command[i])
	}
	_, port, _ := net.SplitHostPort(address)
	log := s.run(command[0], append(command[1:], "--bind", "127.0.0.1", "--port", port, "--dir", s.dir)...)
	waitFor(s.t, "Redis", func() bool {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		answer := make([]byte, 64)
		_, _ = io.WriteString(c, "PING\r\n")
		n, _ := c.Read(answer)
		if strings.HasPrefix(string(answer[:n]), "+PONG") {
			s.t.Fatalf("Redis answers without a password:\n%s", log)
		}
		return strings.HasPrefix(string(answer[:n]), "-NOAUTH") // what the service's probe takes for an answer
	})
}

// run starts a program of the machine's that lives as long as the test.
func (s *stack) run(name string, args ...string) *safeBuffer {
	s.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name // which is not on every PATH
	}
	log := &safeBuffer{}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("%v: run make deps", err)
	}
	s.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return log
}

// serve starts a replica with nothing but its container's environment.
func (s *stack) serve(name string) {
	s.t.Helper()
	r := s.replicas[name]
	r.cmd, r.ended = exec.Command(binary, "serve"), make(chan error, 1)
	r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr, r.cmd.SysProcAttr = r.env, &r.log, &r.log, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	cmd, ended := r.cmd, r.ended
	go func() { ended <- cmd.Wait() }()
	s.t.Cleanup(func() { _ = cmd.Process.Kill() })
}

// ready waits until the container's own probe says so.
func (r *container) ready() (err error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		probe := exec.Command(binary, "health")
		probe.Env = r.env
		if err = probe.Run(); err == nil {
			return nil
		}
		select {
		case ended := <-r.ended:
			return fmt.Errorf("it ended: %v\n%s", ended, &r.log)
		default:
		}
	}
	return fmt.Errorf("it is not ready within a minute: %w\n%s", err, &r.log)
}

// trust makes the client believe the certificate that the script made, and no other.
func (s *stack) trust() {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(s.read("secrets/tls.pem"))) {
		s.t.Fatal("there is no certificate in tls.pem")
	}
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: time.Minute}
}

// call calls the persona's tool through the proxy as an agent of the newest protocol does.
func (s *stack) call(key string, headers map[string]string) string {
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search_customers","arguments":{"query":"Nora"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"e2e","version":"1"}}}}`
	req, err := http.NewRequest("POST", s.url+"/k/support/mcp", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "search_customers"} {
		req.Header.Set(name, value)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return fmt.Sprint(res.Status, " ", string(answer), err)
}

func called(answer string) bool {
	return strings.HasPrefix(answer, "200") && strings.Contains(answer, "Lindqvist")
}

// TestComposeServes starts what the Compose file describes on an empty database, both replicas at once, and uses it as people and agents
// would, through the proxy. Replicas are stopped and started one after the other, and no call is refused meanwhile.
func TestComposeServes(t *testing.T) {
	s := startStack(t)
	a, b := s.replicas["a"], s.replicas["b"]
	if n := strings.Count(a.log.String()+b.log.String(), "First start: sign in as admin once, within a day, at "+s.url+"/link/"); n != 1 {
		t.Errorf("%d first links were printed, want one", n)
	}
	in := &installation{t: t, dir: s.dir, config: a.config, url: s.url, transport: s.client.Transport}
	for _, e := range a.env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value) // for its command line
	}
	waitFor(t, "the proxy's way to a replica", func() bool {
		res, err := s.client.Get(s.url + "/healthz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK && res.Header.Get("Strict-Transport-Security") != ""
	})
	w := peopled(in)
	waitFor(t, "crawling the example's server", func() bool { return strings.Contains(w.get(w.author, "/catalog"), "search_customers") })
	if !w.persona("support", "Look up a customer in the CRM and add a note to their record.") {
		t.Fatal("the persona could not be approved")
	}
	key := strings.TrimSpace(in.cli("key", "create", "--agent", "bot", "--user", "zoe", "--persona", "support", "--limit", "10000/second"))
	elsewhere := strings.TrimSpace(in.cli("key", "create", "--agent", "far", "--user", "zoe", "--persona", "support", "--address", "203.0.113.0/24"))

	waitFor(t, "answers of both replicas", func() bool {
		if got := s.call(key, nil); !called(got) {
			t.Fatal(got)
		}
		return strings.Contains(s.proxy.String(), " replicas/a ") && strings.Contains(s.proxy.String(), " replicas/b ")
	})
	t.Setenv("NODE_EXTRA_CA_CERTS", filepath.Join(s.dir, "secrets", "tls.pem"))
	var sdk struct {
		Error  string
		Tools  []struct{ Name string }
		Result json.RawMessage
	}
	script(t, &sdk, "sdk.mjs", s.url+"/k/support/mcp", key, "search_customers", `{"query":"Nora"}`)
	if sdk.Error != "" || !strings.Contains(string(sdk.Result), "Lindqvist") {
		t.Errorf("a client with a session, whose requests go to both: got %+v", sdk)
	}
	if got := s.call(elsewhere, map[string]string{"X-Forwarded-For": "203.0.113.5"}); called(got) {
		t.Error("a client said where it is, and was believed")
	}
	if res, err := s.client.Get(s.url + "/metrics"); err != nil || res.StatusCode == http.StatusOK {
		t.Errorf("/metrics through the proxy: %v, %v", res, err)
	} else {
		res.Body.Close()
	}
	calls := 0
	for _, r := range []*container{a, b} {
		if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		for stopped := false; !stopped; calls++ {
			select {
			case err := <-r.ended:
				if stopped = true; err != nil {
					t.Errorf("it ended with %v\n%s", err, &r.log)
				}
			default:
			}
			if got := s.call(key, nil); !called(got) {
				t.Fatalf("while a replica stops: %s", got)
			}
		}
		for name := range s.replicas {
			if s.replicas[name] == r {
				s.serve(name)
			}
		}
		if err := r.ready(); err != nil {
			t.Fatal(err)
		}
		before := strings.Count(s.proxy.String(), "\n")
		waitFor(t, "the proxy sends it calls again", func() bool {
			if got := s.call(key, nil); !called(got) {
				t.Fatalf("when a replica is back: %s", got)
			}
			since := strings.Join(strings.Split(s.proxy.String(), "\n")[before:], "\n")
			return strings.Contains(since, " replicas/a ") && strings.Contains(since, " replicas/b ")
		})
	}
	t.Logf("%d calls while each replica was stopped and started, none was refused", calls)
	if strings.Contains(s.proxy.String(), "/link/") || strings.Contains(s.proxy.String(), key) {
		t.Error("the proxy's log has a secret")
	}
	if n := len(regexp.MustCompile(`(?m)^\{.*"note":`).FindAllString(s.read("audit-checkpoints.jsonl"), -1)); n < 2 {
		t.Errorf("%d checkpoints, want some of both replicas", n)
	}
	in.cli("audit", "verify", "--checkpoint", filepath.Join(s.dir, "audit-checkpoints.jsonl"))
}
