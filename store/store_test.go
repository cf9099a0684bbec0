package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pressly/goose/v3"

	"remit/audit"
	"remit/catalog"
	"remit/catalog/crawl"
	"remit/internal/services"
	"remit/persona"
	"remit/store"
)

// engine opens a database that keeps its content between opens.
type engine struct {
	name    string
	where   string
	open    func(t *testing.T) *store.Store
	raw     func(t *testing.T) *sql.DB // for the attacker who edits the database
	dialect goose.Dialect
}

// engines are new databases on everything that the store runs on.
func engines(t *testing.T) []engine {
	postgres := services.Postgres(t)
	return []engine{
		engineOn("sqlite", filepath.Join(t.TempDir(), "remit.db"), "sqlite", "", goose.DialectSQLite3),
		engineOn("postgres", postgres, "pgx", "&default_query_exec_mode=simple_protocol", goose.DialectPostgres),
	}
}

func engineOn(name, where, driver, options string, dialect goose.Dialect) engine {
	return engine{name, where, func(t *testing.T) *store.Store {
		t.Helper()
		s, err := store.Open(t.Context(), where)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, func(t *testing.T) *sql.DB {
		t.Helper()
		db, err := sql.Open(driver, where+options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}, dialect}
}

// castTo is the type that a text is made for a column of a type: SQLite's columns take any text.
func (e engine) castTo(column string) string {
	if e.dialect == goose.DialectSQLite3 {
		return "text"
	}
	return column
}

// downgrade undoes the migrations after a version, as if the database were of an earlier Remit.
func downgrade(t *testing.T, e engine, version int64) {
	t.Helper()
	p, err := goose.NewProvider(e.dialect, e.raw(t), os.DirFS("migrations/"+e.name))
	if err == nil {
		_, err = p.DownTo(t.Context(), version)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestConformance is what every engine must pass.
func TestConformance(t *testing.T) {
	for name, check := range map[string]func(*testing.T, engine){
		"persona round trip": personaRoundTrip, "revision without authors": revisionWithoutAuthors, "immutable": submittedIsImmutable, "failed change": failedChangeLeavesAll,
		"people and keys": peopleAndKeys, "tokens": tokens, "links and sessions": linksAndSessions, "access ends": accessEnds, "listing": listing, "vectors": vectors, "cache": cache,
		"audit": auditChain, "audit attacks": auditAttacks, "intents": intents, "parallel writers": parallelWriters, "hostile text": hostileText,
		"filters": filters, "filters by upgrade": filtersByUpgrade, "export": export, "removal": removal, "shipping": shipping, "flipped bits": flippedBits, "evaluations": evaluations, "history": history,
		"frozen pins": frozenPins, "approval thaws": approvalThaws, "rollback does not thaw": rollbackKeepsFrozen, "narrowing does not thaw": narrowingKeepsFrozen, "forgotten server": forgottenServer,
		"rotation": rotation, "last use": lastUse, "unreadable bounds": unreadableBounds, "keys by upgrade": keysByUpgrade,
		"terms": terms, "suspensions": suspensions, "shadows": shadows, "shadow decisions": shadowDecisions, "suspended while gone": suspendedWhileGone, "sealed records": sealed,
		"provided people": provided, "sign-in flows": flows, "too many flows": tooManyFlows, "own sessions": ownSessions,
		"approvals": approvals, "approvals of one call": parallelUses, "approvals are bounded": approvalBounds,
		"swept definitions": sweptDefinitions, "frozen by upgrade": frozenByUpgrade,
	} {
		for _, e := range engines(t) {
			t.Run(name+"/"+e.name, func(t *testing.T) { check(t, e) })
		}
	}
}

func tool(t *testing.T, server, name, description string) catalog.Tool {
	t.Helper()
	got, err := catalog.Parse(server, fmt.Appendf(nil, `{"name":%q, "description":%q,"inputSchema":{"type":"object","n":1.0}}`, name, description))
	if err != nil {
		t.Fatal(err)
	}
	got.Tokens = 7
	return got
}

func entry(kind string) audit.Entry {
	return audit.Entry{Time: time.Now(), Kind: kind, Decision: audit.Changed}
}

func sample(t *testing.T) persona.Persona {
	tl := tool(t, "crm", "find", "<d> & d")
	return persona.Persona{ID: "support", Title: "Support", Created: time.Now().UTC().Truncate(time.Microsecond), Revisions: []persona.Revision{{
		Number: 1, State: persona.Draft, Job: "find <customers> & more", Author: "ada", Authors: []string{"bea", "ada"}, Notes: []byte(`{"gaps":["<x>"]}`),
		Created: time.Now().UTC().Truncate(time.Second),
		Grants: []persona.Grant{{Pin: persona.Pin{Tool: "crm/find", Digest: tl.Digest, Definition: tl.Definition}, Name: "find",
			Effect: catalog.Read, Words: []persona.Span{{Start: 0, End: 4}}, Confidence: 0.5}},
	}}}
}

func save(p persona.Persona) func(persona.Persona) (persona.Persona, audit.Entry, error) {
	return func(persona.Persona) (persona.Persona, audit.Entry, error) { return p, entry("persona.test"), nil }
}

func personaRoundTrip(t *testing.T, e engine) {
	s := e.open(t)
	want := sample(t)
	want.Revisions[0].Grants[0].Definition = []byte(`{"name":"find",  "description":"<&> \u00e9","inputSchema":{}}`) // bytes, not a value
	want.Revisions[0].Grants[0].Digest = "sha256:x"
	want.Revisions[0].Comments = []persona.Comment{{Tool: "crm/find", By: "ravi", At: time.Now().UTC().Truncate(time.Second), Text: "<b>why?\u202e"}}
	if err := s.Update(t.Context(), want.ID, save(want)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = e.open(t)
	defer s.Close()
	got, err := s.Persona(t.Context(), "support")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Notes" }, cmp.Ignore())); diff != "" {
		t.Errorf("got other than want: %s", diff)
	}
	if all, err := s.Personas(t.Context()); err != nil || len(all) != 1 || all[0].Revisions[0].Grants[0].Definition != nil {
		t.Errorf("got %v, %v, want one persona without definitions", all, err)
	}
	if _, err := s.Persona(t.Context(), "none"); !errors.Is(err, persona.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if waiting, err := s.Submitted(t.Context()); err != nil || len(waiting) != 0 {
		t.Errorf("got %v, %v, want nothing that waits", waiting, err)
	}
	want.Revisions[0].State = persona.Submitted
	if err := s.Update(t.Context(), want.ID, save(want)); err != nil {
		t.Fatal(err)
	}
	if waiting, err := s.Submitted(t.Context()); err != nil || len(waiting) != 1 || waiting[0].ID != "support" || !waiting[0].Revisions[0].WrittenBy("ada") {
		t.Errorf("got %v, %v, want what waits", waiting, err)
	}
}

// A revision that was stored before every author was kept loads with its one author, and its review goes on.
func revisionWithoutAuthors(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	p := sample(t)
	p.Revisions[0].Authors, p.Revisions[0].State = nil, persona.Submitted
	if err := s.Update(t.Context(), p.ID, save(p)); err != nil {
		t.Fatal(err)
	}
	var content string
	if err := e.raw(t).QueryRow("select content from revision").Scan(&content); err != nil || strings.Contains(content, "Authors") {
		t.Fatalf("got %s, %v, want content as it was before", content, err)
	}
	old, err := s.Persona(t.Context(), p.ID)
	if r := old.Latest(); err != nil || !r.WrittenBy("ada") || r.WrittenBy("ravi") {
		t.Errorf("got %+v, %v, want ada as the only author", r, err)
	}
	old.Revisions[0].State = persona.Live
	if err := s.Update(t.Context(), p.ID, save(old)); err != nil {
		t.Error(err)
	}
}

func submittedIsImmutable(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	p := sample(t)
	if err := s.Update(t.Context(), p.ID, save(p)); err != nil {
		t.Fatal(err)
	}
	p.Revisions[0].Job = "a draft may change"
	p.Revisions[0].State = persona.Submitted
	if err := s.Update(t.Context(), p.ID, save(p)); err != nil {
		t.Fatal(err)
	}
	for name, attack := range map[string]func(*persona.Persona){
		"job":     func(p *persona.Persona) { p.Revisions[0].Job = "other" },
		"digest":  func(p *persona.Persona) { p.Revisions[0].Grants[0].Digest = "sha256:other" },
		"name":    func(p *persona.Persona) { p.Revisions[0].Grants[0].Name = "other" },
		"removal": func(p *persona.Persona) { p.Revisions = nil },
	} {
		other := p
		other.Revisions = []persona.Revision{p.Revisions[0]}
		other.Revisions[0].Grants = []persona.Grant{p.Revisions[0].Grants[0]}
		attack(&other)
		if err := s.Update(t.Context(), p.ID, save(other)); err == nil || !strings.Contains(err.Error(), "submitted") {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	p.Revisions[0].State, p.Revisions[0].ReviewedBy = persona.Live, "ravi"
	if err := s.Update(t.Context(), p.ID, save(p)); err != nil {
		t.Errorf("a review of submitted content: got %v", err)
	}
}

func failedChangeLeavesAll(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	want := errors.New("no")
	p := sample(t)
	err := s.Update(t.Context(), p.ID, func(persona.Persona) (persona.Persona, audit.Entry, error) { return p, entry("x"), want })
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if all, _ := s.Personas(t.Context()); len(all) != 0 {
		t.Errorf("got %d personas, want none", len(all))
	}
	if head, err := s.Verify(t.Context()); err != nil || head.Seq != 0 {
		t.Errorf("got %v, %v, want an empty chain", head, err)
	}
}

func listing(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	ctx, at := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
	a, b := tool(t, "crm", "a", "1"), tool(t, "crm", "b", "1")
	steps := []struct {
		name  string
		tools []catalog.Tool
		want  crawl.Changes
	}{
		{"first", []catalog.Tool{a, b}, crawl.Changes{Added: []catalog.ID{"crm/a", "crm/b"}}},
		{"same", []catalog.Tool{b, a}, crawl.Changes{}},
		{"changed", []catalog.Tool{tool(t, "crm", "a", "2"), b}, crawl.Changes{Changed: []catalog.ID{"crm/a"}}},
		{"gone", []catalog.Tool{b}, crawl.Changes{Gone: []catalog.ID{"crm/a"}}},
		{"still gone", []catalog.Tool{b}, crawl.Changes{}},
		{"back, and pinned by nobody", []catalog.Tool{tool(t, "crm", "a", "2"), b}, crawl.Changes{Added: []catalog.ID{"crm/a"}}},
	}
	entries := int64(0)
	for _, step := range steps {
		got, err := s.SaveListing(ctx, crawl.Turn{Server: "crm"}, step.tools, at)
		if err != nil || !cmp.Equal(got, step.want) {
			t.Errorf("%s: got %+v, %v, want %+v", step.name, got, err, step.want)
		}
		if !step.want.None() {
			entries++
		}
	}
	tools, err := s.Tools(ctx)
	if err != nil || len(tools) != 2 || tools[0].Description != "2" || tools[0].Tokens != 7 || !tools[0].FirstSeen.Equal(at) {
		t.Errorf("got %+v, %v", tools, err)
	}
	if head, err := s.Verify(ctx); err != nil || head.Seq != entries {
		t.Errorf("got %d entries, %v, want %d: one a listing that changed something", head.Seq, err, entries)
	}
}

func vectors(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	want := map[crawl.TextHash][]float32{{1}: {0.5, -0.25}, {2}: {1, 0}}
	if err := s.SaveVectors(t.Context(), "m", want); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Vectors(t.Context(), "m"); err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, step := range []struct {
		model string
		texts map[crawl.TextHash]bool
		want  map[crawl.TextHash][]float32
	}{
		{"m", map[crawl.TextHash]bool{{2}: true, {3}: true}, map[crawl.TextHash][]float32{{2}: {1, 0}}},
		{"n", map[crawl.TextHash]bool{{2}: true}, map[crawl.TextHash][]float32{}},
	} {
		if err := s.KeepVectors(t.Context(), crawl.Turn{}, step.model, step.texts); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Vectors(t.Context(), "m"); err != nil || !cmp.Equal(got, step.want) {
			t.Errorf("after KeepVectors of %s: got %v, %v, want %v", step.model, got, err, step.want)
		}
	}
}

func auditChain(t *testing.T, e engine) {
	s := e.open(t)
	ctx := t.Context()
	for i := range 5 {
		if err := s.Append(ctx, audit.Entry{Time: time.Now(), Kind: audit.ToolCall, Persona: fmt.Sprint("p", i%2), Decision: audit.Allowed,
			Actor: audit.Actor{Agent: "bot"}}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = e.open(t)
	defer s.Close()
	got, err := s.Entries(ctx, audit.Query{Persona: "p0", Limit: 2})
	if err != nil || len(got) != 2 || got[0].Seq != 5 || got[1].Seq != 3 {
		t.Errorf("got %+v, %v, want entries 5 and 3", got, err)
	}
	if got, err := s.Entries(ctx, audit.Query{Persona: "p0", Before: 3}); err != nil || len(got) != 1 || got[0].Seq != 1 {
		t.Errorf("got %+v, %v, want entry 1", got, err)
	}
	if head, err := s.Verify(ctx); err != nil || head.Seq != 5 {
		t.Errorf("got %v, %v", head, err)
	}
}

func auditAttacks(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	for range 5 {
		if err := s.Append(t.Context(), audit.Entry{Kind: audit.ToolCall, Tool: "crm/find", Decision: audit.Refused}); err != nil {
			t.Fatal(err)
		}
	}
	db := e.raw(t)
	for _, attack := range []string{
		"update audit set body = replace(body, 'refused', 'allowed') where seq = 2",
		"update audit set tool = 'hidden' where seq = 2",
		"update audit set policy = 'hidden' where seq = 2",
		"update audit set revision = 9 where seq = 2",
		"delete from audit where seq = 3",
		"delete from audit where seq = 5",
		"update audit_head set seq = 4",
	} {
		// The attack and its undoing share a transaction's snapshot: what Verify says is asked in between.
		if _, err := db.Exec("create table if not exists kept as select * from audit"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(attack); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(t.Context()); err == nil {
			t.Errorf("%s: the chain verified", attack)
		}
		for _, undo := range []string{"delete from audit", "insert into audit select * from kept", "update audit_head set seq = 5"} {
			if _, err := db.Exec(undo); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Verify(t.Context()); err != nil {
			t.Fatalf("after undoing %s: %v", attack, err)
		}
	}
}

func intents(t *testing.T, e engine) {
	s := e.open(t)
	ctx := t.Context()
	call := audit.Entry{Time: time.Now(), Kind: audit.ToolCall, Tool: "crm/find", Decision: audit.Allowed}
	ticket, err := s.Begin(ctx, call)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(ctx, ticket, call); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(ctx, ticket, call); err == nil {
		t.Error("a ticket was used twice")
	}
	if _, err := s.Begin(ctx, call); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Recover(ctx); n != 0 || err != nil {
		t.Errorf("own open intents: got %d, %v, want them left alone", n, err)
	}
	s.Close() // the process dies with a call in flight
	s = e.open(t)
	defer s.Close()
	if n, err := s.Recover(ctx); n != 1 || err != nil {
		t.Errorf("got %d, %v, want one call with unknown outcome", n, err)
	}
	got, err := s.Entries(ctx, audit.Query{Decision: audit.Unknown})
	if err != nil || len(got) != 1 || got[0].Tool != "crm/find" {
		t.Errorf("got %+v, %v", got, err)
	}
	if head, err := s.Verify(ctx); err != nil || head.Seq != 2 {
		t.Errorf("got %v, %v", head, err)
	}
}

func parallelWriters(t *testing.T, e engine) {
	s, other := e.open(t), e.open(t) // as a command line beside a running server
	defer s.Close()
	defer other.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 16 {
		at := s
		if i%2 == 1 {
			at = other
		}
		wg.Go(func() {
			for range 20 {
				if err := at.Append(ctx, entry("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if head, err := s.Verify(ctx); err != nil || head.Seq != 320 {
		t.Errorf("got %v, %v, want 320 entries", head, err)
	}
}
