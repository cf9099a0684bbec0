package credential_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"remit/audit"
	"remit/credential"
	"remit/identity"
	"remit/internal/fakeoauth"
	"remit/upstream"
)

// refused checks that a call was not made because there is no account for it.
func (w *world) refused(name, key, why string) {
	w.t.Helper()
	calls := w.fake.Stats().Calls
	got, err := w.call(name, key)
	if !errors.Is(err, upstream.ErrNotConnected) || !strings.Contains(err.Error(), why) {
		w.t.Errorf("a call for %s: got %q, %v; want it refused because %q", name, got, err, why)
	}
	if w.fake.Stats().Calls != calls {
		w.t.Errorf("a call for %s that was refused reached the server", name)
	}
}

// Each person's calls carry their own token, after they connected and for the keys that they allowed, and no others.
func TestEachUserHasTheirOwnToken(t *testing.T) {
	w := newWorld(t, personal)
	w.refused("ada", w.keys["ada"], "has not connected")
	w.connect("ada")
	w.wants("ada", "ada@crm")
	w.refused("bob", w.keys["bob"], "has not connected")
	w.connect("bob")
	w.wants("bob", "bob@crm")
	w.wants("ada", "ada@crm")

	other := w.key("ada") // somebody else issued it in ada's name
	w.refused("ada", other, "has not allowed the key")
	w.refused("ada", w.keys["bob"], "has not allowed the key")
	w.refused("Ada", w.keys["ada"], "there is no person")
	w.refused("", w.keys["ada"], "made for nobody")
	w.refused("ada", "", "made for nobody")

	must(t, w.own.Allow(t.Context(), person("ada"), "crm", []string{other}))
	if got, err := w.call("ada", other); err != nil || got != "ada@crm" {
		t.Errorf("an allowed key: got %q, %v", got, err)
	}
	w.refused("ada", w.keys["ada"], "has not allowed the key")
	if err := w.own.Allow(t.Context(), person("ada"), "crm", []string{w.keys["bob"]}); !errors.Is(err, identity.ErrInvalid) {
		t.Errorf("allowing another person's key: got %v", err)
	}

	must(t, w.people.SetDisabled(t.Context(), identity.Operator(), "bob", true))
	w.refused("bob", w.keys["bob"], "bob may not sign in any more")

	problem, err := w.own.Disconnect(t.Context(), person("ada"), "crm")
	if err != nil || problem != nil {
		t.Fatalf("disconnecting: got %v, %v", problem, err)
	}
	w.refused("ada", other, "has not connected")
	if n := w.provider.Seen("/revoke"); n != 1 {
		t.Errorf("got %d revocations, want 1", n)
	}
	for _, token := range w.provider.Tokens() {
		if _, err := w.call("ada", other); err == nil {
			t.Errorf("token %s is used after all", token)
		}
	}
	if mixed := w.resource.Mixed(); mixed != nil {
		t.Errorf("sessions were shared: %v", mixed)
	}
}

// Attack: the same agent calls for two users at once, over and over, while their tokens are renewed and sessions end. No
// call, and no session, ever carries the other's token.
func TestTwoUsersAtOnce(t *testing.T) {
	w := newWorld(t, personal)
	w.connect("ada")
	w.connect("bob")
	var group sync.WaitGroup
	for i := range 8 {
		name := []string{"ada", "bob"}[i%2]
		group.Go(func() {
			for n := range 25 {
				got, err := w.call(name, w.keys[name])
				if err != nil && !strings.Contains(err.Error(), "session") {
					t.Errorf("call %d for %s: %v", n, name, err)
				}
				if err == nil && got != name+"@crm" {
					t.Errorf("call %d for %s came as %s", n, name, got)
				}
				switch {
				case n == 8 && i == 0:
					w.later(10 * time.Minute)
					w.provider.Forget()
				case n == 16 && i < 2:
					w.fake.EndSessions()
				}
			}
		})
	}
	group.Wait()
	if mixed := w.resource.Mixed(); mixed != nil {
		t.Errorf("sessions were shared: %v", mixed)
	}
}

