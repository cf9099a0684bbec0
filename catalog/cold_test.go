package catalog_test

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"remit/catalog"
	"remit/catalog/crawl"
	"remit/catalog/vector"
	"remit/internal/services"
	"remit/store"
	"remit/upstream"
)

// BenchmarkColdReplica is what a replica that starts has to do before it searches by meaning: it loads 100,000 tools and their vectors
// from PostgreSQL. It prints seconds of the wall, whole and by part:
//
//	go test ./catalog -run '^$' -bench ColdReplica -benchtime 1x -timeout 30m
//
// Tools are those of the other benchmarks; each text of theirs has a vector of its own of 384 dimensions. The database, a real one, is
// on this machine and has all in its cache.
func BenchmarkColdReplica(b *testing.B) {
	for _, size := range []struct {
		name  string
		tools int
	}{{"3.5k", 3500}, {"100k", 100_000}} {
		b.Run(size.name, func(b *testing.B) { benchmarkColdReplica(b, size.tools) })
	}
}

func benchmarkColdReplica(b *testing.B, n int) {
	server, err := services.NewPostgres()
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = server.Stop() }()
	began := time.Now()
	servers, texts := fill(b, server.URL, corpus(b, n))
	fmt.Printf("%d tools and %d vectors were written in %.1f s\n", n, texts, time.Since(began).Seconds())
	embedder := &fixed{dim: 384, vector: direction(rand.New(rand.NewPCG(5, 6)), 384)}
	runtime.GC()
	for b.Loop() {
		cpu, start := used(), time.Now()
		lap := func() (took float64) { took, start = time.Since(start).Seconds(), time.Now(); return took }
		s, err := store.Open(b.Context(), server.URL)
		if err != nil {
			b.Fatal(err)
		}
		opened := lap()
		c := catalog.New(catalog.Config{Embedder: embedder, NewVectors: vector.New})
		crawler := crawl.New(crawl.Config{Servers: servers, Store: s, Turns: s, Catalog: c, Embedder: embedder, Tokens: func([]byte) int { return 1 }})
		if err := crawler.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
		loaded := lap()
		got, err := c.Search(b.Context(), "create an issue in a project", 20)
		if err != nil || len(got.Matches) != 20 || got.Degraded != "" || len(c.Tools()) != n {
			b.Fatal(len(got.Matches), got.Degraded, err, len(c.Tools()))
		}
		fmt.Printf("opened in %.2f s, loaded in %.2f s, searched in %.2f s; %.1f s CPU\n", opened, loaded, lap(), (used() - cpu).Seconds())
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// fill keeps tools as crawls do, with a vector for each text, and returns their servers and how many texts there are.
func fill(b *testing.B, where string, tools []catalog.Tool) (servers []*upstream.Server, texts int) {
	s, err := store.Open(b.Context(), where)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	names, of := map[string]string{}, map[string][]catalog.Tool{}
	random := rand.New(rand.NewPCG(7, 8))
	vectors := map[crawl.TextHash][]float32{}
	flush := func() {
		if err := s.SaveVectors(b.Context(), "fixed", vectors); err != nil {
			b.Fatal(err)
		}
		texts += len(vectors)
		clear(vectors)
	}
	for _, t := range tools {
		name, ok := names[t.Server()]
		if !ok {
			name = fmt.Sprint("server", len(names)) // those of the wild are no names of ours
			names[t.Server()] = name
		}
		if t, err = catalog.Parse(name, t.Definition); err != nil {
			b.Fatal(err)
		}
		of[name] = append(of[name], t)
		for _, text := range catalog.Passages(t) {
			vectors[sha256.Sum256([]byte(text))] = direction(random, 384)
		}
		if len(vectors) > 5000 {
			flush()
		}
	}
	flush()
	var configs []upstream.Config
	for name, its := range of {
		configs = append(configs, upstream.Config{Name: name, URL: "http://127.0.0.1:1"})
		if _, err := s.SaveListing(b.Context(), crawl.Turn{Server: name}, its, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	pool, err := upstream.NewPool(configs, slog.New(slog.DiscardHandler)) // which nobody starts
	if err != nil {
		b.Fatal(err)
	}
	return pool.Servers(), texts
}
