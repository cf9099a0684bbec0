package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"remit/internal/fakemcp"
	"remit/internal/strictjson"
)

func TestFaultyListsFail(t *testing.T) {
	for _, test := range []struct {
		name   string
		faults fakemcp.Faults
		want   error
	}{
		{"cursor loop", fakemcp.Faults{CursorLoop: true}, ErrEndless},
		{"endless pages", fakemcp.Faults{EndlessPages: true}, ErrEndless},
		{"no list", fakemcp.Faults{BadList: true}, ErrInvalid},
		{"huge description", fakemcp.Faults{HugeDescription: 10 << 20}, ErrTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, k := range []kind{kinds[1], kinds[4]} {
				t.Run(k.name, func(t *testing.T) {
					if !k.http && test.faults.HugeDescription > 0 {
						test.faults.HugeDescription = 2 << 20
					}
					c := k.reach(t, fakemcp.Config{Faults: test.faults})
					c.MaxMessage, c.MaxPages = 1<<20, 20
					s := one(t, c)
					if _, err := s.List(within(t)); !errors.Is(err, test.want) {
						t.Errorf("got %v, want %v", err, test.want)
					}
					if _, err := s.Call(within(t), Call{Tool: "echo"}); err != nil {
						t.Errorf("the server cannot be called any more: %v", err)
					}
				})
			}
		})
	}
}

func TestTooManyToolsFail(t *testing.T) {
	c := overHTTP(t, "many", fakemcp.Config{})
	c.MaxTools = 3
	if _, err := one(t, c).List(within(t)); !errors.Is(err, ErrEndless) {
		t.Errorf("got %v, want endless", err)
	}
}

func TestDuplicateNamesAreGivenAsReceived(t *testing.T) {
	s := one(t, overHTTP(t, "double", fakemcp.Config{Tools: []json.RawMessage{json.RawMessage(`{"name":"a"}`)}, Faults: fakemcp.Faults{DuplicateNames: true}}))
	got, err := s.List(within(t))
	if err != nil || len(got.Tools) != 2 {
		t.Errorf("got %d tools, %v; want both", len(got.Tools), err)
	}
}

func TestWrongIDNeverAnswersACall(t *testing.T) {
	for _, k := range []kind{kinds[0], kinds[3], kinds[6]} {
		t.Run(k.name, func(t *testing.T) {
			c := k.reach(t, fakemcp.Config{Faults: fakemcp.Faults{WrongID: true}})
			c.CallTimeout = 300 * time.Millisecond
			s := one(t, c)
			until(t, s, "ready", isReady)
			got, err := s.Call(within(t), Call{Tool: "echo"})
			if !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %s, %v; want an error", got, err)
			}
			if s.Health().Skipped == 0 {
				t.Error("the stray answer was not counted")
			}
		})
	}
}

func TestGarbageFailsThatCallOnly(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := k.reach(t, fakemcp.Config{})
		c.CallTimeout = time.Second
		s := one(t, c)
		until(t, s, "ready", isReady)
		_, err := s.Call(within(t), Call{Tool: "garbage"})
		if err == nil || strings.ContainsAny(err.Error(), "\x1b<") {
			t.Errorf("got %v, want an error without the server's text", err)
		}
		if _, err := s.Call(within(t), Call{Tool: "echo"}); err != nil {
			t.Error(err)
		}
	})
}

