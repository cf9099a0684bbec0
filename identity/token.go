package identity

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"remit/audit"
	"remit/internal/invalid"
)

// Token is a management token: with it a program manages Remit over its API, in the name of whoever created it and with at
// most their roles. It is no person: it approves nothing and lets nobody in. The secret is shown once.
type Token struct {
	ID      string // public: the recognisable beginning of the secret
	Hash    []byte // SHA-256 of the secret
	Name    string // what it is for; one that somebody else has, or had, is taken
	Roles   []Role
	Teams   []string // it works for no others; none means all of its creator's
	Created time.Time
	By      string // person who created it; it ends with them
	Expires time.Time
	Revoked time.Time // zero means not
	LastUse time.Time // to the minute
}

// Live says whether the token may be used at t, if its creator may do anything.
func (k Token) Live(t time.Time) bool { return k.Revoked.IsZero() && t.Before(k.Expires) }

// State of the token at t, in a word.
func (k Token) State(t time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked"
	case !k.Live(t):
		return "expired"
	}
	return "live"
}

// Tokens keeps management tokens.
type Tokens interface {
	Token(ctx context.Context, id string) (Token, error)        // ErrNotFound
	Tokens(ctx context.Context) ([]Token, error)                // newest first
	AddToken(ctx context.Context, t Token, e audit.Entry) error // ErrTaken
	RevokeToken(ctx context.Context, id string, at time.Time, e audit.Entry) error
	TouchToken(ctx context.Context, id string, used time.Time) error // no entry: what it changes has its own
}

var (
	// ErrMachine refuses a management token what only a signed-in person may do.
	ErrMachine = fmt.Errorf("%w: this needs a signed-in person; a management token can neither approve nor let anybody in", ErrForbidden)
	// ErrTaken refuses a name by which the record would take two people's tokens for one.
	ErrTaken = fmt.Errorf("%w: somebody else has, or had, a token of that name; choose another", ErrInvalid)
)

// TokenMax is the longest life of a management token.
const TokenMax = 366 * 24 * time.Hour

// TokenRoles are the roles that a token may have. An approver answers for a person, which a token is not.
var TokenRoles = []Role{Viewer, Author, Reviewer, Auditor, Admin}

// tokenPerson is how the record and revisions name a token. No person's name has a colon.
func tokenPerson(name string) string { return "token:" + name }

// TokenSpec says what a new token is.
type TokenSpec struct {
	Name    string
	Roles   []Role
	Teams   []string // none means all of its creator's
	Expires time.Time
}

// IssueToken creates a management token and returns its secret, which is stored only as a hash.
func (d *Directory) IssueToken(ctx context.Context, by Principal, spec TokenSpec) (secret string, t Token, err error) {
	if err := d.mayIssue(by, spec); err != nil {
		return "", t, err
	}
	teams, err := tidyTeams(spec.Teams)
	if err != nil {
		return "", t, invalid.At("teams", err)
	}
	id, secret := newSecret(tokenPrefix)
	t = Token{ID: id, Hash: hash(secret), Name: spec.Name, Roles: spec.Roles, Teams: teams, Created: d.now(), By: by.Person, Expires: spec.Expires.UTC().Truncate(time.Second)}
	e := d.tokenEntry(by, "token.issue", t)
	e.Detail["roles"], e.Detail["expires"] = joinRoles(t.Roles), t.Expires.Format(time.RFC3339)
	if len(teams) > 0 {
		e.Detail["teams"] = strings.Join(teams, ", ")
	}
	return secret, t, d.Store.AddToken(ctx, t, e)
}

