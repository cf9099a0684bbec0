package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/internal/services"
	"remit/persona"
	"remit/store"
)

// BenchmarkAudit is durable entries of the record by 64 callers at once: what is written together shares one flush. An operation
// is one entry, for "calls" the intent and the entry of one call.
func BenchmarkAudit(b *testing.B) {
	postgres := services.Postgres(b)
	db, err := sql.Open("pgx", postgres)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{"alter system set fsync = on", "select pg_reload_conf()"} { // what is acknowledged is on the disk
		if _, err := db.Exec(statement); err != nil {
			b.Fatal(err)
		}
	}
	for _, e := range []struct{ name, where string }{{"sqlite", filepath.Join(b.TempDir(), "remit.db")}, {"postgres", postgres}} {
		b.Run(e.name, func(b *testing.B) { benchmarkAudit(b, e.where) })
	}
}

func benchmarkAudit(b *testing.B, where string) {
	entry := audit.Entry{Time: time.Now(), Kind: audit.ToolCall, Actor: audit.Actor{Agent: "bot", User: "carol", Key: "k"}, Persona: "support", Revision: 3,
		Tool: "crm/find_customer", Digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", Decision: audit.Allowed, Micros: 1234}
	for name, write := range map[string]func(*store.Store, *testing.B) error{
		"entries": func(s *store.Store, b *testing.B) error { return s.Append(b.Context(), entry) },
		"calls": func(s *store.Store, b *testing.B) error {
			ticket, err := s.Begin(b.Context(), entry)
			if err != nil {
				return err
			}
			return s.Finish(b.Context(), ticket, entry)
		},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := store.Open(b.Context(), where)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := write(s, b); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

// BenchmarkPersonas is what a persona of 30 tools of 1.1 kB, the median of real servers, takes in the memory of a replica that serves it, and
// what it costs to read it again after a change.
func BenchmarkPersonas(b *testing.B) {
	s, err := store.Open(b.Context(), services.Postgres(b))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	grants := make([]persona.Grant, 30)
	for i := range grants {
		name := fmt.Sprintf("tool_%d", i)
		definition := fmt.Appendf(nil, `{"name":%q,"description":%q,"inputSchema":{"type":"object"}}`, name, strings.Repeat("What it does. ", 74))
		t, err := catalog.Parse("crm", definition)
		if err != nil {
			b.Fatal(err)
		}
		grants[i] = persona.Grant{Pin: persona.Pin{Tool: t.ID, Digest: t.Digest, Definition: t.Definition}, Name: name}
	}
	id := func(i int) persona.ID { return persona.ID(fmt.Sprintf("p%d", i)) }
	for i := range b.N {
		p := persona.Persona{ID: id(i), Title: "One of many", Revisions: []persona.Revision{{Number: 1, State: persona.Live, Grants: grants}}}
		if err := s.Update(b.Context(), p.ID, func(persona.Persona) (persona.Persona, audit.Entry, error) {
			return p, audit.Entry{Kind: "persona.create", Decision: audit.Changed}, nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	c, err := store.NewCache(b.Context(), s)
	if err != nil {
		b.Fatal(err)
	}
	c.Staleness = time.Hour
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	b.ResetTimer()
	for i := range b.N {
		if _, err := c.Persona(b.Context(), id(i)); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(heap()-before)/float64(b.N), "B/persona")
	runtime.KeepAlive(c)
}
