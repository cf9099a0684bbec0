package web_test

import (
	"context"
	"encoding/json"
	"testing"

	"remit/catalog"
	"remit/catalog/vector"
)

// alike says that every text means the same.
type alike struct{}

func (alike) Model() string { return "alike" }
func (alike) Dim() int      { return 2 }
func (alike) Embed(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i := range out {
		out[i] = []float32{1, 0}
	}
	return out, nil
}

// A member looks for sprawl: two servers of one tracker have a tool that does the same.
func TestDuplicates(t *testing.T) {
	c := catalog.New(catalog.Config{Embedder: alike{}, NewVectors: vector.New})
	w := newWorldOf(t, c, nil)
	vectors := map[catalog.ID]catalog.Embedding{}
	var tools []catalog.Tool
	for server, definition := range map[string]string{"jira-a": define("create_issue", "Create an issue."),
		"jira-b": define("createIssue", "Creates an issue in the <b>board</b>."), "mail": define("send", "Send an e-mail.")} {
		tool, err := catalog.Parse(server, json.RawMessage(definition))
		if err != nil {
			t.Fatal(err)
		}
		tool.Tokens = 1000 + len(tools)
		tools, vectors[tool.ID] = append(tools, tool), catalog.Embedding{Core: []float32{1, 0}}
	}
	if err := c.Replace(tools, vectors); err != nil {
		t.Fatal(err)
	}
	vic := w.as(t, "vic")
	vic.get("/catalog")
	vic.wants(200, `href="/catalog/duplicates"`)
	vic.get("/catalog/duplicates")
	vic.wants(200, "1 group of tools", `data-tool="jira-a/create_issue"`, `data-tool="jira-b/createIssue"`, "cheapest",
		"1 tool in common", "&lt;b&gt;board")
	vic.lacks("mail/send")
	for _, bad := range []string{"0.2", "2", "x", "NaN"} {
		vic.get("/catalog/duplicates?min=" + bad)
		vic.wants(422, "the least likeness must be from 0.5 to 1")
	}
}

func TestDuplicatesWithoutVectors(t *testing.T) {
	ann := newWorld(t, shop()).as(t, "ann")
	ann.get("/catalog/duplicates")
	ann.wants(200, "there are no vectors", "No duplicates")
}
