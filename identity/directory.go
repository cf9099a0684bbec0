package identity

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"remit/audit"
	"remit/internal/invalid"
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
	// SignIns keeps what sign-ins at the provider are renewed with; nil keeps nothing.
	SignIns SignIns

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
		if people, again := d.Store.People(ctx); again == nil && len(people) > 0 {
			return "", "", false, nil // another replica was first
		}
		return "", "", false, err
	}
	link, err = d.NewLink(ctx, Operator(), "admin")
	return "admin", link, err == nil, err
}

// AddPerson creates a person. Without a password they sign in with a one-time link and set one.
func (d *Directory) AddPerson(ctx context.Context, by Principal, name string, roles []Role, password string) error {
	if !validName.MatchString(name) {
		return invalidField("name", "a name has 1 to 64 lower-case letters, digits and . _ @ -, not %q", name)
	}
	encoded, err := encodePassword(password)
	if err != nil {
		return err
	}
	return d.changePerson(ctx, by, name, "person.add", roles, Ends{}, func(p Person) (Person, error) {
		if p.Name != "" {
			return p, invalidField("name", "there is a person %q already", name)
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
		if err := machineMay(by, p, name, kind, roles); err != nil {
			return p, audit.Entry{}, err
		}
		p, err := change(p)
		e := audit.Entry{Time: d.now(), Kind: kind, Actor: by.Actor(), Decision: audit.Changed, Detail: map[string]string{"person": name}}
		if roles != nil {
			e.Detail["roles"] = joinRoles(roles)
		}
		if kind == "person.teams" {
			e.Detail["teams"] = strings.Join(p.Teams, ", ")
		}
		return p, e, err
	})
}

// machineMay holds management tokens to what lets nobody in and gives no role that the token lacks. Its creator's roles, which
// are its own, it leaves alone.
func machineMay(by Principal, p Person, name, kind string, roles []Role) error {
	if !by.Machine() || kind == "person.disable" {
		return nil
	}
	if name == by.Owner || kind != "person.add" && kind != "person.roles" && kind != "person.teams" {
		return ErrMachine
	}
	for _, r := range roles {
		if !by.Has(r) && !slices.Contains(p.Roles, r) && slices.Contains(Roles, r) {
			return fmt.Errorf("%w: the management token does not have the role %s itself", ErrForbidden, r)
		}
	}
	return nil
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
			return invalidField("roles", "there is no role %q; the roles are %s", r, joinRoles(Roles))
		}
	}
	return nil
}

func joinRoles(roles []Role) string { return joined(roles) }

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

func invalidField(field, format string, args ...any) error {
	return invalid.At(field, fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...)))
}
