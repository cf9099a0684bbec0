package gateway

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Calls that begin together share how long they may last, and nothing else: each ends by itself and has its own request's values, and
// all end with the gateway.
func TestCallsShareATimerOnly(t *testing.T) {
	type key struct{}
	life, end := context.WithCancelCause(t.Context())
	var p patience
	shared := p.after(life, time.Hour)
	if again := p.after(life, time.Hour); again != shared {
		t.Error("two that begin together have a timer each")
	}
	deadline, _ := shared.Deadline()
	if left := time.Until(deadline); left < time.Hour-time.Minute || left > time.Hour+time.Hour/64 {
		t.Errorf("it ends in %s, want an hour or a 64th more", left)
	}
	one, cancel := context.WithCancel(during{shared, context.WithValue(t.Context(), key{}, 1)})
	other, stop := context.WithCancel(during{shared, context.WithValue(t.Context(), key{}, 2)})
	defer stop()
	cancel()
	if one.Err() == nil || other.Err() != nil {
		t.Errorf("got %v and %v, want that one has ended, and the other not", one.Err(), other.Err())
	}
	if a, b := one.Value(key{}), other.Value(key{}); a != 1 || b != 2 {
		t.Errorf("got the values %v and %v, want 1 and 2", a, b)
	}
	if end(errClosing); !errors.Is(context.Cause(other), errClosing) {
		t.Errorf("got %v, want that it ended with the gateway", context.Cause(other))
	}
}

// Who comes later than a 64th has more time.
func TestPatienceIsRenewed(t *testing.T) {
	var p patience
	first := p.after(t.Context(), time.Nanosecond)
	<-first.Done()
	if next := p.after(t.Context(), time.Hour); next.Err() != nil || context.Cause(first) != context.DeadlineExceeded {
		t.Errorf("got %v after %v, want a new one", next.Err(), context.Cause(first))
	}
}

// What one call adds to its record is not in another's, though both begin with what the revision says of the tool.
func TestNotesAreOneCalls(t *testing.T) {
	shared := map[string]string{"name": "find"}
	one, other := &call{}, &call{}
	one.entry.Detail, other.entry.Detail = shared, shared
	one.note("mask email", "2")
	one.note("held", "1s")
	other.note("mask email", "7")
	for _, c := range []struct{ got, want map[string]string }{
		{one.entry.Detail, map[string]string{"name": "find", "mask email": "2", "held": "1s"}},
		{other.entry.Detail, map[string]string{"name": "find", "mask email": "7"}},
		{shared, map[string]string{"name": "find"}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Error("got other than want:", diff)
		}
	}
}
