package persona_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/catalog"
	"remit/catalog/crawl"
	"remit/identity"
	"remit/persona"
	"remit/policy"
)

// goLive has ada write, and ravi approve, a further revision with the tools.
func (w *world) goLive(t *testing.T, ids ...catalog.ID) persona.Revision {
	t.Helper()
	ctx := t.Context()
	p, err := w.store.Persona(ctx, "support")
	if err != nil {
		check(t, "create", w.Create(ctx, ada, "support", "Support", proposal(ids...)), nil)
	} else {
		check(t, "revise", w.Revise(ctx, ada, "support", proposal(ids...)), nil)
	}
	number := len(p.Revisions) + 1
	check(t, "submit", w.Submit(ctx, ada, "support", number), nil)
	check(t, "approve", w.Approve(ctx, ravi, "support", number, w.revision(t, number).Digests()), nil)
	return w.revision(t, number)
}

// listing has the store know what the catalog offers of the server, as the crawler does.
func (w *world) listing(t *testing.T, server string) {
	t.Helper()
	var tools []catalog.Tool
	for id, tool := range w.tools {
		if of, _ := id.Split(); of == server {
			tools = append(tools, tool)
		}
	}
	_, err := w.store.SaveListing(t.Context(), crawl.Turn{Server: server}, tools, time.Now())
	check(t, "list "+server, err, nil)
}

func (w *world) states(t *testing.T) (out []persona.State) {
	t.Helper()
	p, err := w.store.Persona(t.Context(), "support")
	check(t, "read", err, nil)
	for _, r := range p.Revisions {
		out = append(out, r.State)
	}
	return out
}

func TestRollback(t *testing.T) {
	for name, tc := range map[string]struct {
		by     identity.Principal
		number int
		before func(*testing.T, *world)
		want   error
	}{
		"a reviewer":              {by: ravi, number: 1},
		"its author, a reviewer":  {by: identity.Principal{Person: "ada", Roles: ravi.Roles}, number: 1},
		"an author":               {by: ada, number: 1, want: persona.ErrForbidden},
		"an agent":                {by: agent, number: 1, want: persona.ErrForbidden},
		"to the live one":         {by: ravi, number: 2, want: persona.ErrState},
		"to what was sent back":   {by: ravi, number: 3, want: persona.ErrState},
		"to none":                 {by: ravi, number: 4, want: persona.ErrNotFound},
		"a tool that is gone":     {ravi, 1, func(_ *testing.T, w *world) { delete(w.tools, "crm/find") }, persona.ErrDrifted},
		"a tool that is another":  {ravi, 1, func(t *testing.T, w *world) { w.offer(t, "crm", "find", "Reads keys") }, persona.ErrDrifted},
		"of a retired persona":    {ravi, 1, func(t *testing.T, w *world) { check(t, "retire", w.Retire(t.Context(), ravi, "support"), nil) }, persona.ErrState},
		"another tool is another": {ravi, 1, func(t *testing.T, w *world) { w.offer(t, "billing", "find", "Reads keys") }, nil},
		"a tool that was another meanwhile": {ravi, 1, func(t *testing.T, w *world) {
			was := w.tools["crm/find"]
			w.offer(t, "crm", "find", "Reads keys")
			w.listing(t, "crm")
			w.tools["crm/find"] = was
			w.listing(t, "crm")
		}, persona.ErrFrozen},
	} {
		t.Run(name, func(t *testing.T) {
			w, ctx := newWorld(t), t.Context()
			w.listing(t, "crm")
			w.goLive(t, "crm/find")
			w.goLive(t, "billing/find")
			check(t, "revise", w.Revise(ctx, ada, "support", proposal("crm/find")), nil)
			check(t, "submit", w.Submit(ctx, ada, "support", 3), nil)
			check(t, "send back", w.SendBack(ctx, ravi, "support", 3, "no"), nil)
			if tc.before != nil {
				tc.before(t, w)
			}
			before := w.states(t)
			var told []persona.ID
			w.Changed = func(id persona.ID) { told = append(told, id) }
			check(t, "roll back", w.Rollback(ctx, tc.by, "support", tc.number), tc.want)
			want, entries := before, 0
			if tc.want == nil {
				want, entries = []persona.State{persona.Live, persona.Approved, persona.Returned}, 1
			}
			if got := w.states(t); !slices.Equal(got, want) || len(told) != entries {
				t.Errorf("got states %v and %v told, want %v", got, told, want)
			}
			found, err := w.store.Entries(ctx, audit.Query{Kind: "persona.rollback"})
			if err != nil || len(found) != entries || entries == 1 && (found[0].Person != tc.by.Person || found[0].Revision != 1 || found[0].Detail["before"] != "2") {
				t.Errorf("got entries %+v, %v", found, err)
			}
		})
	}
}

