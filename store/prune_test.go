package store_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/store"
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
	if n, err := s.Remove(t.Context()); err != nil || n != 0 {
		t.Errorf("without a statement: %d removed, %v", n, err)
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
	if n, err := s.Remove(t.Context()); err != nil || n != 1 {
		t.Errorf("%d removed, %v, want the one that was left", n, err)
	}
	p, err := s.VerifyEach(t.Context(), audit.Head{}, func(audit.Entry) error { return nil })
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
	var columns []string
	rows, err := db.Query("select name from pragma_table_info('audit')")
	for err == nil && rows.Next() {
		var name string
		err = rows.Scan(&name)
		columns = append(columns, name)
	}
	if err != nil || len(columns) < 15 {
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
	for _, column := range columns {
		if column == "seq" {
			continue
		}
		var old []byte
		if err := db.QueryRow("select cast(" + column + " as blob) from audit where seq = 2").Scan(&old); err != nil {
			t.Fatal(err)
		}
		if len(old) == 0 {
			old = []byte{0} // what was empty gets something
		}
		for bit := 0; bit < len(old)*8; bit += 1 + len(old)/64 {
			flip(t, s, db, column, old, bit)
		}
	}
	if _, err := s.Verify(t.Context()); err != nil {
		t.Errorf("after all were flipped back: %v", err)
	}
}

func flip(t *testing.T, s *store.Store, db *sql.DB, column string, old []byte, bit int) {
	t.Helper()
	changed := append([]byte{}, old...)
	changed[bit/8] ^= 1 << (bit % 8)
	var exact string // of the row as it is, whatever the type
	if err := db.QueryRow(fmt.Sprintf("select quote(%s) from audit where seq = 2", column)).Scan(&exact); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(fmt.Sprintf("update audit set %s = cast($1 as text) where seq = 2", column), changed); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context()); err == nil {
		t.Errorf("%s: bit %d of %q was flipped, and the record verified", column, bit, old)
	}
	if _, err := db.Exec(fmt.Sprintf("update audit set %s = %s where seq = 2", column, exact)); err != nil {
		t.Fatal(err)
	}
}