func (d *Directory) mayIssue(by Principal, spec TokenSpec) error {
	now := d.now()
	switch {
	case by.Machine():
		return ErrMachine
	case by.Person == "" || len(by.Roles) == 0:
		return fmt.Errorf("%w: whoever creates a token needs a role; ask an admin for one", ErrForbidden)
	case !validName.MatchString(spec.Name):
		return invalidField("name", "a token's name has 1 to 64 lower-case letters, digits and . _ @ -, not %q", spec.Name)
	case len(spec.Roles) == 0:
		return invalidField("roles", "a token without roles may do nothing; give it some of %s", joinRoles(TokenRoles))
	case !spec.Expires.After(now):
		return invalidField("expires", "the token would expire in the past")
	case spec.Expires.After(now.Add(TokenMax)):
		return invalidField("expires", "a token lives at most 366 days")
	}
	for i, r := range spec.Roles {
		switch {
		case !slices.Contains(TokenRoles, r):
			return invalidField("roles", "there is no role %q for tokens; the roles are %s", r, joinRoles(TokenRoles))
		case slices.Contains(spec.Roles[:i], r):
			return invalidField("roles", "the role %s is given twice", r)
		case !by.Has(r):
			return fmt.Errorf("%w: you do not have the role %s yourself, so a token of yours cannot", ErrForbidden, r)
		}
	}
	if len(spec.Teams) > 0 && slices.Contains(spec.Roles, Admin) {
		return invalidField("teams", "a token with the role admin is for all teams: leave the teams out, or the role")
	}
	for _, t := range spec.Teams {
		if !by.Within(t) {
			return fmt.Errorf("%w: you are not in the team %s yourself, so a token of yours cannot be", ErrForbidden, t)
		}
	}
	return nil
}

// RevokeToken ends a token of one's own, or as admin anybody's: its next request is refused.
func (d *Directory) RevokeToken(ctx context.Context, by Principal, id string) error {
	t, err := d.Store.Token(ctx, id)
	if errors.Is(err, ErrNotFound) || err == nil && !by.Has(Admin) && !by.owns(t) {
		return fmt.Errorf("%w: you have no token %q", ErrNotFound, id) // whether others do is not said
	}
	if err != nil {
		return err
	}
	return d.Store.RevokeToken(ctx, id, d.now(), d.tokenEntry(by, "token.revoke", t))
}

// Tokens lists one's own tokens, or as admin everybody's, newest first.
func (d *Directory) Tokens(ctx context.Context, by Principal) ([]Token, error) {
	if by.Person == "" {
		return nil, ErrForbidden
	}
	all, err := d.Store.Tokens(ctx)
	if by.Has(Admin) {
		return all, err
	}
	return slices.DeleteFunc(all, func(t Token) bool { return !by.owns(t) }), err
}

// owns says that the token is of the person, or p is that very token.
func (p Principal) owns(t Token) bool {
	if p.Machine() {
		return p.Token == t.ID
	}
	return p.Person == t.By
}

func (d *Directory) tokenEntry(by Principal, kind string, t Token) audit.Entry {
	return audit.Entry{Time: d.now(), Kind: kind, Actor: by.Actor(), Decision: audit.Changed, Detail: map[string]string{"token": t.ID, "name": t.Name, "creator": t.By}}
}

// AuthenticateToken returns the principal that a management token acts as: with those of its roles that its creator has
// now. Every refusal is ErrCredential.
func (d *Directory) AuthenticateToken(ctx context.Context, secret string) (Principal, error) {
	id, ok := secretID(tokenPrefix, secret)
	if !ok {
		return Principal{}, d.refuse(Person{}, "there is no such management token")
	}
	t, err := d.Store.Token(ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Principal{}, err
	}
	now := d.now()
	if subtle.ConstantTimeCompare(t.Hash, hash(secret)) != 1 || err != nil {
		return Principal{}, d.refuse(Person{}, "there is no such management token")
	}
	if !t.Live(now) {
		return Principal{}, d.refuse(Person{}, "the management token "+t.ID+" was revoked or has expired")
	}
	roles, teams, err := d.reachOf(ctx, t, now)
	if err != nil {
		return Principal{}, err
	}
	if now.Sub(t.LastUse) > time.Minute {
		if err := d.Store.TouchToken(ctx, id, now.Truncate(time.Minute)); err != nil {
			return Principal{}, err
		}
	}
	return Principal{Person: tokenPerson(t.Name), Roles: roles, Teams: teams, Token: t.ID, Owner: t.By}, nil
}

// reachOf is which of the token's roles and teams its creator has now. One whose creator may do nothing is refused.
func (d *Directory) reachOf(ctx context.Context, t Token, now time.Time) (roles []Role, teams []string, err error) {
	if t.By == Operator().Person {
		return t.Roles, t.teamsOf(Person{}, true), nil
	}
	creator, err := d.Store.Person(ctx, t.By)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, nil, err
	}
	if err != nil || !creator.Active(now) {
		return nil, nil, d.refuse(creator, "the creator of the management token "+t.ID+" may do nothing")
	}
	for _, r := range t.Roles {
		if slices.Contains(creator.Roles, r) {
			roles = append(roles, r)
		}
	}
	return roles, t.teamsOf(creator, slices.Contains(creator.Roles, Admin)), nil
}
