package web_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"remit/identity"
	"remit/persona"
)

// TestComments: author and reviewer talk about a tool; hostile text is text; it stays from revision to revision until one is approved.
func TestComments(t *testing.T) {
	const hostile = "\"'></textarea><script>alert(1)</script>\u202e\nsecond line"
	w := newWorld(t, shop())
	w.submitted(t, "ann")
	rob, ann, vic := w.as(t, "rob"), w.as(t, "ann"), w.as(t, "vic")
	say := func(revision, text string) url.Values {
		return url.Values{"revision": {revision}, "tool": {"crm/get_customer"}, "text": {text}, "from": {"review"}}
	}
	rob.post("/personas/p/comments", say("1", hostile))
	rob.wants(200, "Your comment is kept", "&lt;script&gt;alert(1)", "⟨U+202E⟩", "second line", `data-testid="comment-on-tool"`)
	rob.lacks("<script>alert")
	if rob.path != "/personas/p/review" {
		t.Errorf("got %s, want to be back at the review", rob.path)
	}
	vic.post("/personas/p/comments", say("1", "I want in"))
	vic.wants(403)
	for _, bad := range []url.Values{say("1", " "), say("1", strings.Repeat("x", persona.MaxComment+1)), {"revision": {"1"}, "tool": {"crm/none"}, "text": {"x"}}} {
		rob.post("/personas/p/comments", bad)
		rob.wants(422)
	}
	rob.post("/personas/p/comments", say("7", "x"))
	rob.wants(404)

	rob.get("/personas/p/review")
	rob.post("/personas/p/send-back", url.Values{"revision": {"1"}, "comment": {"see there"}})
	ann.post("/personas/p/revise", nil)
	ann.wants(200, "&lt;script&gt;alert(1)", "on revision 1")
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "move": {"submit"}})
	rob.get("/personas/p/review")
	rob.wants(200, "on revision 1")
	rob.post("/personas/p/approve", url.Values{"revision": {rob.value("revision")}, "seen": rob.values("seen")})
	ann.post("/personas/p/revise", nil)
	ann.wants(200)
	ann.lacks("alert(1)")
	root := w.as(t, "root")
	root.get("/audit?persona=p")
	root.wants(200, "persona.comment")
}

// TestServedBytes: the review page has what the agent will read, also where the name and the schema are not the server's.
func TestServedBytes(t *testing.T) {
	offers := shop()
	offers["till"] = []string{`{"name":"get_customer","inputSchema":{"type":"object","properties":{"id":{"type":"string"}}, "x-kept":[1.0]}}`}
	w := newWorld(t, offers)
	ann := w.drafted(t)
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "add": {"till/get_customer"}})
	ann.wants(200)
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "policy:till/get_customer": {`{"arguments":[{"path":"/id","enum":["a","b"]}]}`}, "move": {"submit"}})
	ann.wants(200, "Submitted")
	p, err := w.store.Persona(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	rob := w.as(t, "rob")
	rob.get("/personas/p/served")
	rob.wants(200, `"name":"crm__get_customer"`, `"x-kept":[1.0]`, `"enum":["a","b"]`)
	list := rob.body
	var want []string
	for _, g := range p.Latest().Grants {
		served, _, err := g.Served()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, string(served))
	}
	if list != "["+strings.Join(want, ",")+"]" || rob.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %s as %s", list, rob.header.Get("Content-Type"))
	}
	rob.get("/personas/p/review")
	rob.wants(200, "What the agent reads, byte for byte", "crm__get_customer", "The name, the input schema or what it says of tasks is not as the server sent it", "one of a, b")
	rob.get("/personas/p/served?revision=9")
	rob.wants(404)
}

