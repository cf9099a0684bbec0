package web_test

import (
	"net/url"
	"testing"

	"remit/identity"
)

// Two reviewers: the first sees that one more must, the second makes it live.
func TestTwoReviewers(t *testing.T) {
	w := newWorld(t, shop())
	w.registry.TwoReviewers = true
	if err := w.directory.AddPerson(t.Context(), identity.Operator(), "rhea", []identity.Role{identity.Reviewer}, password); err != nil {
		t.Fatal(err)
	}
	ann := w.as(t, "ann")
	ann.post("/new", url.Values{"title": {"P"}, "id": {"p"}, "job": {job}})
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "add": {"crm/delete_customer"}, "move": {"submit"}})
	ann.wants(200, "Submitted")
	approve := func(b *browser) {
		b.get("/personas/p/review")
		b.wants(200, `data-testid="two"`)
		b.post("/personas/p/approve", url.Values{"revision": {b.value("revision")}, "seen": b.values("seen")})
	}
	rob := w.as(t, "rob")
	approve(rob)
	rob.wants(200, "Your approval is noted", "rob did; one more must", "waits for another reviewer")
	rob.lacks(`data-testid="approve"`)
	rhea := w.as(t, "rhea")
	approve(rhea)
	rhea.wants(200, "Approved. The gateway serves", "approved by rob and rhea")
}
