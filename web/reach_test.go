package web_test

import (
	"testing"

	"remit/identity"
	"remit/persona"
)

// A reviewer asks who can call a tool before it is taken away.
func TestReach(t *testing.T) {
	w := newWorld(t, map[string][]string{"crm": {define("find", "Finds."), define("drop", "Drops.")}})
	ctx := t.Context()
	ann := identity.Principal{Person: "ann", Roles: []identity.Role{identity.Author}}
	rob := identity.Principal{Person: "rob", Roles: identity.Roles}
	p := persona.Proposal{Job: "find <b>people</b>", Grants: []persona.Grant{{Pin: persona.Pin{Tool: "crm/find"}, Words: []persona.Span{{Start: 0, End: 18}}}}}
	for _, err := range []error{w.registry.Create(ctx, ann, "desk", "Desk", p), w.registry.Submit(ctx, ann, "desk", 1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := w.store.Persona(ctx, "desk")
	if err == nil {
		err = w.registry.Approve(ctx, rob, "desk", 1, d.Latest().Digests())
	}
	if err == nil {
		_, _, err = w.directory.IssueKey(ctx, rob, identity.KeySpec{Agent: "bot", User: "zoe", Persona: "desk"})
	}
	if err != nil {
		t.Fatal(err)
	}
	b := w.as(t, "rob")
	b.get("/tool?id=crm%2Ffind")
	b.wants(200, "/reach?tool=crm%2ffind")
	for _, query := range []string{"tool=crm/find", "server=crm", "effect=read"} {
		b.get("/reach?" + query)
		b.wants(200, "1 live persona grants it, and 1 active key can call it", "&lt;b&gt;people", "bot", "zoe", "never")
	}
	b.get("/reach?tool=crm/drop")
	b.wants(200, "Nothing breaks without it")
	b.get("/reach?server=cmr")
	b.wants(200, "check the spelling")
	b.get("/reach")
	b.wants(200, "Who can call it")
	b.lacks("Nothing breaks")
}
