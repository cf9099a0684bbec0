package replay_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/catalog"
	"remit/gateway/replay"
	"remit/identity"
	"remit/persona"
	"remit/policy"
	"remit/store"
)

var (
	noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ann  = identity.Principal{Person: "ann", Roles: identity.Roles}
)

// world is a store with a persona whose draft grants the tool s/t under a policy.
func world(t testing.TB, p policy.Policy) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), t.TempDir()+"/remit.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	tool, err := catalog.Parse("s", []byte(`{"name":"t","inputSchema":{"type":"object"}}`))
	if err != nil {
		t.Fatal(err)
	}
	r := persona.Registry{Store: db, Current: func(catalog.ID) (catalog.Tool, bool) { return tool, true }}
	if err := r.Create(t.Context(), ann, "p", "P", persona.Proposal{Job: "Do it.", Grants: []persona.Grant{{Pin: persona.Pin{Tool: "s/t"}, Policy: p}}}); err != nil {
		t.Fatal(err)
	}
	return db
}

func call(of string, began, took time.Duration) audit.Entry {
	return audit.Entry{Time: noon.Add(began + took), Micros: took.Microseconds(), Kind: audit.ToolCall, Persona: of, Revision: 1, Tool: "s/t",
		Digest: "of another definition", Decision: audit.Allowed, Call: audit.Call{ArgumentDigest: audit.Digest([]byte("{}"))}}
}

func add(t *testing.T, db *store.Store, entries ...audit.Entry) {
	t.Helper()
	for _, e := range entries {
		if err := db.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func run(t *testing.T, db *store.Store, q replay.Question) replay.Report {
	t.Helper()
	q.Persona = "p"
	r, err := replay.Run(t.Context(), db, q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The record has calls as they ended; limits are counted as they began. Calls before the window count, and are not reported.
func TestCallsAreDecidedAsTheyBegan(t *testing.T) {
	db := world(t, policy.Policy{Limits: []policy.Limit{{Calls: 1, Per: policy.Minute}}})
	add(t, db, call("p", 0, 0), call("p", 61*time.Second, 0), call("p", 50*time.Second, 20*time.Second), call("other", 62*time.Second, 0))
	r := run(t, db, replay.Question{})
	want := []replay.Row{{Tool: "s/t", Change: audit.Refuses, Rule: "limit/limits", Reason: "the limit of this tool is reached: at most 1 a minute; try again in 10s", Count: 1, First: 4, Last: 4},
		{Tool: "s/t", Change: audit.Same, Count: 2, First: 2, Last: 3}}
	if diff := cmp.Diff(want, r.Rows); diff != "" || r.Calls != 3 || !r.Changes() {
		t.Errorf("%+v (-want +got)\n%s", r, diff)
	}
	if r := run(t, db, replay.Question{Since: noon.Add(65 * time.Second)}); r.Calls != 1 || r.WouldRefuse != 1 {
		t.Errorf("with earlier calls out of the window: got %+v", r)
	}
	if r := run(t, db, replay.Question{Until: noon.Add(time.Second)}); r.Calls != 1 || r.Same != 1 {
		t.Errorf("until: got %+v", r)
	}
}

// A limit for all personas counts the calls of all, and reports on one.
func TestOthersCount(t *testing.T) {
	db := world(t, policy.Policy{Limits: []policy.Limit{{Calls: 1, Per: policy.Day, By: policy.ByTool}}})
	add(t, db, call("other", 0, 0), call("p", time.Minute, 0))
	if r := run(t, db, replay.Question{}); r.Calls != 1 || r.WouldRefuse != 1 {
		t.Errorf("got %+v", r)
	}
}

// An agent that makes up names makes no report without end, and whoever waits can stop.
func TestBounded(t *testing.T) {
	db := world(t, policy.Policy{})
	var all []audit.Entry
	for i := range 2500 {
		e := call("p", time.Duration(i)*time.Second, 0)
		e.Tool, e.Digest, e.Decision, e.Policy = fmt.Sprint("made-up-", i), "", audit.Refused, "find"
		all = append(all, e)
	}
	add(t, db, all...)
	progress := 0
	r := run(t, db, replay.Question{Progress: func(n int) { progress = n }})
	if r.Same != 2500 || len(r.Rows) != 1001 || r.Rows[0].Count != 1500 || progress != 2000 {
		t.Errorf("got %d the same in %d rows, the first %+v, and progress to %d", r.Same, len(r.Rows), r.Rows[0], progress)
	}
	ctx, stop := context.WithCancel(t.Context())
	if _, err := replay.Run(ctx, db, replay.Question{Persona: "p", Progress: func(int) { stop() }}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was stopped", err)
	}
	for name, q := range map[string]replay.Question{"persona": {Persona: "none"}, "revision": {Persona: "p", Revision: 2}} {
		if _, err := replay.Run(t.Context(), db, q); !errors.Is(err, persona.ErrNotFound) {
			t.Errorf("no such %s: got %v", name, err)
		}
	}
}

// BenchmarkRun replays a record of 20,000 calls with a limit and a rule on arguments.
func BenchmarkRun(b *testing.B) {
	const calls = 20_000
	db := world(b, policy.Policy{Limits: []policy.Limit{{Calls: 1000, Per: policy.Minute}}, Conditions: []policy.Condition{{CEL: "args.n < 10"}}})
	for first := 0; first < calls; first += 100 { // side by side, which the store writes together
		var wait sync.WaitGroup
		for i := first; i < first+100; i++ {
			wait.Go(func() {
				e := call("p", time.Duration(i)*time.Second, time.Millisecond)
				e.Arguments = fmt.Sprintf(`{"n":%d}`, i%20)
				e.ArgumentDigest = audit.Digest([]byte(e.Arguments))
				if err := db.Append(b.Context(), e); err != nil {
					b.Error(err)
				}
			})
		}
		wait.Wait()
	}
	for b.Loop() {
		if r, err := replay.Run(b.Context(), db, replay.Question{Persona: "p"}); err != nil || r.Calls != calls || r.WouldRefuse != calls/2 {
			b.Fatalf("got %+v, %v", r, err)
		}
	}
	b.ReportMetric(calls*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
