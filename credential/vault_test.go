package credential_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"remit/audit"
	"remit/credential"
	"remit/identity"
	"remit/store"
)

func rawFiles(t *testing.T, path string) (all string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(path + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		all += string(raw)
	}
	return all
}

// safe is an encrypted store in a folder of its own.
type safe struct {
	credential.Secrets
	db, key string
}

func newSafe(t *testing.T) safe {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "remit.db"))
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	key := filepath.Join(dir, "secret.key")
	return safe{credential.Secrets{Vault: &credential.Vault{Store: s, Keys: credential.KeySource{File: key}}}, filepath.Join(dir, "remit.db"), key}
}

// again is the same store as another process opens it.
func (s safe) again(keys credential.KeySource) credential.Secrets {
	return credential.Secrets{Vault: &credential.Vault{Store: s.Vault.Store, Keys: keys}}
}

var operator = identity.Operator()

func TestSecrets(t *testing.T) {
	ctx := context.Background()
	s := newSafe(t)
	if _, err := s.Value(ctx, "A"); err == nil || !strings.Contains(err.Error(), "remit secret set") {
		t.Errorf("a secret that is not there: got %v", err)
	}
	if _, err := os.Stat(s.key); err == nil {
		t.Error("looking for a secret made a key")
	}
	must(t, s.Set(ctx, operator, "A", "the first canary"))
	must(t, s.Set(ctx, operator, "A", "the second canary"))
	must(t, s.Set(ctx, operator, "B", "line\nline"))
	for name, want := range map[string]string{"A": "the second canary", "B": "line\nline"} {
		if got, err := s.again(s.Vault.Keys).Value(ctx, name); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	info, err := os.Stat(s.key)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file has mode %o", info.Mode().Perm())
	}
	if strings.Contains(rawFiles(t, s.db), "canary") {
		t.Error("a secret is in the database")
	}
	for _, bad := range []struct{ name, value string }{{"", "x"}, {"a b", "x"}, {"A:-x", "x"}, {"A", ""}, {"A", "x\x00"}, {"A", strings.Repeat("x", 70_000)}} {
		if err := s.Set(ctx, operator, bad.name, bad.value); !errors.Is(err, identity.ErrInvalid) {
			t.Errorf("%q: got %v", bad.name, err)
		}
	}
	if err := s.Set(ctx, identity.Principal{Person: "ann", Roles: []identity.Role{identity.Author}}, "A", "x"); !errors.Is(err, identity.ErrForbidden) {
		t.Errorf("an author: got %v", err)
	}
	must(t, s.Remove(ctx, operator, "A"))
	if err := s.Remove(ctx, operator, "A"); err == nil {
		t.Error("removing it twice: got no error")
	}
	if list, err := s.List(ctx); err != nil || len(list) != 1 || list[0].Name != "B" {
		t.Errorf("got %v, %v", list, err)
	}
	entries, err := s.Vault.Store.(*store.Store).Entries(ctx, audit.Query{Limit: 100})
	must(t, err)
	var kinds []string
	for _, e := range entries {
		kinds = append(kinds, e.Kind+" "+e.Detail["secret"])
	}
	if got, want := strings.Join(kinds, ", "), "secret.remove A, secret.set B, secret.set A, secret.set A, secret.key "; got != want {
		t.Errorf("the record: got %q, want %q", got, want)
	}
}

