package notary_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"remit/audit"
	"remit/audit/notary"
	"remit/store"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// office is a notary with a record of five entries, one a day, the newest an hour old.
type office struct {
	*notary.Notary
	store *store.Store
	db    *sql.DB // for the attacker
	dir   string
}

func newOffice(t *testing.T) *office {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "remit.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	db, err := sql.Open("sqlite", filepath.Join(dir, "remit.db")+"?_pragma=busy_timeout(60000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	key, err := notary.KeyFile(filepath.Join(dir, "audit.key"))
	if err != nil {
		t.Fatal(err)
	}
	o := &office{store: s, db: db, dir: dir, Notary: &notary.Notary{Chain: s, Key: key, File: filepath.Join(dir, "checkpoints.jsonl"), Interval: time.Hour,
		Entries: 3, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: func() time.Time { return now }}}
	for day := range 5 {
		o.append(t, now.Add(time.Duration(day-4)*24*time.Hour-time.Hour))
	}
	return o
}

func (o *office) append(t *testing.T, at time.Time) {
	t.Helper()
	if err := o.store.Append(t.Context(), audit.Entry{Time: at, Kind: audit.ToolCall, Tool: "crm/find", Decision: audit.Allowed}); err != nil {
		t.Fatal(err)
	}
}

func (o *office) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := o.db.Exec(statement, args...); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: got %v, want %q", what, err, want)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.key")
	made := make(chan string, 8)
	for range cap(made) {
		go func() {
			k, err := notary.KeyFile(path)
			if err != nil {
				t.Error(err)
			}
			made <- k.Public()
		}()
	}
	first := <-made
	for range cap(made) - 1 {
		if k := <-made; k != first || k == "" {
			t.Errorf("two keys were made: %q and %q", first, k)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a key for its owner alone", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := notary.KeyFile(path)
	wantError(t, "a key that others can read", err, "can be read by other accounts")
	for _, text := range []string{"", "x", "PRIVATE+KEY+a+b+c", first} {
		if _, err := notary.ParseKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// Any change of a note is found, and none but the key can make one.
func TestNotes(t *testing.T) {
	o := newOffice(t)
	c, err := o.Checkpoint(t.Context(), audit.Actor{Person: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	public := []string{o.Key.Public()}
	got, err := notary.Open(public, c.Note)
	if err != nil || got != c || got.Head.Seq != 5 || !got.Time.Equal(now) {
		t.Errorf("got %+v, %v, want %+v", got, err, c)
	}
	for i := range len(c.Note) * 8 {
		text := []byte(c.Note)
		text[i/8] ^= 1 << (i % 8)
		if got, err := notary.Open(public, string(text)); err == nil && got.Head != c.Head {
			t.Errorf("bit %d was flipped, and the note says %+v", i, got.Head)
		}
	}
	other, err := notary.KeyFile(filepath.Join(t.TempDir(), "k"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := notary.Open([]string{other.Public()}, c.Note); !errors.Is(err, notary.ErrSignature) {
		t.Errorf("another key: got %v", err)
	}
	if _, err := notary.Open([]string{other.Public(), o.Key.Public()}, c.Note); err != nil {
		t.Errorf("an earlier key: got %v", err)
	}
	_, err = notary.Open([]string{"nonsense"}, c.Note)
	wantError(t, "no key", err, "cannot be read")
}

// The file outlives being cut off in the middle of a line, and is the same record in three forms.
func TestCheckpointFile(t *testing.T) {
	o := newOffice(t)
	ctx, public := t.Context(), []string{o.Key.Public()}
	first, err := o.Checkpoint(ctx, audit.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Checkpoint(ctx, audit.Actor{}); !errors.Is(err, notary.ErrNothingNew) {
		t.Errorf("right after it: got %v", err)
	}
	whole, err := os.ReadFile(o.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.File, append(whole, whole[:len(whole)/2]...), 0o600); err != nil {
		t.Fatal(err)
	}
	o.append(t, now)
	second, err := o.Checkpoint(ctx, audit.Actor{})
	if err != nil || second.Head.Seq != 7 {
		t.Fatal(second, err)
	}
	if got, err := notary.ReadFile(public, o.File); err != nil || len(got) != 2 || got[0] != first || got[1] != second {
		t.Errorf("got %+v, %v", got, err)
	}
	entries, err := o.store.Entries(ctx, audit.Query{Kind: audit.Checkpointed, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	collected, err := json.Marshal(entries[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{second.Note, string(collected) + "\n"} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := notary.ReadFile(public, path); err != nil || len(got) != 1 || got[0] != second {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = notary.ReadFile(public, empty)
	wantError(t, "nothing in it", err, "there is no checkpoint in it")
}

// Run signs at the start, when enough was added, and at the end.
func TestRun(t *testing.T) {
	o := newOffice(t)
	o.Interval = time.Millisecond * 20
	o.Now = nil
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- o.Run(ctx) }()
	signed := func() []notary.Checkpoint {
		c, _ := notary.ReadFile([]string{o.Key.Public()}, o.File)
		return c
	}
	for deadline := time.Now().Add(time.Minute); len(signed()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was signed at the start")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	o.append(t, now)
	o.Close()
	if c := signed(); c[len(c)-1].Head.Seq != 7 {
		t.Errorf("the end was not signed: %+v", c)
	}
	if v, err := o.Verify(t.Context()); err != nil || v.Compared != 1 {
		t.Errorf("got %+v, %v", v, err)
	}
}

// A record that contradicts what was signed is not signed again, whatever was done to it.
func TestContradictionsAreNotSigned(t *testing.T) {
	for name, attack := range map[string]string{
		"an edit after the checkpoint":  "update audit set body = replace(body, 'crm', 'erp') where seq = 7",
		"an edit before it":             "update audit set body = replace(body, 'crm', 'erp'), tool = 'erp/find' where seq = 5",
		"the end is gone":               "delete from audit where seq > 3; update audit_head set seq = 3, hash = (select json_extract(body, '$.hash') from audit where seq = 3)",
		"the entry that was signed":     "delete from audit where seq = 5",
		"the column of a filter":        "update audit set tool = 'erp/find' where seq = 7",
		"everything":                    "delete from audit; update audit_head set seq = 0, hash = ''",
		"a forged statement at the end": "forge",
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			if _, err := o.Checkpoint(t.Context(), audit.Actor{}); err != nil {
				t.Fatal(err)
			}
			o.append(t, now)
			if attack == "forge" {
				if err := o.store.Append(t.Context(), audit.Cut{Last: audit.Head{Seq: 2, Hash: "00"}, Count: 2, Note: "x"}.Entry()); err != nil {
					t.Fatal(err)
				}
			} else {
				o.exec(t, attack)
			}
			_, err := o.Checkpoint(t.Context(), audit.Actor{})
			if slices.Contains([]string{"an edit before it", "the entry that was signed", "the column of a filter"}, name) { // only Verify reads those
				if _, err = o.Verify(t.Context()); err == nil {
					t.Error("the record verified")
				}
				return
			}
			if err == nil || errors.Is(err, notary.ErrNothingNew) {
				t.Errorf("it was signed: %v", err)
			}
		})
	}
}
