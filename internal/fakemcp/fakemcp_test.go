package fakemcp

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStdioSpeaksBothEras(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	in := strings.Join([]string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}`,
		`{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
		`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":{"a":1.0}}}`,
	}, "\n") + "\n"
	var out bytes.Buffer
	if err := s.ServeStdio(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"id":1,"result":{"protocolVersion":"2025-06-18"`, `"id":"d","result":{"resultType":"complete","supportedVersions":["2026-07-28"]`, `"arguments":{"a":1.0}`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing in:\n%s", want, &out)
		}
	}
}

func TestCatalogBecomesTools(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.jsonl")
	lines := `{"id":"a/x","server":"a","name":"x","title":"X","description":"<d>","input_schema":{"type":"object","n":1.0},"annotations":{"readOnlyHint":true}}
{"id":"b/y","server":"b","name":"y","description":"","input_schema":{}}
`
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readCatalog(path, "a")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"x","title":"X","description":"<d>","inputSchema":{"type":"object","n":1.0},"annotations":{"readOnlyHint":true}}`
	if len(got) != 1 || string(got[0]) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := readCatalog(path, "c"); err == nil {
		t.Error("got no error for a server that is not in the catalog")
	}
}
