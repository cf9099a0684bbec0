package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"remit/approval"
	"remit/audit"
	"remit/identity"
)

// calls is a site with a live persona p, whose agent's key asks for approvals, and dan, who may only decide on calls.
func calls(t *testing.T) (*world, string) {
	t.Helper()
	w := newWorld(t, shop())
	if err := w.directory.AddPerson(t.Context(), identity.Operator(), "dan", []identity.Role{identity.Approver}, password); err != nil {
		t.Fatal(err)
	}
	w.submitted(t, "ann")
	rob := w.as(t, "rob")
	rob.get("/personas/p/review")
	rob.post("/personas/p/approve", url.Values{"revision": {rob.value("revision")}, "seen": rob.values("seen")})
	rob.wants(200)
	secret, _, err := w.directory.IssueKey(t.Context(), identity.Operator(), identity.KeySpec{Agent: "bot", User: "rob@example.com", Persona: "p"})
	if err != nil {
		t.Fatal(err)
	}
	return w, secret
}

// asks makes a request for a call of p's first tool with the arguments.
func (w *world) asks(t *testing.T, text string) approval.Request {
	t.Helper()
	p, err := w.store.Persona(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	g := p.Latest().Grants[0]
	r, _, err := w.desk.Ask(t.Context(), approval.Binding{Key: "k", Agent: "bot", User: "rob@example.com", Persona: "p", Revision: 1,
		Tool: string(g.Tool), Digest: string(g.Digest), Arguments: audit.Digest([]byte(text))}, []byte(text), 15)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) stateOf(t *testing.T, id string) approval.State {
	t.Helper()
	r, err := w.store.Approval(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r.State
}

// An approver sees on every page that a call waits, reads exactly what would be sent, hidden and look-alike characters spelt out,
// and decides.
func TestApproveACall(t *testing.T) {
	w, _ := calls(t)
	dan := w.as(t, "dan")
	dan.lacks(`data-testid="waiting"`)
	dan.get("/approvals")
	dan.wants(200, "Nothing waits")
	r := w.asks(t, "{\"id\":\"p\u0430ypal\",\"note\":\"<b>now</b>\u202e\u200b\"}")
	dan.get("/")
	dan.wants(200, `data-testid="waiting">1<`)
	dan.get("/approvals")
	dan.wants(200, "1 call waits", "bot for rob@example.com", `data-testid="open-`+r.ID, "14 min left")
	dan.get("/approvals/" + r.ID)
	dan.wants(200, "&lt;b&gt;now&lt;/b&gt;", "⟨U+202E⟩", "⟨U+200B⟩", "2 hidden characters", "U+0430", "bot", "rob@example.com", "The tool, as it was approved", `data-testid="approve-call"`)
	dan.lacks("<b>now</b>")
	dan.lacks("moved on")
	if dan.value("seen") != r.Arguments {
		t.Errorf("the form is bound to %q, want %q", dan.value("seen"), r.Arguments)
	}
	dan.post("/approvals/"+r.ID+"/approve", url.Values{"seen": {dan.value("seen")}})
	dan.wants(200, "Approved: the call may be made once", "Nothing waits", `data-testid="recent"`)
	dan.lacks(`data-testid="waiting"`)
	other := w.asks(t, `{"id":"2"}`)
	dan.post("/approvals/"+other.ID+"/deny", url.Values{"seen": {other.Arguments}, "reason": {"ask <me> first"}})
	dan.wants(200, "Denied: the call is refused", "ask &lt;me&gt; first")
	dan.get("/approvals/" + other.ID)
	dan.wants(200, "dan decided", `data-testid="emptied"`)
	dan.lacks(`data-testid="approve-call"`)
	if a, b := w.stateOf(t, r.ID), w.stateOf(t, other.ID); a != approval.Approved || b != approval.Denied {
		t.Errorf("got %s and %s", a, b)
	}
	rob := w.as(t, "rob")
	rob.get("/audit?kind=approval.approve")
	rob.wants(200, "dan", "key of bot for rob@example.com")
}

// Nobody decides without seeing the arguments, without the role, on a call of their own agent, from another site, twice, or with
// an agent's key.
func TestApproveACallIsRefused(t *testing.T) {
	w, key := calls(t)
	r := w.asks(t, `{"id":"1"}`)
	page, seen := "/approvals/"+r.ID, url.Values{"seen": {r.Arguments}}
	for name, tc := range map[string]struct {
		person, path string
		form         url.Values
		status       int
		text         string
	}{
		"an author":            {"ann", page + "/approve", seen, 403, "needs the role approver, reviewer or admin"},
		"nobody's role":        {"vic", page + "/deny", seen, 403, "needs the role"},
		"whom it works for":    {"rob", page + "/approve", seen, 403, "the agent works for you"},
		"he denies it":         {"rob", page + "/deny", seen, 403, "the agent works for you"},
		"nothing seen":         {"dan", page + "/approve", url.Values{}, 409, "not those that were shown"},
		"other arguments seen": {"dan", page + "/approve", url.Values{"seen": {audit.Digest([]byte("{}"))}}, 409, "not those that were shown"},
		"no such call":         {"dan", "/approvals/nothere/approve", seen, 404, "nothing here"},
		"a long reason":        {"dan", page + "/deny", url.Values{"seen": {r.Arguments}, "reason": {strings.Repeat("x", 501)}}, 422, "at most 500 bytes"},
	} {
		b := w.as(t, tc.person)
		b.post(tc.path, tc.form)
		b.wants(tc.status, tc.text)
		if got := w.stateOf(t, r.ID); got != approval.Pending {
			t.Errorf("%s: got %s", name, got)
		}
	}
	for _, person := range []string{"ann", "vic"} {
		b := w.as(t, person)
		b.lacks("nav-approvals")
		for _, path := range []string{"/approvals", page} {
			b.get(path)
			b.wants(403)
			b.lacks(`"1"`)
		}
	}
	rob := w.as(t, "rob")
	rob.get(page)
	rob.wants(200, `data-testid="may-not"`)
	rob.lacks(`data-testid="approve-call"`)

	stranger := w.browser(t)
	for name, header := range map[string][2]string{"the agent's key": {"Authorization", "Bearer " + key}, "its key as a cookie": {"Cookie", "remit_session=" + key}} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", w.URL+page+"/approve", strings.NewReader(seen.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set(header[0], header[1])
		stranger.send(req)
		if stranger.status != http.StatusUnauthorized || w.stateOf(t, r.ID) != approval.Pending {
			t.Errorf("%s: got %d and %s", name, stranger.status, w.stateOf(t, r.ID))
		}
	}
	dan := w.as(t, "dan")
	req, err := http.NewRequestWithContext(t.Context(), "POST", w.URL+page+"/approve", strings.NewReader(seen.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	dan.send(req)
	if dan.status != http.StatusForbidden || w.stateOf(t, r.ID) != approval.Pending {
		t.Errorf("from another site: got %d and %s", dan.status, w.stateOf(t, r.ID))
	}
	dan.post(page+"/approve", seen)
	dan.post(page+"/deny", seen)
	dan.wants(409, "it waits for nobody any more")
}

// In single-operator mode people decide on their own agents' calls; the page and the record say so.
func TestSoloApproval(t *testing.T) {
	w, _ := calls(t)
	w.desk.SingleOperator = true
	r := w.asks(t, `{"id":"1"}`)
	rob := w.as(t, "rob")
	rob.get("/approvals/" + r.ID)
	rob.wants(200, "Single-operator mode lets you decide")
	rob.post("/approvals/"+r.ID+"/approve", url.Values{"seen": {rob.value("seen")}})
	rob.wants(200, "Approved", "own agent")
	rob.get("/audit?kind=approval.approve")
	rob.wants(200, "single_operator=true")
}

// A call of a revision that is not live any more is shown as such.
func TestApprovalOfAnEarlierRevision(t *testing.T) {
	w, _ := calls(t)
	r := w.asks(t, `{"id":"1"}`)
	rob := w.as(t, "rob")
	rob.post("/personas/p/retire", nil)
	dan := w.as(t, "dan")
	dan.get("/approvals/" + r.ID)
	dan.wants(200, "The persona has moved on")
}