// What a page says of a revision is what rolling back to it does.
func TestRollbackable(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.listing(t, "crm")
	w.goLive(t, "crm/find")
	w.goLive(t, "billing/find")
	p, err := w.store.Persona(ctx, "support")
	check(t, "read", err, nil)
	first := p.Revisions[0]
	check(t, "as approved", w.Rollbackable(ctx, p, first), nil)
	check(t, "the live one", w.Rollbackable(ctx, p, p.Revisions[1]), persona.ErrState)
	delete(w.tools, "crm/find")
	check(t, "gone", w.Rollbackable(ctx, p, first), persona.ErrDrifted)
	w.listing(t, "crm")
	w.offer(t, "crm", "find", "Finds a customer")
	w.listing(t, "crm")
	check(t, "back", w.Rollbackable(ctx, p, first), persona.ErrFrozen)
	check(t, "roll back", w.Rollback(ctx, ravi, "support", 1), persona.ErrFrozen)
}

// A revision that was approved before there was the rule does not go live again with text that no reviewer can see.
func TestRollbackToConcealedText(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.offer(t, "crm", "find", "Finds a cust\u200bomer")
	check(t, "create", w.Create(ctx, ada, "support", "Support", proposal("crm/find")), nil)
	check(t, "approve as earlier versions did", w.store.Update(ctx, "support", func(p persona.Persona) (persona.Persona, audit.Entry, error) {
		p.Revisions[0].State = persona.Approved
		return p, audit.Entry{Time: time.Now(), Kind: "persona.approve", Decision: audit.Changed}, nil
	}), nil)
	check(t, "roll back", w.Rollback(ctx, ravi, "support", 1), persona.ErrInvalid)
}

func TestNarrow(t *testing.T) {
	for name, tc := range map[string]struct {
		by     identity.Principal
		remove []catalog.ID
		before func(*testing.T, *world)
		want   error
	}{
		"a reviewer":          {by: ravi, remove: []catalog.ID{"billing/find"}},
		"an author":           {by: ada, remove: []catalog.ID{"billing/find"}},
		"twice the same":      {by: ada, remove: []catalog.ID{"billing/find", "billing/find"}},
		"an agent":            {by: agent, remove: []catalog.ID{"billing/find"}, want: persona.ErrForbidden},
		"an admin":            {by: identity.Principal{Person: "root", Roles: []identity.Role{identity.Admin}}, remove: []catalog.ID{"billing/find"}, want: persona.ErrForbidden},
		"nothing":             {by: ada, want: persona.ErrInvalid},
		"what is not granted": {by: ada, remove: []catalog.ID{"billing/find", "crm/none"}, want: persona.ErrInvalid},
		"everything":          {by: ada, remove: []catalog.ID{"billing/find", "crm/find"}, want: persona.ErrInvalid},
		"beside a draft": {ada, []catalog.ID{"billing/find"}, func(t *testing.T, w *world) {
			check(t, "revise", w.Revise(t.Context(), ada, "support", proposal("crm/find")), nil)
		}, persona.ErrState},
		"beside a submitted one": {ada, []catalog.ID{"billing/find"}, func(t *testing.T, w *world) {
			check(t, "revise", w.Revise(t.Context(), ada, "support", proposal("crm/find")), nil)
			check(t, "submit", w.Submit(t.Context(), ada, "support", 2), nil)
		}, persona.ErrState},
		"of a retired persona": {ada, []catalog.ID{"billing/find"}, func(t *testing.T, w *world) {
			check(t, "retire", w.Retire(t.Context(), ravi, "support"), nil)
		}, persona.ErrState},
		"what stays is gone": {ada, []catalog.ID{"billing/find"}, func(t *testing.T, w *world) { delete(w.tools, "crm/find") }, nil},
		"what goes is gone":  {ada, []catalog.ID{"billing/find"}, func(t *testing.T, w *world) { delete(w.tools, "billing/find") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w, ctx := newWorld(t), t.Context()
			first := w.goLive(t, "crm/find", "billing/find")
			if tc.before != nil {
				tc.before(t, w)
			}
			before := w.states(t)
			check(t, "narrow", w.Narrow(ctx, tc.by, "support", tc.remove), tc.want)
			found, err := w.store.Entries(ctx, audit.Query{Kind: "persona.narrow"})
			check(t, "entries", err, nil)
			if tc.want != nil {
				if got := w.states(t); !slices.Equal(got, before) || len(found) > 0 {
					t.Errorf("got states %v and entries %+v, want nothing changed", got, found)
				}
				return
			}
			got := w.revision(t, 2)
			if first = w.revision(t, 1); first.State != persona.Approved || got.State != persona.Live || got.Narrowed != tc.by.Person {
				t.Errorf("got %+v after %s, want it live", got, first.State)
			}
			if diff := cmp.Diff(first.Grants[:1], got.Grants); diff != "" || got.Job != first.Job || got.ReviewedBy != "ravi" || !slices.Equal(got.Authors, first.Authors) {
				t.Errorf("got %+v, want all but the tools as it was (-want +got):\n%s", got, diff)
			}
			if len(found) != 1 || found[0].Revision != 2 || found[0].Detail["removed"] != "billing/find" || found[0].Person != tc.by.Person {
				t.Errorf("got entries %+v", found)
			}
		})
	}
}

