package notary_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"remit/audit"
	"remit/audit/notary"
	"remit/internal/services"
	"remit/store"
)

var ann = audit.Actor{Person: "ann"}

func TestPrune(t *testing.T) {
	o := newOffice(t)
	archive := filepath.Join(o.dir, "old.jsonl")
	_, err := o.Prune(t.Context(), ann, now.Add(-47*time.Hour), archive)
	wantError(t, "too young", err, "entries of the last 48h0m0s are needed")
	if _, err := o.Prune(t.Context(), ann, now.Add(-500*time.Hour), archive); !errors.Is(err, notary.ErrNothingOld) {
		t.Errorf("nothing is so old: got %v", err)
	}
	if _, err := os.Stat(archive); err == nil {
		t.Error("an archive of nothing was written")
	}
	cut, err := o.Prune(t.Context(), ann, now.Add(-48*time.Hour), archive)
	if err != nil || cut.Count != 3 || cut.Last.Seq != 3 || cut.Archive == "" {
		t.Fatalf("got %+v, %v, want three removed", cut, err)
	}
	text, err := os.ReadFile(archive)
	if err != nil || audit.Digest(text) != cut.Archive {
		t.Errorf("the archive is not what the statement says: %v", err)
	}
	v, err := notary.VerifyLines(strings.NewReader(string(text)), nil, nil)
	if err != nil || v.Head != cut.Last || v.Start.Seq != 0 {
		t.Errorf("the archive: %+v, %v", v, err)
	}
	for i := range len(text) { // any one bit of the archive
		bad := append([]byte{}, text...)
		bad[i] ^= 1 << (i % 8)
		if _, err := notary.VerifyLines(strings.NewReader(string(bad)), nil, nil); err == nil {
			t.Errorf("byte %d was changed, and the archive verified", i)
		}
	}
	_, err = notary.VerifyLines(strings.NewReader(string(text[:strings.LastIndex(string(text), `{"head"`)])), nil, nil)
	wantError(t, "a shortened archive", err, "it has no end")
	got, err := o.Verify(t.Context())
	if err != nil || got.Start != cut.Last || got.Cut.Person != "ann" || got.Compared != 1 {
		t.Errorf("what is left: %+v, %v", got, err)
	}
	if err := os.WriteFile(archive, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Now = func() time.Time { return now.Add(100 * time.Hour) }
	_, err = o.Prune(t.Context(), ann, now, archive)
	wantError(t, "an archive that exists", err, "exists with other content")
}

// Attacks on a record whose front was removed by rights.
func TestForgedRemovals(t *testing.T) {
	for name, tc := range map[string]struct {
		attack func(*testing.T, *office, audit.Cut)
		want   string
	}{
		"one more is removed": {func(t *testing.T, o *office, _ audit.Cut) { o.exec(t, "delete from audit where seq = 3") }, "entries 3 to 3 are missing"},
		"the statement is edited": {func(t *testing.T, o *office, _ audit.Cut) {
			o.exec(t, `update audit set body = replace(body, '"last":"2"', '"last":"3"') where kind = 'audit.prune'`)
		}, "was edited"},
		"the statement is removed": {func(t *testing.T, o *office, _ audit.Cut) { o.exec(t, "delete from audit where kind = 'audit.prune'") }, "entry 6 is missing"},
		"the note is used for more": {func(t *testing.T, o *office, cut audit.Cut) {
			third, err := o.store.Since(t.Context(), 2, 1)
			if err != nil {
				t.Fatal(err)
			}
			cut.Last = audit.Head{Seq: 3, Hash: third[0].Hash}
			if err := o.store.Append(t.Context(), cut.Entry()); err != nil {
				t.Fatal(err)
			}
			o.exec(t, "delete from audit where seq = 3")
		}, "is forged: it is about something else"},
		"the note is used for somebody else": {func(t *testing.T, o *office, cut audit.Cut) {
			cut.Person = "bob"
			if err := o.store.Append(t.Context(), cut.Entry()); err != nil {
				t.Fatal(err)
			}
		}, "is forged: it is about something else"},
		"a checkpoint is used as a statement": {func(t *testing.T, o *office, cut audit.Cut) {
			c, err := notary.ReadFile(o.Public(), o.File)
			if err != nil {
				t.Fatal(err)
			}
			cut.Note, cut.Last = c[0].Note, c[0].Head
			if err := o.store.Append(t.Context(), cut.Entry()); err != nil {
				t.Fatal(err)
			}
			o.exec(t, "delete from audit where seq <= $1", cut.Last.Seq)
		}, "is forged: it is about something else"},
		"the end is removed": {func(t *testing.T, o *office, _ audit.Cut) {
			o.exec(t, "delete from audit where seq = (select max(seq) from audit)")
		}, "the end is missing"},
		"two change places": {func(t *testing.T, o *office, _ audit.Cut) {
			o.exec(t, "update audit set seq = -4 where seq = 4; update audit set seq = 4 where seq = 5; update audit set seq = 5 where seq = -4")
		}, "entry 4 is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			cut, err := o.Prune(t.Context(), ann, now.Add(-72*time.Hour), "")
			if err != nil || cut.Last.Seq != 2 {
				t.Fatal(cut, err)
			}
			tc.attack(t, o, cut)
			_, err = o.Verify(t.Context())
			wantError(t, "verify", err, tc.want)
			o.Now = func() time.Time { return now.Add(100 * time.Hour) }
			_, err = o.Prune(t.Context(), ann, now, "")
			wantError(t, "another removal", err, "nothing was removed")

			before, err := o.store.Oldest(t.Context()) // the retention does not go on with what the forged statement says
			if err != nil {
				t.Fatal(err)
			}
			said, complaints := io.Pipe()
			o.Log, o.Retention, o.Archive, o.Interval = slog.New(slog.NewTextHandler(complaints, nil)), 48*time.Hour, filepath.Join(o.dir, "archive"), 10*time.Millisecond
			ctx, stop := context.WithCancel(t.Context())
			go func() { _ = o.Run(ctx); complaints.Close() }() // the record is not sound, which is its last word, too
			for lines := bufio.NewScanner(said); lines.Scan(); {
				if strings.Contains(lines.Text(), "old entries are not removed") {
					stop()
				}
			}
			stop()
			if after, err := o.store.Oldest(t.Context()); err != nil || after.Seq != before.Seq {
				t.Errorf("the oldest entry is %v, %v; it was %v", after.Seq, err, before.Seq)
			}
		})
	}
}