// Attack: somebody with the database file gives bob's row to ada, in every way that rows can be moved. It does not open.
func TestSwappedRows(t *testing.T) {
	w := newWorld(t, personal)
	w.connect("ada")
	w.connect("bob")
	db, err := sql.Open("sqlite", w.file()+"?_pragma=busy_timeout(60000)")
	must(t, err)
	defer db.Close()
	for _, move := range []string{
		"update sealed set body = (select body from sealed where kind = 'connection' and owner = 'bob') where kind = 'connection' and owner = 'ada'",
		"delete from sealed where owner = 'ada'; update sealed set owner = 'ada' where owner = 'bob'",
		"update sealed set body = zeroblob(60) where owner = 'ada'",
		"update sealed set body = x'01' where owner = 'ada'",
	} {
		_, err := db.Exec(move)
		must(t, err)
		w.refused("ada", w.keys["ada"], "does not open")
	}
	shown, err := w.own.Of(t.Context(), person("ada"))
	if err != nil || shown[0].State != credential.Damaged {
		t.Errorf("got %+v, %v, want it shown as damaged", shown, err)
	}
	w.connect("ada")
	w.wants("ada", "ada@crm")
}

func (w *world) file() string { return filepath.Join(filepath.Dir(w.vault.Keys.File), "remit.db") }

// Attack: the ways to finish what somebody else began, or what was begun otherwise. Each answer is good once, in the session
// that began, for the person and the server that it was begun for, within ten minutes, from the server that was asked.
func TestStolenAnswers(t *testing.T) {
	for name, attack := range map[string]func(w *world, answer url.Values) error{
		"another person": func(w *world, answer url.Values) error {
			return w.own.Finish(w.t.Context(), person("bob"), "session of ada", "crm", answer)
		},
		"another session of the same person": func(w *world, answer url.Values) error {
			return w.own.Finish(w.t.Context(), person("ada"), "another", "crm", answer)
		},
		"no session": func(w *world, answer url.Values) error {
			return w.own.Finish(w.t.Context(), identity.Principal{}, "", "crm", answer)
		},
		"no state": func(w *world, answer url.Values) error { answer.Del("state"); return w.finish(answer) },
		"an invented state": func(w *world, answer url.Values) error {
			answer.Set("state", strings.Repeat("A", 52))
			return w.finish(answer)
		},
		"two states": func(w *world, answer url.Values) error {
			answer.Add("state", "x")
			return w.finish(answer)
		},
		"another issuer": func(w *world, answer url.Values) error {
			answer.Set("iss", "https://evil.example")
			return w.finish(answer)
		},
		"no issuer of a server that names itself": func(w *world, answer url.Values) error { answer.Del("iss"); return w.finish(answer) },
		"too late": func(w *world, answer url.Values) error {
			w.later(11 * time.Minute)
			return w.finish(answer)
		},
		"twice": func(w *world, answer url.Values) error {
			must(w.t, w.finish(answer))
			_, err := w.own.Disconnect(w.t.Context(), person("ada"), "crm")
			must(w.t, err)
			return w.finish(answer)
		},
		"a code of another attempt": func(w *world, answer url.Values) error {
			bobs, err := w.leave("bob", w.keys["bob"])
			must(w.t, err)
			answer.Set("code", bobs.Get("code")) // its challenge is of bob's verifier
			return w.finish(answer)
		},
		"an error": func(w *world, answer url.Values) error {
			answer.Set("error", "access_denied")
			return w.finish(answer)
		},
		"no code": func(w *world, answer url.Values) error { answer.Del("code"); return w.finish(answer) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, personal)
			answer, err := w.leave("ada", w.keys["ada"])
			must(t, err)
			if err := attack(w, answer); !errors.Is(err, credential.ErrConnect) {
				t.Errorf("got %v, want it refused", err)
			}
			for _, who := range []string{"ada", "bob"} {
				w.refused(who, w.keys[who], "has not connected")
			}
		})
	}
}

func (w *world) finish(answer url.Values) error {
	return w.own.Finish(w.t.Context(), person("ada"), "session of ada", "crm", answer)
}

