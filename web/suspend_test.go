package web_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
	"remit/catalog/crawl"
	"remit/persona"
)

func (w *world) suspended(t *testing.T) []string {
	t.Helper()
	all, err := w.store.Suspensions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range all {
		out = append(out, s.String()+" by "+s.Person+": "+s.Reason)
	}
	return out
}

// listed stores what the site's catalog offers of a server, as the crawler does, and shows the server as crawled.
func (w *world) listed(t *testing.T, server string) {
	t.Helper()
	var tools []catalog.Tool
	for _, tool := range w.catalog.Tools() {
		if of, _ := tool.ID.Split(); of == server {
			tools = append(tools, tool)
		}
	}
	if _, err := w.store.SaveListing(t.Context(), crawl.Turn{Server: server}, tools, time.Now()); err != nil {
		t.Fatal(err)
	}
	w.servers = append(w.servers, crawl.ServerStatus{Server: server, LastCrawl: time.Now(), Tools: len(tools), By: "machine <b>7</b>, process 12"})
}

func suspension(kind persona.Kind, name, reason string) url.Values {
	return url.Values{"kind": {string(kind)}, "name": {name}, "reason": {reason}}
}

// A reviewer stops a persona, a tool and a server on their pages; everybody sees it there, and an admin resumes them.
func TestSuspend(t *testing.T) {
	w := newWorld(t, shop())
	w.listed(t, "crm")
	w.submitted(t, "ann")
	rob, root, ann := w.as(t, "rob"), w.as(t, "root"), w.as(t, "ann")
	rob.get("/personas/p/review")
	rob.post("/personas/p/approve", url.Values{"revision": {rob.value("revision")}, "seen": rob.values("seen")})
	rob.wants(200, "Suspend this persona")
	rob.post("/suspend", suspension(persona.OnePersona, rob.value("name"), "It sends <b>everything</b> out"))
	rob.wants(200, "Suspended: the gateway refuses", "This persona is suspended", "It sends &lt;b&gt;everything&lt;/b&gt; out", "Resume persona p")
	rob.lacks("Suspend this persona")
	for _, path := range []string{"/personas/p", "/personas/p/review", "/personas/p/live"} {
		ann.get(path)
		ann.wants(200, `data-testid="suspended-persona"`, "It sends &lt;b&gt;everything&lt;/b&gt; out")
		ann.lacks(`data-testid="resume"`)
	}
	ann.get("/")
	ann.wants(200, `<span class="state retired">suspended</span>`)

	rob.get("/tool?id=crm/get_customer")
	rob.wants(200, "Suspend this tool")
	rob.post("/suspend", suspension(persona.OneTool, rob.value("name"), "leaks"))
	rob.wants(200, "This tool is suspended", "Resume tool crm/get_customer")
	rob.get("/personas/p/review")
	rob.wants(200, `data-testid="tool-suspended"`, "Calls of it are refused")
	rob.get("/servers")
	rob.wants(200, "Suspend this server", "tool crm/get_customer", "persona p", "<dt>Crawled by</dt><dd>machine &lt;b&gt;7&lt;/b&gt;, process 12</dd>")
	rob.post("/suspend", suspension(persona.OneServer, "crm", "taken over"))
	rob.wants(200, `data-testid="suspended-server"`, "Resume server crm")
	rob.get("/tool?id=crm/delete_customer")
	rob.wants(200, `data-testid="suspended-server"`)
	want := []string{"persona p by rob: It sends <b>everything</b> out", "server crm by rob: taken over", "tool crm/get_customer by rob: leaks"}
	if diff := cmp.Diff(want, w.suspended(t)); diff != "" {
		t.Errorf("suspended (-want +got):\n%s", diff)
	}

	for _, target := range []url.Values{suspension(persona.OnePersona, "p", ""), suspension(persona.OneTool, "crm/get_customer", ""), suspension(persona.OneServer, "crm", "")} {
		root.post("/resume", target)
		root.wants(200, "Resumed: the gateway goes on")
		root.lacks("Resume " + target.Get("kind") + " " + target.Get("name"))
	}
	if got := w.suspended(t); got != nil {
		t.Errorf("got %v suspended, want nothing", got)
	}
	root.get("/audit")
	root.wants(200, "persona.suspend", "server.suspend", "tool.suspend", "persona.resume", "server.resume", "tool.resume", "taken over")
}

// Nobody without the role stops or resumes anything, and nothing is stopped without a reason or that does not exist.
func TestSuspendIsRefused(t *testing.T) {
	w := newWorld(t, shop())
	w.listed(t, "crm")
	w.submitted(t, "ann")
	for name, tc := range map[string]struct {
		person, path string
		form         url.Values
		status       int
		text         string
	}{
		"an author suspends": {"ann", "/suspend", suspension(persona.OnePersona, "p", "r"), 403, "reviewer or admin"},
		"no role":            {"vic", "/suspend", suspension(persona.OneServer, "crm", "r"), 403, "reviewer or admin"},
		"an author resumes":  {"ann", "/resume", suspension(persona.OnePersona, "p", ""), 403, "reviewer or admin"},
		"no reason":          {"rob", "/suspend", suspension(persona.OnePersona, "p", " "), 422, "needs a reason"},
		"too long":           {"rob", "/suspend", suspension(persona.OnePersona, "p", string(make([]byte, 501))), 422, "1 to 500 bytes"},
		"no such tool":       {"rob", "/suspend", suspension(persona.OneTool, "crm/none", "r"), 404, "nothing here"},
		"no such kind":       {"rob", "/suspend", suspension("key", "k", "r"), 422, "what can be suspended"},
		"not suspended":      {"root", "/resume", suspension(persona.OneServer, "crm", ""), 409, "is not suspended"},
	} {
		b := w.as(t, tc.person)
		b.post(tc.path, tc.form)
		b.wants(tc.status, tc.text)
		if got := w.suspended(t); got != nil {
			t.Errorf("%s: got %v suspended", name, got)
		}
	}
	rob := w.as(t, "rob")
	rob.post("/suspend", suspension(persona.OneServer, "crm", "r"))
	rob.post("/suspend", suspension(persona.OneServer, "crm", "again"))
	rob.wants(409, "suspended already")
	ann := w.as(t, "ann")
	ann.get("/servers")
	ann.wants(200, `data-testid="suspended-server"`)
	ann.lacks(`data-testid="resume"`)
}
