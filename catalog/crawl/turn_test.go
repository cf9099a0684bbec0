package crawl_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"remit/catalog"
	"remit/catalog/crawl"
	"remit/catalog/vector"
	"remit/internal/fakemcp"
	"remit/internal/services"
	"remit/persona"
	"remit/store"
	"remit/upstream"
)

// replicaOn makes TestMain a replica that crawls until it is killed, and says what it sees.
const replicaOn = "REMIT_TEST_CRAWLER"

// lease is how long a turn lasts in the tests that end one: as long as in Remit, unless REMIT_TEST_LEASE says otherwise. A short one moves
// by itself when the machine is slow.
func lease() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("REMIT_TEST_LEASE")); err == nil {
		return d
	}
	return 15 * time.Second
}

// beside opens a crawler of the server crm on a database that others share. listed hears of its listings.
func beside(ctx context.Context, where string, crm upstream.Config, c crawl.Config, embedder catalog.Embedder) (*crawl.Crawler, *catalog.Catalog, *store.Store, func(), error) {
	s, err := store.Open(ctx, where)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	crm.Name = "crm"
	pool, err := upstream.NewPool([]upstream.Config{crm}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, nil, nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	pool.Start(life)
	cat := catalog.New(catalog.Config{Embedder: embedder, NewVectors: vector.New})
	c.Servers, c.Store, c.Turns, c.Catalog, c.Tokens, c.Embedder = pool.Servers(), s, s, cat, func([]byte) int { return 1 }, embedder
	crawler := crawl.New(c)
	if err := crawler.Load(ctx); err != nil {
		end()
		return nil, nil, nil, nil, err
	}
	var done sync.WaitGroup
	done.Go(func() { _ = crawler.Run(life) }) // it ends with life only
	done.Go(func() { _ = s.Listen(life, func(store.Event) { crawler.Wake() }) })
	return crawler, cat, s, func() { end(); done.Wait(); pool.Close(context.Background()); s.Close() }, nil
}

// replica prints what it knows of crm/find whenever that changes, and each listing of its own. It ends with whoever started it.
func replica(where string) error {
	ctx := context.Background()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	var mu sync.Mutex
	say := func(what ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what...)
	}
	crawler, cat, _, _, err := beside(ctx, where, upstream.Config{URL: os.Args[1], ConnectTimeout: 10 * time.Minute, ListTimeout: 10 * time.Minute}, crawl.Config{Lease: lease(), Pause: 10 * time.Millisecond,
		Listed: func(_ string, _ time.Duration, err error) { say("listed:", err) }}, nil)
	if err != nil {
		return err
	}
	said := ""
	for {
		tool, _ := cat.Tool("crm/find")
		if now := fmt.Sprintf("knows: %s, doubt %v", tool.Description, crawler.Listed("crm")); now != said {
			said = now
			say(said)
		}
		time.Sleep(10 * time.Millisecond) // a turn of its loop; the test waits for what is said
	}
}

// process is a replica that runs by itself.
type process struct {
	*os.Process
	mu    sync.Mutex
	lines []string
}

func startReplica(t *testing.T, where, url string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], url)
	cmd.Env, cmd.Stderr = append(os.Environ(), replicaOn+"="+where), os.Stderr
	lifeline, err := cmd.StdinPipe() // closed when this process ends, however that ends
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Process: cmd.Process}
	var reader sync.WaitGroup
	reader.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
		}
		_ = cmd.Wait() // it was killed
	})
	t.Cleanup(func() { _ = p.Kill(); reader.Wait(); _ = lifeline.Close() })
	return p
}

// listings is how often it listed the server, and refused how many of these were not kept.
func (p *process) listings() int { return p.count("listed:") }
func (p *process) refused() int  { return p.listings() - p.count("listed: <nil>") }

// count is how many things that it said begin so.
func (p *process) count(begin string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		if strings.HasPrefix(line, begin) {
			n++
		}
	}
	return n
}

// said is all that it said.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// knows is what it said last of the tool.
func (p *process) knows() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.lines) - 1; i >= 0; i-- {
		if known, ok := strings.CutPrefix(p.lines[i], "knows: "); ok {
			return known
		}
	}
	return ""
}