// Stopped after the archive, before the statement or in the middle of the removal: nothing is lost, and the next goes on.
func TestInterruptedRemoval(t *testing.T) {
	o := newOffice(t)
	archive, before := filepath.Join(o.dir, "old.jsonl"), now.Add(-48*time.Hour)
	stopped := notary.Notary{Chain: stoppedChain{o.Chain}, Key: o.Key, File: o.File, Now: o.Now}
	if _, err := stopped.Prune(t.Context(), ann, before, archive); !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	if p, err := o.Verify(t.Context()); err != nil || p.Start.Seq != 0 {
		t.Errorf("something is missing: %+v, %v", p, err)
	}
	cut, err := o.Prune(t.Context(), ann, before, archive)
	if err != nil || cut.Count != 3 {
		t.Errorf("again: got %+v, %v", cut, err)
	}
}

var errStopped = errors.New("stopped")

// stoppedChain ends where the statement would be written.
type stoppedChain struct{ notary.Chain }

func (stoppedChain) Append(context.Context, audit.Entry) error { return errStopped }

// Nothing is removed that a sink has not got.
func TestUnsentEntriesStay(t *testing.T) {
	o := newOffice(t)
	sent := int64(1)
	o.Unsent = func(context.Context) (int64, string, error) { return sent, "siem", nil }
	_, err := o.Prune(t.Context(), ann, now.Add(-72*time.Hour), "")
	wantError(t, "unsent", err, "entries from 2 on were not sent yet to siem")
	sent = 2
	if _, err := o.Prune(t.Context(), ann, now.Add(-72*time.Hour), ""); err != nil {
		t.Error(err)
	}
}

// Retention removes by itself, with an archive, and leaves the rest alone.
func TestRetention(t *testing.T) {
	o := newOffice(t)
	o.Retention, o.Archive, o.Interval = 48*time.Hour, filepath.Join(o.dir, "archive"), 10*time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- o.Run(ctx) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if oldest, err := o.store.Oldest(t.Context()); err == nil && oldest.Seq == 4 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was removed")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	v, err := o.Verify(t.Context())
	if err != nil || v.Start.Seq != 3 || v.Cut.Actor != (audit.Actor{}) {
		t.Errorf("got %+v, %v", v, err)
	}
	f, err := os.Open(filepath.Join(o.dir, "archive", "audit-to-000000000003.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if v, err := notary.VerifyLines(f, nil, nil); err != nil || v.Head.Seq != 3 {
		t.Errorf("the archive: %+v, %v", v, err)
	}
}

// On PostgreSQL the retention removes whole months: the part is dropped, what is left verifies, and the archive has what is gone.
func TestRetentionDropsMonths(t *testing.T) {
	dir, where := t.TempDir(), services.Postgres(t)
	s, err := store.Open(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	db, err := sql.Open("pgx", where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	key, err := notary.KeyFile(filepath.Join(dir, "audit.key"))
	if err != nil {
		t.Fatal(err)
	}
	clock := now
	o := &office{store: s, db: db, dir: dir, Notary: &notary.Notary{Chain: s, Key: key, File: filepath.Join(dir, "checkpoints.jsonl"), Interval: 10 * time.Millisecond,
		Entries: 1000, Retention: 10 * 24 * time.Hour, Archive: filepath.Join(dir, "archive"), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: func() time.Time { return clock }}}
	for _, days := range []int{70, 40, 30, 20, 5} { // of September, October twice, November twice
		o.append(t, now.AddDate(0, 0, -days))
		o.exec(t, "select audit_month($1)", now.AddDate(0, 0, -days).UnixMicro())
	}
	parts := func() (names string) {
		t.Helper()
		if err := db.QueryRow("select string_agg(distinct tableoid::regclass::text, ' ' order by tableoid::regclass::text) from audit where seq < 6").Scan(&names); err != nil {
			t.Fatal(err)
		}
		return names
	}
	if got := parts(); got != "audit_202609 audit_202610 audit_202611" {
		t.Errorf("got %s", got)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	archive := filepath.Join(o.Archive, "audit-to-000000000003.jsonl")
	for deadline := time.Now().Add(time.Minute); parts() != "audit_202611"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute there is %s", parts())
		}
	}
	end()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var there bool
	if err := db.QueryRow("select to_regclass('audit_202609') is not null or to_regclass('audit_202610') is not null").Scan(&there); err != nil || there {
		t.Errorf("the parts are still there: %v, %v", there, err)
	}
	v, err := o.Verify(t.Context())
	if err != nil || v.Start.Seq != 3 || v.Cut.Count != 3 {
		t.Errorf("what is left: %+v, %v", v, err)
	}
	text, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := notary.VerifyLines(strings.NewReader(string(text)), nil, nil); err != nil || kept.Head != v.Start {
		t.Errorf("the archive: %+v, %v", kept, err)
	}
}
