package catalog_test

import (
	"encoding/json"
	"testing"

	"remit/catalog"
)

func TestKinds(t *testing.T) {
	for _, tc := range []struct {
		kind       catalog.Kind
		definition string
		id         catalog.ID
		own        string
		schema     string
	}{
		{catalog.APrompt, `{"name":"greet","arguments":[{"name":"who","required":true,"description":"W"},{"name":"tone"}],"x":1.0}`, "crm/@prompt/greet", "greet",
			`{"type":"object","properties":{"tone":{"type":"string"},"who":{"type":"string","description":"W"}},"required":["who"],"additionalProperties":false}`},
		{catalog.APrompt, `{"name":"plain"}`, "crm/@prompt/plain", "plain", `{"type":"object","properties":{},"additionalProperties":false}`},
		{catalog.AResource, `{"uri":"file:///a?b=c#d","name":"n"}`, "crm/@resource/file:///a?b=c#d", "file:///a?b=c#d",
			`{"type":"object","properties":{"uri":{"type":"string","const":"file:///a?b=c#d"}},"required":["uri"],"additionalProperties":false}`},
		{catalog.ATemplate, `{"uriTemplate":"crm://c/{id}{?q}","name":"n"}`, "crm/@resourceTemplate/crm://c/{id}{?q}", "crm://c/{id}{?q}",
			`{"type":"object","properties":{"uri":{"type":"string"}},"required":["uri"],"additionalProperties":false}`},
	} {
		kept := catalog.Wrap(tc.kind, json.RawMessage(tc.definition))
		if kind, sent := catalog.Unwrap(kept); kind != tc.kind || string(sent) != tc.definition {
			t.Errorf("%s: got %s, %s", tc.id, kind, sent)
		}
		got, err := catalog.Parse("crm", kept)
		if err != nil || got.ID != tc.id || got.Kind != tc.kind || got.ID.Of() != tc.kind || got.ID.Own() != tc.own || got.Effect.Effect != catalog.Read || len(got.Definition) != len(kept) {
			t.Errorf("%s: got %+v, %v", tc.id, got, err)
		}
		if schema, err := catalog.InputSchema(kept); err != nil || string(schema) != tc.schema {
			t.Errorf("%s: got %s, %v, want %s", tc.id, schema, err, tc.schema)
		}
	}
}

// What is no definition of its kind is left out, and a tool is never taken for anything else.
func TestKindsRefuse(t *testing.T) {
	for _, kept := range []string{
		`{"prompt":{"name":"@x"}}`, `{"prompt":{"name":"a","arguments":{}}}`, `{"prompt":{"name":"a","arguments":[{"name":"x"},{"name":"x"}]}}`,
		`{"prompt":{"name":"a","arguments":[{"name":"x","required":"yes"}]}}`, `{"prompt":[]}`, `{"prompt":{"name":"a","title":1}}`, `{"prompt":{"name":"a","name":"b"}}`,
		`{"resource":{"name":"n"}}`, `{"resource":{"uri":"no scheme"}}`, `{"resource":{"uri":"file:///a b"}}`, `{"resource":{"uri":"file:///{id}"}}`,
		`{"resource":{"uri":"file:///é"}}`, "{\"resource\":{\"uri\":\"file:///a\\nb\"}}", `{"resourceTemplate":{"uriTemplate":""}}`,
		`{"prompt":{"name":"a"},"name":"tool"x}`,
	} {
		if got, err := catalog.Parse("crm", json.RawMessage(kept)); err == nil {
			t.Errorf("%s: got %+v", kept, got)
		}
	}
	for _, tool := range []string{`{"prompt":{"name":"a"},"name":"tool","inputSchema":{}}`, ` {"prompt":{}}`, `{"name":"a","resource":{"uri":"x:y"}}`} {
		if kind, _ := catalog.Unwrap(json.RawMessage(tool)); kind != catalog.ATool {
			t.Errorf("%s: got %s, want a tool", tool, kind)
		}
	}
	if kind := catalog.ID("crm/prompt:a").Of(); kind != catalog.ATool {
		t.Errorf("got %s", kind)
	}
}
