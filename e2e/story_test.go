package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"remit/audit"
	"remit/internal/demo"
)

// story is what a team does: the browser part clicks it, then clients that we did not write use the result.
type story struct {
	title, job string
	keep       []string // tools of the draft that stay; the draft must hold them
	query, add string   // what is searched for and added
	call       string   // tool that the agents call, under the name that the persona gives it
	args, want string   // its arguments, and a part of the answer
	outside    string   // a tool that exists upstream but not in the persona
}

type told struct {
	URL, Removed, Endpoint, Key string
	Drafted, Reviewed           []string
	Snippets                    []string
}

// tell clicks through the story and then acts as the agents.
func (in *installation) tell(st story) {
	t := in.t
	t.Helper()
	plan := map[string]any{"author": in.person("ada", "author"), "reviewer": in.person("ravi", "reviewer"), "title": st.title, "job": st.job,
		"keep": st.keep, "query": st.query, "add": st.add, "agent": "e2e-agent", "user": "zoe@example.com"}
	var got told
	browse(t, &got, "story.mjs", plan)
	t.Logf("drafted %v; removed %s; approved %v", got.Drafted, got.Removed, got.Reviewed)
	for _, id := range st.keep {
		if !slices.Contains(got.Drafted, id) {
			t.Errorf("the draft lacks %s", id)
		}
	}
	if slices.Contains(got.Reviewed, got.Removed) || !slices.Contains(got.Reviewed, st.add) {
		t.Errorf("the reviewer saw %v, want %s gone and %s added", got.Reviewed, got.Removed, st.add)
	}
	if !slices.ContainsFunc(got.Snippets, func(s string) bool { return strings.Contains(s, got.Key) && strings.Contains(s, got.Endpoint) }) {
		t.Errorf("no client configuration holds the endpoint and the key: %v", got.Snippets)
	}
	in.typescriptAgent(st, got)
	in.inspectorAgent(st, got)
	in.snippets(got)
	in.record(st, got)
	in.killSwitch(st, got)

	in.cli("key", "revoke", strings.Split(got.Key, "_")[1])
	var refused struct {
		Error string
		Code  int
	}
	script(t, &refused, "sdk.mjs", got.Endpoint, got.Key, st.call, st.args)
	if refused.Code != http.StatusUnauthorized {
		t.Errorf("a revoked key: got %d %q, want 401", refused.Code, refused.Error)
	}
}

// typescriptAgent is the official TypeScript SDK.
func (in *installation) typescriptAgent(st story, got told) {
	t := in.t
	t.Helper()
	var sdk struct {
		Tools   []struct{ Name string }
		Result  json.RawMessage
		Outside struct {
			Error  string
			Code   int
			Result json.RawMessage
		}
		Error string
	}
	script(t, &sdk, "sdk.mjs", got.Endpoint, got.Key, st.call, st.args, st.outside)
	if sdk.Error != "" {
		t.Fatalf("the TypeScript SDK: %s", sdk.Error)
	}
	if len(sdk.Tools) != len(got.Reviewed) {
		t.Errorf("the TypeScript SDK lists %d tools, the reviewer approved %d", len(sdk.Tools), len(got.Reviewed))
	}
	if !strings.Contains(string(sdk.Result), st.want) {
		t.Errorf("the TypeScript SDK's call: got %s, want %q in it", sdk.Result, st.want)
	}
	if !strings.Contains(sdk.Outside.Error, "Unknown tool") {
		t.Errorf("a tool outside the persona: got %+v, want it unknown", sdk.Outside)
	}
}

// killSwitch suspends the persona in the browser while an agent has its key, and resumes it.
func (in *installation) killSwitch(st story, got told) {
	t := in.t
	t.Helper()
	plan := map[string]any{"link": in.person("rhea", "reviewer"), "url": got.URL}
	flip := func() (shown string) {
		var out struct {
			State json.RawMessage
			Shown string
		}
		browse(t, &out, "killswitch.mjs", plan)
		plan["state"], plan["resume"] = out.State, true
		return out.Shown
	}
	var sdk struct {
		Error  string
		Result json.RawMessage
	}
	if shown := flip(); !strings.Contains(shown, "an agent went astray") {
		t.Errorf("the live page shows %q, want the reason", shown)
	}
	script(t, &sdk, "sdk.mjs", got.Endpoint, got.Key, st.call, st.args)
	if !strings.Contains(sdk.Error, "an agent went astray") || strings.Contains(string(sdk.Result), st.want) {
		t.Errorf("while suspended: got %+v, want the reason and no result", sdk)
	}
	sdk.Error, sdk.Result = "", nil
	flip()
	script(t, &sdk, "sdk.mjs", got.Endpoint, got.Key, st.call, st.args)
	if sdk.Error != "" || !strings.Contains(string(sdk.Result), st.want) {
		t.Errorf("after it was resumed: got %+v, want a result", sdk)
	}
}

