package persona_test

import (
	"slices"
	"testing"
	"time"

	"remit/catalog"
	"remit/catalog/crawl"
	"remit/persona"
)

func TestStopped(t *testing.T) {
	of := func(k persona.Kind, name string) []persona.Suspension {
		return []persona.Suspension{{Target: persona.Target{Kind: persona.OneTool, Name: "other/tool"}}, {Target: persona.Target{Kind: k, Name: name}}}
	}
	for name, tc := range map[string]struct {
		all           []persona.Suspension
		persona, call bool // is support refused as a whole, is its call of crm/find
	}{
		"nothing":              {nil, false, false},
		"the persona":          {of(persona.OnePersona, "support"), true, true},
		"another persona":      {of(persona.OnePersona, "support-2"), false, false},
		"the server":           {of(persona.OneServer, "crm"), false, true},
		"another server":       {of(persona.OneServer, "crm2"), false, false},
		"the tool":             {of(persona.OneTool, "crm/find"), false, true},
		"another tool":         {of(persona.OneTool, "crm/find2"), false, false},
		"its name is a tool's": {of(persona.OneServer, "crm/find"), false, false},
		"of an unknown kind":   {of("key", "k"), true, true},
	} {
		_, whole := persona.Stopped(tc.all, "support", "")
		_, call := persona.Stopped(tc.all, "support", "crm/find")
		if whole != tc.persona || call != tc.call {
			t.Errorf("%s: got %v and %v, want %v and %v", name, whole, call, tc.persona, tc.call)
		}
	}
}

// Clients of every persona that the change concerns are told, of suspending and of resuming, and no others.
func TestSuspendTellsWhomItConcerns(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	for _, id := range []catalog.ID{"crm/find", "billing/find"} {
		server, _ := id.Split()
		_, err := w.store.SaveListing(ctx, crawl.Turn{Server: server}, []catalog.Tool{w.tools[id]}, time.Now())
		check(t, "list "+server, err, nil)
		p := persona.ID(server + "-agent")
		check(t, "create", w.Create(ctx, ada, p, "Agent", proposal(id)), nil)
		check(t, "submit", w.Submit(ctx, ada, p, 1), nil)
		check(t, "approve", w.Approve(ctx, ravi, p, 1, persona.Digests{id: w.tools[id].Digest}), nil)
	}
	for _, tc := range []struct {
		kind persona.Kind
		name string
		want persona.ID
	}{
		{persona.OnePersona, "crm-agent", "crm-agent"},
		{persona.OneServer, "billing", "billing-agent"},
		{persona.OneTool, "crm/find", "crm-agent"},
	} {
		var told []persona.ID
		w.Changed = func(id persona.ID) { told = append(told, id) }
		target := persona.Target{Kind: tc.kind, Name: tc.name}
		check(t, "suspend", w.Suspend(ctx, ravi, target, "an incident"), nil)
		check(t, "resume", w.Resume(ctx, ravi, target), nil)
		if !slices.Equal(told, []persona.ID{tc.want, tc.want}) {
			t.Errorf("%s: got %v told, want %s twice", target, told, tc.want)
		}
	}
}
