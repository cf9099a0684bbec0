package catalog_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"remit/catalog"
	"remit/catalog/embed"
	"remit/catalog/tokens"
	"remit/catalog/vector"
)

// The benchmarks print, beside the usual time of an operation:
//
//	cpu-ms/op     processor time of all threads, which other programs on the machine do not lengthen
//	embed-cpu-ms  processor time that the embedding of one query adds with the model inside the binary
//	live-MB       heap after a collection: tools, word index, vectors, and the crawler's copy of the vectors
//
// With REMIT_EVAL_DATA the definitions are those of haystack/tools.jsonl, over and over where more are asked for;
// without it a seeded generator makes them.

// BenchmarkSearch searches for eight words; the query's vector is known, so that only what comes after it is counted.
func BenchmarkSearch(b *testing.B) {
	for _, size := range []struct {
		name  string
		tools int
	}{{"1k", 1000}, {"3.5k", 3500}, {"10k", 10_000}, {"100k", 100_000}} {
		b.Run(size.name, func(b *testing.B) { benchmarkSearch(b, size.tools, 8) })
		b.Run(size.name+"-job", func(b *testing.B) { benchmarkSearch(b, size.tools, 90) })
	}
}

func benchmarkSearch(b *testing.B, n, words int) {
	encoder := encoder(b)
	before := live()
	tools := corpus(b, n)
	vectors := directions(tools, encoder.Dim())
	random := rand.New(rand.NewPCG(5, 6))
	query := &fixed{dim: encoder.Dim(), vector: direction(random, encoder.Dim())}
	c := filled(b, catalog.Config{Embedder: query, NewVectors: vector.New}, tools, vectors)
	size := live() - before
	queries := queries(64, words)
	i, cpu := 0, used()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Search(b.Context(), queries[i%len(queries)], 20); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(ms(used()-cpu)/float64(b.N), "cpu-ms/op")
	b.ReportMetric(embedding(b, encoder, queries[:16]), "embed-cpu-ms")
	b.ReportMetric(float64(size)/1e6, "live-MB")
	runtime.KeepAlive(tools)
	runtime.KeepAlive(vectors)
}

// BenchmarkIndex/cold takes definitions as listed to a catalog that can be searched; an operation is one tool.
// BenchmarkIndex/unchanged is what a crawl that finds 3,500 tools as they were does with them; an operation is the crawl.
// BenchmarkIndex/replace takes over 3,500 tools whose vectors are stored, as a restart does.
func BenchmarkIndex(b *testing.B) {
	encoder := encoder(b)
	tools := corpus(b, 3500)
	vectors := directions(tools, encoder.Dim())
	c := catalog.New(catalog.Config{Embedder: encoder, NewVectors: vector.New})
	b.Run("cold", func(b *testing.B) {
		i, cpu := 0, used()
		for b.Loop() {
			t := parse(b, tools[i%len(tools)])
			v, err := encoder.Embed(b.Context(), catalog.Passages(t))
			if err != nil {
				b.Fatal(err)
			}
			vectors[t.ID] = catalog.NewEmbedding(v)
			if i++; i%len(tools) == 0 {
				replace(b, c, tools, vectors)
			}
		}
		b.ReportMetric(ms(used()-cpu)/float64(b.N), "cpu-ms/op")
	})
	b.Run("unchanged", func(b *testing.B) {
		cpu := used()
		for b.Loop() {
			for _, t := range tools {
				if _, err := catalog.Parse(t.Server(), t.Definition); err != nil {
					b.Fatal(err)
				}
			}
			replace(b, c, tools, vectors)
			for _, t := range tools {
				_ = catalog.Passages(t)
			}
		}
		b.ReportMetric(ms(used()-cpu)/float64(b.N), "cpu-ms/op")
	})
	b.Run("replace", func(b *testing.B) {
		cpu := used()
		b.ReportAllocs()
		for b.Loop() {
			replace(b, c, tools, vectors)
		}
		b.ReportMetric(ms(used()-cpu)/float64(b.N), "cpu-ms/op")
	})
}

// BenchmarkDuplicates compares the tools with each other; an operation is what the first question after a change costs.
func BenchmarkDuplicates(b *testing.B) {
	for _, size := range []struct {
		name  string
		tools int
	}{{"3.5k", 3500}, {"100k", 100_000}} {
		b.Run(size.name, func(b *testing.B) {
			tools := corpus(b, size.tools)
			vectors := directions(tools, 384)
			c := catalog.New(catalog.Config{Embedder: &fixed{dim: 384}, NewVectors: vector.New})
			before, cpu := live(), time.Duration(0)
			for b.Loop() {
				b.StopTimer()
				replace(b, c, nil, nil)
				duplicates(b, c, catalog.DefaultLikeness)
				replace(b, c, tools, vectors)
				start := used()
				b.StartTimer()
				duplicates(b, c, catalog.DefaultLikeness)
				cpu += used() - start
			}
			b.ReportMetric(ms(cpu)/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(len(duplicates(b, c, catalog.DefaultLikeness).Groups)), "groups")
			b.ReportMetric(float64(live()-before)/1e6, "live-MB") // the catalog and the pairs
			runtime.KeepAlive(c)
			runtime.KeepAlive(tools)
			runtime.KeepAlive(vectors)
		})
	}
}

func parse(b *testing.B, known catalog.Tool) catalog.Tool {
	t, err := catalog.Parse(known.Server(), known.Definition)
	if err != nil {
		b.Fatal(err)
	}
	t.Tokens = tokens.Count(t.Definition)
	return t
}

