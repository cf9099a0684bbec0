package crawl_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"remit/catalog"
	"remit/catalog/crawl"
	"remit/catalog/vector"
	"remit/internal/fakemcp"
	"remit/store"
	"remit/upstream"
)

func TestMain(m *testing.M) {
	fakemcp.RunIfAsked()
	if where := os.Getenv(replicaOn); where != "" {
		if err := replica(where); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// counting is an embedder on loopback's cheapest terms: it counts what it was asked and gives words a direction each.
type counting struct {
	texts int
	fail  bool
}

func (c *counting) Model() string { return "counting" }
func (c *counting) Dim() int      { return 4 }
func (c *counting) Embed(_ context.Context, texts []string) ([][]float32, error) {
	if c.fail {
		return nil, errors.New("the embeddings endpoint is down")
	}
	c.texts += len(texts)
	out := make([][]float32, len(texts))
	for i := range texts {
		out[i] = []float32{1, 0, 0, 0}
	}
	return out, nil
}

type rig struct {
	*crawl.Crawler
	store    *store.Store
	catalog  *catalog.Catalog
	embedder *counting
	pool     *upstream.Pool
}

// newRig crawls stdio children with the given faults; two seconds are waited for what hangs or never comes.
func newRig(t *testing.T, servers map[string]fakemcp.Config) *rig {
	t.Helper()
	var configs []upstream.Config
	for name, c := range servers {
		wait := 2 * time.Minute
		if c.Faults.HangAtHandshake || c.Faults.ExitAtStart {
			wait = 2 * time.Second
		}
		configs = append(configs, upstream.Config{Name: name, Command: os.Args[0], Env: fakemcp.Env(c),
			ConnectTimeout: wait, ListTimeout: wait, MaxMessage: 4 << 20})
	}
	pool, err := upstream.NewPool(configs, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	pool.Start(ctx)
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "remit.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); pool.Close(context.Background()); s.Close() })
	r := &rig{store: s, embedder: &counting{}, pool: pool}
	r.reopen(t)
	return r
}

// reopen starts a crawler anew on the same store, as a restart does.
func (r *rig) reopen(t *testing.T) {
	t.Helper()
	r.catalog = catalog.New(catalog.Config{Embedder: r.embedder, NewVectors: vector.New})
	r.Crawler = crawl.New(crawl.Config{Servers: r.pool.Servers(), Store: r.store, Catalog: r.catalog,
		Embedder: r.embedder, Tokens: func(d []byte) int { return len(d) }})
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) crawl(t *testing.T) crawl.Report {
	t.Helper()
	report, err := r.Crawl(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func ids(c *catalog.Catalog) (out []string) {
	for _, t := range c.Tools() {
		out = append(out, string(t.ID))
	}
	return out
}

func definition(name, description string) json.RawMessage {
	return fmt.Appendf(nil, `{"name":%q,"description":%q,"inputSchema":{"type":"object"}}`, name, description)
}

func TestUnwellServersStayAlone(t *testing.T) {
	one := []json.RawMessage{definition("find", "Finds a customer")}
	with := func(f fakemcp.Faults) fakemcp.Config { return fakemcp.Config{Tools: one, Faults: f} }
	r := newRig(t, map[string]fakemcp.Config{
		"well":    with(fakemcp.Faults{}),
		"exits":   with(fakemcp.Faults{ExitAtStart: true}),
		"hangs":   with(fakemcp.Faults{HangAtHandshake: true}),
		"garbage": with(fakemcp.Faults{BadList: true}),
		"junk":    with(fakemcp.Faults{JunkLines: 3}), // odd, but readable
		"huge":    with(fakemcp.Faults{HugeDescription: 10 << 20}),
		"big":     with(fakemcp.Faults{HugeDescription: 2 << 20}), // the message passes, the definition is too long
		"twice":   with(fakemcp.Faults{DuplicateNames: true}),
		"loop":    with(fakemcp.Faults{CursorLoop: true}),
		"endless": with(fakemcp.Faults{EndlessPages: true}),
	})
	start := time.Now()
	report := r.crawl(t)
	if took := time.Since(start); took > time.Minute {
		t.Errorf("the crawl took %s: one server held up the others", took)
	}
	if got, want := ids(r.catalog), []string{"big/find", "junk/find", "well/find"}; !slices.Equal(got, want) {
		t.Errorf("got tools %v, want %v", got, want)
	}
	status := map[string]crawl.ServerStatus{}
	for _, s := range r.Status() {
		status[s.Server] = s
	}
	for _, name := range []string{"exits", "hangs", "garbage", "huge", "loop", "endless"} {
		if report.Failed[name] == "" || status[name].Err == "" {
			t.Errorf("%s: the report says %q, the status %q", name, report.Failed[name], status[name].Err)
		}
		t.Logf("%s: %s", name, status[name].Err)
	}
	for name, want := range map[string]string{"twice": "listed 2 times", "big": "over the limit"} {
		if got := strings.Join(status[name].Rejected, "; "); !strings.Contains(got, want) {
			t.Errorf("%s: rejected %q, want %q", name, got, want)
		}
	}
	if s := status["well"]; s.Err != "" || s.Tools != 1 {
		t.Errorf("well: got %+v", s)
	}
}

func TestUnchangedCatalogWritesAndEmbedsNothing(t *testing.T) {
	r := newRig(t, map[string]fakemcp.Config{"a": {Tools: []json.RawMessage{definition("find", "1"), definition("drop", "2")}}})
	if got := r.crawl(t); got.Added != 2 || got.Embedded != 2 {
		t.Errorf("first crawl: got %+v", got)
	}
	before, _ := r.store.Verify(t.Context())
	for _, restart := range []bool{false, true} {
		if restart {
			r.reopen(t)
			if got := ids(r.catalog); len(got) != 2 {
				t.Errorf("after a restart, before any crawl: got %v", got)
			}
		}
		if got := r.crawl(t); got.Added+got.Changed+got.Gone+got.Embedded != 0 || got.Tools != 2 {
			t.Errorf("crawl of the same: got %+v", got)
		}
	}
	if after, _ := r.store.Verify(t.Context()); after != before || r.embedder.texts != 2 {
		t.Errorf("got audit head %v (was %v) and %d texts embedded", after, before, r.embedder.texts)
	}
}

func TestEmbedderDown(t *testing.T) {
	r := newRig(t, map[string]fakemcp.Config{"a": {Tools: []json.RawMessage{definition("find_customer", "Finds a customer")}}})
	r.embedder.fail = true
	if _, err := r.Crawl(t.Context(), nil); err == nil {
		t.Error("the crawl hid that embedding failed")
	}
	got, err := r.catalog.Search(t.Context(), "customer", 5)
	if err != nil || len(got.Matches) != 1 || got.Degraded == "" {
		t.Errorf("got %d matches, degraded %q, %v, want words to work and to say so", len(got.Matches), got.Degraded, err)
	}
	r.embedder.fail = false
	if report := r.crawl(t); report.Embedded != 1 {
		t.Errorf("the next crawl embedded %d texts, want 1", report.Embedded)
	}
}

func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatal("nothing happened within a minute")
		panic("unreachable")
	}
}