// Without the key nothing opens, and no other key is taken or made in its place.
func TestWrongKey(t *testing.T) {
	ctx := context.Background()
	s := newSafe(t)
	must(t, s.Vault.Check(ctx)) // nothing is encrypted yet
	must(t, s.Set(ctx, operator, "A", "canary"))
	right, err := os.ReadFile(s.key)
	must(t, err)
	const wrong = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, c := range []struct {
		name, text string // the file's content; empty removes it
		mode       os.FileMode
		variable   string
	}{
		{"missing", "", 0, ""}, {"another", wrong, 0o600, ""}, {"empty", " \n", 0o600, ""}, {"no key", "secret", 0o600, ""}, {"cut", string(right[:20]), 0o600, ""},
		{"readable by others", string(right), 0o644, ""}, {"another in the variable", string(right), 0o600, wrong},
	} {
		must(t, os.RemoveAll(s.key))
		if c.text != "" {
			must(t, os.WriteFile(s.key, []byte(c.text), c.mode))
			must(t, os.Chmod(s.key, c.mode))
		}
		other := s.again(credential.KeySource{File: s.key, Text: c.variable})
		for what, try := range map[string]func() error{
			"check": func() error { return other.Vault.Check(ctx) },
			"open":  func() error { return other.Vault.Open(ctx) },
			"value": func() error { _, err := other.Value(ctx, "A"); return err },
			"set":   func() error { return other.Set(ctx, operator, "B", "x") },
			"rekey": func() error { _, err := other.Vault.Rekey(ctx, audit.Entry{}); return err },
		} {
			if err := try(); !errors.Is(err, credential.ErrKey) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), wrong) {
				t.Errorf("%s, %s: got %v, want that the key is not right", c.name, what, err)
			}
		}
		if _, err := os.Stat(s.key); c.text == "" && err == nil {
			t.Errorf("%s: a key was made in the place of the one that is missing", c.name)
		}
	}
	must(t, os.Remove(s.key))
	if got, err := s.again(credential.KeySource{Text: wrong + " " + string(right)}).Value(ctx, "A"); err != nil || got != "canary" {
		t.Errorf("the right key after another: got %q, %v", got, err)
	}
}

// A new key leaves nothing that the old one opens, and a process that runs meanwhile goes on, for reading and for writing.
func TestRekey(t *testing.T) {
	ctx := context.Background()
	s := newSafe(t)
	must(t, s.Set(ctx, operator, "A", "canary"))
	old, err := os.ReadFile(s.key)
	must(t, err)
	running := s.again(s.Vault.Keys)
	must(t, running.Vault.Open(ctx))
	id, err := s.Vault.Rekey(ctx, audit.Entry{Kind: "secret.key", Decision: audit.Changed})
	must(t, err)
	now, err := os.ReadFile(s.key)
	must(t, err)
	if strings.Contains(string(now), strings.TrimSpace(string(old))) || len(now) != len(old) || id == "" {
		t.Error("the old key is still in the file")
	}
	must(t, running.Set(ctx, operator, "B", "written by the other"))
	for _, from := range []credential.Secrets{running, s.Secrets, s.again(s.Vault.Keys)} {
		for name, want := range map[string]string{"A": "canary", "B": "written by the other"} {
			if got, err := from.Value(ctx, name); err != nil || got != want {
				t.Errorf("%s: got %q, %v", name, got, err)
			}
		}
	}
	if _, err := s.again(credential.KeySource{Text: string(old)}).Value(ctx, "A"); !errors.Is(err, credential.ErrKey) {
		t.Errorf("the old key: got %v", err)
	}

	// In a variable, the operator brings the new key.
	env := s.again(credential.KeySource{Text: string(now)})
	if _, err := env.Vault.Rekey(ctx, audit.Entry{}); err == nil || !strings.Contains(err.Error(), "openssl rand") {
		t.Errorf("the same key again: got %v", err)
	}
	env = s.again(credential.KeySource{Text: string(old) + string(now)})
	if _, err := env.Vault.Rekey(ctx, audit.Entry{Time: time.Now()}); err != nil {
		t.Error(err)
	}
	if got, err := s.again(credential.KeySource{Text: string(old)}).Value(ctx, "A"); err != nil || got != "canary" {
		t.Errorf("the new key alone: got %q, %v", got, err)
	}
}

// Attack: somebody with the database file puts one secret in another's place.
func TestSwappedSecrets(t *testing.T) {
	ctx := context.Background()
	s := newSafe(t)
	must(t, s.Set(ctx, operator, "A", "a"))
	must(t, s.Set(ctx, operator, "B", "b"))
	db, err := sql.Open("sqlite", s.db+"?_pragma=busy_timeout(60000)")
	must(t, err)
	defer db.Close()
	_, err = db.Exec("update sealed set body = (select body from sealed where name = 'B') where name = 'A'")
	must(t, err)
	if got, err := s.Value(ctx, "A"); !errors.Is(err, credential.ErrDamaged) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := s.Vault.Rekey(ctx, audit.Entry{}); err == nil || !strings.Contains(err.Error(), "the secret A") {
		t.Errorf("a new key over a damaged secret: got %v", err)
	}
	must(t, s.Set(ctx, operator, "A", "a again"))
	if _, err := s.Vault.Rekey(ctx, audit.Entry{Time: time.Now()}); err != nil {
		t.Error(err)
	}
}
