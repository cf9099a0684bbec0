package evals

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
	"remit/composer"
	"remit/persona"
)

func TestExported(t *testing.T) {
	job := "Look up the customer, then refund  the payment. Tweet about it."
	notes, err := json.Marshal(composer.Draft{Job: job, Choices: []composer.Choice{{Tool: "crm/get"}, {Tool: "crm/delete"}},
		Gaps: []composer.Gap{{Words: persona.Span{Start: 48, End: 62}}, {Words: persona.Span{Start: 60, End: 600}}}})
	if err != nil {
		t.Fatal(err)
	}
	grant := func(id catalog.ID, by string, words ...persona.Span) persona.Grant {
		return persona.Grant{Pin: persona.Pin{Tool: id}, AddedBy: by, Words: words}
	}
	r := persona.Revision{Number: 2, State: persona.Live, Job: job, ReviewedBy: "rob", Notes: notes, Grants: []persona.Grant{
		grant("crm/get", "", persona.Span{Start: 0, End: 20}), grant("billing/refund", "ann", persona.Span{Start: 27, End: 34}, persona.Span{Start: 34, End: 46}),
		grant("billing/list", "ann")}}
	p := persona.Persona{ID: "support", Title: "Support", Revisions: []persona.Revision{{Number: 1}, r}}
	got, ok := Exported(p, r)
	want := ComposeCase{ID: "support-2", Job: job, Forbidden: []string{"crm/delete"}, Gaps: []string{"Tweet about it"}, Tags: []string{"added", "removed"},
		Why: "Support, revision 2, approved by rob", Needs: []ComposeNeed{{Need: "Look up the customer", AnyOf: []string{"crm/get"}},
			{Need: "refund … the payment", AnyOf: []string{"billing/refund"}}, {Need: "billing/list", AnyOf: []string{"billing/list"}}}}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("ok %v, (-want +got):\n%s", ok, diff)
	}
	for _, state := range []persona.State{persona.Draft, persona.Submitted, persona.Returned, persona.Retired} {
		r.State = state
		if _, ok := Exported(p, r); ok {
			t.Errorf("a %s revision was exported, which nobody approved", state)
		}
	}
	r.State, r.Notes, r.Grants = persona.Approved, []byte("no draft"), r.Grants[:1]
	if got, ok := Exported(p, r); !ok || len(got.Forbidden)+len(got.Gaps) != 0 || !cmp.Equal(got.Tags, []string{"as-drafted"}) {
		t.Errorf("notes that are no draft: got %+v", got)
	}
}

// TestToolLine: a catalog that is written and read again draws the same tools.
func TestToolLine(t *testing.T) {
	tool, err := catalog.Parse("crm", json.RawMessage(`{"name":"get","title":"Get","description":"<Gets> it.","inputSchema":{"type":"object","properties":{"id":{"type":"string"}}},"annotations":{"readOnlyHint":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	line, err := ToolLine(tool)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "catalog.jsonl")
	if err := os.WriteFile(path, line, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadCatalog(path, nil)
	if err != nil || len(got) != 1 || got[0].Digest != tool.Digest || got[0].ID != tool.ID {
		t.Errorf("got %+v, %v, want %s with digest %s", got, err, tool.ID, tool.Digest)
	}
}
