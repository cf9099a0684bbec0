package persona_test

import (
	"slices"
	"testing"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/identity"
	"remit/persona"
)

// What the record says is unused is taken away at once or proposed as a draft; the record keeps what that rested on.
func TestUnusedIsTakenAway(t *testing.T) {
	remove := []catalog.ID{"billing/find"}
	shown := persona.Evidence{Revision: 1, From: noon.Add(-30 * day), Until: noon}
	other := shown
	other.Revision = 2
	for name, tc := range map[string]struct {
		draft    bool
		by       identity.Principal
		evidence persona.Evidence
		before   func(*testing.T, *world)
		want     error
	}{
		"at once, an author":      {by: ada, evidence: shown},
		"at once, a reviewer":     {by: ravi, evidence: shown},
		"at once, an agent":       {by: agent, evidence: shown, want: persona.ErrForbidden},
		"at once, of another":     {by: ada, evidence: other, want: persona.ErrState},
		"a draft, an author":      {draft: true, by: ada, evidence: shown},
		"a draft, a reviewer":     {draft: true, by: ravi, evidence: shown, want: persona.ErrForbidden},
		"a draft of another":      {draft: true, by: ada, evidence: other, want: persona.ErrState},
		"a draft, a tool is gone": {true, both, shown, func(_ *testing.T, w *world) { delete(w.tools, "crm/other") }, nil},
		"a draft beside another": {true, ada, shown, func(t *testing.T, w *world) {
			check(t, "revise", w.Revise(t.Context(), both, "support", proposal("crm/find")), nil)
		}, persona.ErrState},
		"a draft of one that is not": {true, ada, shown, func(t *testing.T, w *world) { check(t, "retire", w.Retire(t.Context(), ravi, "support"), nil) }, persona.ErrState},
	} {
		t.Run(name, func(t *testing.T) {
			w, ctx := newWorld(t), t.Context()
			w.offer(t, "crm", "other", "Does something else")
			w.goLive(t, "crm/find", "billing/find", "crm/other")
			if tc.before != nil {
				tc.before(t, w)
			}
			before, state, kind := w.states(t), persona.Live, "persona.narrow"
			var err error
			if tc.draft {
				state, kind = persona.Draft, "persona.revise"
				err = w.DraftWithout(ctx, tc.by, "support", remove, tc.evidence)
			} else {
				err = w.NarrowUnused(ctx, tc.by, "support", remove, tc.evidence)
			}
			check(t, "take away", err, tc.want)
			if tc.want != nil {
				if got := w.states(t); !slices.Equal(got, before) {
					t.Errorf("got states %v, want nothing changed", got)
				}
				return
			}
			got := w.revision(t, 2)
			if _, has := got.Digests()["billing/find"]; has || got.State != state || got.Job != "find customers" {
				t.Errorf("got %+v", got)
			}
			if _, has := got.Digests()["crm/find"]; !has {
				t.Errorf("got %+v, want the other tools kept", got)
			}
			if tc.draft && (got.Author != tc.by.Person || got.Narrowed != "") {
				t.Errorf("got a draft of %s", got.Author)
			}
			found, err := w.store.Entries(ctx, audit.Query{Kind: kind})
			if err != nil || len(found) != 1 || found[0].Detail["removed"] != "billing/find" || found[0].Detail["unused_from"] != noon.Add(-30*day).Format(time.RFC3339) {
				t.Errorf("got entries %+v, %v", found, err)
			}
		})
	}
}
