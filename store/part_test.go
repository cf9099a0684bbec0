package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
)

// partsOf are the parts of the record and how many entries each has.
func partsOf(t *testing.T, db *sql.DB) map[string]int {
	t.Helper()
	rows, err := db.Query("select tableoid::regclass::text, count(*) from audit group by 1 union all select inhrelid::regclass::text, 0 from pg_inherits where inhparent = 'audit'::regclass")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	parts := map[string]int{}
	for rows.Next() {
		var name string
		var n int
		if err := rows.Scan(&name, &n); err != nil {
			t.Fatal(err)
		}
		parts[name] += n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return parts
}

func date(month time.Month, day int) time.Time {
	return time.Date(2025, month, day, 0, 0, 0, 0, time.UTC)
}

// The record is in parts of a month. Removal drops those that are stated as a whole, also while calls are recorded, and what is left verifies.
func TestParts(t *testing.T) {
	e := engines(t)[1]
	s := e.open(t)
	defer s.Close()
	ctx, db := t.Context(), e.raw(t)
	add := func(at time.Time) {
		t.Helper()
		if err := s.Append(ctx, audit.Entry{Time: at, Kind: "test", Decision: audit.Changed}); err != nil {
			t.Fatal(err)
		}
	}
	add(date(1, 2)) // 1
	add(date(1, 20))
	add(date(2, 1))  // 3
	add(date(1, 31)) // 4 began before, and is recorded after
	add(date(2, 15))
	add(date(3, 3)) // 6
	add(date(5, 5))
	if got := partsOf(t, db)["audit_other"]; got != 7 {
		t.Errorf("%d entries for which there is no part are kept, want 7", got)
	}
	for month := time.Month(1); month < 6; month++ {
		if _, err := db.Exec("select audit_month($1)", date(month, 9).UnixMicro()); err != nil {
			t.Fatal(err)
		}
	}
	got := partsOf(t, db)
	for i := range 3 {
		now := time.Now().UTC()
		delete(got, "audit_"+time.Date(now.Year(), now.Month()+time.Month(i), 1, 0, 0, 0, 0, time.UTC).Format("200601"))
	}
	if diff := cmp.Diff(map[string]int{"audit_202501": 3, "audit_202502": 2, "audit_202503": 1, "audit_202504": 0, "audit_202505": 1, "audit_other": 0}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Verify(ctx); err != nil {
		t.Error(err)
	}
	for _, tc := range []struct {
		before time.Time
		want   int64
	}{{date(1, 5), 0}, {date(2, 1), 0}, {date(2, 2), 4}, {date(2, 20), 5}, {date(3, 2), 5}, {date(6, 1), 7}} {
		if got, err := s.LastWhole(ctx, tc.before); err != nil || got != tc.want {
			t.Errorf("whole before %s: got %d, %v, want %d", tc.before, got, err, tc.want)
		}
	}

	plan := explain(t, db, date(2, 1), date(3, 1))
	if !strings.Contains(plan, "audit_202502") || strings.Contains(plan, "audit_202501") || strings.Contains(plan, "audit_202503") {
		t.Errorf("what is asked of a month reads others, too: %s", plan)
	}

	entries, err := s.Since(ctx, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	cut := audit.Cut{Last: audit.Head{Seq: 5, Hash: entries[0].Hash}, Count: 5, Time: time.Now()}
	if err := s.Append(ctx, cut.Entry()); err != nil {
		t.Fatal(err)
	}
	reader, err := db.Begin() // somebody exports the record
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec("select count(*) from audit"); err != nil {
		t.Fatal(err)
	}
	removed, recorded := make(chan error, 1), make(chan struct{})
	go func() { removed <- s.Remove(context.WithoutCancel(ctx)) }()
	go func() {
		defer close(recorded)
		for range 20 {
			if err := s.Append(context.WithoutCancel(ctx), entry("meanwhile")); err != nil {
				t.Error(err)
			}
		}
	}()
	<-recorded // none of them waits for the export to end
	select {
	case err := <-removed:
		t.Errorf("a part was dropped while it was read: %v", err)
	default:
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-removed; err != nil {
		t.Fatal(err)
	}
	got = partsOf(t, db)
	for _, gone := range []string{"audit_202501", "audit_202502", "audit_202504"} {
		if n, there := got[gone]; there {
			t.Errorf("%s is left, with %d entries", gone, n)
		}
	}
	if got["audit_202503"] != 1 || got["audit_202505"] != 1 {
		t.Errorf("too much was removed: %v", got)
	}
	head, err := s.Verify(ctx)
	oldest, missing := s.Oldest(ctx)
	if err != nil || missing != nil || oldest.Seq != 6 || head.Seq != 28 {
		t.Errorf("got %d to %d, %v, %v, want 6 to 28", oldest.Seq, head.Seq, err, missing)
	}
	add(date(1, 15)) // whose part is gone
	if got := partsOf(t, db); got["audit_other"] != 1 {
		t.Errorf("got %v", got)
	}
	if _, err := s.Verify(ctx); err != nil {
		t.Error(err)
	}
}

// explain is how PostgreSQL reads the entries of a time.
func explain(t *testing.T, db *sql.DB, since, until time.Time) string {
	t.Helper()
	rows, err := db.Query(fmt.Sprintf("explain (costs off) select body from audit where time >= %d and time < %d order by seq desc limit 100", since.UnixMicro(), until.UnixMicro()))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, line)
	}
	return strings.Join(plan, "\n")
}

// Parts are made ahead, and for what a record had before there were any.
func TestMonthsAreMadeAhead(t *testing.T) {
	e := engines(t)[1]
	s := e.open(t)
	if err := s.Append(t.Context(), audit.Entry{Time: date(7, 7), Kind: "old", Decision: audit.Changed}); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), entry("new")); err != nil {
		t.Fatal(err)
	}
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	downgrade(t, e, 21)
	s = e.open(t)
	defer s.Close()
	db := e.raw(t)
	if got := partsOf(t, db); got["audit_202507"] != 1 || got["audit_other"] != 0 || len(got) != 5 {
		t.Errorf("after the upgrade: got %v", got)
	}
	if after, err := s.Verify(t.Context()); err != nil || after != head {
		t.Errorf("got %v, %v, want %v", after, err, head)
	}
	next := "audit_" + time.Date(time.Now().UTC().Year(), time.Now().UTC().Month()+2, 1, 0, 0, 0, 0, time.UTC).Format("200601")
	if _, err := db.Exec("drop table " + next); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.KeepMonths(ctx, func(err error) { t.Error(err) }) }()
	eventually(t, func() bool { _, there := partsOf(t, db)[next]; return there })
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
