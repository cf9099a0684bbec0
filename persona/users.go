package persona

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"remit/identity"
)

// Bounds of who may use a persona.
const (
	MaxUsers    = 200 // groups and people, each
	MaxUserName = 255 // bytes of a name
)

// SetUsers says who may use the persona with a client of their own, by signing in, beside whoever has a key of it. It holds
// from the next request on. seen is who could when it was decided: ErrState if that changed meanwhile.
func (r *Registry) SetUsers(ctx context.Context, by identity.Principal, id ID, seen, want identity.Users) error {
	role := identity.Reviewer
	if by.Has(identity.Admin) {
		role = identity.Admin
	}
	return r.change(ctx, by, role, id, "persona.users", func(p *Persona, d detail) (int, error) {
		switch {
		case len(p.Revisions) == 0:
			return 0, ErrNotFound
		case p.Retired():
			return 0, fmt.Errorf("%w: the persona is retired", ErrState)
		case !sameUsers(p.Users, seen):
			return 0, fmt.Errorf("%w: who may use it was changed meanwhile; look at it again", ErrState)
		}
		var err error
		if want.Groups, err = tidy("group", want.Groups); err != nil {
			return 0, err
		}
		if want.People, err = tidy("person", want.People); err != nil {
			return 0, err
		}
		p.Users = want
		d["groups"], d["people"] = strings.Join(want.Groups, ", "), strings.Join(want.People, ", ")
		return p.Latest().Number, nil
	})
}

func sameUsers(a, b identity.Users) bool {
	return slices.Equal(a.Groups, b.Groups) && slices.Equal(a.People, b.People)
}

// tidy sorts names and takes each once.
func tidy(what string, names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if len(name) > MaxUserName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return nil, fmt.Errorf("%w: the name of a %s has 1 to %d printable bytes", ErrInvalid, what, MaxUserName)
		}
		out = append(out, name)
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) > MaxUsers {
		return nil, fmt.Errorf("%w: at most %d, not %d; make a group of them at the identity provider", ErrInvalid, MaxUsers, len(out))
	}
	return out, nil
}
