package credential

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"remit/identity"
	"remit/upstream"
)

// SignIns are people's sign-ins at the identity provider, as far as the provider gave what renews them: a refresh token, sealed for
// its person. It is sent to the provider alone.
type SignIns struct {
	Vault  *Vault
	People People
	// Refresh asks the provider. An oidc.Client's is one.
	Refresh func(ctx context.Context, subject, refresh string) (identity.Renewed, error)
	Now     func() time.Time // nil means time.Now

	flights singleflight.Group

	mu    sync.Mutex
	known map[string]renewed // by person
}

// signIn is a sign-in as it is sealed.
type signIn struct {
	ID              string // of this sign-in: the next one is another
	Issuer, Subject string // the provider, and whose it is there
	Refresh         string
}

// renewed is what the provider said of a sign-in last.
type renewed struct {
	id string // of the sign-in
	identity.Renewed
}

func (s *SignIns) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func signedIn(person string) Place { return Place{Kind: kindSignIn, Owner: person} }

// Keep is part of identity.SignIns.
func (s *SignIns) Keep(ctx context.Context, person, refresh string) error {
	p, err := s.People.Person(ctx, person)
	if err != nil {
		return err
	}
	for {
		r, _, err := s.Vault.read(ctx, signedIn(person))
		if err != nil && !errors.Is(err, ErrNone) && !errors.Is(err, ErrDamaged) {
			return err
		}
		r.Place = signedIn(person)
		if err = s.save(ctx, r, signIn{rand.Text(), p.Issuer, p.Subject, refresh}); !errors.Is(err, ErrMoved) {
			return err
		}
	}
}

func (s *SignIns) save(ctx context.Context, r Sealed, in signIn) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return s.Vault.write(ctx, r, text, nil)
}

// Forget is part of identity.SignIns.
func (s *SignIns) Forget(ctx context.Context, person string) error {
	for {
		r, _, err := s.Vault.read(ctx, signedIn(person))
		if errors.Is(err, ErrNone) {
			return nil
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		if err = s.Vault.write(ctx, r, nil, nil); !errors.Is(err, ErrMoved) {
			return err
		}
	}
}

// load returns a person's sign-in. identity.ErrNotFound when none is kept, or it is of another provider or subject than the person is now.
func (s *SignIns) load(ctx context.Context, person string) (r Sealed, in signIn, err error) {
	r, text, err := s.Vault.read(ctx, signedIn(person))
	if err == nil && json.Unmarshal(text, &in) != nil {
		err = ErrDamaged
	}
	if errors.Is(err, ErrNone) {
		return r, in, fmt.Errorf("%w: nothing is kept that renews the sign-in", identity.ErrNotFound)
	}
	if err != nil {
		return r, in, err
	}
	p, err := s.People.Person(ctx, person)
	if in.Issuer == "" { // kept before issuers were: what is renewed with it says whose it is
		in.Issuer = p.Issuer
	}
	if err == nil && (p.Issuer != in.Issuer || p.Subject != in.Subject) {
		err = fmt.Errorf("%w: the sign-in that is kept is another's", identity.ErrNotFound)
	}
	return r, in, err
}

// Renew is part of identity.SignIns. Those who ask for the same person at the same time share one answer, and a refresh token that
// comes back is kept before anything of the answer is used: a provider that rotates them takes each once.
func (s *SignIns) Renew(ctx context.Context, person string) (identity.Renewed, error) {
	_, err := once(ctx, &s.flights, person, func(ctx context.Context) (string, error) { return "", s.renew(ctx, person) })
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[person].Renewed, err
}

func (s *SignIns) renew(ctx context.Context, person string) error {
	for {
		r, in, err := s.load(ctx, person)
		if err != nil {
			return err
		}
		now, err := s.Refresh(ctx, in.Subject, in.Refresh)
		if errors.Is(err, identity.ErrEnded) {
			if again, _, loadErr := s.load(ctx, person); loadErr == nil && again.Version != r.Version {
				continue // another process was first, or they signed in anew
			}
			return err
		}
		if now.Refresh != "" && now.Refresh != in.Refresh {
			in.Refresh = now.Refresh
			if saveErr := s.save(ctx, r, in); saveErr != nil {
				return errors.Join(err, fmt.Errorf("what renews the sign-in next cannot be kept: %w", saveErr))
			}
		}
		if err == nil && now.Issuer != in.Issuer {
			err = fmt.Errorf("%w: it is about somebody else", identity.ErrAnswer)
		}
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.known == nil {
			s.known = map[string]renewed{}
		}
		s.known[person] = renewed{in.ID, now}
		return nil
	}
}

// Kinds of subject tokens (RFC 8693, section 3).
const (
	AccessToken = "access_token"
	IDToken     = "id_token"
)

// SignIn is part of Subjects.
func (s *SignIns) SignIn(ctx context.Context, person string) (string, error) {
	_, in, err := s.load(ctx, person)
	if errors.Is(err, identity.ErrNotFound) {
		err = fmt.Errorf("%w: %s has to sign in to Remit at the identity provider: %w", upstream.ErrNotConnected, person, err)
	}
	return in.ID, err
}

// Subject returns a token of the person's that the provider gave Remit, of the kind, and which sign-in it is of. It is renewed a
// minute before it ends. upstream.ErrNotConnected when the person has to sign in to Remit first.
func (s *SignIns) Subject(ctx context.Context, person, kind string) (token, signIn string, err error) {
	signIn, err = s.SignIn(ctx, person)
	if err != nil {
		return "", "", err
	}
	for fresh := false; ; fresh = true {
		s.mu.Lock()
		known := s.known[person]
		s.mu.Unlock()
		if token = known.token(kind); token != "" && known.id == signIn && (fresh || s.now().Before(known.Expires.Add(-margin))) {
			return token, signIn, nil
		}
		if fresh {
			return "", "", fmt.Errorf("%w: the identity provider gives no %s of %s", upstream.ErrNoToken, kind, person)
		}
		switch _, err := s.Renew(ctx, person); {
		case errors.Is(err, identity.ErrEnded):
			return "", "", fmt.Errorf("%w: %s has to sign in to Remit again: %w", upstream.ErrNotConnected, person, err)
		case err != nil:
			return "", "", err
		}
	}
}

func (r renewed) token(kind string) string {
	if kind == IDToken {
		return r.ID
	}
	return r.Access
}
