package identity

import (
	"context"
	"errors"
	"time"

	"remit/audit"
)

// SignIn opens a session. Every failure is ErrCredential and takes the same time.
func (d *Directory) SignIn(ctx context.Context, name, password string) (token string, err error) {
	p, err := d.checkPassword(ctx, name, password)
	if err != nil {
		return "", err
	}
	return d.open(ctx, p, "password", "")
}

// CheckPassword says whether the password is the person's, with ErrCredential if not.
func (d *Directory) CheckPassword(ctx context.Context, name, password string) error {
	_, err := d.checkPassword(ctx, name, password)
	return err
}

func (d *Directory) checkPassword(ctx context.Context, name, password string) (Person, error) {
	p, err := d.Store.Person(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return p, err
	}
	reason := ""
	switch {
	case len(password) > 200 || !passwordMatches(p.Password, password):
		reason = "the name and the password do not fit together"
	case p.Provided():
		reason = "the person signs in at the identity provider only"
	case p.Disabled:
		reason = "the person is disabled"
	default:
		return p, nil
	}
	return p, d.refuse(p, reason)
}

// NewLink returns the token of a link that signs the person in once, within [LinkMax].
func (d *Directory) NewLink(ctx context.Context, by Principal, name string) (token string, err error) {
	err = d.changePerson(ctx, by, name, "person.link", nil, Ends{}, func(p Person) (Person, error) { return p, errors.Join(exists(p), local(p)) })
	if err != nil {
		return "", err
	}
	token = newToken()
	return token, d.Store.SaveLink(ctx, Link{Hash: hash(token), Person: name, Expires: d.now().Add(LinkMax)})
}

// SignInByLink opens a session and ends the link.
func (d *Directory) SignInByLink(ctx context.Context, link string) (token string, err error) {
	l, err := d.Store.TakeLink(ctx, hash(link))
	if errors.Is(err, ErrNotFound) {
		return "", d.refuse(Person{}, "there is no such one-time link")
	}
	if err != nil {
		return "", err
	}
	p, err := d.Store.Person(ctx, l.Person)
	switch {
	case err != nil:
		return "", errors.Join(ErrCredential, err)
	case !d.now().Before(l.Expires):
		return "", d.refuse(p, "the one-time link has expired")
	case p.Disabled:
		return "", d.refuse(p, "the person is disabled")
	case p.Provided():
		return "", d.refuse(p, "the person signs in at the identity provider only")
	}
	return d.open(ctx, p, "one-time link", "")
}

// TooManyTries records a sign-in that was not even looked at.
func (d *Directory) TooManyTries(ctx context.Context, name string) error {
	p, err := d.Store.Person(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := d.refuse(p, "too many tries"); err != ErrCredential {
		return err
	}
	return nil
}

// Whoever tries to sign in may cause at most refusedMost entries in refusedSpan; those beyond are counted.
const (
	refusedMost = 10
	refusedSpan = time.Second
)

// refuse records a sign-in that failed and returns ErrCredential. What was typed as a name is recorded only if somebody has
// that name: it may be a password in the wrong field.
func (d *Directory) refuse(p Person, reason string) error {
	d.once.Do(func() { d.refusals.Append = d.Store.Append })
	e := audit.Entry{Time: d.now(), Kind: audit.SignIn, Decision: audit.Refused, Reason: reason, Detail: map[string]string{"person": "unknown"}}
	if p.Name != "" {
		e.Detail["person"] = p.Name
	}
	if err := d.refusals.Record("", refusedMost, refusedSpan, e); err != nil {
		return err
	}
	return ErrCredential
}

// Flush records how many refused sign-ins were only counted so far.
func (d *Directory) Flush() { d.refusals.Flush() }

// open makes a session for p as it was when its credential was checked. provider is the name of the provider's own session.
func (d *Directory) open(ctx context.Context, p Person, with, provider string) (string, error) {
	token := newToken()
	now := d.now()
	err := d.Store.OpenSession(ctx, Session{Hash: hash(token), Person: p.Name, Created: now, Seen: now, Provider: provider}, p, audit.Entry{Time: now, Kind: audit.SignIn,
		Actor: audit.Actor{Person: p.Name}, Decision: audit.Allowed, Detail: map[string]string{"with": with}})
	if errors.Is(err, ErrNotFound) {
		return "", ErrCredential
	}
	return token, err
}

// Session returns who a session's token belongs to, or ErrCredential.
func (d *Directory) Session(ctx context.Context, token string) (Principal, error) {
	s, err := d.Store.Session(ctx, hash(token))
	if errors.Is(err, ErrNotFound) {
		return Principal{}, ErrCredential
	}
	if err != nil {
		return Principal{}, err
	}
	now := d.now()
	p, err := d.Store.Person(ctx, s.Person)
	if err != nil || !p.Active(now) || !s.live(now) {
		return Principal{}, errors.Join(ErrCredential, err)
	}
	if now.Sub(s.Seen) > time.Minute {
		if err := d.Store.TouchSession(ctx, s.Hash, now); err != nil {
			return Principal{}, err
		}
	}
	return Principal{Person: p.Name, Roles: p.Roles, Teams: p.Teams}, nil
}

// SignOut ends a session; one that is already over is no error.
func (d *Directory) SignOut(ctx context.Context, token string) error {
	return d.Store.DeleteSession(ctx, hash(token))
}
