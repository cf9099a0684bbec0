package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"remit/audit"
	"remit/store"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// record is two calls that differ in everything, and a change.
func record(t *testing.T, s *store.Store) {
	t.Helper()
	for _, e := range []audit.Entry{
		{Time: noon, Kind: audit.ToolCall, Actor: audit.Actor{Agent: "bot", User: "carol", Key: "k1"}, Persona: "support", Revision: 1, Tool: "crm/find",
			Decision: audit.Allowed, Call: audit.Call{Client: "desk", Trace: "t1"}},
		{Time: noon.Add(time.Hour), Kind: audit.ToolCall, Actor: audit.Actor{Agent: "Bot", User: "dave", Key: "k2"}, Persona: "clerk", Revision: 2, Tool: "crm_%/find",
			Decision: audit.Refused, Policy: "policy/hours", Call: audit.Call{Client: "shell", Trace: "t2"}},
		{Time: noon.Add(2 * time.Hour), Kind: "key.revoke", Actor: audit.Actor{Person: "ann"}, Decision: audit.Changed},
	} {
		if err := s.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// filters: each narrows to what fits it, exactly and in the same case.
func filters(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	record(t, s)
	for _, tc := range []struct {
		q    audit.Query
		want []int64
	}{
		{audit.Query{}, []int64{3, 2, 1}}, {audit.Query{Limit: 1}, []int64{3}}, {audit.Query{Before: 3}, []int64{2, 1}},
		{audit.Query{Persona: "support"}, []int64{1}}, {audit.Query{Agent: "bot"}, []int64{1}}, {audit.Query{User: "dave"}, []int64{2}},
		{audit.Query{Person: "ann"}, []int64{3}}, {audit.Query{Key: "k2"}, []int64{2}}, {audit.Query{Kind: audit.ToolCall}, []int64{2, 1}},
		{audit.Query{Tool: "crm/find"}, []int64{1}}, {audit.Query{Tool: "crm/fin"}, nil},
		{audit.Query{Server: "crm"}, []int64{1}}, {audit.Query{Server: "crm_%"}, []int64{2}}, {audit.Query{Server: "CRM"}, nil}, {audit.Query{Server: "cr"}, nil},
		{audit.Query{Decision: audit.Refused}, []int64{2}}, {audit.Query{Revision: 2}, []int64{2}},
		{audit.Query{Policy: "policy"}, []int64{2}}, {audit.Query{Policy: "policy/hours"}, []int64{2}}, {audit.Query{Policy: "poli"}, nil}, {audit.Query{Policy: "hours"}, nil},
		{audit.Query{Client: "desk"}, []int64{1}}, {audit.Query{Trace: "t2"}, []int64{2}},
		{audit.Query{Since: noon.Add(time.Hour)}, []int64{3, 2}}, {audit.Query{Until: noon.Add(time.Hour)}, []int64{1}},
		{audit.Query{Kind: audit.ToolCall, Server: "crm", Policy: "policy"}, nil},
		{audit.Query{Persona: "' or 1=1 --"}, nil},
	} {
		got, err := s.Entries(t.Context(), tc.q)
		if err != nil || !slices.Equal(numbers(got), tc.want) {
			t.Errorf("%+v: got %v, %v, want %v", tc.q, numbers(got), err, tc.want)
		}
	}
}

func numbers(entries []audit.Entry) (out []int64) {
	for _, e := range entries {
		out = append(out, e.Seq)
	}
	return out
}

// filtersByUpgrade: entries that are older than the columns are found by them, and the chain verifies.
func filtersByUpgrade(t *testing.T, e engine) {
	s := e.open(t)
	record(t, s)
	s.Close()
	downgrade(t, e, 6)
	if _, err := e.raw(t).Exec("delete from audit where seq > 0; update audit_head set seq = 0, hash = ''"); err != nil {
		t.Fatal(err)
	}
	old := audit.Entry{Time: noon, Kind: audit.ToolCall, Actor: audit.Actor{Key: "k2"}, Revision: 2, Decision: audit.Refused, Policy: "policy/hours"}.Seal(0, "")
	body := fmt.Sprintf(`{"seq":1,"time":"2026-11-20T12:00:00Z","kind":"tool.call","key":"k2","revision":2,"decision":"refused","policy":"policy/hours","prev":"","hash":%q}`, old.Hash)
	if _, err := e.raw(t).Exec(`insert into audit (seq, time, kind, person, agent, usr, persona, tool, decision, body)
		values (1, $1, 'tool.call', '', '', '', '', '', 'refused', $2)`, noon.UnixMicro(), body); err != nil {
		t.Fatal(err)
	}
	if _, err := e.raw(t).Exec("update audit_head set seq = 1, hash = $1", old.Hash); err != nil {
		t.Fatal(err)
	}
	s = e.open(t)
	defer s.Close()
	for _, q := range []audit.Query{{Key: "k2"}, {Policy: "policy"}, {Revision: 2}} {
		if got, err := s.Entries(t.Context(), q); err != nil || len(got) != 1 {
			t.Errorf("%+v: got %v, %v, want the old entry", q, got, err)
		}
	}
	if _, err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// export hands over more than a query's most, oldest first, with the head of the whole chain.
func export(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	record(t, s)
	for range 1100 {
		if err := s.Append(t.Context(), audit.Entry{Kind: audit.ToolCall, Decision: audit.Allowed}); err != nil {
			t.Fatal(err)
		}
	}
	var got []audit.Entry
	head, err := s.Export(t.Context(), audit.Query{Decision: audit.Allowed, Limit: 1}, func(e audit.Entry) error { got = append(got, e); return nil })
	if err != nil || len(got) != 1101 || got[0].Seq != 1 || got[1100].Seq != 1103 || head.Seq != 1103 || head.Hash != got[1100].Hash {
		t.Errorf("got %d entries, head %+v, %v", len(got), head, err)
	}
	full := errors.New("the disk is full")
	if _, err := s.Export(t.Context(), audit.Query{}, func(audit.Entry) error { return full }); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}