// Attack: an author whose work was sent back narrows what is live, so that the next revision seems to begin anew. It does
// not: narrowing is no approval, and whose work was sent back is still an author of the answer.
func TestNarrowKeepsAuthors(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.goLive(t, "crm/find", "billing/find")
	check(t, "both writes", w.Revise(ctx, both, "support", proposal("crm/find")), nil)
	check(t, "submit", w.Submit(ctx, ada, "support", 2), nil)
	check(t, "send back", w.SendBack(ctx, ravi, "support", 2, "no"), nil)
	check(t, "both narrows", w.Narrow(ctx, both, "support", []catalog.ID{"billing/find"}), nil)
	check(t, "ada answers", w.Revise(ctx, ada, "support", proposal("crm/find", "billing/find")), nil)
	check(t, "submit 4", w.Submit(ctx, ada, "support", 4), nil)
	seen := w.revision(t, 4).Digests()
	check(t, "both approves", w.Approve(ctx, both, "support", 4, seen), persona.ErrOwnWork)
	check(t, "roll back past it", w.Rollback(ctx, ravi, "support", 1), nil)
	check(t, "ravi approves", w.Approve(ctx, ravi, "support", 4, seen), nil)
}

func TestCompare(t *testing.T) {
	w := newWorld(t)
	grant := func(server, name, description, rules string) persona.Grant {
		w.offer(t, server, name, description)
		tool := w.tools[catalog.ID(server+"/"+name)]
		p, err := policy.Parse([]byte(rules))
		check(t, "policy", err, nil)
		return persona.Grant{Pin: persona.Pin{Tool: tool.ID, Digest: tool.Digest, Definition: tool.Definition}, Policy: p}
	}
	from := persona.Revision{Job: "a", Grants: []persona.Grant{grant("crm", "gone", "Goes", "{}"), grant("crm", "same", "Stays", "{}"),
		grant("crm", "words", "Finds", "{}"), grant("crm", "rules", "Finds", "{}")}}
	to := persona.Revision{Job: "b", Grants: []persona.Grant{grant("crm", "rules", "Finds", `{"timeout_seconds":5}`), grant("crm", "same", "Stays", "{}"),
		grant("crm", "new", "Comes", "{}"), grant("crm", "words", "Finds and drops", "{}")}}
	var got []string
	d := persona.Compare(from, to)
	for _, g := range d.Added {
		got = append(got, "added "+string(g.Tool))
	}
	for _, g := range d.Removed {
		got = append(got, "removed "+string(g.Tool))
	}
	for _, c := range d.Changed {
		got = append(got, fmt.Sprint("changed ", c.Is.Tool, " ", len(c.Definition), " ", c.Was.Policy.Words(), c.Is.Policy.Words()))
	}
	want := []string{"added crm/new", "removed crm/gone", "changed crm/rules 0 [] [at most 5 s a call]", "changed crm/words 2 [] []"}
	if diff := cmp.Diff(want, got); diff != "" || d.SameJob || d.None() {
		t.Errorf("same job %v (-want +got):\n%s", d.SameJob, diff)
	}
	if d := persona.Compare(from, from); !d.None() || !d.SameJob {
		t.Errorf("with itself: got %+v", d)
	}
}
