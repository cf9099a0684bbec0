package identity

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"remit/audit"
)

// Limits of sessions and links.
const (
	SessionIdle = 12 * time.Hour
	SessionMax  = 7 * 24 * time.Hour
	LinkMax     = 24 * time.Hour
	FlowMax     = 10 * time.Minute // from leaving for the identity provider to coming back
)

// ErrInvalid is wrapped by refusals of what a person typed.
var ErrInvalid = errors.New("not valid")

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`)

// Directory is the only way to sign in and to change people and keys.
type Directory struct {
	Store Store
	Now   func() time.Time // nil means time.Now
	// Revoked, if set, is called after a key of the persona was revoked, or stopped with its user.
	Revoked func(persona string)
	// Moved, if set, is called after somebody was disabled, withdrawn, or has other groups.
	Moved func(person string)
	Rules ProviderRules

	once     sync.Once
	refusals audit.Bounded // of sign-ins
}

func (d *Directory) now() time.Time {
	if d.Now != nil {
		return d.Now().UTC()
	}
	return time.Now().UTC()
}

// Operator is who acts on the command line of the machine that holds the data: whoever can read the database may
// change it, and the record says that it was done there.
func Operator() Principal { return Principal{Person: "local-operator", Roles: Roles} }

// Bootstrap creates the person "admin", with every role, when there is nobody yet, and returns a one-time sign-in link's
// token to be shown once.
func (d *Directory) Bootstrap(ctx context.Context) (name, link string, created bool, err error) {
	people, err := d.Store.People(ctx)
	if err != nil || len(people) > 0 {
		return "", "", false, err
	}
	if err := d.AddPerson(ctx, Operator(), "admin", Roles, ""); err != nil {
		return "", "", false, err
	}
	link, err = d.NewLink(ctx, Operator(), "admin")
	return "admin", link, err == nil, err
}

// AddPerson creates a person. Without a password they sign in with a one-time link and set one.
func (d *Directory) AddPerson(ctx context.Context, by Principal, name string, roles []Role, password string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("%w: a name has 1 to 64 lower-case letters, digits and . _ @ -, not %q", ErrInvalid, name)
	}
	encoded, err := encodePassword(password)
	if err != nil {
		return err
	}
	return d.changePerson(ctx, by, name, "person.add", roles, Ends{}, func(p Person) (Person, error) {
		if p.Name != "" {
			return p, fmt.Errorf("%w: there is a person %q already", ErrInvalid, name)
		}
		return Person{Name: name, Roles: roles, Password: encoded, Created: d.now()}, validRoles(roles)
	})
}

// SetRoles replaces a person's roles. The last admin stays one.
func (d *Directory) SetRoles(ctx context.Context, by Principal, name string, roles []Role) error {
	if err := d.keepAdmin(ctx, name, slices.Contains(roles, Admin)); err != nil {
		return err
	}
	return d.changePerson(ctx, by, name, "person.roles", roles, Ends{}, func(p Person) (Person, error) {
		p.Roles = roles
		return p, errors.Join(exists(p), validRoles(roles))
	})
}

// SetDisabled ends or restores a person's access, from their next request on. Sessions and links end either way: whoever
// is enabled again signs in anew. Keys that work for them stop from their next call on, and go on when they are enabled.
func (d *Directory) SetDisabled(ctx context.Context, by Principal, name string, disabled bool) error {
	if err := d.keepAdmin(ctx, name, !disabled); err != nil {
		return err
	}
	kind := map[bool]string{true: "person.disable", false: "person.enable"}[disabled]
	err := d.changePerson(ctx, by, name, kind, nil, Ends{Access: true}, func(p Person) (Person, error) {
		p.Disabled = disabled
		return p, exists(p)
	})
	if err != nil || !disabled {
		return err
	}
	return d.keysStopped(ctx, name)
}

// SetPassword sets one's own password, or as admin anybody's, and ends the person's one-time links and sessions but the one
// with the token keep.
func (d *Directory) SetPassword(ctx context.Context, by Principal, name, password, keep string) error {
	if password == "" {
		return fmt.Errorf("%w: the password is empty", ErrInvalid)
	}
	encoded, err := encodePassword(password)
	if err != nil {
		return err
	}
	if by.Person == name && name != "" {
		by.Roles = append([]Role{Admin}, by.Roles...) // of oneself
	}
	return d.changePerson(ctx, by, name, "person.password", nil, Ends{Access: true, Keep: hash(keep)}, func(p Person) (Person, error) {
		p.Password = encoded
		return p, errors.Join(exists(p), local(p))
	})
}

func (d *Directory) changePerson(ctx context.Context, by Principal, name, kind string, roles []Role, ends Ends,
	change func(Person) (Person, error)) error {
	if !by.Has(Admin) {
		return fmt.Errorf("%w: this needs the role admin", ErrForbidden)
	}
	return d.Store.UpdatePerson(ctx, name, ends, func(p Person) (Person, audit.Entry, error) {
		p, err := change(p)
		e := audit.Entry{Time: d.now(), Kind: kind, Actor: by.Actor(), Decision: audit.Changed, Detail: map[string]string{"person": name}}
		if roles != nil {
			e.Detail["roles"] = joinRoles(roles)
		}
		return p, e, err
	})
}

// keepAdmin refuses to take the role from the last person who has it.
func (d *Directory) keepAdmin(ctx context.Context, name string, stays bool) error {
	people, err := d.Store.People(ctx)
	if err != nil || stays {
		return err
	}
	isAdmin := func(p Person) bool { return !p.Disabled && slices.Contains(p.Roles, Admin) }
	if !slices.ContainsFunc(people, func(p Person) bool { return p.Name == name && isAdmin(p) }) ||
		slices.ContainsFunc(people, func(p Person) bool { return p.Name != name && isAdmin(p) }) {
		return nil
	}
	return fmt.Errorf("%w: %s is the last admin; make somebody else admin first", ErrInvalid, name)
}

// People lists everybody, by name.
func (d *Directory) People(ctx context.Context, by Principal) ([]Person, error) {
	if !by.Has(Admin) {
		return nil, fmt.Errorf("%w: this needs the role admin", ErrForbidden)
	}
	return d.Store.People(ctx)
}

// local refuses a password or a link for somebody who signs in at a provider: it would get around the provider.
func local(p Person) error {
	if p.Provided() {
		return fmt.Errorf("%w: %s signs in at the identity provider, and there only", ErrInvalid, p.Name)
	}
	return nil
}

func exists(p Person) error {
	if p.Name == "" {
		return fmt.Errorf("%w: there is no such person", ErrNotFound)
	}
	return nil
}

func validRoles(roles []Role) error {
	for _, r := range roles {
		if !slices.Contains(Roles, r) {
			return fmt.Errorf("%w: there is no role %q; the roles are %s", ErrInvalid, r, joinRoles(Roles))
		}
	}
	return nil
}

func joinRoles(roles []Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// encodePassword takes 12 to 200 bytes, or none.
func encodePassword(password string) (string, error) {
	switch {
	case password == "":
		return "", nil
	case len(password) < 12 || len(password) > 200:
		return "", fmt.Errorf("%w: a password has 12 to 200 characters", ErrInvalid)
	}
	return hashPassword(password), nil
}

// KeySpec says what a new access key is bound to.
type KeySpec struct {
	Agent   string // which agent: a name in the organisation's words
	User    string // for whom it works
	Persona string
	Expires time.Time // zero means never
}

// IssueKey creates an access key and returns its secret, which is stored only as a hash.
func (d *Directory) IssueKey(ctx context.Context, by Principal, spec KeySpec) (secret string, key Key, err error) {
	now := d.now()
	for what, value := range map[string]string{"agent": spec.Agent, "user": spec.User, "persona": spec.Persona} {
		if value != strings.TrimSpace(value) || value == "" || len(value) > 100 || !utf8.ValidString(value) || strings.ContainsFunc(value, unprintable) {
			return "", Key{}, fmt.Errorf("%w: the key's %s has 1 to 100 printable characters", ErrInvalid, what)
		}
	}
	if !spec.Expires.IsZero() && !spec.Expires.After(now) {
		return "", Key{}, fmt.Errorf("%w: the key would expire in the past", ErrInvalid)
	}
	id, secret := newKey()
	key = Key{ID: id, Hash: hash(secret), Agent: spec.Agent, User: spec.User, Persona: spec.Persona, Created: now,
		By: by.Person, Expires: spec.Expires.UTC().Truncate(time.Second)}
	err = d.changeKey(ctx, by, id, "key.issue", func(old Key) (Key, error) {
		if old.ID != "" {
			return old, fmt.Errorf("key id %s exists already; try again", id)
		}
		return key, nil
	})
	if err != nil {
		return "", Key{}, err
	}
	return secret, key, nil
}

// RevokeKey ends a key: its next call is refused.
func (d *Directory) RevokeKey(ctx context.Context, by Principal, id string) error {
	persona := ""
	err := d.changeKey(ctx, by, id, "key.revoke", func(k Key) (Key, error) {
		if k.ID == "" {
			return k, fmt.Errorf("%w: there is no key %q", ErrNotFound, id)
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

func (d *Directory) changeKey(ctx context.Context, by Principal, id, kind string, change func(Key) (Key, error)) error {
	if !by.Has(Reviewer) && !by.Has(Admin) {
		return fmt.Errorf("%w: this needs the role reviewer or admin", ErrForbidden)
	}
	return d.Store.UpdateKey(ctx, id, func(k Key) (Key, audit.Entry, error) {
		k, err := change(k)
		actor := by.Actor()
		actor.Agent, actor.User, actor.Key = k.Agent, k.User, k.ID
		return k, audit.Entry{Time: d.now(), Kind: kind, Actor: actor, Persona: k.Persona, Decision: audit.Changed}, err
	})
}

// Keys lists the keys of a persona, or all with an empty one, newest first.
func (d *Directory) Keys(ctx context.Context, by Principal, persona string) ([]Key, error) {
	if by.Person == "" {
		return nil, ErrForbidden
	}
	return d.Store.Keys(ctx, persona)
}

// Authenticate returns the principal that a key's secret is bound to. Every refusal is ErrCredential.
func (d *Directory) Authenticate(ctx context.Context, secret string) (Principal, error) {
	id, ok := keyID(secret)
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
	now := d.now()
	if subtle.ConstantTimeCompare(k.Hash, hash(secret)) != 1 || !k.Live(now) {
		return Principal{}, ErrCredential
	}
	if now.Sub(k.LastUse) > time.Minute {
		if err := d.Store.TouchKey(ctx, id, now.Truncate(time.Minute)); err != nil {
			return Principal{}, err
		}
	}
	return Principal{Agent: k.Agent, User: k.User, Persona: k.Persona, Key: k.ID}, nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
