package identity

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// KeyState is what becomes of a call with a key now.
type KeyState string

// States, in the order in which they are shown.
const (
	KeyLive     KeyState = "live"
	KeyExpiring KeyState = "expiring" // works, and ends within [KeyWarning] without one that replaces it
	KeyReplaced KeyState = "replaced" // works until it ends; another took its place
	KeyStopped  KeyState = "stopped"  // with its user
	KeyExpired  KeyState = "expired"
	KeyRevoked  KeyState = "revoked"
)

// KeyStates lists every state.
var KeyStates = []KeyState{KeyLive, KeyExpiring, KeyReplaced, KeyStopped, KeyExpired, KeyRevoked}

// State of the key at t.
func (k Key) State(t time.Time) KeyState {
	switch expires := !k.Expires.IsZero(); {
	case !k.Revoked.IsZero():
		return KeyRevoked
	case expires && !t.Before(k.Expires):
		return KeyExpired
	case k.Stopped(t):
		return KeyStopped
	case k.ReplacedBy != "":
		return KeyReplaced
	case expires && k.Expires.Sub(t) <= KeyWarning:
		return KeyExpiring
	}
	return KeyLive
}

// KeyQuery selects keys that fit all of what is given.
type KeyQuery struct {
	Persona, Agent, User string
	State                KeyState
}

// Keys lists the keys that the query selects, of personas that by sees, newest first.
func (d *Directory) Keys(ctx context.Context, by Principal, q KeyQuery) ([]Key, error) {
	if by.Person == "" {
		return nil, ErrForbidden
	}
	if q.State != "" && !slices.Contains(KeyStates, q.State) {
		return nil, fmt.Errorf("%w: there is no state %q; the states are %s", ErrInvalid, q.State, joined(KeyStates))
	}
	keys, err := d.Store.Keys(ctx, q.Persona)
	now := d.now()
	return slices.DeleteFunc(keys, func(k Key) bool {
		return !by.Sees(k.Team) || q.Agent != "" && k.Agent != q.Agent || q.User != "" && k.User != q.User || q.State != "" && k.State(now) != q.State
	}), err
}

// ParseExpiry reads when a key ends: how long from now ("90d", "36h"), a day or a time in UTC ("2026-12-31", which is its
// beginning, "2026-12-31T18:00:00Z"), or "never" (also "0"), which is the zero time.
func ParseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "never" || text == "0" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return future(at, text, now)
		}
	}
	life, err := ParseSpan(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %q says no expiry: give a time from now such as 90d or 36h, a day such as 2026-12-31, or never", ErrInvalid, text)
	}
	return future(now.Add(life), text, now)
}

// maxLife bounds what may be asked for but never, which is said in so many letters.
const maxLife = 10 * 366 * 24 * time.Hour

func future(at time.Time, text string, now time.Time) (time.Time, error) {
	if !at.After(now) || at.Sub(now) > maxLife {
		return time.Time{}, fmt.Errorf("%w: %q does not lie within the next ten years", ErrInvalid, text)
	}
	return at.UTC(), nil
}

// ParseSpan reads a length of time, in days ("7d") or as Go writes it ("36h").
func ParseSpan(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

func joined[T ~string](values []T) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	return strings.Join(names, ", ")
}
