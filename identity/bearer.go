package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bearer is what a verified access token says.
type Bearer struct {
	Issuer, Subject string // for whom it was made
	Known           string // the issuer by which the subject is known here; empty for Issuer
	Client          string // that has it
	Scopes          []string

	// Groups of the person as the token has them, if Told. They only narrow those of the last sign-in.
	Groups []string
	Told   bool
}

// Users are who may use a persona with a client of their own. The zero value is nobody.
type Users struct {
	Groups []string `json:"groups,omitempty"` // at the identity provider, letter by letter
	People []string `json:"people,omitempty"` // by name
}

// None says that nobody is among them.
func (u Users) None() bool { return len(u.Groups)+len(u.People) == 0 }

// Lets says whether the person is among them.
func (u Users) Lets(p Person, b Bearer) bool {
	return slices.Contains(u.People, p.Name) || slices.ContainsFunc(u.Groups, func(g string) bool {
		return slices.Contains(p.Groups, g) && (!b.Told || slices.Contains(b.Groups, g))
	})
}

// ID stands for the client with the person at the persona, in the place of a key's public id: what is counted or kept by
// key is theirs, whichever token they have just now. It says nothing of the token.
func (b Bearer) ID(person, persona string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", b.Issuer, b.Client, person, persona))
	return clientPrefix + b32.EncodeToString(sum[:])[:20]
}

// clientPrefix begins what [Bearer.ID] makes. No id of a key has it.
const clientPrefix = "oauth-"

// OwnClient says that the id in the place of a key's is that of a client that its user signs in to.
func OwnClient(id string) bool { return strings.HasPrefix(id, clientPrefix) }

// Admit returns the principal of a token that was made for the persona's address, if its person may use the persona now.
// ErrForbidden if not, with the reason for the record; the Principal then names whom it is about, as far as that is known.
func (d *Directory) Admit(ctx context.Context, b Bearer, persona string, users Users) (Principal, error) {
	who := Principal{Agent: b.Client}
	if b.Issuer == "" || b.Subject == "" || b.Client == "" || len(b.Client) > 255 || strings.ContainsFunc(b.Client, unprintable) {
		return Principal{}, fmt.Errorf("%w: the token names no person or no client", ErrForbidden)
	}
	known := b.Known
	if known == "" {
		known = b.Issuer
	}
	p, err := d.Store.PersonOf(ctx, known, b.Subject)
	if errors.Is(err, ErrNotFound) {
		return who, fmt.Errorf("%w: nobody here is the token's subject", ErrForbidden)
	}
	if err != nil {
		return who, err
	}
	who.User = p.Name
	switch {
	case p.Disabled:
		return who, fmt.Errorf("%w: the person is disabled", ErrForbidden)
	case !p.Active(d.now()):
		return who, fmt.Errorf("%w: the person must sign in to Remit again", ErrForbidden)
	case !users.Lets(p, b):
		return who, fmt.Errorf("%w: neither the person nor a group of theirs may use the persona", ErrForbidden)
	}
	who.Persona, who.Key = persona, b.ID(p.Name, persona)
	return who, nil
}

// moved tells that what somebody may do has changed.
func (d *Directory) moved(person string) {
	if d.Moved != nil {
		d.Moved(person)
	}
}
