package catalog_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"remit/catalog"
	"remit/catalog/vector"
)

// synthetic makes tools of words that are as unevenly common as those of real text.
func synthetic(b *testing.B, n int) ([]catalog.Tool, []string) {
	random := rand.New(rand.NewPCG(3, 4))
	zipf := rand.NewZipf(random, 1.1, 4, 8000)
	text := func(words int) string {
		out := make([]string, words)
		for i := range out {
			out[i] = word(zipf.Uint64())
		}
		return strings.Join(out, " ")
	}
	tools := make([]catalog.Tool, n)
	for i := range tools {
		name := strings.ReplaceAll(text(3), " ", "_") + fmt.Sprint("_", i)
		tools[i] = tool(b, fmt.Sprint("server", i%80), name, text(60), strings.Fields(text(5) + " id")[0], "limit", "cursor")
	}
	queries := make([]string, 64)
	for i := range queries {
		queries[i] = text(8)
	}
	return tools, queries
}

// word spells n with syllables.
func word(n uint64) string {
	var b strings.Builder
	for n += 20; n > 0; n /= 20 {
		b.WriteString([]string{"ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qi", "ro", "su", "ta", "ve", "wi", "xo", "zu"}[n%20])
	}
	return b.String()
}

func BenchmarkIndex(b *testing.B) {
	tools, _ := synthetic(b, 4000)
	c := catalog.New(catalog.Config{})
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Replace(tools, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSearchWords(b *testing.B) {
	tools, queries := synthetic(b, 4000)
	search(b, filled(b, catalog.Config{}, tools, nil), queries)
}

// BenchmarkSearchHybrid has 512 dimensions and does not count the embedding of the query.
func BenchmarkSearchHybrid(b *testing.B) {
	tools, queries := synthetic(b, 4000)
	random := rand.New(rand.NewPCG(5, 6))
	vectors := map[catalog.ID][]float32{}
	for _, tool := range tools {
		vectors[tool.ID] = direction(random)
	}
	config := catalog.Config{Embedder: &remote512{vector: direction(random)}, NewVectors: vector.New}
	search(b, filled(b, config, tools, vectors), queries)
}

func direction(random *rand.Rand) []float32 {
	v := make([]float32, 512)
	for i := range v {
		v[i] = float32(random.NormFloat64())
	}
	return v
}

func search(b *testing.B, c *catalog.Catalog, queries []string) {
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Search(b.Context(), queries[i%len(queries)], 20); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// remote512 answers one vector to everything at once.
type remote512 struct{ vector []float32 }

func (r *remote512) Embed(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i := range out {
		out[i] = r.vector
	}
	return out, nil
}
func (r *remote512) Model() string { return "remote512" }
func (r *remote512) Dim() int      { return 512 }
