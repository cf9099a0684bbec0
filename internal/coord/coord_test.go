package coord_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"remit/internal/coord"
	"remit/internal/services"
	"remit/policy"
	"remit/store"
)

// kind is a place where replicas count, with how to start it for one test.
type kind struct {
	name  string
	start func() (*services.Server, error)
	open  func(t *testing.T, url string) policy.Place
}

var kinds = []kind{
	{"redis", services.NewRedis, func(t *testing.T, url string) policy.Place {
		r, err := coord.NewRedis(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return r
	}},
	{"postgres", services.NewPostgres, func(t *testing.T, url string) policy.Place {
		s, err := store.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return store.Limits{Store: s}
	}},
}

// record is what the replicas recorded.
type record struct {
	mu    sync.Mutex
	begun []time.Time
	err   error
}

func (r *record) add(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = append(r.begun, at)
}

func (r *record) Begun(_ context.Context, _ policy.Subject, since time.Time, most int) (out []time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.begun {
		if t.After(since) && len(out) < most {
			out = append(out, t)
		}
	}
	return out, r.err
}

func compiled(t *testing.T, p policy.Policy) *policy.Compiled {
	t.Helper()
	c, err := p.Compile([]byte(`{"type":"object"}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	ann       = policy.Subject{Persona: "ops", Key: "ann", Tool: "mail/send"}
	unlimited = policy.Policy{}
	ten       = policy.Policy{Limits: []policy.Limit{{Calls: 10, Per: policy.Hour}}}
)

// each runs check on both places, with three replicas that share a record.
func each(t *testing.T, check func(t *testing.T, server *services.Server, past *record, replicas []*policy.Shared)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			server, err := k.start()
			if err != nil {
				t.Fatal(err)
			}
			past := &record{}
			var replicas []*policy.Shared
			for range 3 {
				replicas = append(replicas, &policy.Shared{Place: k.open(t, server.URL), History: past, Longest: time.Hour})
			}
			check(t, server, past, replicas)
		})
	}
}

// burst is many calls on all replicas at once; it returns how many began, with their ends.
func burst(t *testing.T, replicas []*policy.Shared, p *policy.Compiled, past *record) (ends []func()) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 48 {
		all.Go(func() {
			now := time.Now()
			end, refused := replicas[i%len(replicas)].Take(t.Context(), ann, p, now)
			switch {
			case refused == nil:
				past.add(now)
				mu.Lock()
				ends = append(ends, end)
				mu.Unlock()
			case refused.Err != nil:
				t.Error(refused.Err)
			case refused.Rule == "limits" && (refused.Retry <= 0 || refused.Retry > time.Hour):
				t.Errorf("got a retry after %s", refused.Retry)
			}
		})
	}
	all.Wait()
	return ends
}

// Limits are exact over all replicas: from the first call on, with those that the record has of before.
func TestLimitsAcrossReplicas(t *testing.T) {
	each(t, func(t *testing.T, _ *services.Server, past *record, replicas []*policy.Shared) {
		past.add(time.Now().Add(-time.Minute))
		past.add(time.Now().Add(-2 * time.Hour)) // too old to count
		if got := len(burst(t, replicas, compiled(t, ten), past)); got != 9 {
			t.Errorf("%d calls began, want 9: one had begun before", got)
		}
		second := compiled(t, policy.Policy{Limits: []policy.Limit{{Calls: 1, Per: policy.Second}}})
		other := ann
		other.Persona = "sales"
		for range 2 { // the window slides
			eventually(t, func() bool {
				_, refused := replicas[0].Take(t.Context(), other, second, time.Now())
				return refused == nil
			})
		}
		key := compiled(t, unlimited).With([]policy.Limit{{Calls: 1, Per: policy.Hour}})
		past.err = nil
		third := policy.Subject{Persona: "third", Key: "zoe", Tool: "mail/read"}
		past.begun = nil
		if _, refused := replicas[0].Take(t.Context(), third, key, time.Now()); refused != nil {
			t.Errorf("a key's first call: %+v", refused)
		}
		third.Tool = "mail/send"
		if _, refused := replicas[1].Take(t.Context(), third, key, time.Now()); refused == nil || refused.Rule != "key" {
			t.Errorf("a key's second call, of another tool: got %+v", refused)
		}
	})
}

// So is how many run at once. A call whose replica died ends with the longest time that a call takes.
func TestRunningAcrossReplicas(t *testing.T) {
	each(t, func(t *testing.T, _ *services.Server, past *record, replicas []*policy.Shared) {
		three := compiled(t, policy.Policy{Concurrent: 3})
		ends := burst(t, replicas, three, past)
		if len(ends) != 3 {
			t.Fatalf("%d calls run, want 3", len(ends))
		}
		ends[0]()
		ends[0]()
		if got := len(burst(t, replicas, three, past)); got != 1 {
			t.Errorf("%d more began after one had ended, want 1", got)
		}
		one := compiled(t, policy.Policy{Concurrent: 1})
		other := policy.Subject{Persona: "sales", Tool: "mail/send"}
		replicas[0].Longest = time.Second
		if _, refused := replicas[0].Take(t.Context(), other, one, time.Now()); refused != nil {
			t.Fatal(refused)
		}
		eventually(t, func() bool {
			_, refused := replicas[1].Take(t.Context(), other, one, time.Now())
			return refused == nil
		})
	})
}

// What the place lost is loaded again from the record; while it is away, calls that something limits are refused, and others go on.
func TestPlaceGoesAway(t *testing.T) {
	each(t, func(t *testing.T, server *services.Server, past *record, replicas []*policy.Shared) {
		p := compiled(t, policy.Policy{Limits: []policy.Limit{{Calls: 10, Per: policy.Hour}}, Concurrent: 100})
		if got := len(burst(t, replicas, p, past)); got != 10 {
			t.Fatalf("%d calls began, want 10", got)
		}
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		if _, refused := replicas[0].Take(t.Context(), ann, p, time.Now()); refused == nil || refused.Err == nil {
			t.Errorf("got %+v, want a refusal because nobody counts", refused)
		}
		if _, refused := replicas[0].Take(t.Context(), policy.Subject{Persona: "ops", Tool: "mail/read"}, compiled(t, unlimited), time.Now()); refused != nil {
			t.Errorf("a call that nothing limits: got %+v", refused)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		var began atomic.Int64
		eventually(t, func() bool {
			_, refused := replicas[1].Take(t.Context(), ann, p, time.Now())
			if refused == nil {
				began.Add(1)
			}
			return refused == nil || refused.Err == nil
		})
		if n := began.Load(); n > 0 {
			t.Errorf("after the restart %d more began than the limit allows", n)
		}
		other := ann
		other.Persona = "sales"
		past.mu.Lock()
		past.err = errors.New("no record")
		past.mu.Unlock()
		if _, refused := replicas[0].Take(t.Context(), other, p, time.Now()); refused == nil || refused.Err == nil {
			t.Errorf("without the record: got %+v, want a refusal", refused)
		}
	})
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}

// An address that is none is told at the start, without its password.
func TestAddress(t *testing.T) {
	for _, url := range []string{"", "localhost", "http://h:hunter2@x", "redis://h:hunter2@x:y"} {
		if _, err := coord.NewRedis(url); err == nil || len(err.Error()) < 20 || errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

// A Redis that may forget counts is found out.
func TestRedisThatEvicts(t *testing.T) {
	server, err := services.NewRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	r, err := coord.NewRedis(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	o, err := redis.ParseURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	admin := redis.NewClient(o)
	defer admin.Close()
	if err := admin.ConfigSet(t.Context(), "maxmemory-policy", "volatile-lru").Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Ping(t.Context()); !errors.Is(err, coord.ErrEvicts) {
		t.Errorf("got %v, want %v", err, coord.ErrEvicts)
	}
}
