package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"remit/audit"
	"remit/catalog/crawl"
	"remit/identity"
	"remit/persona"
	"remit/store"
)

// A file moves into PostgreSQL whole. A copy that was interrupted goes on; one into a database that has something else, and one of which a
// row is not what it was, are found out.
func TestCopy(t *testing.T) {
	es := engines(t)
	from := es[0].open(t)
	defer from.Close()
	approved, other := tool(t, "crm", "find", "approved"), tool(t, "crm", "find", "other \u00e9")
	offer(t, from, approved)
	p := golive(t, from, persona.Live, approved)
	offer(t, from, other)
	d := &identity.Directory{Store: from}
	if _, _, err := d.IssueKey(t.Context(), identity.Operator(), identity.KeySpec{Agent: "bot", User: "zoe", Persona: "support"}); err != nil {
		t.Fatal(err)
	}
	if err := from.SaveVectors(t.Context(), "m", map[crawl.TextHash][]float32{{1}: {0.5}, {2}: {1}}); err != nil {
		t.Fatal(err)
	}
	record(t, from)
	for range 1200 {
		if err := from.Append(t.Context(), audit.Entry{Kind: audit.ToolCall, Tool: "a\x00b", Decision: audit.Refused}); err != nil {
			t.Fatal(err)
		}
	}
	to := es[1].open(t)
	defer to.Close()
	interrupted, stop := context.WithCancel(t.Context())
	if _, err := store.Copy(interrupted, from, to, func(table string, rows int64) {
		if table == "audit" && rows > 500 {
			stop()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want an interruption", err)
	}
	copied, err := store.Copy(t.Context(), from, to, func(string, int64) {})
	head, headErr := from.Head(t.Context())
	if err := errors.Join(err, headErr); err != nil || copied.Head != head || copied.Rows["audit"] != head.Seq || copied.Rows["vector"] != 2 {
		t.Fatalf("got %+v, %v", copied, err)
	}
	want, err := from.Persona(t.Context(), p.ID)
	got, gotErr := to.Persona(t.Context(), p.ID)
	if err := errors.Join(err, gotErr); err != nil || !cmp.Equal(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })) {
		t.Errorf("%v %s", err, cmp.Diff(want, got, cmpopts.EquateEmpty()))
	}
	if err := to.Append(t.Context(), entry("x")); err != nil {
		t.Error(err)
	}
	if _, err := to.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := store.Copy(t.Context(), from, to, func(string, int64) {}); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("into a database that went on: got %v", err)
	}
	if _, err := es[1].raw(t).Exec("delete from audit where seq > $1", head.Seq); err != nil {
		t.Fatal(err)
	}
	if _, err := es[1].raw(t).Exec("insert into listing (server, listed_at) values ('stray', $1)", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Copy(t.Context(), from, to, func(string, int64) {}); err == nil || !strings.Contains(err.Error(), "listing is not the same") {
		t.Errorf("with a row too many: got %v", err)
	}
}
