package composer_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
	"remit/catalog/embed"
	"remit/catalog/vector"
	"remit/composer"
	"remit/evals"
	"remit/persona"
)

var update = flag.Bool("update", false, "write the drafts of testdata/drafts anew")

// smallCatalog is an invented catalog of nine servers.
func smallCatalog(t testing.TB, more ...catalog.Tool) *catalog.Catalog {
	t.Helper()
	return withVectors(t, append(smallTools(t), more...))
}

func withVectors(t testing.TB, tools []catalog.Tool) *catalog.Catalog {
	t.Helper()
	encoder, err := encoder()
	if err != nil {
		t.Fatal(err)
	}
	vectors, err := evals.Embed(t.Context(), encoder, tools, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(catalog.Config{Embedder: encoder, NewVectors: vector.New})
	if err := c.Replace(tools, vectors); err != nil {
		t.Fatal(err)
	}
	return c
}

var encoder = sync.OnceValues(embed.New)

// wordsCatalog is the same catalog without vectors.
func wordsCatalog(t testing.TB) *catalog.Catalog {
	t.Helper()
	c := catalog.New(catalog.Config{})
	if err := c.Replace(smallTools(t), nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func smallTools(t testing.TB) []catalog.Tool {
	t.Helper()
	f, err := os.Open("testdata/catalog.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tools []catalog.Tool
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var in struct {
			Server     string
			Definition json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &in); err != nil {
			t.Fatal(err)
		}
		tools = append(tools, parsed(t, in.Server, string(in.Definition)))
	}
	return tools
}

func parsed(t testing.TB, server, definition string) catalog.Tool {
	t.Helper()
	tool, err := catalog.Parse(server, json.RawMessage(definition))
	if err != nil {
		t.Fatal(err)
	}
	tool.Tokens = len(definition) / 4
	return tool
}

func compose(t testing.TB, c *catalog.Catalog, job string) composer.Draft {
	t.Helper()
	draft, err := composer.New(composer.Config{Finder: c}).Compose(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	return draft
}

// TestDrafts keeps the drafts of some jobs as text, so that a change of quality is a difference that can be read. Every file
// holds the job, a line "---", and the draft; -update writes the drafts anew.
func TestDrafts(t *testing.T) {
	files, err := filepath.Glob("testdata/drafts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no drafts in testdata: %v", err)
	}
	c := smallCatalog(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			job, want, _ := strings.Cut(string(raw), "---\n")
			got := asText(compose(t, c, strings.TrimSpace(job)))
			if *update {
				if err := os.WriteFile(file, []byte(job+"---\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the draft changed (-want +got); run go test -update if it is better:\n%s", diff)
			}
		})
	}
}

func asText(d composer.Draft) string {
	var b strings.Builder
	words := func(spans []persona.Span) string {
		var out []string
		for _, s := range spans {
			out = append(out, fmt.Sprintf("%q", d.Job[s.Start:s.End]))
		}
		return strings.Join(out, ", ")
	}
	for _, n := range d.Needs {
		fmt.Fprintf(&b, "need   %-11s %s\n", n.Effect, words([]persona.Span{n.Words}))
	}
	for _, c := range d.Choices {
		fmt.Fprintf(&b, "grant  %-11s %s (%.2f, sure %.2f) for %s: %s\n", c.Effect, c.Tool, c.Score, c.Confidence, words(c.Words), c.Reason)
		for _, r := range c.Rules {
			fmt.Fprintf(&b, "rule   %s: %s for %s\n", c.Tool, r.Text, words(r.Words))
		}
	}
	for _, o := range d.Open {
		fmt.Fprintf(&b, "open   %s: %s\n", words([]persona.Span{o.Words}), o.Reason)
	}
	for _, g := range d.Gaps {
		fmt.Fprintf(&b, "gap    %s: %s\n", words([]persona.Span{g.Words}), g.Reason)
	}
	for _, m := range d.NearMisses {
		fmt.Fprintf(&b, "not    %-11s %s: %s\n", m.Effect, m.Tool, m.Reason)
	}
	for _, w := range d.Warnings {
		fmt.Fprintf(&b, "warn   %s: %s\n", w.Kind, w.Text)
	}
	return b.String()
}

func grants(d composer.Draft) []catalog.ID {
	var ids []catalog.ID
	for _, c := range d.Choices {
		ids = append(ids, c.Tool)
	}
	slices.Sort(ids)
	return ids
}
