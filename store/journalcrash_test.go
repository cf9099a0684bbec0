package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"remit/audit"
)

// A file that is lost, or part of one, stops the start where other files say that it was needed.
func TestJournalLacksAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	s, _ := journaling(t, path)
	j := s.journal.Load()
	j.size = 5 * block
	release := held(t, path)
	defer release()
	var want []string
	for i := range 9 { // four in each file
		if err := s.Append(t.Context(), toolCall(fmt.Sprint("crm/", i))); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("crm/%d allowed", i))
	}
	if j.epoch != 3 || j.at != 2 {
		t.Fatalf("got epoch %d in file %d, want 3 in 2", j.epoch, j.at)
	}
	for name, tc := range map[string]struct {
		lose func(at string) error
		want string
	}{
		"the first":      {func(at string) error { return os.Remove(journalPath(at, 0)) }, "is missing, and"},
		"the one before": {func(at string) error { return os.Remove(journalPath(at, 1)) }, "is missing or damaged"},
		"a block of it": {func(at string) error {
			f, err := os.OpenFile(journalPath(at, 1), os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt(make([]byte, block), 2*block)
				err = errors.Join(err, f.Close())
			}
			return err
		}, "is missing or damaged"},
		"the first, which is made anew": {func(at string) error { return os.Truncate(journalPath(at, 0), 0) }, ""},
	} {
		at := crashed(t, path)
		if err := tc.lose(at); err != nil {
			t.Fatal(err)
		}
		next, err := Open(t.Context(), at)
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want that it %s", name, err, tc.want)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := told(t, next); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		if err := errors.Join(next.Close(), os.Remove(journalPath(at, 0))); err != nil {
			t.Fatal(err)
		}
		if next, err = Open(t.Context(), at); err != nil {
			t.Fatalf("%s: once the database has everything: %v", name, err)
		}
		next.Close()
	}
}

