package store

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// Work that others wait for rests a tenth of a second in all, and then no more; other work goes on as it began. Where there are processors enough none rests.
func TestPace(t *testing.T) {
	soon, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(few))
	for name, tc := range map[string]struct {
		pace   pace
		always bool
	}{
		"in a transaction that writes":  {paced(heldRests), false},
		"that is to be ready by a time": {paceOf(soon), false},
		"that nobody waits for":         {paceOf(t.Context()), true},
	} {
		p := tc.pace
		p.step()
		for range heldRests {
			p.since = time.Now().Add(-time.Second) // worked for so long
			p.step()
		}
		p.since = time.Now().Add(-time.Second)
		before := p.since
		if p.step(); p.since.After(before) != tc.always {
			t.Errorf("%s: after %d rests it rests again: %v, want %v", name, heldRests, p.since.After(before), tc.always)
		}
	}
	runtime.GOMAXPROCS(few + 1)
	many := paced(heldRests)
	before := time.Now().Add(-time.Second)
	many.since = before
	if many.step(); many.since != before {
		t.Error("it rests where there are processors enough")
	}
}