// door serves a fake, and can do something between a listing's answer and its way back.
type door struct {
	fake *fakemcp.Server
	held atomic.Pointer[func()]
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		d.fake.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !bytes.Contains(body, []byte(`"tools/list"`)) {
		d.fake.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	d.fake.ServeHTTP(answer, r)
	if do := d.held.Swap(nil); do != nil {
		(*do)()
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// One replica crawls, the others follow. When it stands still in the middle of a listing another goes on, and what it saw then is not kept when
// it wakes up. When that one is killed the first goes on.
func TestOneReplicaCrawls(t *testing.T) {
	where := services.Postgres(t)
	fake, err := fakemcp.New(fakemcp.Config{Tools: []json.RawMessage{definition("find", "one")}})
	if err != nil {
		t.Fatal(err)
	}
	d := &door{fake: fake}
	url, stop := serve(d)
	t.Cleanup(stop)
	f := &followed{t: t, fake: fake}
	var replicas []*process
	t.Cleanup(func() {
		for _, p := range replicas {
			if t.Failed() {
				t.Logf("a replica said:\n%s", p.said())
			}
		}
	})
	if f.store, err = store.Open(t.Context(), where); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.store.Close() })
	a := startReplica(t, where, url)
	f.until("the first replica crawls", func() bool { return a.knows() == "one, doubt <nil>" })
	b := startReplica(t, where, url)
	replicas = []*process{a, b}
	f.until("the second follows", func() bool { return b.knows() == "one, doubt <nil>" && fake.Stats().Listeners == 2 })
	fake.SetTools([]json.RawMessage{definition("find", "two")})
	f.until("both know the change", func() bool { return a.knows() == "two, doubt <nil>" && b.knows() == "two, doubt <nil>" })
	if b.listings() != 0 {
		t.Errorf("the second replica listed the server %d times, too", b.listings())
	}

	var stopped time.Time
	seen := make(chan struct{})
	pause := func() {
		defer close(seen)
		turns, err := f.store.Turns(t.Context(), nil, lease())
		if err != nil || len(turns) != 1 {
			t.Error(turns, err)
			return
		}
		if strings.HasSuffix(turns[0].Place, fmt.Sprint("process ", b.Pid)) { // the machine was so slow that it has moved
			a, b = b, a
		}
		stopped = time.Now()
		if err := a.Signal(syscall.SIGSTOP); err != nil {
			t.Error(err)
		}
	}
	d.held.Store(&pause)
	fake.SetTools([]json.RawMessage{definition("find", "three")})
	<-seen // the answer with "three" is on its way to a replica that stands still
	fake.SetTools([]json.RawMessage{definition("find", "four")})
	f.until("the second replica crawls", func() bool { return b.knows() == "four, doubt <nil>" })
	t.Logf("the crawler stood still: another knew the next change %s later, with a lease of %s", time.Since(stopped).Round(100*time.Millisecond), lease())
	changes, refused := f.entries("catalog.change"), a.refused()
	if err := a.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// It is not its turn; or, when it stood still in a transaction of another part of it, the database has ended its connection.
	f.until("what the first saw is refused", func() bool { return a.refused() > refused })
	f.until("the first follows", func() bool { return a.knows() == "four, doubt <nil>" })
	if got := f.entries("catalog.change"); got != changes {
		t.Errorf("the record has %d changes more", got-changes)
	}
	if tools, err := f.store.Tools(t.Context()); err != nil || len(tools) != 1 || tools[0].Description != "four" {
		t.Errorf("got %v, %v, want what the second replica saw", tools, err)
	}

	before, killed := a.listings(), time.Now()
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	f.until("the first crawls again", func() bool { return a.listings() > before && a.knows() == "four, doubt <nil>" })
	t.Logf("the crawler was killed: another crawled %s later, with a lease of %s", time.Since(killed).Round(100*time.Millisecond), lease())
	fake.SetTools([]json.RawMessage{definition("find", "five")})
	f.until("it knows the next change", func() bool { return a.knows() == "five, doubt <nil>" })
}

// pair is two replicas in this process, each with a way of its own to the server.
type pair struct {
	followed
	crawlers [2]*crawl.Crawler
	catalogs [2]*catalog.Catalog
	listed   [2]atomic.Int64
}

// newPair starts one after the other; between may be nil.
func newPair(t *testing.T, first, second upstream.Config, embedders [2]catalog.Embedder, between func(*pair)) *pair {
	t.Helper()
	return newPairOn(t, services.Postgres(t), first, second, embedders, between)
}

func newPairOn(t *testing.T, where string, first, second upstream.Config, embedders [2]catalog.Embedder, between func(*pair)) *pair {
	t.Helper()
	p := &pair{followed: followed{t: t}}
	for i, crm := range []upstream.Config{first, second} {
		crawler, cat, s, end, err := beside(t.Context(), where, crm, crawl.Config{Pause: 10 * time.Millisecond, LongestPause: 100 * time.Millisecond,
			Listed: func(_ string, _ time.Duration, err error) {
				if err == nil {
					p.listed[i].Add(1)
				}
			}}, embedders[i])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(end)
		p.crawlers[i], p.catalogs[i], p.store, p.catalog = crawler, cat, s, cat
		if i == 0 {
			p.until("a replica has the turn", func() bool { return crawler.Status()[0].By != "" })
			if between != nil {
				between(p)
			}
		}
	}
	return p
}

func fakeCRM(t *testing.T, description string) (*fakemcp.Server, upstream.Config) {
	t.Helper()
	fake, err := fakemcp.New(fakemcp.Config{Tools: []json.RawMessage{definition("find", description)}})
	if err != nil {
		t.Fatal(err)
	}
	url, stop := serve(fake)
	t.Cleanup(stop)
	return fake, upstream.Config{URL: url}
}

// A change that the server tells only to a replica that does not crawl it is listed by the one that does.
func TestAnnouncementToAnotherReplica(t *testing.T) {
	first, one := fakeCRM(t, "harmless")
	second, two := fakeCRM(t, "harmless")
	p := newPair(t, one, two, [2]catalog.Embedder{}, nil)
	p.until("both know the server", func() bool {
		return p.crawlers[0].Listed("crm") == nil && p.crawlers[1].Listed("crm") == nil && second.Stats().Listeners == 1
	})
	for range 3 {
		lists := first.Stats().Lists
		second.Announce()
		p.until("it is listed by the one that crawls", func() bool { return first.Stats().Lists > lists && p.crawlers[1].Listed("crm") == nil })
	}
	if n := p.listed[1].Load(); n != 0 || second.Stats().Lists != 0 {
		t.Errorf("the other replica listed it %d times", n)
	}
	first.RefuseLists(true)
	second.RefuseLists(true)
	second.Announce()
	p.until("nobody can list it, so nothing is called", func() bool { return p.crawlers[0].Listed("crm") != nil && p.crawlers[1].Listed("crm") != nil })
	second.RefuseLists(false)
	p.until("the other takes over", func() bool { return p.crawlers[0].Listed("crm") == nil && p.crawlers[1].Listed("crm") == nil })
}

// A server that the replica whose turn it is cannot list is crawled by one that can, and the page says by which.
func TestReplicaThatCannotListHandsOver(t *testing.T) {
	first, one := fakeCRM(t, "harmless")
	second, two := fakeCRM(t, "harmless")
	first.RefuseLists(true)
	p := newPair(t, one, two, [2]catalog.Embedder{}, nil)
	p.until("the other lists it", func() bool { return p.listed[1].Load() > 0 && p.crawlers[0].Listed("crm") == nil })
	p.until("the other replica's page says so", func() bool {
		st := p.crawlers[0].Status()[0]
		return st.Err == "" && st.Tools == 1 && !st.LastCrawl.IsZero() && strings.Contains(st.By, fmt.Sprintf("process %d", os.Getpid()))
	})
	first.RefuseLists(false)
	second.RefuseLists(true)
	if err := p.crawlers[0].Recrawl(t.Context(), "crm"); err != nil || p.listed[0].Load() != 1 {
		t.Errorf("a person had it listed from here: %v, %d listings", err, p.listed[0].Load())
	}
}

// A replica whose own process of a server is another version calls nothing there, and freezes what was approved. What the other saw stays.
func TestOwnProcessOfAnotherVersion(t *testing.T) {
	child := func(description string) upstream.Config {
		return upstream.Config{Command: os.Args[0], Env: fakemcp.Env(fakemcp.Config{Tools: []json.RawMessage{definition("find", description)}})}
	}
	var pin persona.Pin
	p := newPair(t, child("harmless"), child("poisoned"), [2]catalog.Embedder{}, func(p *pair) {
		p.until("the first knows the server", func() bool { _, ok := p.catalog.Tool("crm/find"); return ok && p.crawlers[0].Listed("crm") == nil })
		pin = p.pin()
	})
	p.until("it is told why", func() bool {
		err := p.crawlers[1].Listed("crm")
		return err != nil && strings.Contains(err.Error(), "does not offer find") && strings.Contains(p.crawlers[1].Status()[0].Err, "does not offer find")
	})
	p.until("what was approved is frozen", func() bool {
		_, frozen, err := p.store.Frozen(t.Context(), "support", 1, pin)
		return frozen && err == nil
	})
	if tools, err := p.store.Tools(t.Context()); err != nil || len(tools) != 1 || tools[0].Description != "harmless" || p.crawlers[0].Listed("crm") != nil {
		t.Errorf("got %v, %v", tools, err)
	}
	p.until("the record says so, once", func() bool { return p.entries("catalog.unsteady") == 1 })
}

// Drift that a replica finds in a process of its own, and that cannot be frozen now, is frozen as soon as it can be; meanwhile nothing of the
// server is called there.
func TestOwnDriftIsFrozenLater(t *testing.T) {
	child := func(description string) upstream.Config {
		return upstream.Config{Command: os.Args[0], Env: fakemcp.Env(fakemcp.Config{Tools: []json.RawMessage{definition("find", description)}})}
	}
	where := services.Postgres(t)
	db, err := sql.Open("pgx", where)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do := func(statement string) {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	var pin persona.Pin
	p := newPairOn(t, where, child("harmless"), child("poisoned"), [2]catalog.Embedder{}, func(p *pair) {
		p.until("the first knows the server", func() bool { _, ok := p.catalog.Tool("crm/find"); return ok && p.crawlers[0].Listed("crm") == nil })
		pin = p.pin()
		do("create function no() returns trigger language plpgsql as $$ begin raise exception 'nothing freezes today'; end $$")
		do("create trigger no before insert on frozen for each row execute function no()")
	})
	p.until("it fails, and nothing is called meanwhile", func() bool {
		err := p.crawlers[1].Listed("crm")
		return err != nil && strings.Contains(err.Error(), "nothing freezes today")
	})
	if _, frozen, err := p.store.Frozen(t.Context(), "support", 1, pin); frozen || err != nil {
		t.Fatalf("got frozen %v, %v", frozen, err)
	}
	do("drop trigger no on frozen")
	p.until("what was approved is frozen", func() bool {
		_, frozen, err := p.store.Frozen(t.Context(), "support", 1, pin)
		return frozen && err == nil
	})
	p.until("and the failure is over", func() bool {
		err := p.crawlers[1].Listed("crm")
		return err != nil && strings.Contains(err.Error(), "does not offer find")
	})
	if n := p.entries("catalog.unsteady"); n != 1 {
		t.Errorf("got %d entries, want 1", n)
	}
}

// What one replica embedded the others load, and forget when it is of no use any more.
func TestVectorsAreComputedOnce(t *testing.T) {
	fake, crm := fakeCRM(t, "Finds a customer by name")
	a, b := &tally{}, &tally{}
	p := newPair(t, crm, crm, [2]catalog.Embedder{a, b}, nil)
	found := func(description string) func() bool {
		return func() bool {
			for _, cat := range p.catalogs {
				tool, _ := cat.Tool("crm/find")
				got, err := cat.Search(t.Context(), "find", 5)
				if err != nil || tool.Description != description || len(got.Matches) != 1 || got.Degraded != "" {
					return false
				}
			}
			return true
		}
	}
	p.until("both search by meaning", found("Finds a customer by name"))
	fake.SetTools([]json.RawMessage{definition("find", "Finds an invoice by number")})
	p.until("both search what changed by meaning", found("Finds an invoice by number"))
	if got := []int64{a.texts.Load(), b.texts.Load()}; got[0]+got[1] != 2 {
		t.Errorf("the replicas embedded %d texts, want 2 in all", got)
	}
	p.until("what is not used is deleted", func() bool {
		kept, err := p.store.Vectors(t.Context(), a.Model())
		return err == nil && len(kept) == 1
	})
}

// tally counts the texts of tools that it embeds.
type tally struct {
	counting
	texts atomic.Int64
}

func (c *tally) EmbedQueries(_ context.Context, texts []string) ([][]float32, error) {
	return (&counting{}).Embed(context.Background(), texts)
}

func (c *tally) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	c.texts.Add(int64(len(texts)))
	return c.EmbedQueries(ctx, texts)
}