// inspectorAgent is the MCP Inspector's command line.
func (in *installation) inspectorAgent(st story, got told) {
	t := in.t
	t.Helper()
	run := func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, node, append([]string{"node_modules/.bin/mcp-inspector", "--cli", "--transport", "http",
			"--server-url", got.Endpoint, "--header", "Authorization: Bearer " + got.Key}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+in.dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	list, err := run("--method", "tools/list")
	if err != nil || strings.Count(list, `"inputSchema"`) != len(got.Reviewed) {
		t.Errorf("the Inspector's list: %v\n%s", err, list)
	}
	var args map[string]any
	if err := json.Unmarshal([]byte(st.args), &args); err != nil {
		t.Fatal(err)
	}
	call := []string{"--method", "tools/call", "--tool-name", st.call}
	for name, value := range args {
		call = append(call, "--tool-arg", fmt.Sprintf("%s=%v", name, value))
	}
	if out, err := run(call...); err != nil || !strings.Contains(out, st.want) {
		t.Errorf("the Inspector's call: %v\n%s", err, out)
	}
	if out, err := run("--method", "tools/call", "--tool-name", st.outside); err == nil || strings.Contains(out, st.want) {
		t.Errorf("the Inspector's call outside the persona: %v\n%s", err, out)
	}
}

// snippets runs the configurations that the page offers to copy: curl's in a shell, Claude Desktop's by starting what it names
// (mcp-remote) as a server of the Inspector.
func (in *installation) snippets(got told) {
	t := in.t
	t.Helper()
	ran := 0
	for _, text := range got.Snippets {
		var desktop struct {
			MCPServers map[string]struct {
				Command string
				Args    []string
				Env     map[string]string
			} `json:"mcpServers"`
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var cmd *exec.Cmd
		if strings.Contains(text, "curl -") {
			cmd = exec.CommandContext(ctx, "bash", "-c", text)
		} else if json.Unmarshal([]byte(text), &desktop) == nil {
			for _, s := range desktop.MCPServers {
				if s.Command == "npx" {
					cmd = exec.CommandContext(ctx, node, append([]string{"node_modules/.bin/mcp-inspector", "--cli", "--method", "tools/list",
						"--transport", "stdio", "-e", "REMIT_AUTH=" + s.Env["REMIT_AUTH"], "--", node, "node_modules/mcp-remote/dist/proxy.js"}, s.Args[2:]...)...)
					cmd.Env = append(os.Environ(), "HOME="+in.dir)
				}
			}
		}
		if cmd == nil {
			continue
		}
		ran++
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Count(string(out), `"inputSchema"`) != len(got.Reviewed) {
			t.Errorf("a configuration from the page: %v\n%s\n%s", err, text, out)
		}
	}
	if ran != 2 {
		t.Errorf("%d configurations could be run, want curl's and Claude Desktop's", ran)
	}
}

// record reads the audit as a person with the command line does.
func (in *installation) record(st story, got told) {
	t := in.t
	t.Helper()
	var allowed, refused int
	for _, line := range strings.Split(strings.TrimSpace(in.cli("audit", "--kind", audit.ToolCall, "--json")), "\n") {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Agent != "e2e-agent" || e.User != "zoe@example.com" || e.Persona == "" || e.Revision != 1 || e.Time.IsZero() || e.Tool == "" {
			t.Errorf("an entry lacks something: %s", line)
		}
		switch e.Decision {
		case audit.Allowed:
			allowed++
			if !slices.Contains(got.Reviewed, e.Tool) || e.Digest == "" || e.Micros == 0 {
				t.Errorf("an allowed call: %s", line)
			}
		case audit.Refused:
			refused++
		}
	}
	if allowed != 2 || refused < 1 {
		t.Errorf("got %d allowed and %d refused calls, want 2 and at least 1", allowed, refused)
	}
	if out := in.cli("audit", "verify"); !strings.Contains(out, "verified") {
		t.Errorf("got %s", out)
	}
}

func TestDemoStory(t *testing.T) {
	in := install(t, demoUpstreams())
	in.crawled("search_customers", "post_message", "list_invoices", "find_free_slots", "reply_to_ticket")
	in.tell(story{
		title: "Support agent", job: demo.Job,
		keep:  []string{"crm/search_customers", "helpdesk/reply_to_ticket", "billing/list_invoices"},
		query: "add a note to the record of a customer", add: "crm/add_note",
		call: "search_customers", args: `{"query":"Nora"}`, want: "Lindqvist", outside: "refund_payment",
	})
}

// crawled waits until the catalog page shows the tools.
func (in *installation) crawled(tools ...string) {
	in.t.Helper()
	admin := in.browser(in.person("waits", "admin"))
	for _, tool := range tools {
		waitFor(in.t, "crawling "+tool, func() bool {
			res, err := admin.Get(in.url + "/catalog?q=" + tool)
			if err != nil {
				return false
			}
			defer res.Body.Close()
			var b bytes.Buffer
			_, _ = b.ReadFrom(res.Body)
			return strings.Contains(b.String(), "/"+tool) || strings.Contains(b.String(), ">"+tool)
		})
	}
}

// TestRealServers tells the same with servers from npm and PyPI: six over stdio, one over streamable HTTP.
func TestRealServers(t *testing.T) {
	dir := t.TempDir()
	repo := sampleRepository(t, dir)
	port := freePort(t)
	remote := exec.Command(node, module("server-everything"), "streamableHttp")
	remote.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", port))
	remote.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := remote.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-remote.Process.Pid, syscall.SIGKILL); _ = remote.Wait() })
	url := fmt.Sprintf("http://127.0.0.1:%d/mcp", port)
	waitFor(t, "the start of server-everything", func() bool {
		res, err := http.Get(url)
		if err != nil {
			return false
		}
		res.Body.Close()
		return true
	})
	abs := func(path string) string {
		p, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	n := abs(node)
	in := install(t, fmt.Sprintf(`  filesystem: {command: %[1]s, args: [%[2]s, %[3]s]}
  memory: {command: %[1]s, args: [%[4]s], env: {MEMORY_FILE_PATH: %[5]s}}
  thinking: {command: %[1]s, args: [%[6]s]}
  everything: {command: %[1]s, args: [%[7]s, stdio]}
  git: {command: %[8]s, args: [--repository, %[3]s]}
  time: {command: %[9]s}
  remote: {url: "%[10]s"}
`, n, abs(module("server-filesystem")), repo, abs(module("server-memory")), filepath.Join(dir, "memory.json"),
		abs(module("server-sequential-thinking")), abs(module("server-everything")), abs(python("mcp-server-git")),
		abs(python("mcp-server-time")), url))
	in.crawled("read_text_file", "git_log", "create_entities", "sequentialthinking", "get_current_time", "echo")
	in.tell(story{
		title: "Release notes helper",
		job: "Read the text files in our project folder and look at the git log and the git status of the repository, so that you can write " +
			"release notes. Never write, edit or move files, and never commit.",
		keep:  []string{"filesystem/read_text_file"},
		query: "commit logs", add: "git/git_log",
		call: "read_text_file", args: fmt.Sprintf(`{"path":%q}`, filepath.Join(repo, "NOTES.md")), want: "The bell rings now",
		outside: "write_file",
	})
	if _, err := os.Stat(filepath.Join(repo, "written")); err == nil {
		t.Error("a refused tool wrote a file")
	}
	var shown []string
	for _, line := range strings.Split(in.cli("search", "--json", "-n", "50", "echo a message"), "\n") {
		var m struct{ ID string }
		if json.Unmarshal([]byte(line), &m) == nil {
			shown = append(shown, m.ID)
		}
	}
	if !slices.Contains(shown, "remote/echo") || !slices.Contains(shown, "everything/echo") {
		t.Errorf("got %v, want the tool of the stdio server and of the HTTP server", shown)
	}
}

func module(name string) string {
	return filepath.Join("node_modules", "@modelcontextprotocol", name, "dist", "index.js")
}

// sampleRepository is a git repository with one commit.
func sampleRepository(t *testing.T, dir string) string {
	t.Helper()
	repo := filepath.Join(dir, "project")
	if err := os.MkdirAll(repo, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repo, "NOTES.md"), []byte("# 1.2\nThe bell rings now.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "commit", "-qm", "Ring the bell"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = repo
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return repo
}
