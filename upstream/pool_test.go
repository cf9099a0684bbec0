package upstream

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"remit/internal/fakemcp"
	"remit/internal/strictjson"
)

func TestMain(m *testing.M) {
	fakemcp.RunIfAsked()
	goleak.VerifyTestMain(m)
}

// kind is a way to reach a fake: a transport and an era.
type kind struct {
	name string
	http bool
	sse  bool
	era  string
}

var kinds = []kind{
	{"stdio modern", false, false, fakemcp.Modern},
	{"stdio legacy", false, false, fakemcp.Legacy},
	{"stdio both", false, false, fakemcp.Both},
	{"http modern", true, false, fakemcp.Modern},
	{"http modern sse", true, true, fakemcp.Modern},
	{"http legacy", true, false, fakemcp.Legacy},
	{"http legacy sse", true, true, "2025-03-26"},
}

// eachKind runs a test against a fake of each kind.
func eachKind(t *testing.T, test func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

// reach is the configuration for a fake of kind k.
func (k kind) reach(t *testing.T, f fakemcp.Config) Config {
	t.Helper()
	f.Era, f.SSE = k.era, k.sse
	if k.http {
		return overHTTP(t, "fake", f)
	}
	return overStdio("fake", f)
}

func overStdio(name string, f fakemcp.Config) Config {
	return Config{Name: name, Command: os.Args[0], Env: fakemcp.Env(f)}
}

func overHTTP(t *testing.T, name string, f fakemcp.Config) Config {
	t.Helper()
	c, _ := serveHTTP(t, name, f)
	return c
}

// serveHTTP also gives the fake itself.
func serveHTTP(t *testing.T, name string, f fakemcp.Config) (Config, *fakemcp.Server) {
	t.Helper()
	s, err := fakemcp.New(f)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
	})
	return Config{Name: name, URL: web.URL + "/mcp"}, s
}

// start starts a pool, with short pauses between attempts.
func start(t testing.TB, configs ...Config) *Pool {
	t.Helper()
	p, err := NewPool(configs, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.servers {
		s.retryFrom, s.retryTo = 20*time.Millisecond, 200*time.Millisecond
	}
	p.Start(t.Context())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

// one starts a pool of one server.
func one(t testing.TB, c Config) *Server {
	t.Helper()
	return start(t, c).servers[c.Name]
}

// within is a context that no test should need to the end.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// until waits for a condition on the server's health.
func until(t testing.TB, s *Server, what string, is func(Health) bool) Health {
	t.Helper()
	var h Health
	waitFor(t, what, func() bool { h = s.Health(); return is(h) })
	return h
}

func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func isReady(h Health) bool { return h.State == Ready }

// statsOf asks a fake what it has seen.
func statsOf(t *testing.T, s *Server) fakemcp.Stats {
	t.Helper()
	raw, err := s.Call(within(t), Call{Tool: "stats"})
	if err != nil {
		t.Fatal(err)
	}
	var result struct{ StructuredContent fakemcp.Stats }
	if err := json.Unmarshal(raw.Text, &result); err != nil {
		t.Fatal(err)
	}
	return result.StructuredContent
}

func textOf(t *testing.T, raw strictjson.Value) string {
	t.Helper()
	var result struct{ Content []struct{ Text string } }
	if err := json.Unmarshal(raw.Text, &result); err != nil || len(result.Content) == 0 {
		t.Fatalf("no text in %.200s (%v)", raw, err)
	}
	return result.Content[0].Text
}

func TestNewPoolRefusesWhatIsNotValid(t *testing.T) {
	for _, test := range []struct {
		name    string
		configs []Config
		want    string
	}{
		{"no name", []Config{{Command: "x"}}, "name"},
		{"upper case", []Config{{Name: "GitHub", Command: "x"}}, "name"},
		{"twice", []Config{{Name: "a", Command: "x"}, {Name: "a", Command: "y"}}, "two servers are named a"},
		{"neither", []Config{{Name: "a"}}, "either"},
		{"both", []Config{{Name: "a", Command: "x", URL: "http://x"}}, "either"},
		{"other scheme", []Config{{Name: "a", URL: "file:///etc"}}, "https://"},
		{"password in url", []Config{{Name: "a", URL: "https://me:canary@x"}}, "Authorization"},
		{"header with line break", []Config{{Name: "a", URL: "https://x", Headers: map[string]string{"A": "canary\r\nB: c"}}}, "line breaks"},
		{"protocol header", []Config{{Name: "a", URL: "https://x", Headers: map[string]string{"mcp-session-id": "canary"}}}, "belongs to the protocol"},
		{"env for url", []Config{{Name: "a", URL: "https://x", Env: map[string]string{"A": "canary"}}}, "env"},
		{"bad env", []Config{{Name: "a", Command: "x", Env: map[string]string{"A=B": "canary"}}}, "not valid"},
		{"negative", []Config{{Name: "a", Command: "x", MaxTools: -1}}, "negative"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewPool(test.configs, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

func TestServersAreSortedAndIndependent(t *testing.T) {
	p := start(t, overHTTP(t, "b", fakemcp.Config{}), overStdio("a", fakemcp.Config{}),
		overStdio("dead", fakemcp.Config{Faults: fakemcp.Faults{ExitAtStart: true}}),
		overStdio("hang", fakemcp.Config{Faults: fakemcp.Faults{HangAtHandshake: true}}),
		Config{Name: "missing", Command: "/no/such/program"},
		Config{Name: "refused", URL: "http://127.0.0.1:1/mcp"})
	var got []string
	for _, s := range p.Servers() {
		got = append(got, s.Name())
	}
	if want := "a b dead hang missing refused"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for _, name := range []string{"a", "b"} {
		s, _ := p.Server(name)
		if _, err := s.List(within(t)); err != nil {
			t.Error(err)
		}
		if _, err := s.Call(within(t), Call{Tool: "echo"}); err != nil {
			t.Error(err)
		}
	}
	if _, ok := p.Server("c"); ok {
		t.Error("got a server that was not configured")
	}
}
