package web_test

import (
	"net/url"
	"testing"
	"time"

	"remit/audit"
)

// A reviewer runs a submitted revision beside the live one, reads what it would change and follows a row into the record. An
// author reads it too and can do neither.
func TestShadow(t *testing.T) {
	w := newWorld(t, shop())
	w.submitted(t, "ann")
	rob, ann, vic := w.as(t, "rob"), w.as(t, "ann"), w.as(t, "vic")
	rob.get("/personas/p/shadow")
	rob.wants(200, "No revision runs as a shadow now", "No revision is live")
	rob.post("/personas/p/shadow", url.Values{"revision": {"1"}})
	rob.wants(409, "no revision is live")
	w.approved(t)
	rob.get("/personas/p/live")
	rob.wants(200, `href="/personas/p/shadow"`)
	rob.get("/personas/p/shadow")
	rob.wants(200, "There is no revision to run")
	ann.post("/personas/p/revise", nil)
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "add": {"chat/post_message"}, "move": {"save"}})
	rob.post("/personas/p/shadow", url.Values{"revision": {"2"}})
	rob.wants(409, "revision 2 is draft")
	ann.post("/personas/p", url.Values{"base": {ann.baseOf("/personas/p")}, "move": {"submit"}})
	ann.get("/personas/p/shadow")
	ann.wants(200, "need the role reviewer")
	ann.lacks(`data-testid="start-shadow"`)
	ann.post("/personas/p/shadow", url.Values{"revision": {"2"}})
	ann.wants(403, "role reviewer")
	vic.get("/personas/p/shadow")
	vic.wants(403, "needs a role")

	rob.get("/personas/p/shadow")
	rob.wants(200, `<option value="2">Revision 2, submitted`)
	rob.post("/personas/p/shadow", url.Values{"revision": {"2"}})
	rob.wants(200, "from the next call on", "Revision 2 (submitted) runs beside revision 1", "started by rob", "There was no call yet")
	rob.get("/personas/p/live")
	rob.wants(200, "revision 2 beside it")
	for _, e := range []audit.Entry{
		{Tool: "post_<b>", Decision: audit.Refused, Policy: "find", Shadow: audit.Shadow{Revision: 2, Decision: audit.Allowed}, Call: audit.Call{Arguments: `{"text":"<i>"}`}},
		{Tool: "crm/get_customer", Decision: audit.Allowed, Shadow: audit.Shadow{Revision: 2, Decision: audit.Refused, Policy: "policy/hours", Reason: "too <late>"}},
		{Tool: "crm/get_customer", Decision: audit.Allowed, Shadow: audit.Shadow{Revision: 2, Decision: audit.Allowed}},
	} {
		e.Kind, e.Persona, e.Revision, e.Time = audit.ToolCall, "p", 1, time.Now().Add(time.Minute)
		if err := w.store.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	ann.get("/personas/p/shadow")
	ann.wants(200, "3 calls:", "1 would be refused", "1 would be allowed", "1 the same", "post_&lt;b&gt;", "policy/hours",
		"/audit?decision=refused&amp;persona=p&amp;policy=find&amp;shadow=2&amp;shadow_decision=allowed&amp;tool=post_%3Cb%3E")
	ann.get("/audit?decision=allowed&persona=p&shadow=2&shadow_decision=refused&shadow_policy=policy%2Fhours&tool=crm%2Fget_customer")
	ann.wants(200, "Beside it, revision 2: refused, too &lt;late&gt;", "Also only shadow")
	ann.get("/audit?shadow=2&tool=post_%3Cb%3E")
	ann.wants(200, "{&#34;text&#34;:&#34;&lt;i&gt;&#34;}")
	ann.get("/audit?shadow=x")
	ann.wants(422, "is no revision")

	ann.post("/personas/p/shadow/stop", nil)
	ann.wants(403, "role reviewer")
	rob.post("/personas/p/shadow/stop", nil)
	rob.wants(200, "no more", "No revision runs as a shadow now")
	rob.get("/personas/p/shadow?revision=2")
	rob.wants(200, "ran beside live ones, and does not now", "3 calls:")
	rob.get("/personas/p/shadow?revision=9")
	rob.wants(404, "Not found")
	rob.get("/audit?persona=p")
	rob.wants(200, "shadow.start", "shadow.stop")
}
