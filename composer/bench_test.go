package composer_test

import (
	"os"
	"path/filepath"
	"testing"

	"remit/catalog"
	"remit/catalog/tokens"
	"remit/composer"
	"remit/evals"
)

// BenchmarkCompose drafts the jobs of the development suite, one after the other: over the 3,422 tools of persona/catalog.jsonl
// where REMIT_EVAL_DATA names its folder, else over the small catalog by words only.
func BenchmarkCompose(b *testing.B) {
	c := composer.New(composer.Config{Finder: benchCatalog(b)})
	suite, err := evals.LoadSuite("../evals/suites/persona-dev.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	// The index and the look for duplicates are made once for a catalog.
	if _, err := c.Compose(b.Context(), suite.Compose[0].Job); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := c.Compose(b.Context(), suite.Compose[i%len(suite.Compose)].Job); err != nil {
			b.Fatal(err)
		}
	}
}

func benchCatalog(b *testing.B) *catalog.Catalog {
	data := os.Getenv("REMIT_EVAL_DATA")
	if data == "" {
		return smallCatalog(b)
	}
	tools, err := evals.LoadCatalog(filepath.Join(data, "persona", "catalog.jsonl"), tokens.Count)
	if err != nil {
		b.Fatal(err)
	}
	return withVectors(b, tools)
}
