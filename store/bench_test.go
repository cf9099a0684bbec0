package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"remit/audit"
	"remit/internal/services"
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
