package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
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

	"remit/catalog"
	"remit/persona"
	"remit/policy"
)

// revisions are those that the conformance suite knows for servers.
var revisions = []string{"2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"}

// TestConformance runs the official conformance suite against the official Go SDK's fixture twice: direct, and through a
// persona that grants all that the fixture offers. Whatever passes direct passes through the gateway, but for what
// testdata/conformance.txt lists with its reason; what is listed there and passes has to leave the list.
func TestConformance(t *testing.T) {
	older, newer := fixture(t, "-stateless=false"), fixture(t)
	at := func(revision string) (server, url string) {
		if revision == "2026-07-28" {
			return "newer", newer
		}
		return "older", older
	}
	direct := map[string]map[string]string{} // first, since a scenario adds a tool, which the persona is to grant, too
	for _, revision := range revisions {
		_, url := at(revision)
		direct[revision] = conformance(t, revision, url)
	}
	in := install(t, fmt.Sprintf("  older: {url: %[1]q, lists: [prompts, resources], asks: [%[3]s]}\n  newer: {url: %[2]q, lists: [prompts, resources], asks: [%[3]s]}\n", older, newer, allAsks))
	in.crawled("older/test_simple_text", "newer/test_simple_text")
	through := map[string]string{}
	for _, server := range []string{"older", "newer"} {
		through[server] = bearing(t, in.all(server, policy.Policy{Asks: policy.Asks}))
	}
	expected := expectedFailures(t, "testdata/conformance.txt")
	for _, revision := range revisions {
		server, _ := at(revision)
		t.Run(revision, func(t *testing.T) {
			expected.compare(t, revision, direct[revision], conformance(t, revision, through[server]))
		})
	}
	expected.over(t)
}

// TestConformanceOfTasks does the same with the suite's scenarios of the tasks extension, which belong to no revision, and a server of
// FastMCP. It is the official suite that asks through the gateway for tasks, polls, answers and cancels them.
func TestConformanceOfTasks(t *testing.T) {
	url := jobs(t)
	in := install(t, fmt.Sprintf("  jobs: {url: %q, asks: [%s]}\n", url, allAsks))
	in.crawled("jobs/slow_compute")
	through := bearing(t, in.all("jobs", policy.Policy{Asks: policy.Asks, Tasks: true}))
	want, got := map[string]string{}, map[string]string{}
	for _, scenario := range []string{"lifecycle", "capability-negotiation", "wire-fields", "request-state-removal", "mrtr-input", "request-headers", "dispatch-and-envelope", "required-task-error"} {
		for at, found := range map[string]map[string]string{url: want, through: got} {
			maps.Copy(found, checks(t, at, "--scenario", "tasks-"+scenario, "--force"))
		}
	}
	if len(want) < 40 || slices.ContainsFunc(slices.Collect(maps.Values(want)), func(status string) bool { return status != "SUCCESS" }) {
		t.Errorf("direct: got %v, want at least 40 checks that pass", want)
	}
	expected := expectedFailures(t, "testdata/conformance-tasks.txt")
	expected.compare(t, "extension", want, got)
	expected.over(t)
}

// jobs starts the server of FastMCP that makes tasks, and returns its URL.
func jobs(t *testing.T) string {
	t.Helper()
	port := freePort(t)
	cmd := exec.Command(python("python"), "jobs.py", fmt.Sprint(port))
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	url := fmt.Sprintf("http://127.0.0.1:%d/mcp", port)
	waitFor(t, "the start of the FastMCP server", func() bool {
		res, err := http.Get(url)
		if err == nil {
			res.Body.Close()
		}
		return err == nil
	})
	return url
}

// failures are the checks that are not to pass through the gateway, with their reasons.
type failures struct {
	file    string
	reasons map[string]string
}

// compare holds what passed through the gateway against what passed direct.
func (f failures) compare(t *testing.T, revision string, want, got map[string]string) {
	t.Helper()
	passed := 0
	for _, check := range slices.Sorted(maps.Keys(want)) {
		key := revision + " " + check
		reason, listed := f.reasons[key]
		delete(f.reasons, key)
		switch {
		case want[check] == "SUCCESS" && got[check] == "SUCCESS":
			if passed++; listed {
				t.Errorf("%s passes: take it out of %s, where it says %q", key, f.file, reason)
			}
		case want[check] == "SUCCESS" && !listed:
			t.Errorf("%s passes direct, through the gateway it is %q", key, got[check])
		case want[check] != "SUCCESS" && listed:
			t.Errorf("%s does not pass direct either: take it out of %s", key, f.file)
		}
	}
	t.Logf("%d checks, %d pass through the gateway", len(want), passed)
}