// Whatever calls do, wherever the last write is cut, and whichever fail, what was acknowledged before is in the database or in the
// files, once.
func TestJournalCrashesAnywhere(t *testing.T) {
	path, to := filepath.Join(t.TempDir(), "remit.db"), filepath.Join(t.TempDir(), "remit.db")
	s, _ := journaling(t, path)
	j := s.journal.Load()
	j.size = 8 * block
	var entries []string // acknowledged
	var seqs []int64     // of each
	open := map[audit.Ticket]string{}
	release := func() {}
	defer func() { release() }()
	chance := rand.New(rand.NewPCG(1, 2))

	acknowledged := func() []string { return slices.Concat(entries, slices.Sorted(maps.Values(open))) }
	ended := func(tool string) { entries, seqs = append(entries, tool), append(seqs, j.entries) }
	read := func() (files [journalFiles][]byte) {
		for i := range files {
			f, err := os.Open(journalPath(path, i))
			if err != nil {
				t.Fatal(err)
			}
			files[i] = make([]byte, 256<<10) // as far as they are written here
			if _, err := io.ReadFull(f, files[i]); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
		return files
	}
	recovered := func(seq, epoch int64, files [journalFiles][]byte) []string {
		for i, text := range files {
			if err := os.WriteFile(journalPath(to, i), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l, err := leftBehind(to, seq, epoch)
		if err != nil {
			t.Fatal(err)
		}
		inDatabase, _ := slices.BinarySearch(seqs, seq+1)
		out := slices.Clone(entries[:inDatabase])
		for _, e := range l.entries {
			out = append(out, e.Tool)
		}
		var inFlight []string
		for _, e := range l.open {
			inFlight = append(inFlight, e.Tool)
		}
		slices.Sort(inFlight)
		return append(out, inFlight...)
	}
	var files [journalFiles]*os.File // while writes fail
	toFail := 0
	shut, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	shut.Close()

	cut, failed := 0, 0
	for step := range 600 {
		was, before, last, at, end := read(), acknowledged(), int64(0), j.at, j.files[j.at].end
		if len(seqs) > 0 {
			last = seqs[len(seqs)-1]
		}
		e := toolCall(fmt.Sprintf("crm/%03d", step))
		if chance.IntN(10) == 0 {
			e.Arguments = strings.Repeat(e.Tool, 700) // of more than a block
		}
		if toFail == 0 && chance.IntN(25) == 0 {
			toFail = 1 + chance.IntN(4)
			for i, f := range j.files {
				files[i], f.File = f.File, shut
			}
		}
		var err error
		switch chance.IntN(8) {
		case 0, 1:
			var ticket audit.Ticket
			if ticket, err = s.Begin(t.Context(), e); err == nil {
				open[ticket] = e.Tool
			}
		case 2, 3, 4:
			for ticket := range open {
				if err = s.Finish(t.Context(), ticket, e); err == nil {
					delete(open, ticket)
					ended(e.Tool)
				}
				break
			}
		case 5, 6:
			if err = s.Append(t.Context(), e); err == nil {
				ended(e.Tool)
			}
		case 7: // the database is behind for some steps
			release()
			if release = func() {}; chance.IntN(2) == 0 {
				release = held(t, path)
			} else if err := s.settled(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil && toFail == 0 {
			t.Fatal(err)
		}
		if toFail > 0 {
			if err != nil {
				failed++
			}
			if toFail--; toFail == 0 {
				for i, f := range j.files {
					f.File = files[i]
				}
			}
		}
		seq, epoch, queryErr := journaled(t.Context(), s.reads)
		if queryErr != nil {
			t.Fatal(queryErr)
		}
		now := read()
		if got, want := recovered(seq, epoch, now), acknowledged(); !slices.Equal(got, want) {
			t.Fatalf("step %d, epoch %d, %d in the database: got %q, want %q", step, j.epoch, seq, got, want)
		}
		if err != nil || at == j.at && end == j.files[j.at].end {
			continue // nothing was written
		}
		if at != j.at {
			end = 0
		}
		whole := frameHeader + int(order.Uint32(now[j.at][end+4:]))
		upto := int(end) + 512*chance.IntN((whole+511)/512)
		torn := slices.Concat(now[j.at][:upto], was[j.at][upto:])
		if bytes.Equal(torn, now[j.at]) {
			continue // the rest is what was there before
		}
		now[j.at] = torn
		seq = min(seq, last) // what was written is not in the database before it is whole
		if got := recovered(seq, epoch, now); !slices.Equal(got, before) {
			t.Fatalf("step %d, epoch %d, %d in the database, cut at %d after %d: got %q, want %q", step, j.epoch, seq, upto, end, got, before)
		}
		cut++
	}
	if cut < 300 || failed < 20 || j.epoch < 40 {
		t.Errorf("%d writes were cut, %d failed, %d epochs: nothing of this was seen", cut, failed, j.epoch)
	}
}

// Many at once, while the journal goes on from file to file, and then a crash before the database has the last of them.
func TestJournalOfManyCallsCrashes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	s, _ := journaling(t, path)
	j := s.journal.Load()
	j.size = 16 * block
	const callers, calls = 16, 40
	release, epoch := func() {}, j.epoch
	for round := range 2 {
		var busy sync.WaitGroup
		for i := range callers {
			busy.Go(func() {
				for k := range calls {
					e := toolCall(fmt.Sprintf("crm/%d-%d-%d", round, i, k))
					ticket, err := s.Begin(t.Context(), e)
					if err == nil {
						err = s.Finish(t.Context(), ticket, e)
					}
					if err == nil && round == 0 { // or else the database is behind from the start
						err = s.settled(t.Context())
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		busy.Wait()
		if round == 0 {
			release = held(t, path)
		}
	}
	defer release()
	if j.epoch < epoch+3 {
		t.Errorf("got epoch %d after %d: nothing of this was seen", j.epoch, epoch)
	}
	next, inFlight := journaling(t, crashed(t, path))
	got := told(t, next)
	if slices.Sort(got); inFlight > 0 || len(got) != 2*callers*calls || len(slices.Compact(got)) != 2*callers*calls {
		t.Errorf("got %d entries of %d calls, %d in flight", len(got), 2*callers*calls, inFlight)
	}
}
