package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/approval"
	"remit/audit"
	"remit/identity"
	"remit/store"
)

var approver = identity.Principal{Person: "dan", Roles: []identity.Role{identity.Approver}}

// binding is a call of which the arguments are the text.
func binding(key, text string) approval.Binding {
	return approval.Binding{Key: key, Agent: "bot", User: "carol", Persona: "support", Revision: 3, Tool: "crm/find", Digest: "sha256:d", Arguments: audit.Digest([]byte(text))}
}

func kinds(t *testing.T, s *store.Store) (out []string) {
	t.Helper()
	all, err := s.Entries(t.Context(), audit.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for i := len(all) - 1; i >= 0; i-- {
		if strings.HasPrefix(all[i].Kind, "approval.") {
			out = append(out, strings.Join(strings.Fields(all[i].Kind+" "+all[i].Person+" "+all[i].Reason), " "))
		}
	}
	return out
}

// A request goes through each of its states, over restarts. Its arguments are kept exactly until it is over and no longer; every
// step has an entry, which holds none of them.
func approvals(t *testing.T, e engine) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	s := e.open(t)
	desk := &approval.Desk{Store: s, Now: func() time.Time { return now }}
	const text = `{"card":"4111 1111 1111 1111"}`
	ask := func(what string) approval.Request {
		t.Helper()
		r, _, err := desk.Ask(t.Context(), binding("k", what), []byte(what), 15)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	state := func(id string, want approval.State, held string) {
		t.Helper()
		r, err := s.Approval(t.Context(), id)
		if err != nil || r.State != want || string(r.Text) != held {
			t.Errorf("got %s with %q, %v; want %s with %q", r.State, r.Text, err, want, held)
		}
	}
	r := ask(text)
	want := approval.Request{ID: r.ID, Binding: binding("k", text), State: approval.Pending, Text: []byte(text), Minutes: 15, Created: now, Expires: now.Add(15 * time.Minute)}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = e.open(t)
	defer s.Close()
	desk.Store = s
	if again := ask(text); cmp.Diff(want, again) != "" {
		t.Errorf("asked again (-want +got):\n%s", cmp.Diff(want, again))
	}
	for name, tc := range map[string]struct {
		id, seen string
		want     error
	}{"unknown": {"nothere", r.Arguments, approval.ErrNotFound}, "other arguments seen": {r.ID, audit.Digest([]byte("{}")), approval.ErrUnseen}} {
		if err := desk.Decide(t.Context(), approver, tc.id, tc.seen, true, ""); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	if _, _, err := desk.Use(t.Context(), r.ID, r.Binding, audit.Entry{}); !errors.Is(err, approval.ErrOver) {
		t.Errorf("used while pending: got %v", err)
	}
	now = now.Add(14 * time.Minute)
	if err := desk.Decide(t.Context(), approver, r.ID, r.Arguments, true, "fine"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(14 * time.Minute)
	if _, _, err := desk.Use(t.Context(), r.ID, binding("other", text), audit.Entry{}); !errors.Is(err, approval.ErrOver) {
		t.Errorf("used by another key: got %v", err)
	}
	state(r.ID, approval.Approved, text)
	if ticket, sent, err := desk.Use(t.Context(), r.ID, r.Binding, audit.Entry{Kind: audit.ToolCall}); err != nil || ticket == 0 || string(sent) != text {
		t.Errorf("used: got ticket %d, %q, %v", ticket, sent, err)
	}
	state(r.ID, approval.Used, "")
	denied := ask(`{"n":1}`)
	if err := desk.Decide(t.Context(), approver, denied.ID, denied.Arguments, false, "no"); err != nil {
		t.Fatal(err)
	}
	state(denied.ID, approval.Denied, "")
	if got := ask(`{"n":1}`); got.ID != denied.ID || got.Reason != "no" {
		t.Errorf("asked after the denial: got %+v", got)
	}
	late := ask(`{"n":2}`)
	now = now.Add(15 * time.Minute)
	if err := desk.Decide(t.Context(), approver, late.ID, late.Arguments, true, ""); !errors.Is(err, approval.ErrOver) {
		t.Errorf("decided too late: got %v", err)
	}
	if err := s.CloseApprovals(t.Context(), now, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	state(late.ID, approval.Expired, "")
	state(denied.ID, approval.Denied, "")
	if got := ask(`{"n":1}`); got.ID == denied.ID {
		t.Error("a denial counts after its time")
	}
	want2 := []string{"approval.request", "approval.approve dan fine", "approval.use", "approval.request", "approval.deny dan no", "approval.request",
		"approval.expire nobody decided in time", "approval.request"}
	if diff := cmp.Diff(want2, kinds(t, s)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if err := s.CloseApprovals(t.Context(), now, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Approvals(t.Context(), nil, 10, nil); err != nil || len(left) != 1 || left[0].State != approval.Pending || left[0].Text != nil {
		t.Errorf("got %+v, %v left, want the pending one without its arguments", left, err)
	}
	if _, err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// Of many uses of one approval at once one wins, and only that one has an intent in the record.
func parallelUses(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	desk := &approval.Desk{Store: s}
	r, _, err := desk.Ask(t.Context(), binding("k", "{}"), []byte("{}"), 15)
	if err == nil {
		err = desk.Decide(t.Context(), approver, r.ID, r.Arguments, true, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int64
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			switch _, _, err := desk.Use(t.Context(), r.ID, r.Binding, audit.Entry{Kind: audit.ToolCall}); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, approval.ErrOver):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	var intents int
	if err := e.raw(t).QueryRow("select count(*) from audit_intent").Scan(&intents); err != nil || won.Load() != 1 || intents != 1 {
		t.Errorf("got %d uses and %d intents, %v, want 1 of each", won.Load(), intents, err)
	}
}

// Many callers at once leave no more pending requests than a key and a persona may have, and one for each call.
func approvalBounds(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	desk := &approval.Desk{Store: s}
	var wait sync.WaitGroup
	for key := range 6 {
		for n := range 10 {
			wait.Go(func() {
				text := fmt.Sprintf(`{"n":%d}`, n/2)
				if _, _, err := desk.Ask(t.Context(), binding(fmt.Sprint(key), text), []byte(text), 15); err != nil && !errors.Is(err, approval.ErrTooMany) {
					t.Error(err)
				}
			})
		}
	}
	wait.Wait()
	pending, err := s.Approvals(t.Context(), []approval.State{approval.Pending}, 100, nil)
	if err != nil || len(pending) != approval.MaxPerPersona {
		t.Fatalf("got %d pending, %v, want %d", len(pending), err, approval.MaxPerPersona)
	}
	oldest := pending[len(pending)-1].ID // is not hidden by newer ones that are not seen
	seen := func(r approval.Request) bool { return r.ID == oldest }
	if one, err := s.Approvals(t.Context(), nil, 1, seen); err != nil || len(one) != 1 || one[0].ID != oldest {
		t.Errorf("got %v, %v, want %s", one, err, oldest)
	}
	of := map[string]int{}
	for _, r := range pending {
		if of[r.Key]++; of[r.Key] > approval.MaxPerKey {
			t.Errorf("key %s has %d pending", r.Key, of[r.Key])
		}
	}
}
