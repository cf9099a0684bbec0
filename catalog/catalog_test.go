package catalog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
)

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"listOpenPRs":              "list open prs",
		"list_issues":              "list issues",
		"DNS_getDNSRecordsV1":      "dns get dns records v 1",
		"TwilioApiV2010--ListCall": "twilio api v 2010 list call",
		"Übermut-größe":            "übermut größe",
		"":                         "",
	} {
		if got := strings.Join(catalog.Words(in), " "); got != want {
			t.Errorf("Words(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestEffect(t *testing.T) {
	for _, tc := range []struct {
		name, description, annotations string
		want                           catalog.Effect
		disagrees                      bool
	}{
		{"list_issues", "", `{}`, catalog.Read, false},
		{"list_issues", "", `{"readOnlyHint":true}`, catalog.Read, false},
		{"listPipelineRuns", "", `{}`, catalog.Read, false},
		{"mail_listAliases", "", `{}`, catalog.Read, false},
		{"communication_email_send", "", `{"readOnlyHint":true}`, catalog.External, true},
		{"delete_user", "", `{"readOnlyHint":true}`, catalog.Destructive, true}, // a lie in the harmless direction
		{"user_delete", "", `{}`, catalog.Destructive, false},
		{"get_and_delete", "", `{}`, catalog.Destructive, false},
		{"get_or_create_customer", "", `{}`, catalog.Write, false},
		{"find_and_send_invoice", "", `{"readOnlyHint":true}`, catalog.External, true},
		{"list_merge_requests", "", `{}`, catalog.Read, false},
		{"list_things", "", `{"destructiveHint":true}`, catalog.Destructive, false}, // a claim can only make it worse
		{"update_record", "", `{"readOnlyHint":false,"destructiveHint":false}`, catalog.Write, false},
		{"query", "", `{"readOnlyHint":true}`, catalog.Write, true}, // takes sql, see the schema below
		{"frobnicate", "Deletes the thing.", `{}`, catalog.Destructive, false},
		{"frobnicate", "", `{}`, catalog.Write, false},
	} {
		def := fmt.Sprintf(`{"name":%q,"description":%q,"inputSchema":{"type":"object","properties":{%s}},"annotations":%s}`,
			tc.name, tc.description, map[bool]string{true: `"sql":{"type":"string"}`}[tc.name == "query"], tc.annotations)
		tool, err := catalog.Parse("s", []byte(def))
		if err != nil {
			t.Fatal(err)
		}
		if got := tool.Effect; got.Effect != tc.want || got.Disagrees() != tc.disagrees {
			t.Errorf("%s %s %s: got %s (%s, disagrees %v), want %s", tc.name, tc.description, tc.annotations, got.Effect, got.Why,
				got.Disagrees(), tc.want)
		}
	}
}

func TestParse(t *testing.T) {
	got, err := catalog.Parse("crm", []byte(`{"name":"find","title":"Find","description":"d","inputSchema":{"type":"object",
		"properties":{"q":{"type":"string","description":"text"},"n":{}},"required":["q"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []catalog.Param{{Name: "n"}, {Name: "q", Description: "text", Required: true}}
	if diff := cmp.Diff(want, got.Params); diff != "" || got.ID != "crm/find" || got.Title != "Find" {
		t.Errorf("got %+v: %s", got, diff)
	}
	if got.Untyped {
		t.Error("a schema of type object counts as untyped")
	}
	if loose, err := catalog.Parse("crm", []byte(`{"name":"find","inputSchema":{"properties":{}}}`)); err != nil || !loose.Untyped {
		t.Errorf("a schema without a type: got %+v, %v", loose, err)
	}
	for name, def := range map[string]string{
		"no name":          `{"inputSchema":{}}`,
		"name in capitals": `{"Name":"x","inputSchema":{}}`,
		"control in name":  `{"name":"a\u0000b","inputSchema":{}}`,
		"duplicate member": `{"name":"a","name":"b","inputSchema":{}}`,
		"schema no object": `{"name":"a","inputSchema":[]}`,
		"array":            `[]`,
		"10 MB":            `{"name":"a","description":"` + strings.Repeat("x", 10<<20) + `"}`,
	} {
		if _, err := catalog.Parse("s", []byte(def)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestDigest(t *testing.T) {
	base, _ := catalog.DigestOf([]byte(`{"name":"a","inputSchema":{"type":"object"}}`))
	same, _ := catalog.DigestOf([]byte("{ \"inputSchema\":{\"type\":\"object\"},\n\"name\":\"a\"}"))
	if base != same {
		t.Errorf("member order and white space changed the digest")
	}
	for _, other := range []string{
		`{"name":"a","inputSchema":{"type":"object"},"_meta":{}}`,
		`{"name":"a","inputSchema":{"type":"object"},"description":""}`,
		`{"name":"a","inputSchema":{"type":"object","x":1}}`,
		`{"name":"a","inputSchema":{"type":"object","x":1.0}}`,
		"{\"name\":\"a\u200b\",\"inputSchema\":{\"type\":\"object\"}}",
	} {
		if got, err := catalog.DigestOf([]byte(other)); err != nil || got == base {
			t.Errorf("%s: got %s, %v, want another digest", other, got, err)
		}
	}
	if _, err := catalog.DigestOf([]byte(`{"type":"object","type":"string"}`)); err == nil {
		t.Error("a duplicate member got a digest")
	}
}
