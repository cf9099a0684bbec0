package identity

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"remit/audit"
)

// Times of access keys.
const (
	KeyWarning = 14 * 24 * time.Hour // before it ends, a key is said to be expiring
	KeyOverlap = 24 * time.Hour      // for which a key that is rotated goes on, if nobody says otherwise
	MaxOverlap = 30 * 24 * time.Hour
	touchEvery = time.Minute
)

// KeySpec says what a new access key is bound to.
type KeySpec struct {
	Agent   string // which agent: a name in the organisation's words
	User    string // for whom it works; of a person who is disabled, the key stops
	Persona string
	Bounds  Bounds
	Expires time.Time // zero means never
}

// IssueKey creates an access key and returns its secret, which is stored only as a hash.
func (d *Directory) IssueKey(ctx context.Context, by Principal, spec KeySpec) (secret string, key Key, err error) {
	if err := MayChangeKeys(by); err != nil {
		return "", Key{}, err
	}
	if secret, key, err = d.newKey(by, spec); err != nil {
		return "", Key{}, err
	}
	user, err := d.Store.Person(ctx, spec.User)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", Key{}, err
	}
	if user.Name != "" && !user.Active(d.now()) {
		return "", Key{}, userStopped(spec.User, user.Disabled)
	}
	err = d.Store.AddKey(ctx, key, func(team string) (audit.Entry, error) {
		return d.keyEntry(by, "key.issue", key), within(by, team, fmt.Errorf("%w: there is no persona %q", ErrNotFound, spec.Persona))
	})
	if err != nil {
		return "", Key{}, err
	}
	return secret, key, nil
}

// newKey makes a key as it will be stored.
func (d *Directory) newKey(by Principal, spec KeySpec) (secret string, key Key, err error) {
	for what, value := range map[string]string{"agent": spec.Agent, "user": spec.User, "persona": spec.Persona} {
		if value != strings.TrimSpace(value) || value == "" || len(value) > 100 || !utf8.ValidString(value) || strings.ContainsFunc(value, unprintable) {
			return "", Key{}, invalidField(what, "the key's %s has 1 to 100 printable characters", what)
		}
	}
	now := d.now()
	if !spec.Expires.IsZero() && !spec.Expires.After(now) {
		return "", Key{}, invalidField("expires", "the key would expire in the past")
	}
	bounds, err := spec.Bounds.checked()
	if err != nil {
		return "", Key{}, err
	}
	id, secret := newSecret(keyPrefix)
	return secret, Key{ID: id, Hash: hash(secret), Agent: spec.Agent, User: spec.User, Persona: spec.Persona, Bounds: bounds,
		Created: now, By: by.Person, Expires: spec.Expires.UTC().Truncate(time.Second)}, nil
}

// RotateKey issues a key for the same agent, user and persona with the same bounds, and lets the old one go on for the
// overlap, never longer than it would have. The new one expires after as long as the old one was issued for, unless
// expires says otherwise.
func (d *Directory) RotateKey(ctx context.Context, by Principal, id string, overlap time.Duration, expires *time.Time) (secret string, next Key, err error) {
	if err := MayChangeKeys(by); err != nil {
		return "", Key{}, err
	}
	if overlap < 0 || overlap > MaxOverlap {
		return "", Key{}, fmt.Errorf("%w: the overlap is 0 to %d days", ErrInvalid, MaxOverlap/(24*time.Hour))
	}
	now := d.now()
	err = d.Store.RotateKey(ctx, id, func(old Key) (Key, Key, [2]audit.Entry, error) {
		if err := old.within(by, id); err != nil {
			return old, next, [2]audit.Entry{}, err
		}
		if err := old.rotatable(now, id); err != nil {
			return old, next, [2]audit.Entry{}, err
		}
		spec := KeySpec{Agent: old.Agent, User: old.User, Persona: old.Persona, Bounds: old.Bounds}
		switch {
		case expires != nil:
			spec.Expires = *expires
		case !old.Expires.IsZero():
			spec.Expires = now.Add(old.Expires.Sub(old.Created))
		}
		var err error
		if secret, next, err = d.newKey(by, spec); err != nil {
			return old, next, [2]audit.Entry{}, err
		}
		next.Replaces, old.ReplacedBy = old.ID, next.ID
		if end := now.Add(overlap); old.Expires.IsZero() || end.Before(old.Expires) {
			old.Expires = end
		}
		return old, next, [2]audit.Entry{d.keyEntry(by, "key.rotate", old), d.keyEntry(by, "key.issue", next)}, nil
	})
	if err != nil {
		return "", Key{}, err
	}
	if overlap == 0 && d.Revoked != nil {
		d.Revoked(next.Persona)
	}
	return secret, next, nil
}

// rotatable says why a key cannot be rotated.
func (k Key) rotatable(now time.Time, id string) error {
	switch {
	case k.ID == "":
		return noKey(id)
	case k.ReplacedBy != "":
		return fmt.Errorf("%w: key %s was rotated already; rotate %s, which replaced it", ErrInvalid, id, k.ReplacedBy)
	case k.Stopped(now):
		return userStopped(k.User, k.Barred)
	case !k.Live(now):
		return fmt.Errorf("%w: key %s is %s; create a new one", ErrInvalid, id, k.State(now))
	}
	return nil
}

