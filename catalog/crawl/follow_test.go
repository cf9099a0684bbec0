package crawl_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/catalog/crawl"
	"remit/internal/fakemcp"
	"remit/persona"
	"remit/store"
	"remit/upstream"
)

// followed is a crawler that runs beside one server over HTTP, "crm", that offers one tool, "find".
type followed struct {
	*crawl.Crawler
	t       *testing.T
	fake    *fakemcp.Server
	store   *store.Store
	catalog *catalog.Catalog
	changed chan crawl.Changes
}

func follow(t *testing.T, c crawl.Config) *followed {
	t.Helper()
	f := &followed{t: t, catalog: catalog.New(catalog.Config{}), changed: make(chan crawl.Changes, 100)}
	var err error
	f.fake, err = fakemcp.New(fakemcp.Config{Tools: []json.RawMessage{definition("find", "harmless")}})
	if err != nil {
		t.Fatal(err)
	}
	url, stop := serve(f.fake)
	t.Cleanup(stop)
	pool, err := upstream.NewPool([]upstream.Config{{Name: "crm", URL: url}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	pool.Start(ctx)
	if f.store, err = store.Open(ctx, filepath.Join(t.TempDir(), "remit.db")); err != nil {
		t.Fatal(err)
	}
	c.Servers, c.Store, c.Catalog, c.Tokens = pool.Servers(), f.store, f.catalog, func([]byte) int { return 1 }
	c.Changed = func(_ string, c crawl.Changes) { f.changed <- c }
	f.Crawler = crawl.New(c)
	if err := f.Load(ctx); err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() { _ = f.Run(ctx) }) // it ends with ctx only
	t.Cleanup(func() { cancel(); done.Wait(); pool.Close(context.Background()); f.store.Close() })
	if got := await(t, f.changed); len(got.Added) != 1 {
		t.Fatalf("got %+v, want one tool added on connect", got)
	}
	f.until("the server's stream is open, and its tool known", func() bool {
		_, known := f.catalog.Tool("crm/find")
		return known && f.fake.Stats().Listeners > 0
	})
	return f
}

func (f *followed) until(what string, condition func() bool) {
	f.t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatalf("%s: it did not happen within a minute", what)
		}
	}
}

// entries counts the record's entries of a kind.
func (f *followed) entries(kind string) int {
	f.t.Helper()
	got, err := f.store.Entries(f.t.Context(), audit.Query{Kind: kind, Limit: 1000})
	if err != nil {
		f.t.Fatal(err)
	}
	return len(got)
}

// pin makes a live persona of the tool as it is offered now.
func (f *followed) pin() persona.Pin {
	f.t.Helper()
	tool, _ := f.catalog.Tool("crm/find")
	pin := persona.Pin{Tool: tool.ID, Digest: tool.Digest, Definition: tool.Definition}
	p := persona.Persona{ID: "support", Title: "Support", Created: time.Now(), Revisions: []persona.Revision{{Number: 1, State: persona.Live,
		Job: "find", Author: "ada", Grants: []persona.Grant{{Pin: pin, Name: "find"}}}}}
	if err := f.store.Update(f.t.Context(), "support", func(persona.Persona) (persona.Persona, audit.Entry, error) {
		return p, audit.Entry{Kind: "persona.test", Decision: audit.Changed}, nil
	}); err != nil {
		f.t.Fatal(err)
	}
	return pin
}

// The rug pull: a server lists a harmless tool, then changes it and says so. The catalog follows without being asked.
func TestListChangedIsFollowed(t *testing.T) {
	f := follow(t, crawl.Config{Pause: time.Millisecond})
	f.fake.SetTools([]json.RawMessage{definition("find", "poisoned")})
	if got := await(t, f.changed); len(got.Changed) != 1 {
		t.Errorf("got %+v, want the change", got)
	}
	if tool, ok := f.catalog.Tool("crm/find"); !ok || tool.Description != "poisoned" {
		t.Errorf("got %+v", tool)
	}
	if got := f.entries("catalog.change"); got != 2 {
		t.Errorf("got %d entries, want 2", got)
	}
}

// Attack: a server changes its tools and says so without pause, to keep Remit busy and to fill its disk. Its announcements
// become one listing after each pause.
func TestAnnouncementsWithoutPauseBecomeFewListings(t *testing.T) {
	f := follow(t, crawl.Config{Pause: time.Hour})
	for i := range 500 {
		f.fake.SetTools([]json.RawMessage{definition("find", fmt.Sprint("version ", i))})
	}
	if got := f.fake.Stats().Lists; got > 2 {
		t.Errorf("got %d listings after 500 announcements, want at most 2: the first, and one that came with the connection", got)
	}
	if got := f.entries("catalog.change"); got > 2 {
		t.Errorf("got %d entries", got)
	}
}

// Attack: a server never rests, however long the pauses. Beyond a number of changes within an hour nothing more of it is
// kept; its tools are not to be called, what was approved stays frozen, the record says so once, and so does its health.
func TestUnsteadyServerIsNotFollowed(t *testing.T) {
	f := follow(t, crawl.Config{Pause: time.Millisecond, LongestPause: time.Millisecond, MaxChanges: 3})
	pin := f.pin()
	version := 0
	change := func() {
		version++
		f.fake.SetTools([]json.RawMessage{definition("find", fmt.Sprint("version ", version))})
	}
	f.until("the server is unsteady", func() bool {
		change()
		return f.Listed("crm") != nil && strings.Contains(f.Listed("crm").Error(), "unsteady")
	})
	lists := f.fake.Stats().Lists
	f.until("it is listed ten times more", func() bool { change(); return f.fake.Stats().Lists > lists+10 })
	if changes, unsteady := f.entries("catalog.change"), f.entries("catalog.unsteady"); changes != 3 || unsteady != 1 {
		t.Errorf("got %d entries of changes and %d that it is unsteady, want 3 and 1", changes, unsteady)
	}
	if st := f.Status()[0]; !strings.Contains(st.Err, "unsteady") {
		t.Errorf("got status %+v", st)
	}
	f.fake.SetTools([]json.RawMessage{pin.Definition})
	lists = f.fake.Stats().Lists
	f.until("it is listed as approved", func() bool { return f.fake.Stats().Lists > lists+2 })
	if f.Listed("crm") == nil {
		t.Error("an unsteady server is taken for steady as soon as it changes back")
	}
	if _, frozen, err := f.store.Frozen(t.Context(), "support", 1, pin); err != nil || !frozen {
		t.Errorf("got a pin frozen %v, %v", frozen, err)
	}
	if tools, err := f.store.Tools(t.Context()); err != nil || len(tools) != 1 {
		t.Errorf("got %d tools kept, %v", len(tools), err)
	}
}

// Attack: a server says that its list changed and refuses to show it, so that nobody sees the change.
func TestServerThatRefusesToListIsNotTrusted(t *testing.T) {
	f := follow(t, crawl.Config{Pause: 10 * time.Millisecond})
	f.fake.RefuseLists(true)
	f.fake.Announce()
	f.until("the failure is noticed", func() bool { return f.Listed("crm") != nil && f.Status()[0].Err != "" })
	f.fake.RefuseLists(false)
	f.until("a listing succeeds, without being asked for", func() bool { return f.Listed("crm") == nil })
}
