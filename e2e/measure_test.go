package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"remit/catalog"
	"remit/catalog/crawl"
	"remit/catalog/embed"
	"remit/catalog/tokens"
	"remit/catalog/vector"
	"remit/composer"
	"remit/internal/fakemcp"
	"remit/store"
)

// BenchmarkCatalog crawls a catalog of thousands of tools through one stdio server per name in it, with the built binary,
// then searches and composes over what was crawled. `make measure` runs it; REMIT_EVAL_DATA names the folder with
// persona/catalog.jsonl and persona/dev.jsonl.
func BenchmarkCatalog(b *testing.B) {
	data := os.Getenv("REMIT_EVAL_DATA")
	if data == "" {
		b.Fatal("set REMIT_EVAL_DATA to the folder that holds persona/catalog.jsonl")
	}
	file, err := filepath.Abs(filepath.Join(data, "persona", "catalog.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	config := filepath.Join(dir, "remit.yaml")
	yaml := fmt.Sprintf("data: %s\nupstreams:\n", filepath.Join(dir, "data"))
	servers := lines(b, file, "server")
	slices.Sort(servers)
	for _, name := range slices.Compact(servers) {
		env := fakemcp.Env(fakemcp.Config{Catalog: file, CatalogServer: name})
		yaml += fmt.Sprintf("  %s:\n    command: %s\n    env:\n", name, os.Args[0])
		for k, v := range env {
			yaml += fmt.Sprintf("      %s: '%s'\n", k, strings.ReplaceAll(strings.TrimSpace(v), "'", "''"))
		}
	}
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, what := range []string{"first crawl", "crawl of the same"} {
		cmd := exec.CommandContext(b.Context(), binary, "crawl", "--config", config)
		start := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		wall := time.Since(start)
		use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		said := strings.Split(strings.TrimSpace(string(out)), "\n")
		fmt.Printf("%s: %.1f s wall, %.1f s CPU, %d MB peak memory; %s\n", what, wall.Seconds(),
			(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), use.Maxrss/1024, said[len(said)-1])
	}
	cat := open(b, filepath.Join(dir, "data", "remit.db"))
	jobs := lines(b, filepath.Join(data, "persona", "dev.jsonl"), "job")
	c := composer.New(composer.Config{Finder: cat})
	measure(b, "compose", jobs, 1, func(job string) error { _, err := c.Compose(b.Context(), job); return err })
	var queries []string
	for _, job := range jobs {
		for _, q := range strings.FieldsFunc(job, func(r rune) bool { return strings.ContainsRune(".,;:\n", r) }) {
			if len(strings.Fields(q)) > 2 {
				queries = append(queries, strings.TrimSpace(q))
			}
		}
	}
	measure(b, "search, query not seen before", queries, 1, func(q string) error { _, err := cat.Search(b.Context(), q, 20); return err })
	measure(b, "search, query seen lately", queries[:50], 20, func(q string) error { _, err := cat.Search(b.Context(), q, 20); return err })
}

// open loads the crawled catalog as a restart does.
func open(b *testing.B, path string) *catalog.Catalog {
	s, err := store.Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	encoder, err := embed.New()
	if err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	cat := catalog.New(catalog.Config{Embedder: encoder, NewVectors: vector.New})
	if err := crawl.Load(b.Context(), s, encoder, cat); err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	tools := cat.Tools()
	fmt.Printf("loading and indexing %d tools: %.0f ms, %d MB\n", len(tools), float64(took.Microseconds())/1000,
		int64(after.HeapAlloc-before.HeapAlloc)>>20)
	count := time.Now()
	for _, t := range tools[:200] {
		tokens.Count(t.Definition)
	}
	fmt.Printf("counting tokens: %.2f ms a tool\n", float64(time.Since(count).Microseconds())/200/1000)
	return cat
}

func measure(b *testing.B, what string, inputs []string, rounds int, do func(string) error) {
	var took []time.Duration
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for range rounds {
		for _, in := range inputs {
			start := time.Now()
			if err := do(in); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(start))
		}
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	slices.Sort(took)
	ms := func(p float64) float64 { return float64(took[int(p*float64(len(took)-1))].Microseconds()) / 1000 }
	cpu := time.Duration(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()) / time.Duration(len(took))
	fmt.Printf("%s: %d, p50 %.1f ms, p99 %.1f ms, CPU %.1f ms each\n", what, len(took), ms(0.5), ms(0.99), float64(cpu.Microseconds())/1000)
}

// lines returns one string member of every line of a JSONL file.
func lines(b *testing.B, path, member string) (out []string) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 16<<20)
	for scan.Scan() {
		var row map[string]json.RawMessage
		var text string
		if err := json.Unmarshal(scan.Bytes(), &row); err != nil {
			b.Fatal(err)
		}
		if err := json.Unmarshal(row[member], &text); err != nil {
			b.Fatal(err)
		}
		out = append(out, text)
	}
	return out
}
