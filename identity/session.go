package identity

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"remit/audit"
)

// OwnSessions is what people see and end of their own sessions.
type OwnSessions interface {
	SessionsOf(ctx context.Context, person string) ([]Session, error) // newest first, those that ran out too
	// EndSessions ends the person's session with the hash, or with none all but the one to keep, and returns how many.
	EndSessions(ctx context.Context, person string, hash, keep []byte, e audit.Entry) (int, error)
	// DescribeSession notes which browser has the session, and from where.
	DescribeSession(ctx context.Context, hash []byte, browser, address string) error
}

// live says whether the session may be used at t, if its person may do anything.
func (s Session) live(t time.Time) bool {
	return t.Sub(s.Seen) <= SessionIdle && t.Sub(s.Created) <= SessionMax
}

// ID names the session to its owner. Nobody can sign in with it.
func (s Session) ID() string { return hex.EncodeToString(s.Hash) }

// Is says whether the token opens s.
func (s Session) Is(token string) bool { return bytes.Equal(s.Hash, hash(token)) }

// Describe notes what signed in, for the list of one's sessions: at most 200 bytes of each.
func (d *Directory) Describe(ctx context.Context, token, browser, address string) error {
	return d.Store.DescribeSession(ctx, hash(token), printable(browser), printable(address))
}

// printable is at most 200 bytes of what a client sent, without what cannot be printed.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unprintable(r) {
			return -1
		}
		return r
	}, text[:min(len(text), 200)])
	return text
}

// Sessions lists one's own sessions that are open, newest first.
func (d *Directory) Sessions(ctx context.Context, by Principal) ([]Session, error) {
	if by.Person == "" {
		return nil, ErrForbidden
	}
	all, err := d.Store.SessionsOf(ctx, by.Person)
	return slices.DeleteFunc(all, func(s Session) bool { return !s.live(d.now()) }), err
}

// EndSession ends one of one's own sessions, from its next request on.
func (d *Directory) EndSession(ctx context.Context, by Principal, id string) error {
	h, err := hex.DecodeString(id)
	if err != nil || len(h) == 0 {
		return fmt.Errorf("%w: there is no such session", ErrNotFound)
	}
	n, err := d.endSessions(ctx, by, h, nil)
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: there is no such session", ErrNotFound)
	}
	return err
}

// EndOtherSessions ends one's own sessions but the one with the token.
func (d *Directory) EndOtherSessions(ctx context.Context, by Principal, token string) error {
	_, err := d.endSessions(ctx, by, nil, hash(token))
	return err
}

func (d *Directory) endSessions(ctx context.Context, by Principal, h, keep []byte) (int, error) {
	if by.Person == "" {
		return 0, ErrForbidden
	}
	which := map[bool]string{true: "all others", false: "one"}[h == nil]
	return d.Store.EndSessions(ctx, by.Person, h, keep, audit.Entry{Time: d.now(), Kind: "session.end", Actor: by.Actor(),
		Decision: audit.Changed, Detail: map[string]string{"sessions": which}})
}
