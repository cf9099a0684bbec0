package usage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/catalog"
	"remit/catalog/crawl"
	"remit/identity"
	"remit/persona"
	"remit/persona/usage"
)

func TestReach(t *testing.T) {
	s := newWorld(t)
	d := &identity.Directory{Store: s, Now: func() time.Time { return now.Add(-day) }}
	var ids []string
	for _, expires := range []time.Time{now.Add(day), now.Add(-time.Hour), {}} {
		_, key, err := d.IssueKey(t.Context(), identity.Operator(), identity.KeySpec{Agent: "bot", User: "zoe", Persona: "support", Expires: expires})
		must(t, err)
		ids = append(ids, key.ID)
	}
	must(t, d.RevokeKey(t.Context(), identity.Operator(), ids[2]))
	_, _, err := d.IssueKey(t.Context(), identity.Operator(), identity.KeySpec{Agent: "narrow", User: "zoe", Persona: "support",
		Bounds: identity.Bounds{Tools: []string{"crm/find", "other/delete"}}})
	must(t, err)
	called(t, s, "crm/delete", 2*day, audit.Failed, "")
	called(t, s, "crm/delete", day, audit.Refused, "policy/hours")

	got, err := usage.Find(t.Context(), s, usage.OfTool("crm/delete"), now)
	must(t, err)
	want := usage.Reach{
		Personas: []usage.Holder{{Persona: "support", Title: "Support", Revision: 1, Others: 2, Tools: []usage.Held{{
			Tool:       usage.Tool{ID: "crm/delete", Name: "delete", Effect: catalog.Destructive, Words: []string{"delete them"}},
			LastCalled: now.Add(-2 * day)}}}},
		Keys: []usage.Key{{ID: ids[0], Persona: "support", Agent: "bot", User: "zoe", Expires: now.Add(day)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("got other than want: %s", diff)
	}
	for name, tc := range map[string]struct {
		of   usage.Of
		want int
	}{
		"server": {usage.OfServer("crm"), 3}, "other server": {usage.OfServer("cr"), 0}, "effect": {usage.OfEffect(catalog.External), 1},
	} {
		got, err := usage.Find(t.Context(), s, tc.of, now)
		must(t, err)
		tools := 0
		for _, p := range got.Personas {
			tools += len(p.Tools)
		}
		if tools != tc.want {
			t.Errorf("%s: got %d tools, want %d", name, tools, tc.want)
		}
	}
	for _, description := range []string{"x", "poisoned"} {
		tool, err := catalog.Parse("crm", fmt.Appendf(nil, `{"name":"send","description":%q,"inputSchema":{"type":"object"}}`, description))
		must(t, err)
		_, err = s.SaveListing(t.Context(), crawl.Turn{Server: "crm"}, []catalog.Tool{tool}, now)
		must(t, err)
	}
	if got, err := usage.Find(t.Context(), s, usage.OfTool("crm/send"), now); err != nil || !got.Personas[0].Tools[0].Frozen {
		t.Errorf("a tool that drifted: got %+v, %v, want it frozen", got, err)
	}
	r := &persona.Registry{Store: s}
	must(t, r.Retire(t.Context(), identity.Principal{Person: "bob", Roles: identity.Roles}, "support"))
	if got, err := usage.Find(t.Context(), s, usage.OfServer("crm"), now); err != nil || len(got.Personas) != 0 || len(got.Keys) != 0 {
		t.Errorf("retired: got %+v, %v, want nobody", got, err)
	}
}
