//go:build !race

package store

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What a call in the record leaves for the collector does not creep up: its intent, its entry, and the entry's way into the database.
func TestAllocations(t *testing.T) {
	const calls, most = 4_000, 4 << 10 // bytes of a call
	s, _ := journaling(t, filepath.Join(t.TempDir(), "remit.db"))
	e := toolCall("jira/search")
	e.Reason = strings.Repeat("because ", 60) // so that its text is as long as a call's
	record := func() {
		ticket, err := s.Begin(t.Context(), e)
		if err == nil {
			err = s.Finish(t.Context(), ticket, e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	record()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		record()
	}
	runtime.ReadMemStats(&after)
	got := (after.TotalAlloc - before.TotalAlloc) / calls
	t.Logf("%d bytes", got)
	if got > most {
		t.Errorf("%d bytes, more than %d", got, most)
	}
}