// TestAskingIsReviewed: what a tool's server may ask of the client, and that it may answer with a task, stands apart from the rules, in capitals, before the reviewer who
// approves it, and in the difference; it is ticked, or written as text.
func TestAskingIsReviewed(t *testing.T) {
	w := newWorld(t, shop())
	ann := w.drafted(t)
	p, err := w.store.Persona(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	tool := string(p.Latest().Grants[0].Tool)
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "policy:" + tool: {`{"asks":["sampling"],"approval":{"minutes":5}}`}})
	ann.wants(422, "a call that a person approves cannot ask for more")
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "policy:" + tool: {`{"asks":["roots"]}`}})
	ann.wants(422, "asks are elicitation, elicitation-url, sampling, not")
	ann.get("/personas/p")
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "policy:" + tool: {`{"asks":["sampling","elicitation-url"]}`}})
	ann.wants(200)
	ann.get("/personas/p")
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "form:" + tool: {"1"}, "timeout_seconds:" + tool: {"5"}, "asks:" + tool: {"elicitation-url", "sampling", "tasks"}, "move": {"submit"}})
	ann.wants(200, "Submitted")
	rob := w.as(t, "rob")
	rob.get("/personas/p/review")
	rob.wants(200, `data-testid="lets"`, "LETS ITS SERVER PROMPT THE AGENT&#39;S MODEL", "LETS ITS SERVER SEND THE PERSON", "LETS ITS SERVER WORK ON AFTER THE CALL",
		"at most 5 s a call", `data-testid="risk-prompts"`, `data-testid="risk-asks"`)
	if strings.Contains(rob.body, "LETS ITS SERVER ASK THE PERSON") {
		t.Error("the page says more than was granted")
	}
	rob.post("/personas/p/approve", url.Values{"revision": {rob.value("revision")}, "seen": rob.values("seen")})
	ann.post("/personas/p/revise", nil)
	ann.get("/personas/p")
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "form:" + tool: {"1"}, "asks:" + tool: {"everything"}})
	ann.wants(422, "asks are elicitation, elicitation-url, sampling, not")
	ann.get("/personas/p")
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "form:" + tool: {"1"}, "timeout_seconds:" + tool: {"5"}, "asks:" + tool: {"sampling"}, "move": {"submit"}})
	rob.get("/personas/p/diff?from=1&to=2")
	rob.wants(200, "Its rules:", "LETS ITS SERVER SEND THE PERSON", "LETS ITS SERVER WORK ON AFTER THE CALL")
}

// TestGroups: the same tools, put together by server or by effect, under the numbers that they have.
func TestGroups(t *testing.T) {
	w := newWorld(t, shop())
	ann := w.drafted(t)
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "add": {"chat/post_message"}})
	for by, want := range map[string]string{"server": "billing chat crm", "effect": "external read", "job": "", "x": ""} {
		ann.get("/personas/p?group=" + by)
		ann.wants(200, `id="tool-1"`, `id="tool-2"`, `id="tool-3"`)
		var got []string
		for _, name := range strings.Split(ann.body, `data-testid="group">`)[1:] {
			name, _, _ = strings.Cut(name, ` <span class="dim">`)
			got = append(got, strings.TrimSuffix(name[strings.LastIndex(name[:len(name)-1], ">")+1:], "</span>"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("by %s: got %q, want %q", by, got, want)
		}
	}
}

// TestRiskFollowsTheTools: the picture is of the tools as they are, not of the draft as it was made.
func TestRiskFollowsTheTools(t *testing.T) {
	offers := shop()
	offers["mail"] = []string{define("read_inbox", "Read the messages in the inbox.")}
	w := newWorld(t, offers)
	ann := w.drafted(t)
	ann.wants(200, `data-testid="risk"`)
	ann.lacks("Dangerous combination")
	for _, tool := range []string{"mail/read_inbox", "chat/post_message"} {
		ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "add": {tool}})
	}
	ann.wants(200, "Dangerous combination", "mail/read_inbox bring in what strangers wrote", "chat/post_message lead out", `class="flow leaks"`)
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "remove": {"mail/read_inbox"}})
	ann.lacks("Dangerous combination")
}