func TestJunkOnStdoutIsSkippedAndCounted(t *testing.T) {
	s := one(t, overStdio("junk", fakemcp.Config{Faults: fakemcp.Faults{JunkLines: 50}}))
	if _, err := s.List(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := s.Health().Skipped; got < 100 {
		t.Errorf("got %d skipped lines, want at least 100", got)
	}
}

func TestOldServersThatDislikeTheProbe(t *testing.T) {
	for name, faults := range map[string]fakemcp.Faults{"ignores it": {IgnoreUnknown: true}, "ends on it": {DieOnDiscover: true}} {
		t.Run(name, func(t *testing.T) {
			c := overStdio("old", fakemcp.Config{Era: "2025-06-18", Faults: faults})
			c.ConnectTimeout = 4 * time.Second
			s := one(t, c)
			if _, err := s.List(within(t)); err != nil {
				t.Fatal(err)
			}
			if got := s.Health().Protocol; got != "2025-06-18" {
				t.Errorf("got protocol %s", got)
			}
		})
	}
}

func TestSlowStartOfANewServer(t *testing.T) {
	c := overStdio("slow", fakemcp.Config{Era: fakemcp.Modern, Faults: fakemcp.Faults{StartDelay: 600 * time.Millisecond}})
	c.ConnectTimeout = 2 * time.Second
	s := one(t, c)
	h := until(t, s, "ready", isReady)
	if h.Protocol != fakemcp.Modern {
		t.Errorf("got protocol %s", h.Protocol)
	}
}

func TestHandshakeThatHangs(t *testing.T) {
	for _, k := range []kind{kinds[1], kinds[3]} {
		c := k.reach(t, fakemcp.Config{Faults: fakemcp.Faults{HangAtHandshake: true}})
		c.ConnectTimeout = 300 * time.Millisecond
		h := until(t, one(t, c), "unwell", func(h Health) bool { return h.State == Unwell && h.Restarts > 0 })
		if !strings.Contains(h.Err, "handshake") {
			t.Errorf("%s: got %q", k.name, h.Err)
		}
	}
}

func TestServerThatEndsAtTheStart(t *testing.T) {
	s := one(t, overStdio("dead", fakemcp.Config{Faults: fakemcp.Faults{ExitAtStart: true}}))
	h := until(t, s, "unwell", func(h Health) bool { return h.State == Unwell && h.Restarts > 1 })
	if len(h.LastStderr) != 1 || h.LastStderr[0] != "fakemcp: told to exit at the start" {
		t.Errorf("got %q", h.LastStderr)
	}
	c := overStdio("short", fakemcp.Config{Faults: fakemcp.Faults{ExitAtStart: true}})
	c.ListTimeout = 200 * time.Millisecond
	if _, err := one(t, c).List(within(t)); !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v, want unavailable", err)
	}
}

func TestDeathDuringACallFailsItAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		s := one(t, k.reach(t, fakemcp.Config{}))
		first := until(t, s, "ready", isReady)
		other := make(chan error, 1)
		if !k.http {
			go func() {
				_, err := s.Call(within(t), Call{Tool: "slow"})
				other <- err
			}()
			waitFor(t, "the other call arrives", func() bool { return statsOf(t, s).ByTool["slow"] == 1 })
		}
		if _, err := s.Call(within(t), Call{Tool: "die"}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v, want unavailable", err)
		}
		if !k.http {
			if err := <-other; !errors.Is(err, ErrUnavailable) {
				t.Errorf("the other call: got %v, want unavailable", err)
			}
		}
		waitFor(t, "it can be called again", func() bool {
			_, err := s.Call(within(t), Call{Tool: "echo"})
			return err == nil
		})
		if again := s.Health(); !k.http && (again.PID == first.PID || again.Restarts == 0) {
			t.Errorf("got process %d again after %d restarts", again.PID, again.Restarts)
		}
	})
}

