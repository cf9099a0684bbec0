package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"remit/audit"
)

func journaling(t *testing.T, path string) (s *Store, recovered int) {
	t.Helper()
	s, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !t.Failed() {
			t.Log(err)
		}
	})
	if recovered, err = s.Journal(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, recovered
}

func toolCall(tool string) audit.Entry {
	return audit.Entry{Time: time.Now(), Kind: audit.ToolCall, Actor: audit.Actor{Agent: "bot", Key: "k"}, Persona: "support", Tool: tool, Decision: audit.Allowed}
}

// crashed is a copy of the database and of what is beside it as a process leaves it that dies now.
func crashed(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "remit.db")
	for _, suffix := range []string{"-calls0", "-calls1", "-calls2", "", "-wal"} {
		text, err := os.ReadFile(path + suffix)
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+suffix, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// held keeps everybody else from writing to the database until release is called.
func held(t *testing.T, path string) (release func()) {
	t.Helper()
	db, err := openFile(path, "&_txlock=immediate", 1)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() { tx.Rollback(); db.Close() })
}

// told is the chain, oldest first, each entry as its tool and decision.
func told(t *testing.T, s *Store) (out []string) {
	t.Helper()
	if _, err := s.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Export(t.Context(), audit.Query{}, func(e audit.Entry) error {
		out = append(out, e.Tool+" "+string(e.Decision))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func call(t *testing.T, s *Store, tool string) {
	t.Helper()
	ticket, err := s.Begin(t.Context(), toolCall(tool))
	if err == nil {
		err = s.Finish(t.Context(), ticket, toolCall(tool))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What was acknowledged is in the record whenever the process dies: before the database has it, after, and after the file was changed.
// Whoever reads through the store itself finds it at once.
func TestJournalOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	s, _ := journaling(t, path)
	call(t, s, "crm/first")
	if got, want := told(t, s), []string{"crm/first allowed"}; !slices.Equal(got, want) {
		t.Fatalf("read at once: got %q, want %q", got, want)
	}
	release := held(t, path)
	defer release()
	call(t, s, "crm/second")
	if _, err := s.Begin(t.Context(), toolCall("crm/open")); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), toolCall("crm/refused")); err != nil {
		t.Fatal(err)
	}
	want := []string{"crm/first allowed", "crm/second allowed", "crm/refused allowed", "crm/open unknown"}
	waiting := crashed(t, path)
	for _, inFlight := range []int{1, 0} { // the second start finds what the first one left
		next, recovered := journaling(t, waiting)
		if got := told(t, next); recovered != inFlight || !slices.Equal(got, want) {
			t.Fatalf("not in the database: got %q and %d in flight, want %q and %d", got, recovered, want, inFlight)
		}
		waiting = crashed(t, waiting)
	}
	release()
	if got := told(t, s); !slices.Equal(got, want[:3]) {
		t.Fatalf("after the wait: got %q, want %q", got, want[:3])
	}
	next, recovered := journaling(t, crashed(t, path))
	if got := told(t, next); recovered != 1 || !slices.Equal(got, want) {
		t.Fatalf("in the database: got %q and %d in flight, want %q", got, recovered, want)
	}
}

// A journal that is full goes on in the next file, with the calls that are still in flight and what the database does not have yet.
func TestJournalGoesOnInTheNextFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	t.Cleanup(func() { // after the store is closed
		for which := range journalFiles {
			if _, err := os.Stat(journalPath(path, which)); !os.IsNotExist(err) {
				t.Errorf("after a stop with nothing in flight, file %d: %v", which, err)
			}
		}
	})
	s, _ := journaling(t, path)
	s.journal.Load().size = 64 << 10
	open, err := s.Begin(t.Context(), toolCall("crm/open"))
	if err != nil {
		t.Fatal(err)
	}
	large := toolCall("crm/large")
	large.Arguments = strings.Repeat("x", 4<<10)
	epoch := s.journal.Load().epoch
	want := []string{}
	for range 60 {
		if err := errors.Join(s.Append(t.Context(), large), s.settled(t.Context())); err != nil {
			t.Fatal(err)
		}
		want = append(want, "crm/large allowed")
	}
	if got := s.journal.Load().epoch; got < epoch+3 {
		t.Fatalf("got epoch %d after %d: nothing of this was seen", got, epoch)
	}
	release := held(t, path)
	call(t, s, "crm/last")
	next, _ := journaling(t, crashed(t, path))
	if got, want := told(t, next), append(slices.Clone(want), "crm/last allowed", "crm/open unknown"); !slices.Equal(got, want) {
		t.Errorf("got the last of %d: %q", len(got), got[max(0, len(got)-3):])
	}
	release()
	if err := s.Finish(t.Context(), open, toolCall("crm/open")); err != nil {
		t.Fatal(err)
	}
	if got, want := told(t, s), append(want, "crm/last allowed", "crm/open allowed"); !slices.Equal(got, want) {
		t.Errorf("got the last of %d: %q", len(got), got[max(0, len(got)-3):])
	}
}

// A write that was cut when the machine stopped takes nothing with it but itself, also where it was to begin the next file.
func TestJournalIsCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	s, _ := journaling(t, path)
	release := held(t, path)
	defer release()
	for i := range 3 {
		if err := s.Append(t.Context(), toolCall(fmt.Sprint("crm/", i))); err != nil {
			t.Fatal(err)
		}
	}
	j := s.journal.Load()
	in, next, end, epoch := j.at, (j.at+1)%journalFiles, j.files[j.at].end, j.epoch
	after := newFrame()
	after.add(noteAfter, 3, 0, nil)
	all := []string{"crm/0 allowed", "crm/1 allowed", "crm/2 allowed"}
	for name, tc := range map[string]struct {
		file int
		at   int64
		text []byte
		want []string
	}{
		"the last":        {in, end - block + frameHeader + 8, []byte("x"), all[:2]},
		"one before":      {in, end - 2*block, make([]byte, 8), all[:1]},
		"all":             {in, 0, make([]byte, block), nil},
		"nothing":         {in, end, []byte("not a frame"), all},
		"the next file":   {next, 0, newFrame().sealed(epoch+1, 0)[:frameHeader-8], all},
		"an older one":    {next, 0, newFrame().sealed(epoch-1, 0), all},
		"an empty epoch":  {next, 0, newFrame().sealed(epoch+1, 0), nil},
		"one that needs":  {next, 0, after.sealed(epoch+1, 0), all},
		"a length beyond": {in, end - block + 4, bytes.Repeat([]byte{0xff}, 4), all[:2]},
	} {
		t.Run(name, func(t *testing.T) {
			at := crashed(t, path)
			f, err := os.OpenFile(journalPath(at, tc.file), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(tc.text, tc.at); err != nil {
				t.Fatal(err)
			}
			f.Close()
			next, _ := journaling(t, at)
			if got := told(t, next); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if _, err := next.Begin(t.Context(), toolCall("crm/open")); err != nil { // where frames of the process before were
				t.Fatal(err)
			}
			next, _ = journaling(t, crashed(t, at))
			if got, want := told(t, next), append(slices.Clone(tc.want), "crm/open unknown"); !slices.Equal(got, want) {
				t.Errorf("after another process: got %q, want %q", got, want)
			}
		})
	}
}

// Where the journal cannot be written, nothing is acknowledged; where the database cannot, what was acknowledged waits for it, and
// nothing new begins.
func TestJournalFailsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	s, _ := journaling(t, path)
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(60000)") // the store writes beside it
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("create trigger broken before insert on audit begin select raise(abort, 'the disk is full'); end"); err != nil {
		t.Fatal(err)
	}
	ticket, err := s.Begin(t.Context(), toolCall("crm/first"))
	if err != nil {
		t.Fatal(err)
	}
	call(t, s, "crm/second")
	if _, err := s.Entries(t.Context(), audit.Query{}); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("the record without its newest entry: got %v", err)
	}
	if _, err := s.Begin(t.Context(), toolCall("crm/third")); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("a call while the database is broken: got %v", err)
	}
	if err := s.Append(t.Context(), toolCall("crm/third")); err == nil {
		t.Error("an entry while the database is broken was acknowledged")
	}
	if err := s.Finish(t.Context(), ticket, toolCall("crm/first")); err != nil {
		t.Errorf("the entry of a call that was made: %v", err)
	}
	if _, err := db.Exec("drop trigger broken"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; { // it is tried again by itself
		if _, err := s.Entries(t.Context(), audit.Query{}); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if got, want := told(t, s), []string{"crm/second allowed", "crm/first allowed"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	j := s.journal.Load()
	if ticket, err = s.Begin(t.Context(), toolCall("crm/fourth")); err != nil {
		t.Fatal(err)
	}
	for _, f := range j.files {
		f.Close()
	}
	if _, err := s.Begin(t.Context(), toolCall("crm/fifth")); err == nil {
		t.Error("an intent that is nowhere was acknowledged")
	}
	if err := s.Finish(t.Context(), ticket, toolCall("crm/fourth")); err == nil {
		t.Error("an entry that is nowhere was acknowledged")
	}
	if got, want := told(t, s), []string{"crm/second allowed", "crm/first allowed"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for i, f := range j.files { // and once it can be written again
		if f.File, err = openDurable(journalPath(path, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Finish(t.Context(), ticket, toolCall("crm/fourth")); err != nil {
		t.Error(err)
	}
	if got, want := told(t, s), []string{"crm/second allowed", "crm/first allowed", "crm/fourth allowed"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A process that reads the record while another one serves finds what was acknowledged before.
func TestOthersReadTheJournalsCalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	s, _ := journaling(t, path)
	theirs, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	release := held(t, path)
	defer release()
	call(t, s, "crm/first")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := theirs.Entries(ctx, audit.Query{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before it is in the database: got %d entries, %v", len(got), err)
	}
	release()
	for i := range 50 {
		call(t, s, fmt.Sprint("crm/", i))
		if got, err := theirs.Entries(t.Context(), audit.Query{}); err != nil || len(got) != i+2 {
			t.Fatalf("after call %d: got %d entries, %v", i, len(got), err)
		}
	}
}

// Many at once: each call is in the record once, whichever writes it shared.
func TestJournalOfManyCalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	s, _ := journaling(t, path)
	const callers, calls = 16, 50
	var busy sync.WaitGroup
	for i := range callers {
		busy.Go(func() {
			for k := range calls {
				e := toolCall(fmt.Sprintf("crm/%d-%d", i, k))
				ticket, err := s.Begin(t.Context(), e)
				if err == nil {
					err = s.Finish(t.Context(), ticket, e)
				}
				if err == nil && k%10 == 0 {
					var found []audit.Entry
					if found, err = s.Entries(t.Context(), audit.Query{Tool: e.Tool}); err == nil && len(found) != 1 {
						err = fmt.Errorf("%s is in the record %d times", e.Tool, len(found))
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	busy.Wait()
	got := told(t, s)
	if slices.Sort(got); len(slices.Compact(got)) != callers*calls {
		t.Errorf("got %d entries of %d calls", len(got), callers*calls)
	}
	if err := s.Finish(t.Context(), -1, toolCall("crm/0-0")); err == nil {
		t.Error("an intent was replaced twice")
	}
}
