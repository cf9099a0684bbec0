package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// realProvider is npm's oidc-provider in a process of its own.
type realProvider struct {
	t      *testing.T
	issuer string
}

func startProvider(t *testing.T, port int, remit string) *realProvider {
	t.Helper()
	plan, err := json.Marshal(map[string]any{"port": port, "remit": remit, "secret": "a secret of a test"})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "provider.mjs", string(plan))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log := &safeBuffer{}
	cmd.Stderr = log
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the provider said:\n%s", log)
		}
	})
	line := make(chan string, 1)
	go func() {
		scan := bufio.NewScanner(pipe)
		scan.Scan()
		line <- scan.Text()
		for scan.Scan() { // so that it can go on writing
		}
	}()
	select {
	case got := <-line:
		if !strings.HasPrefix(got, "listening at ") {
			t.Fatalf("the provider said %q\n%s", got, log)
		}
	case <-time.After(time.Minute):
		t.Fatalf("the provider did not listen within a minute\n%s", log)
	}
	return &realProvider{t, fmt.Sprintf("http://127.0.0.1:%d", port)}
}

// groups sets everybody's.
func (p *realProvider) groups(of map[string][]string) {
	p.t.Helper()
	body, err := json.Marshal(of)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.Post(p.issuer+"/test/groups", "application/json", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	res.Body.Close()
}

// visit is what came of one step of signin.mjs.
type visit struct {
	State                    json.RawMessage
	Path, Me, Account, Shown string
}

func (in *installation) visit(issuer, step, login string, state json.RawMessage) visit {
	in.t.Helper()
	plan := map[string]any{"url": in.url, "issuer": issuer, "step": step, "login": login}
	if state != nil {
		plan["state"] = state
	}
	in.t.Logf("%s as %s", step, login)
	var v visit
	browse(in.t, &v, "signin.mjs", plan)
	return v
}

// providerIsUp waits until Remit asks the provider again after it was down. It tries at the pace at which tries to sign in come
// back, so that those of the story are left.
func (in *installation) providerIsUp() {
	in.t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range 60 {
		res, err := client.Get(in.url + "/sign-in/provider")
		if err != nil {
			in.t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusSeeOther {
			return
		}
		<-tick.C
	}
	in.t.Fatalf("Remit did not find the provider within a minute:\n%s", in.log)
}

// TestSignInAtRealProvider: Remit starts while its provider is down, which a person reads on the page. The provider comes up;
// Zoe signs in and is who her groups make her; somebody without a group is refused. She signs out at the provider, which ends
// her session here. Her groups are taken away: the next sign-in is refused, and what she has here has stopped.
func TestSignInAtRealProvider(t *testing.T) {
	in := install(t, demoUpstreams())
	port := freePort(t)
	issuer := fmt.Sprintf("http://127.0.0.1:%d", port)
	f, err := os.OpenFile(in.config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "oidc:\n  issuer: %s\n  client-id: remit\n  client-secret: ${REMIT_TEST_SECRET}\n  name: Example SSO\n  unknown: create\n"+
		"  roles: [remit-authors=author, remit-admins=admin]\n", issuer)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REMIT_TEST_SECRET", "a secret of a test")
	in.stop(syscall.SIGTERM)
	in.start()
	if v := in.visit(issuer, "refused", "nobody", nil); !strings.Contains(v.Shown, "sessions that are open go on") {
		t.Errorf("while the provider is down the page says %q", v.Shown)
	}

	p := startProvider(t, port, in.url)
	p.groups(map[string][]string{"zoe": {"remit-authors", "everybody"}, "mallory": {"everybody"}})
	in.providerIsUp()
	zoe := in.visit(issuer, "in", "zoe", nil)
	if zoe.Me != "zoe" || zoe.Path != "/catalog?q=mail" || !strings.Contains(zoe.Account, "with the role author") || !strings.Contains(zoe.Account, issuer) {
		t.Errorf("after the sign-in: got %q at %q\n%s", zoe.Me, zoe.Path, zoe.Account)
	}
	if out := in.cli("person", "list"); !strings.Contains(out, "zoe") || !strings.Contains(out, issuer) {
		t.Errorf("the people are\n%s", out)
	}
	if v := in.visit(issuer, "refused", "mallory", nil); !strings.Contains(v.Shown, "none of your groups gives you a role") {
		t.Errorf("without a role the page says %q", v.Shown)
	}
	if v := in.visit(issuer, "out", "zoe", zoe.State); !strings.HasPrefix(v.Path, "/sign-in") {
		t.Errorf("after a logout at the provider she is at %q, want the sign-in page", v.Path)
	}

	in.cli("person", "roles", "zoe", "author") // what the command line says holds until the next sign-in
	p.groups(map[string][]string{})
	if v := in.visit(issuer, "refused", "zoe", nil); !strings.Contains(v.Shown, "none of your groups gives you a role") {
		t.Errorf("without groups the page says %q", v.Shown)
	}
	if out := in.cli("person", "list"); !strings.Contains(out, "must sign in") {
		t.Errorf("the people are\n%s", out)
	}
	for _, want := range []string{"logout at the identity provider", "gives them no role any more", "no group gives a role"} {
		if out := in.cli("audit"); !strings.Contains(out, want) {
			t.Errorf("the record lacks %q:\n%s", want, out)
		}
	}
	if out := in.cli("audit", "verify"); !strings.Contains(out, "verified") {
		t.Errorf("got %s", out)
	}
}
