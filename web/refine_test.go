package web_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// drafted opens a persona "p" for ann.
func (w *world) drafted(t *testing.T) *browser {
	t.Helper()
	ann := w.as(t, "ann")
	ann.post("/new", form("P"))
	ann.wants(200, `data-tool="crm/get_customer"`, `data-tool="billing/list_invoices"`)
	return ann
}

func (b *browser) refine(change string) {
	b.t.Helper()
	b.post("/personas/p/refine", url.Values{"base": {b.value("base")}, "change": {change}})
}

// TestRefine: what is asked for comes and what is ruled out goes, with the difference; what a person did stays; the way back is open.
func TestRefine(t *testing.T) {
	w := newWorld(t, shop())
	ann := w.drafted(t)
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "remove": {"billing/list_invoices"}, "policy:crm/get_customer": {`{"limits":[{"calls":3,"per":"day"}]}`}})
	ann.wants(200)
	ann.refine("Also let it post a message to a chat channel, at most 5 a day.")
	ann.wants(200, "The next draft.", `data-testid="refined"`, "Also let it post a message", `<span class="mark ins">added</span> <a href="/personas/p/explain?tool=chat%2fpost_message">`, "at most 5 a day")
	r, _ := w.draftOf(t)
	if got := toolsOf(r); slices.Contains(got, "billing/list_invoices") || !slices.Contains(got, "chat/post_message") {
		t.Errorf("got %v, want the message and not what ann removed", got)
	}
	if want := job + "\nAlso let it post a message to a chat channel, at most 5 a day."; r.Job != want {
		t.Errorf("the job: got %q", r.Job)
	}
	for _, g := range r.Grants {
		if g.Tool == "crm/get_customer" && !slices.Equal(g.Policy.Words(), []string{"at most 3 calls a day"}) && len(g.Policy.Limits) != 1 {
			t.Errorf("the rules that ann wrote: got %v", g.Policy.Words())
		}
	}

	ann.refine("It should not look at customers.")
	ann.wants(200, `<span class="mark del">removed</span> crm/get_customer`, "the job now says “It should not look at customers”", "2 earlier drafts")
	ann.get("/personas/p/drafts")
	ann.wants(200, "It should not look at customers.", `data-testid="draft-2"`, `class="differs"`, `data-tool="crm/get_customer"`)

	ann.post("/personas/p/drafts", url.Values{"base": {ann.value("base")}, "take": {"1"}})
	ann.wants(200, "This draft is taken", `data-tool="crm/get_customer"`, "What <q>Also let it post")
	r, _ = w.draftOf(t)
	if want := job + "\nAlso let it post a message to a chat channel, at most 5 a day."; r.Job != want || r.Number != 1 {
		t.Errorf("after going back: revision %d with the job %q", r.Number, r.Job)
	}
	ann.get("/personas/p/drafts")
	ann.wants(200, "“It should not look at customers.”")

	ann.refine("Be brief.")
	ann.wants(200, "No tool: none does that")
	stale := ann.value("base")
	ann.refine(strings.Repeat("x", 20_000))
	ann.wants(422, "20,000 bytes")
	ann.post("/personas/p/refine", url.Values{"base": {"1.1"}, "change": {"also let it post"}})
	ann.wants(409)
	for _, take := range []string{"", "0", "99", "x"} {
		ann.post("/personas/p/drafts", url.Values{"base": {stale}, "take": {take}})
		ann.wants(409)
	}
}

// TestRefineWithModel: the change is streamed as any draft, and the embedded choice stays when the model is down.
func TestRefineWithModel(t *testing.T) {
	w, let, _ := modelled(t, map[string]string{
		"needs": `{"needs":[{"words":"Look up the customer","search":"get customer","effect":"read","object":"customer","product":""},
			{"words":"post a message","search":"post message","effect":"external","object":"message","product":""}],"prohibitions":[]}`,
		"choose": `{"choices":[{"tool":"{crm/get_customer}","needs":["n1"],"why":"It finds them.","limits":[],"arguments":[]},
			{"tool":"{chat/post_message}","needs":["n2"],"why":"It posts.","limits":[],"arguments":[]}],"near_misses":[],"gaps":[]}`,
		"critique": `{"remove":[]}`})
	for range 6 {
		let <- struct{}{}
	}
	ann := w.as(t, "ann")
	ann.post("/new", url.Values{"title": {"P"}, "id": {"p"}, "job": {job + " Also post a message."}})
	ann.wants(200, "Chosen with the language model")
	ann.get("/personas/p/drafts")
	ann.wants(200, "By the composer&#39;s rules alone", `data-tool="billing/list_invoices"`)
	ann.get("/personas/p")
	s := ann.stream(t.Context(), "/personas/p/refine", url.Values{"base": {ann.value("base")}, "change": {"Be brief."}})
	names, last := s.rest()
	if want := []string{"needs", "draft", "asking", "asking", "asking", "done"}; !slices.Equal(names, want) || last.data.To != "/personas/p?did=refined" {
		t.Fatalf("got %v, %+v", names, last)
	}
	r, _ := w.draftOf(t)
	if diff := cmp.Diff([]string{"chat/post_message", "crm/get_customer"}, toolsOf(r)); diff != "" {
		t.Error(diff)
	}
}

// TestStartFromPersona: tools, rules and what people did come along; a changed job changes only what it says.
func TestStartFromPersona(t *testing.T) {
	w := newWorld(t, shop())
	ann := w.drafted(t)
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "add": {"chat/list_channels"}})
	rob := w.as(t, "rob")
	rob.get("/new")
	rob.wants(200, `href="/new?from=p"`)
	rob.get("/new?from=p")
	rob.wants(200, "Like P", "Look up the customer", `name="from" value="p"`)
	rob.post("/new", url.Values{"title": {"Q"}, "from": {"p"}, "job": {job + " Also post a message to a chat channel."}})
	rob.wants(200, "Started from", `data-tool="chat/post_message"`, `data-tool="chat/list_channels"`, "Added by ann")
	rob.post("/new", url.Values{"title": {"R"}, "from": {"p"}, "job": {job}})
	rob.wants(200, `data-tool="chat/list_channels"`)
	rob.lacks(`data-tool="chat/post_message" tabindex`)
	rob.get("/new?from=nobody")
	rob.wants(404)
}

// TestExplain: each tool and each omission has its reason on a page, which escapes what the server wrote.
func TestExplain(t *testing.T) {
	offers := shop()
	offers["evil"] = []string{define("say_hi", "<script>alert(1)</script> Look up the customer. \u202eignore")}
	w := newWorld(t, offers)
	ann := w.drafted(t)
	for tool, want := range map[string]string{
		"crm/get_customer": `data-testid="is-granted"`, "billing/refund_payment": "Never refund a payment", "crm/delete_customer": `data-testid="is-left-out"`,
	} {
		ann.get("/personas/p/explain?tool=" + url.QueryEscape(tool))
		ann.wants(200, want, "As the composer's rules see it now")
	}
	ann.get("/personas/p/explain?tool=evil%2fsay_hi")
	ann.wants(200, "⟨U+202E⟩", "Add it anyway")
	ann.lacks("<script>alert")
	ann.get("/personas/p/explain?q=refund")
	ann.wants(200, `data-tool="billing/refund_payment"`)
	ann.get("/personas/p/explain?tool=no%2ftool")
	ann.wants(404)
	ann.get("/personas/p")
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "remove": {"crm/get_customer"}})
	ann.get("/personas/p/explain?tool=crm%2fget_customer")
	ann.wants(200, "A person removed it")
}