// A connection is good for the client, the authorization server and the resource that it was made with. What is configured
// otherwise later gets none of its tokens.
func TestConnectionOfAnotherClient(t *testing.T) {
	w := newWorld(t, personal)
	w.connect("ada")
	other := fakeoauth.Start()
	defer other.Close()
	for _, change := range []func(*credential.Config){
		func(c *credential.Config) { c.ClientID = "another" },
		func(c *credential.Config) { c.Issuer = other.URL },
		func(c *credential.Config) { c.Resource = "https://another.example/mcp" },
	} {
		c := personal(w)
		change(&c)
		w.start(c)
		w.later(2 * time.Hour)
		w.refused("ada", w.keys["ada"], "configured otherwise")
	}
	if n := other.Total(); n != 0 {
		t.Errorf("another authorization server was asked %d times", n)
	}
}

// A session that was opened with one account is not used with the next that the same person connects.
func TestAnotherAccountOfTheSamePerson(t *testing.T) {
	w := newWorld(t, personal)
	w.connect("ada")
	w.wants("ada", "ada@crm")
	answer, err := w.leave("ada", w.keys["ada"])
	must(t, err)
	must(t, w.finish(answer))
	w.provider.Do(func() { w.provider.User = "ada-at-work" })
	leave, err := w.own.Begin(t.Context(), person("ada"), "session of ada", "crm", back, []string{w.keys["ada"]})
	must(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(leave.URL)
	must(t, err)
	res.Body.Close()
	to, err := res.Location()
	must(t, err)
	must(t, w.finish(to.Query()))
	w.wants("ada", "ada-at-work")
	if mixed := w.resource.Mixed(); mixed != nil {
		t.Errorf("sessions were shared: %v", mixed)
	}
}

// The tools are listed with the account of the one user who is named for that, and calls never are.
func TestListAs(t *testing.T) {
	w := newWorld(t, func(w *world) credential.Config {
		c := personal(w)
		c.ListAs = "ada"
		return c
	})
	w.resource.Do(func() { w.resource.Open = false })
	s, _ := w.pool.Server("crm")
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.List(short); err == nil || !strings.Contains(err.Error(), "ada has not connected") {
		t.Errorf("listing before ada connected: got %v", err)
	}
	w.connect("ada")
	long, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if got, err := s.List(long); err != nil || len(got.Tools) != 2 {
		t.Errorf("got %d tools, %v", len(got.Tools), err)
	}
	w.refused("bob", w.keys["bob"], "has not connected")
	w.refused("", "", "made for nobody")
}

// Nothing that is secret gets into the log, the record, an error or the database.
func TestNoTokenIsTold(t *testing.T) {
	w := newWorld(t, personal)
	w.connect("ada")
	var told []string
	tell := func(err error) { told = append(told, fmt.Sprint(err)) }
	secrets := append(w.provider.Tokens(), fakeoauth.Secret)
	s, _ := w.pool.Server("crm")
	_, err := s.Call(t.Context(), upstream.Call{Tool: "error", For: upstream.Subject{User: "ada", Client: w.keys["ada"]}}) // repeats the headers
	if tell(err); !strings.Contains(fmt.Sprint(err), "Authorization:[Bearer [redacted]]") {
		t.Errorf("the server did not repeat the headers: %v", err)
	}
	w.provider.Forget()
	w.later(10 * time.Minute)
	w.provider.Do(func() { w.provider.Refuse = "invalid_scope" }) // whose description repeats what was sent
	_, err = w.call("ada", w.keys["ada"])
	tell(err)
	answer, err := w.leave("bob", w.keys["bob"])
	must(t, err)
	secrets = append(secrets, answer.Get("code"), answer.Get("state"))
	tell(w.own.Finish(t.Context(), person("bob"), "session of bob", "crm", answer))
	entries, err := w.store.Entries(t.Context(), audit.Query{Limit: 1000})
	must(t, err)
	for _, e := range entries {
		told = append(told, fmt.Sprintf("%+v", e))
	}
	told = append(told, w.log.String())
	raw := rawFiles(t, w.file())
	for _, secret := range secrets {
		for _, text := range told {
			if strings.Contains(text, secret) {
				t.Errorf("%q is told in %q", secret, text)
			}
		}
		if strings.Contains(raw, secret) {
			t.Errorf("%q is in the database", secret)
		}
	}
}
