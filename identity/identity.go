// Package identity owns who is asking: people and their roles and sessions, agents' access keys, and the Principal that
// every other package takes as a parameter.
package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"remit/audit"
)

// Role is what a person may do. Roles do not include one another.
type Role string

const (
	Viewer   Role = "viewer"   // reads personas, the catalog, the servers and evaluations
	Author   Role = "author"   // describes jobs, edits and submits drafts
	Reviewer Role = "reviewer" // approves, sends back and retires personas that others wrote; approves calls, too
	Approver Role = "approver" // approves single calls of agents that work for others
	Auditor  Role = "auditor"  // reads and verifies the record
	Admin    Role = "admin"    // people, keys, upstreams; approves calls, too
)

// Roles lists every role.
var Roles = []Role{Viewer, Author, Reviewer, Approver, Auditor, Admin}

// Principal is who is asking: a signed-in person, or an agent for a user as a persona. The zero value may do nothing.
type Principal struct {
	Person string // name, for people
	Roles  []Role
	Teams  []string // whose personas are theirs

	Agent, User string // for access keys and access tokens
	Persona     string
	Key         string // public id of the access key; of an access token, what [Bearer.ID] makes
	Bounds      Bounds // of the access key, against its persona; an access token has none

	Token string // public id of the management token, for a program that acts in somebody's name; Person is then the token's
	Owner string // person who created it, whose work all that it writes is
}

// Machine says that p is a program with a management token. It approves nothing, whatever its roles.
func (p Principal) Machine() bool { return p.Token != "" }

// Hands is who writes when p does: the token's creator with it.
func (p Principal) Hands() []string {
	if p.Owner != "" {
		return []string{p.Person, p.Owner}
	}
	return []string{p.Person}
}

// Accountable is the person who answers for what p does.
func (p Principal) Accountable() string {
	if p.Owner != "" {
		return p.Owner
	}
	return p.Person
}

// Has says whether p is a person, or a program in a person's name, with the role. An agent has none.
func (p Principal) Has(r Role) bool { return p.Person != "" && slices.Contains(p.Roles, r) }

// Actor is p as the record names it.
func (p Principal) Actor() audit.Actor {
	key := p.Key
	if p.Machine() {
		key = p.Token
	}
	return audit.Actor{Person: p.Person, Agent: p.Agent, User: p.User, Key: key}
}

// Person signs in on the web pages.
type Person struct {
	Name     string // unique, lower case
	Roles    []Role
	Teams    []string // in order
	Password string   // argon2id, encoded with its parameters; empty means that nobody can sign in with a password
	Disabled bool
	Created  time.Time

	// Issuer and Subject name somebody who signs in at an identity provider, and there only. Both are empty for all others.
	Issuer, Subject string
	Groups          []string  // at the provider, as of the last sign-in; in order
	Vouched         time.Time // until when the provider vouches for them; without it sessions and keys stop
}

// Provided says that the person signs in at an identity provider.
func (p Person) Provided() bool { return p.Issuer != "" }

// Active says whether the person may do anything at t.
func (p Person) Active(t time.Time) bool {
	return !p.Disabled && (!p.Provided() || t.Before(p.Vouched))
}

// Key is an Agent Access Key: it binds an agent, the user it works for, and one persona. The secret is shown once.
type Key struct {
	ID       string // public: the recognisable prefix of the secret
	Hash     []byte // SHA-256 of the secret
	Agent    string
	User     string
	Persona  string
	Bounds   Bounds
	Created  time.Time
	By       string    // person who created it
	Expires  time.Time // zero means never
	Revoked  time.Time // zero means not
	LastUse  time.Time // at most a minute before the newest use
	LastFrom string    // the address of that use

	Replaces, ReplacedBy string // ids of the keys before and after it, where it was rotated

	Team string // that owns the persona now; empty for none

	// Of the person whose name is User, as they are now; zero when nobody has that name.
	Barred  bool      // disabled
	Vouched time.Time // until when the identity provider vouches for them; zero for whom it does not know
}

// Live says whether the key may be used at t: it stops with the person it works for.
func (k Key) Live(t time.Time) bool {
	return k.Revoked.IsZero() && (k.Expires.IsZero() || t.Before(k.Expires)) && !k.Stopped(t)
}

// Stopped says whether the key does not work at t because its user may do nothing.
func (k Key) Stopped(t time.Time) bool {
	return k.Barred || !k.Vouched.IsZero() && !t.Before(k.Vouched)
}

// Session is a signed-in browser. Its token is stored as a hash.
type Session struct {
	Hash    []byte
	Person  string
	Created time.Time
	Seen    time.Time // to the minute

	Provider         string // the identity provider's name of its session, if it gave one
	Browser, Address string // what signed in, and from where; for its owner to recognise
}

// Link is a one-time sign-in link. Its token is stored as a hash.
type Link struct {
	Hash    []byte
	Person  string
	Expires time.Time
}

var (
	ErrNotFound = errors.New("not found")
	// ErrCredential answers every failed sign-in and every unusable key alike.
	ErrCredential = errors.New("the credential is not valid")
	ErrForbidden  = errors.New("not allowed")
)

// Store keeps people, keys and sessions. An Update runs change on the current value (the zero value when there is none)
// and writes the new one and its audit entry in one transaction; an error from change leaves everything as it was.
type Store interface {
	People
	Keys
	Sessions
	OwnSessions
	Provider
	Tokens
}

// People keeps people.
type People interface {
	Person(ctx context.Context, name string) (Person, error) // ErrNotFound
	People(ctx context.Context) ([]Person, error)
	UpdatePerson(ctx context.Context, name string, ends Ends, change func(Person) (Person, audit.Entry, error)) error
}

// Ends says what a change of a person ends in its transaction: nothing, or with Access every session and every one-time
// link of theirs, but the session whose token's hash is Keep.
type Ends struct {
	Access bool
	Keep   []byte
}

// Keys keeps access keys.
type Keys interface {
	Key(ctx context.Context, id string) (Key, error) // ErrNotFound
	Keys(ctx context.Context, persona string) ([]Key, error)
	// AddKey adds a key, if may allows that for the team that owns the key's persona, empty for none, in one transaction with the entry.
	AddKey(ctx context.Context, k Key, may func(team string) (audit.Entry, error)) error
	UpdateKey(ctx context.Context, id string, change func(Key) (Key, audit.Entry, error)) error
	// RotateKey changes a key and adds the one that takes its place, with an entry for each, in one transaction.
	RotateKey(ctx context.Context, id string, change func(Key) (old, next Key, entries [2]audit.Entry, err error)) error
	// TouchKey notes a use, unless one within the minute before is noted. No entry: the call has its own.
	TouchKey(ctx context.Context, id string, used time.Time, from string) error
}

// Sessions keeps sign-ins.
type Sessions interface {
	// OpenSession keeps a session and its entry, if the person is still what was checked: neither disabled, nor with another
	// password or subject. ErrNotFound if not. Until when a provider vouches for the person is taken from checked.
	OpenSession(ctx context.Context, s Session, checked Person, e audit.Entry) error
	TouchSession(ctx context.Context, hash []byte, seen time.Time) error // one that ended stays ended
	Session(ctx context.Context, hash []byte) (Session, error)           // ErrNotFound
	DeleteSession(ctx context.Context, hash []byte) error
	SaveLink(ctx context.Context, l Link) error
	TakeLink(ctx context.Context, hash []byte) (Link, error) // deletes it; ErrNotFound
	Append(ctx context.Context, e audit.Entry) error         // of a sign-in that was refused
}
