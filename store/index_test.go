package store

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"remit/audit"
)

// What people look for in the record is found by an index, newest first, and nothing is sorted for it.
func TestIndexes(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "remit.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for want, q := range map[string]audit.Query{
		"INDEX audit_persona (persona=? AND rowid<?)": {Persona: "support", Before: 9},
		"INDEX audit_tool (tool=?)":                   {Tool: "jira/search"},
		"INDEX audit_key (agent_key=?)":               {Key: "k", Decision: audit.Allowed},
		"INDEX audit_trace (trace=?)":                 {Trace: "4bf92f3577b34da6a3ce929d0e0e4736"},
		"INTEGER PRIMARY KEY (rowid<?)":               {Decision: audit.Allowed, Before: 9},
	} {
		where, args := selection(q)
		plan, err := collect(t.Context(), s.reads, func(r *sql.Rows) (step string, err error) {
			var id, parent, unused int
			err = r.Scan(&id, &parent, &unused, &step)
			return step, err
		}, "explain query plan select body from audit"+where+" order by seq desc limit 100", args...)
		if got := strings.Join(plan, "; "); err != nil || got != "SEARCH audit USING "+want {
			t.Errorf("%+v: %s, %v; want %s", q, got, err, want)
		}
	}
}