func userStopped(user string, disabled bool) error {
	why := "is no longer vouched for by the identity provider"
	if disabled {
		why = "is disabled"
	}
	return fmt.Errorf("%w: %s %s, so a key for them would be refused", ErrInvalid, user, why)
}

// within refuses whom the key's persona is not. Whoever does not see it hears what everybody hears of a key that there is none.
func (k Key) within(by Principal, id string) error { return within(by, k.Team, noKey(id)) }

func within(by Principal, team string, unseen error) error {
	switch {
	case by.Within(team):
		return nil
	case by.Sees(team):
		return fmt.Errorf("%w: the persona belongs to the team %s; ask one of them, or an admin", ErrForbidden, team)
	}
	return unseen
}

func noKey(id string) error { return fmt.Errorf("%w: there is no key %q", ErrNotFound, id) }

// RevokeKey ends a key: its next call is refused.
func (d *Directory) RevokeKey(ctx context.Context, by Principal, id string) error {
	persona := ""
	err := d.changeKey(ctx, by, id, "key.revoke", func(k Key) (Key, error) {
		if k.ID == "" {
			return k, noKey(id)
		}
		if k.Revoked.IsZero() {
			k.Revoked = d.now()
		}
		persona = k.Persona
		return k, nil
	})
	if err == nil && d.Revoked != nil {
		d.Revoked(persona)
	}
	return err
}

// MayChangeKeys says why somebody may not issue, rotate and revoke keys, or nil.
func MayChangeKeys(by Principal) error {
	if !by.Has(Reviewer) && !by.Has(Admin) {
		return fmt.Errorf("%w: this needs the role reviewer or admin", ErrForbidden)
	}
	return nil
}

func (d *Directory) changeKey(ctx context.Context, by Principal, id, kind string, change func(Key) (Key, error)) error {
	if err := MayChangeKeys(by); err != nil {
		return err
	}
	return d.Store.UpdateKey(ctx, id, func(k Key) (Key, audit.Entry, error) {
		if err := k.within(by, id); err != nil {
			return k, audit.Entry{}, err
		}
		k, err := change(k)
		return k, d.keyEntry(by, kind, k), err
	})
}

// keyEntry is the record of a change of a key.
func (d *Directory) keyEntry(by Principal, kind string, k Key) audit.Entry {
	actor := by.Actor()
	actor.Agent, actor.User, actor.Key = k.Agent, k.User, k.ID
	e := audit.Entry{Time: d.now(), Kind: kind, Actor: actor, Persona: k.Persona, Decision: audit.Changed, Detail: map[string]string{}}
	for name, value := range map[string]string{"replaces": k.Replaces, "replaced_by": k.ReplacedBy} {
		if value != "" {
			e.Detail[name] = value
		}
	}
	if kind == "key.revoke" {
		return e
	}
	e.Detail["expires"] = "never"
	if !k.Expires.IsZero() {
		e.Detail["expires"] = k.Expires.Format(time.RFC3339)
	}
	k.Bounds.detail(e.Detail)
	return e
}

// KeyRefused says why a key whose secret is right was refused. It is for the record alone: the caller is told what everybody
// without a valid key is.
type KeyRefused struct {
	Of     Principal
	Reason string
}

func (e *KeyRefused) Error() string { return ErrCredential.Error() + ": " + e.Reason }

// Unwrap makes it an ErrCredential.
func (e *KeyRefused) Unwrap() error { return ErrCredential }

// Authenticate returns the principal that a key's secret is bound to, if it may be used from the address. Every refusal is
// ErrCredential, and a *KeyRefused where the secret is right. A secret that is mistyped asks nothing of the store.
func (d *Directory) Authenticate(ctx context.Context, secret string, from netip.Addr) (Principal, error) {
	id, ok := secretID(keyPrefix, secret)
	if !ok {
		return Principal{}, ErrCredential
	}
	k, err := d.Store.Key(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Principal{}, ErrCredential
	}
	if err != nil {
		return Principal{}, err
	}
	if subtle.ConstantTimeCompare(k.Hash, hash(secret)) != 1 {
		return Principal{}, ErrCredential
	}
	now := d.now()
	who := Principal{Agent: k.Agent, User: k.User, Persona: k.Persona, Key: k.ID, Bounds: k.Bounds}
	if reason := k.refusal(now, from); reason != "" {
		return Principal{}, &KeyRefused{who, reason}
	}
	if now.Sub(k.LastUse) >= touchEvery {
		if err := d.Store.TouchKey(ctx, id, now, addressText(from)); err != nil {
			return Principal{}, err
		}
	}
	return who, nil
}

// refusal says why the key may not be used, or nothing when it may.
func (k Key) refusal(now time.Time, from netip.Addr) string {
	switch {
	case !k.Revoked.IsZero():
		return "the access key was revoked"
	case k.Barred:
		return "the user of the access key is disabled"
	case k.Stopped(now):
		return "the identity provider no longer vouches for the user of the access key"
	case !k.Live(now):
		return "the access key has expired"
	case !k.Bounds.From(from):
		return "the access key may not be used from " + addressText(from)
	}
	return ""
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return "an unknown address"
	}
	return a.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
