package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"
)

// Attack: somebody who has left goes on through their agent. An admin disables the person on the pages: the key that works
// for them is refused from its next call on, its open stream ends at once, and the list of keys says why. Enabled again, it
// goes on. The key of another user never notices.
func TestDisabledUsersKeyStops(t *testing.T) {
	s := startServe(t)
	defer s.stop()
	s.approve(t.Context())
	for _, name := range []string{"zoe", "yan"} {
		if code, _, stderr := s.remit("person", "add", name, "--roles", "viewer"); code != exitOK {
			t.Fatal(stderr)
		}
	}
	_, key, _ := s.remit("key", "create", "--persona", "support", "--agent", "bot", "--user", "zoe")
	_, other, _ := s.remit("key", "create", "--persona", "support", "--agent", "bot", "--user", "yan")
	key, other = strings.TrimSpace(key), strings.TrimSpace(other)
	_, said, stderr := s.remit("person", "link", "admin")
	at := strings.Index(said, "/link/")
	if at < 0 {
		t.Fatal(said, stderr)
	}
	admin := &http.Client{Jar: must(cookiejar.New(nil))}
	post := func(path, form string) {
		t.Helper()
		res := must(admin.Post(s.url+path, "application/x-www-form-urlencoded", strings.NewReader(form)))
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: got %d", path, res.StatusCode)
		}
	}
	post(strings.TrimSpace(said[at:]), "")
	if got := []int{s.list(key), s.list(other)}; got[0] != http.StatusOK || got[1] != http.StatusOK {
		t.Fatalf("before: got %v", got)
	}
	stream, began := s.stream(t, key), time.Now()
	post("/people/zoe/disable", "disabled=true")
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second { // the next check may be 15 s away
		t.Errorf("the stream lived on for %s", took)
	}
	if got := []int{s.list(key), s.list(other)}; got[0] != http.StatusUnauthorized || got[1] != http.StatusOK {
		t.Errorf("disabled: got %v, want the key refused and the other not", got)
	}
	if _, list, _ := s.remit("key", "list"); strings.Count(list, "stopped with its user") != 1 {
		t.Errorf("the list does not say why:\n%s", list)
	}
	post("/people/zoe/disable", "disabled=false")
	if got := s.list(key); got != http.StatusOK {
		t.Errorf("enabled again: got %d", got)
	}
}