// TestRiskWeighsAsking: what a server may ask of the client is in the picture, with a warning in plain words, before the author and before
// the reviewer; a picture without any has no place for it.
func TestRiskWeighsAsking(t *testing.T) {
	w := newWorld(t, shop())
	ann := w.drafted(t)
	ann.lacks(`data-testid="risk-prompts"`)
	ann.lacks(`data-testid="risk-asks"`)
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "add": {"chat/post_message"}})
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "policy:chat/post_message": {`{"asks":["elicitation-url","sampling"],"tasks":true}`}})
	ann.wants(200)
	ann.get("/personas/p")
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "move": {"submit"}})
	ann.wants(200, "Submitted")
	rob := w.as(t, "rob")
	for _, page := range []*browser{ann, rob} {
		page.get("/personas/p/review")
		page.wants(200, `data-testid="risk-prompts"`, `data-testid="risk-asks"`, `data-testid="risk-lets"`, "Works on after the call", `class="flow leaks"`, "Dangerous combination",
			"the server of chat/post_message may prompt the agent&#39;s model", "Asks people.", "could ask for a password")
	}
}

// TestReviewsAreCounted: who may approve what waits is told so on every page; its author is not.
func TestReviewsAreCounted(t *testing.T) {
	w := newWorld(t, shop())
	w.submitted(t, "rob")
	sam := w.as(t, "rob")
	sam.get("/catalog")
	sam.lacks(`data-testid="reviews"`)
	ann := w.as(t, "ann")
	ann.lacks(`data-testid="reviews"`)
	w2 := newWorld(t, shop())
	w2.submitted(t, "ann")
	rob := w2.as(t, "rob")
	rob.get("/catalog")
	rob.wants(200, `data-testid="reviews">1<`)
}

// TestWordsAndToolsPointAtEachOther: each card leads to its words, and the words to the card.
func TestWordsAndToolsPointAtEachOther(t *testing.T) {
	w := newWorld(t, shop())
	ann := w.drafted(t)
	for _, to := range []string{`href="#words-1"`, `id="words-1" href="#tool-1"`} {
		ann.wants(200, to)
	}
	if !slices.Contains(strings.Fields(strings.ReplaceAll(ann.body, ">", " ")), `href="#words-3"`) {
		t.Errorf("the second tool does not lead to its words:\n%s", mainOf(ann.body))
	}
}

// TestManyPersonas: a long list has pages and a search; what waits for a review stands above it in any case.
func TestManyPersonas(t *testing.T) {
	w := newWorld(t, shop())
	maker := identity.Principal{Person: "maker", Roles: []identity.Role{identity.Author}}
	for i := range 120 {
		id := persona.ID(fmt.Sprintf("p%03d", i))
		if err := w.registry.Create(t.Context(), maker, id, fmt.Sprintf("Job %d", i), persona.Proposal{Job: job, Grants: []persona.Grant{{Pin: persona.Pin{Tool: "crm/get_customer"}}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.registry.Submit(t.Context(), maker, "p119", 1); err != nil {
		t.Fatal(err)
	}
	rob := w.as(t, "rob")
	rob.wants(200, "1 to 50 of 120", `data-testid="persona-p000"`, "Waiting for your review", "Job 119", `rel="next"`)
	rob.lacks(`data-testid="persona-p119"`)
	rob.get("/?page=3")
	rob.wants(200, "101 to 120 of 120", `data-testid="persona-p119"`)
	rob.get("/?page=99")
	rob.wants(200, "101 to 120 of 120")
	rob.get("/?q=JOB+11")
	rob.wants(200, "1 to 11 of 11", `data-testid="persona-p011"`)
	rob.get("/?q=" + url.QueryEscape("<b>none\u202e"))
	rob.wants(200, "Nothing fits", "⟨U+202E⟩")
	rob.lacks("<b>none")
}