func TestSessionThatEnds(t *testing.T) {
	c, fake := serveHTTP(t, "session", fakemcp.Config{Era: fakemcp.Legacy})
	s := one(t, c)
	until(t, s, "ready", isReady)
	fake.EndSessions()
	if _, err := s.List(within(t)); err != nil {
		t.Errorf("list: got %v, want a second try", err)
	}
	fake.EndSessions()
	calls := fake.Stats().Calls
	if _, err := s.Call(within(t), Call{Tool: "echo"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("call: got %v, want unavailable", err)
	}
	if got := fake.Stats().Calls; got != calls {
		t.Errorf("the call was carried out %d times", got-calls)
	}
	waitFor(t, "it can be called again", func() bool {
		_, err := s.Call(within(t), Call{Tool: "echo"})
		return err == nil
	})
}

func TestSecretsStayInside(t *testing.T) {
	const canary = "canary-5f2c9a71"
	elsewhere, _ := serveHTTP(t, "elsewhere", fakemcp.Config{})
	for name, f := range map[string]fakemcp.Config{
		"echoed in an error":  {Faults: fakemcp.Faults{EchoHeaders: true}},
		"status 500":          {Faults: fakemcp.Faults{Status: 500}},
		"status 403":          {Faults: fakemcp.Faults{Status: 403}},
		"status 404":          {Faults: fakemcp.Faults{Status: 404}},
		"refused":             {Require: map[string]string{"Authorization": "other"}},
		"sent somewhere else": {Faults: fakemcp.Faults{RedirectTo: elsewhere.URL}},
	} {
		t.Run(name, func(t *testing.T) {
			c, fake := serveHTTP(t, "secret", f)
			c.URL += "?key=" + canary + "-query"
			c.Headers = map[string]string{"Authorization": "Bearer " + canary}
			c.ListTimeout = 300 * time.Millisecond
			s := one(t, c)
			_, listErr := s.List(within(t))
			_, callErr := s.Call(within(t), Call{Tool: "error"})
			if listErr == nil && callErr == nil {
				t.Fatal("nothing failed")
			}
			for _, text := range []string{fmt.Sprint(listErr), fmt.Sprintf("%v %+v", callErr, callErr), fmt.Sprintf("%+v", s.Health())} {
				if strings.Contains(text, canary) {
					t.Errorf("a secret shows in %s", text)
				}
			}
			if fake.Stats().Header.Get("Authorization") != "Bearer "+canary {
				t.Error("the header did not reach its server")
			}
		})
	}
}

func TestRedirectsAreNotFollowedElsewhere(t *testing.T) {
	elsewhere, fake := serveHTTP(t, "elsewhere", fakemcp.Config{})
	c := overHTTP(t, "redirect", fakemcp.Config{Faults: fakemcp.Faults{RedirectTo: elsewhere.URL}})
	h := until(t, one(t, c), "unwell", func(h Health) bool { return h.State == Unwell })
	if !strings.Contains(h.Err, "redirect") {
		t.Errorf("got %q", h.Err)
	}
	if got := fake.Stats().Header; got != nil {
		t.Errorf("the other host was asked: %v", got)
	}
}

// A call that is answered with a redirect was sent once: only 307 and 308 say that the server has done nothing with it, and then it
// is sent where it belongs.
func TestRedirectedCallIsSentOnce(t *testing.T) {
	for status, want := range map[int]map[string]int{301: {"/mcp": 1}, 302: {"/mcp": 1}, 303: {"/mcp": 1},
		307: {"/mcp": 1, "/moved": 1}, 308: {"/mcp": 1, "/moved": 1}} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			fake, err := fakemcp.New(fakemcp.Config{})
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			got := map[string]int{}
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if bytes.Contains(body, []byte(`"tools/call"`)) {
					mu.Lock()
					got[r.URL.Path]++
					mu.Unlock()
					if r.URL.Path == "/mcp" {
						http.Redirect(w, r, "/moved", status)
						return
					}
				}
				fake.ServeHTTP(w, r)
			}))
			t.Cleanup(func() {
				web.CloseClientConnections()
				web.Close()
			})
			s := one(t, Config{Name: "moves", URL: web.URL + "/mcp"})
			until(t, s, "ready", isReady)
			_, err = s.Call(within(t), Call{Tool: "echo", Arguments: strictjson.Unread(`{"text":"a"}`)})
			if moved := want["/moved"] > 0; moved != (err == nil) || !moved && !strings.Contains(err.Error(), "redirects") {
				t.Errorf("got %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if !maps.Equal(want, got) {
				t.Errorf("calls by address: got %v, want %v", got, want)
			}
		})
	}
}

func TestParametersTravelInHeaders(t *testing.T) {
	tool := json.RawMessage(`{"name":"sql","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}`)
	bad := json.RawMessage(`{"name":"bad","inputSchema":{"type":"object","properties":{"n":{"type":"number","x-mcp-header":"N"}}}}`)
	c, fake := serveHTTP(t, "params", fakemcp.Config{Era: fakemcp.Modern, Tools: []json.RawMessage{tool, bad}})
	s := one(t, c)
	listing, err := s.List(within(t))
	if err != nil || len(listing.Tools) != 1 {
		t.Fatalf("got %d tools, %v; want the valid one", len(listing.Tools), err)
	}
	if _, err := s.Call(within(t), Call{Tool: "sql", Arguments: strictjson.Unread(`{"region":"eu"}`)}); err != nil {
		t.Fatal(err)
	}
	if header := fake.Stats().CallHeader; header.Get("Mcp-Param-Region") != "eu" {
		t.Errorf("got headers %v", header)
	}
}