// over finds what is listed and was not there to be checked.
func (f failures) over(t *testing.T) {
	t.Helper()
	for key, reason := range f.reasons {
		t.Errorf("%s lists %s, which the suite does not have: %s", f.file, key, reason)
	}
}

// fixture starts the Go SDK's conformance server.
func fixture(t *testing.T, flags ...string) string {
	t.Helper()
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	cmd := exec.Command(filepath.Join(filepath.Dir(binary), "everything-server"), append(flags, "-http", at)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	waitFor(t, "the start of the fixture", func() bool {
		res, err := http.Get("http://" + at)
		if err == nil {
			res.Body.Close()
		}
		return err == nil
	})
	return "http://" + at
}

// endpoint is a persona's, and a key for it.
type endpoint struct{ url, key string }

// allAsks is what a server of a configuration may ask for where everything is meant.
const allAsks = "elicitation, elicitation-url, sampling"

// all has a persona approved that grants all that the server offers, under its own names, and lets it what the policy says, if there is one.
func (in *installation) all(server string, lets ...policy.Policy) endpoint {
	in.t.Helper()
	id := persona.ID(server)
	in.approvedAgo(time.Minute, id, func(id catalog.ID) bool { return strings.HasPrefix(string(id), server+"/") }, lets...)
	return in.door(id)
}

// door makes a key for the persona.
func (in *installation) door(id persona.ID) endpoint {
	in.t.Helper()
	key := regexp.MustCompile(`remit_\S+`).FindString(in.cli("key", "create", "--agent", "e2e-agent", "--user", "zoe@example.com", "--persona", string(id)))
	return endpoint{in.url + "/k/" + string(id) + "/mcp", key}
}

// bearing is a proxy that adds the key, since the suite has no option for a header. It changes nothing else: the suite's Host
// and Origin arrive as they were sent.
func bearing(t *testing.T, e endpoint) string {
	to, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL, r.Out.Host = to, r.In.Host
		r.Out.Header.Set("Authorization", "Bearer "+e.key)
		if body, err := io.ReadAll(r.In.Body); err == nil && len(body) > 0 { // or an answer before its last read is cut off: golang/go#40747
			r.Out.Body = io.NopCloser(bytes.NewReader(body))
		}
	}})
	t.Cleanup(func() { proxy.CloseClientConnections(); proxy.Close() })
	return proxy.URL
}

// conformance runs the suite's scenarios of the revision and returns the status of each check: the worst, where one is made
// more than once.
func conformance(t *testing.T, revision, at string) map[string]string {
	t.Helper()
	return checks(t, at, "--suite", "all", "--spec-version", revision)
}

// checks runs what the arguments choose of the suite.
func checks(t *testing.T, at string, args ...string) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, node, slices.Concat([]string{suite, "server", "--url", at, "--timeout", "60000", "-o", dir}, args)...)
	out, err := cmd.CombinedOutput() // it fails when a check does
	if ctx.Err() != nil || !strings.Contains(string(out), "=== SUMMARY ===") && !strings.Contains(string(out), "Test Results:") {
		t.Fatalf("the conformance suite: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the conformance suite left no results: %v\n%s", err, out)
	}
	scenario := regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT`)
	found := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct{ ID, Status, ErrorMessage string }
		if err := json.Unmarshal(text, &checks); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name := scenario.FindStringSubmatch(filepath.Base(filepath.Dir(file)))[1]
		for _, c := range checks {
			key := name + " " + c.ID
			if before, ok := found[key]; !ok || before == "SUCCESS" {
				found[key] = strings.TrimSpace(c.Status + " " + c.ErrorMessage)
			}
		}
	}
	return found
}

// expectedFailures reads lines of "revision scenario check: reason".
func expectedFailures(t *testing.T, file string) failures {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[string]string{}
	for scan := bufio.NewScanner(f); scan.Scan(); {
		line := strings.TrimSpace(scan.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, reason, ok := strings.Cut(line, ": ")
		if !ok || len(strings.Fields(key)) != 3 || reason == "" || found[key] != "" {
			t.Fatalf("%s: %q is not a new \"revision scenario check: reason\"", file, line)
		}
		found[key] = reason
	}
	return failures{file, found}
}
