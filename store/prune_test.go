package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"remit/audit"
)

// removal: what is stated is removed and no more; what was interrupted goes on; what is left verifies.
func removal(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	record(t, s)
	for _, tc := range []struct {
		before time.Time
		want   int64
	}{{noon, 0}, {noon.Add(time.Minute), 1}, {noon.Add(90 * time.Minute), 2}, {noon.Add(24 * time.Hour), 3}} {
		if got, err := s.LastBefore(t.Context(), tc.before); err != nil || got != tc.want {
			t.Errorf("before %s: got %d, %v, want %d", tc.before, got, err, tc.want)
		}
	}
	left := func() (n int) {
		t.Helper()
		if err := e.raw(t).QueryRow("select count(*) from audit").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := left()
	if err := s.Remove(t.Context()); err != nil || left() != before {
		t.Errorf("without a statement: %d are left of %d, %v", left(), before, err)
	}
	second, err := s.Since(t.Context(), 1, 1)
	if err != nil || len(second) != 1 {
		t.Fatal(second, err)
	}
	cut := audit.Cut{Last: audit.Head{Seq: 2, Hash: second[0].Hash}, Count: 2, Time: noon}
	if err := s.Append(t.Context(), cut.Entry()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.raw(t).Exec("delete from audit where seq = 1"); err != nil { // stopped halfway
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context()); err != nil {
		t.Errorf("halfway: %v", err)
	}
	before = left()
	if err := s.Remove(t.Context()); err != nil || left() != before-1 {
		t.Errorf("%d are left of %d, %v, want one less", left(), before, err)
	}
	p, err := s.VerifyEach(t.Context(), func(audit.Entry) error { return nil })
	if err != nil || p.Start != cut.Last || p.Cut.Last != cut.Last || p.Head.Seq != 4 {
		t.Errorf("got %+v, %v", p, err)
	}
	if oldest, err := s.Oldest(t.Context()); err != nil || oldest.Seq != 3 {
		t.Errorf("the oldest is %d, %v, want 3", oldest.Seq, err)
	}
	if got, err := s.LastBefore(t.Context(), noon.Add(90*time.Minute)); err != nil || got != 0 {
		t.Errorf("got %d, %v, want nothing left to remove", got, err)
	}
}

// shipping: what is known of a sink outlives a restart.
func shipping(t *testing.T, e engine) {
	s := e.open(t)
	record(t, s)
	if got, err := s.Shipped(t.Context(), "siem"); err != nil || got != (audit.Shipped{Sink: "siem"}) {
		t.Errorf("before anything was sent: %+v, %v", got, err)
	}
	want := audit.Shipped{Sink: "siem", Upto: audit.Head{Seq: 2, Hash: "ab"}, Sent: noon, Failed: noon.Add(time.Second), Problem: "down"}
	for _, p := range []audit.Shipped{{Sink: "siem", Upto: audit.Head{Seq: 1}}, want, {Sink: "other"}} {
		if err := s.SaveShipped(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = e.open(t)
	defer s.Close()
	got, err := s.Shipped(t.Context(), "siem")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got): %s", err, diff)
	}
	for seq, n := range map[int64]int{0: 2, 2: 1, 3: 0} {
		if got, err := s.Since(t.Context(), seq, 2); err != nil || len(got) != n || n > 0 && got[0].Seq != seq+1 {
			t.Errorf("since %d: got %v, %v, want %d", seq, got, err, n)
		}
	}
}

// flippedBits: each bit of what is kept of an entry counts, in its text and in its columns.
func flippedBits(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	record(t, s)
	db := e.raw(t)
	rows, err := db.Query("select * from audit limit 0")
	if err != nil {
		t.Fatal(err)
	}
	columns, err := rows.ColumnTypes()
	if err := errors.Join(err, rows.Close()); err != nil || len(columns) < 15 {
		t.Fatal(columns, err)
	}
	for bit := 3; bit < 60; bit++ {
		if _, err := db.Exec("update audit set seq = $1 where seq = 2", 2|int64(1)<<bit); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(t.Context()); err == nil {
			t.Errorf("seq: bit %d was flipped, and the record verified", bit)
		}
		if _, err := db.Exec("update audit set seq = 2 where seq > 3"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range columns {
		if c.Name() == "seq" {
			continue
		}
		var kept string
		if err := db.QueryRow("select cast(" + c.Name() + " as text) from audit where seq = 2").Scan(&kept); err != nil {
			t.Fatal(err)
		}
		old, flipped := []byte(kept), 0
		if len(old) == 0 {
			old = []byte{1} // what was empty gets something
		}
		set := fmt.Sprintf("update audit set %s = cast($1 as %s) where seq = 2", c.Name(), e.castTo(c.DatabaseTypeName()))
		for bit := 0; bit < len(old)*8; bit += 1 + len(old)/64 {
			changed := append([]byte{}, old...)
			changed[bit/8] ^= 1 << (bit % 8)
			if _, err := db.Exec(set, string(changed)); err != nil && e.dialect == goose.DialectPostgres {
				continue // which keeps no text that is not UTF-8, and no text as a number
			} else if err != nil {
				t.Fatal(err)
			}
			flipped++
			if _, err := s.Verify(t.Context()); err == nil {
				t.Errorf("%s: bit %d of %q was flipped, and the record verified", c.Name(), bit, old)
			}
			if _, err := db.Exec(set, kept); err != nil {
				t.Fatal(err)
			}
		}
		if flipped == 0 {
			t.Errorf("%s: no bit could be flipped", c.Name())
		}
	}
	if _, err := s.Verify(t.Context()); err != nil {
		t.Errorf("after all were flipped back: %v", err)
	}
}
