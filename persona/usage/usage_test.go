package usage_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/store"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const job = "Find customers, and delete them when asked."

// world is a store with the persona support, whose revision 1 is live for ten days.
func newWorld(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "remit.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	tools := map[catalog.ID]catalog.Tool{}
	var grants []persona.Grant
	for i, name := range []string{"find", "delete", "send"} {
		tool, err := catalog.Parse("crm", fmt.Appendf(nil, `{"name":%q,"description":"x","inputSchema":{"type":"object"}}`, name))
		if err != nil {
			t.Fatal(err)
		}
		tool.Effect.Effect = []catalog.Effect{catalog.Read, catalog.Destructive, catalog.External}[i]
		tools[tool.ID] = tool
		grants = append(grants, persona.Grant{Pin: persona.Pin{Tool: tool.ID}, Words: []persona.Span{{Start: 20, End: 31}}})
	}
	r := &persona.Registry{Store: s, Current: func(id catalog.ID) (catalog.Tool, bool) { tool, ok := tools[id]; return tool, ok },
		Now: func() time.Time { return now.Add(-10 * day) }}
	ann := identity.Principal{Person: "ann", Roles: []identity.Role{identity.Author}}
	bob := identity.Principal{Person: "bob", Roles: []identity.Role{identity.Reviewer, identity.Admin}}
	must(t, r.Create(t.Context(), ann, "support", "Support", persona.Proposal{Job: job, Grants: grants}))
	must(t, r.Submit(t.Context(), ann, "support", 1))
	p, err := s.Persona(t.Context(), "support")
	must(t, err)
	must(t, r.Approve(t.Context(), bob, "support", 1, p.Latest().Digests()))
	return s
}

// history is a store whose personas become live at times of a test's choice.
type history struct {
	*persona.Registry
	store *store.Store
	at    time.Time
	count int
}

func newHistory(t *testing.T) *history {
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "remit.db"))
	must(t, err)
	t.Cleanup(func() { s.Close() })
	w := &history{store: s}
	w.Registry = &persona.Registry{Store: s, Now: func() time.Time { return w.at }, Current: func(id catalog.ID) (catalog.Tool, bool) {
		_, name := id.Split()
		tool, err := catalog.Parse("crm", fmt.Appendf(nil, `{"name":%q,"description":"x","inputSchema":{"type":"object"}}`, name))
		return tool, err == nil
	}}
	return w
}

// reviewer acts so long ago.
func (w *history) reviewer(ago time.Duration) identity.Principal {
	w.at = now.Add(-ago)
	return identity.Principal{Person: "bob", Roles: []identity.Role{identity.Reviewer}}
}

// live has a further revision with the tools approved.
func (w *history) live(t *testing.T, ago time.Duration, names ...string) {
	t.Helper()
	bob, ann, ctx := w.reviewer(ago), identity.Principal{Person: "ann", Roles: []identity.Role{identity.Author}}, t.Context()
	p := persona.Proposal{Job: job}
	for _, name := range names {
		p.Grants = append(p.Grants, persona.Grant{Pin: persona.Pin{Tool: catalog.ID("crm/" + name)}})
	}
	if w.count++; w.count == 1 {
		must(t, w.Create(ctx, ann, "support", "Support", p))
	} else {
		must(t, w.Revise(ctx, ann, "support", p))
	}
	must(t, w.Submit(ctx, ann, "support", w.count))
	of, err := w.store.Persona(ctx, "support")
	must(t, err)
	must(t, w.Approve(ctx, bob, "support", w.count, of.Latest().Digests()))
}

const day = 24 * time.Hour

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func called(t *testing.T, s *store.Store, tool string, ago time.Duration, d audit.Decision, rule string) {
	t.Helper()
	must(t, s.Append(t.Context(), audit.Entry{Time: now.Add(-ago), Kind: audit.ToolCall, Actor: audit.Actor{Agent: "bot"}, Persona: "support", Tool: tool, Decision: d, Policy: rule}))
}
