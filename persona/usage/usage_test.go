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
