package credential

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"remit/audit"
	"remit/identity"
)

// Secrets are the operator's own, by name. The configuration refers to them as ${secret:NAME}.
type Secrets struct{ Vault *Vault }

// Secret is what is told of one: never its value.
type Secret struct {
	Name    string
	Changed time.Time
}

const maxSecret = 64 << 10 // bytes

var secretName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

func secretPlace(name string) Place { return Place{Kind: kindSecret, Name: name} }

// Set keeps a secret, in place of one of that name if there is one.
func (s Secrets) Set(ctx context.Context, by identity.Principal, name, value string) error {
	if !secretName.MatchString(name) {
		return fmt.Errorf("%w: a secret's name has 1 to 64 letters, digits and _ . -", identity.ErrInvalid)
	}
	if value == "" || len(value) > maxSecret || strings.ContainsRune(value, 0) {
		return fmt.Errorf("%w: a secret has 1 to %d bytes, and no NUL among them", identity.ErrInvalid, maxSecret)
	}
	return s.change(ctx, by, "secret.set", name, []byte(value))
}

// Remove deletes a secret. A running server goes on with it until it starts anew.
func (s Secrets) Remove(ctx context.Context, by identity.Principal, name string) error {
	return s.change(ctx, by, "secret.remove", name, nil)
}

func (s Secrets) change(ctx context.Context, by identity.Principal, kind, name string, value []byte) error {
	if !by.Has(identity.Admin) {
		return fmt.Errorf("%w: this needs the role admin", identity.ErrForbidden)
	}
	if value != nil {
		if err := s.Vault.Open(ctx); err != nil {
			return err
		}
	}
	e := audit.Entry{Time: time.Now(), Kind: kind, Actor: by.Actor(), Decision: audit.Changed, Detail: map[string]string{"secret": name}}
	for {
		r, err := s.Vault.Store.Sealed(ctx, secretPlace(name))
		if errors.Is(err, ErrNone) && value != nil {
			r, err = Sealed{Place: secretPlace(name)}, nil
		}
		if err == nil {
			err = s.Vault.write(ctx, r, value, &e)
		}
		if !errors.Is(err, ErrMoved) {
			return missing(name, err)
		}
	}
}

// Value returns a secret.
func (s Secrets) Value(ctx context.Context, name string) (string, error) {
	_, text, err := s.Vault.read(ctx, secretPlace(name))
	if errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("the secret %s: %w; set it again with remit secret set %s", name, err, name)
	}
	return string(text), missing(name, err)
}

func missing(name string, err error) error {
	if errors.Is(err, ErrNone) {
		return fmt.Errorf("there is no secret %q; remit secret list shows the names, remit secret set adds one", name)
	}
	return err
}

// List returns what there is, by name.
func (s Secrets) List(ctx context.Context) ([]Secret, error) {
	all, err := s.Vault.Store.SealedOf(ctx, kindSecret, "")
	var out []Secret
	for _, r := range all {
		out = append(out, Secret{Name: r.Name, Changed: r.Changed})
	}
	return out, err
}