func replace(b *testing.B, c *catalog.Catalog, tools []catalog.Tool, vectors map[catalog.ID]catalog.Embedding) {
	if err := c.Replace(tools, vectors); err != nil {
		b.Fatal(err)
	}
}

func encoder(b *testing.B) *embed.Encoder {
	e, err := embed.New()
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// embedding is the processor time, in milliseconds, of embedding one query.
func embedding(b *testing.B, e *embed.Encoder, queries []string) float64 {
	cpu := used()
	for _, q := range queries {
		if _, err := e.Embed(b.Context(), []string{q}); err != nil {
			b.Fatal(err)
		}
	}
	return ms(used()-cpu) / float64(len(queries))
}

// live is the heap in bytes after a collection.
func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// used is the processor time of the process so far.
func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// corpus is n tools, each with its own id.
func corpus(b *testing.B, n int) []catalog.Tool {
	b.Helper()
	data := os.Getenv("REMIT_EVAL_DATA")
	if data == "" {
		return synthetic(b, n)
	}
	var tools []catalog.Tool
	for round := 0; len(tools) < n; round++ {
		tools = append(tools, haystack(b, filepath.Join(data, "haystack", "tools.jsonl"), round, n-len(tools))...)
	}
	return tools
}

// haystack reads at most n tools; those of a later round are on servers of their own.
func haystack(b *testing.B, path string, round, n int) []catalog.Tool {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var tools []catalog.Tool
	lines := bufio.NewScanner(f)
	for lines.Buffer(nil, 1<<20); len(tools) < n && lines.Scan(); {
		var in struct {
			Server, Name, Description string
			InputSchema               json.RawMessage `json:"input_schema"`
		}
		if err := json.Unmarshal(lines.Bytes(), &in); err != nil {
			b.Fatal(err)
		}
		definition, err := json.Marshal(map[string]any{"name": in.Name, "description": in.Description, "inputSchema": in.InputSchema})
		if err != nil {
			b.Fatal(err)
		}
		if t, err := catalog.Parse(fmt.Sprint(strings.ReplaceAll(in.Server, "/", "-"), "-", round), definition); err == nil {
			tools = append(tools, t) // a few names of the wild are refused
		}
	}
	return tools
}

// synthetic makes tools of 1,300 bytes of words that are as unevenly common as those of real text.
func synthetic(b *testing.B, n int) []catalog.Tool {
	text := prose(3)
	tools := make([]catalog.Tool, n)
	for i := range tools {
		properties := map[string]any{}
		for p := range 5 {
			properties[fmt.Sprint(strings.ReplaceAll(text(2), " ", "_"), p)] = map[string]string{"type": "string", "description": text(14)}
		}
		definition, err := json.Marshal(map[string]any{"name": strings.ReplaceAll(text(3), " ", "_") + fmt.Sprint("_", i),
			"description": text(60), "inputSchema": map[string]any{"type": "object", "properties": properties}})
		if err != nil {
			b.Fatal(err)
		}
		if tools[i], err = catalog.Parse(fmt.Sprint("server", i%80), definition); err != nil {
			b.Fatal(err)
		}
	}
	return tools
}

// queries of so many words, in sentences of ten.
func queries(n, words int) []string {
	text := prose(4)
	out := make([]string, n)
	for i := range out {
		var sentences []string
		for left := words; left > 0; left -= 10 {
			sentences = append(sentences, text(min(left, 10)))
		}
		out[i] = strings.Join(sentences, ". ")
	}
	return out
}

func prose(seed uint64) func(words int) string {
	zipf := rand.NewZipf(rand.New(rand.NewPCG(seed, 4)), 1.1, 4, 8000)
	return func(words int) string {
		out := make([]string, words)
		for i := range out {
			out[i] = word(zipf.Uint64())
		}
		return strings.Join(out, " ")
	}
}

// word spells n: the most common are those of real definitions, so that both kinds of tools hold words of a query.
func word(n uint64) string {
	common := strings.Fields("get list create the a user by id data name file search update value delete project issue query from with")
	if n < uint64(len(common)) {
		return common[n]
	}
	var b strings.Builder
	for n += 20; n > 0; n /= 20 {
		b.WriteString([]string{"ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qi", "ro", "su", "ta", "ve", "wi", "xo", "zu"}[n%20])
	}
	return b.String()
}

// directions makes vectors that are nearer the more words two tools have in common.
func directions(tools []catalog.Tool, dim int) map[catalog.ID]catalog.Embedding {
	random := rand.New(rand.NewPCG(7, 8))
	words := map[string][]float32{}
	out := make(map[catalog.ID]catalog.Embedding, len(tools))
	for _, t := range tools {
		sum := direction(random, dim)
		text := catalog.Words(t.Name + " " + t.Description[:min(len(t.Description), 100)])
		for _, w := range text[:min(len(text), 12)] {
			if words[w] == nil {
				words[w] = direction(random, dim)
			}
			for i, x := range words[w] {
				sum[i] += x
			}
		}
		out[t.ID] = catalog.Embedding{Core: sum}
	}
	return out
}

func direction(random *rand.Rand, dim int) []float32 {
	v := make([]float32, dim)
	for i := range v {
		v[i] = float32(random.NormFloat64())
	}
	return v
}

// fixed answers one vector to everything at once.
type fixed struct {
	dim    int
	vector []float32
}

func (f *fixed) Embed(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i := range out {
		out[i] = f.vector
	}
	return out, nil
}
func (f *fixed) Model() string { return "fixed" }
func (f *fixed) Dim() int      { return f.dim }
