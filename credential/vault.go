// Package credential owns what upstreams are called with: secrets and tokens that are encrypted at rest, how tokens are had
// and renewed, and which person's token a call may carry. Nothing that it keeps is shown again.
package credential

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"remit/audit"
)

// Place is where a sealed record is kept. It is sealed in with the content, so that a record that somebody moved in the
// database to another place does not open.
type Place struct{ Kind, Name, Owner string }

// Kinds of records.
const (
	kindSecret     = "secret"     // Name is its name
	kindConnection = "connection" // Name is the upstream's, Owner the person whose account it is
	kindSignIn     = "sign-in"    // Owner is the person who signs in at the identity provider
	kindConnecting = "connecting" // Name is the hash of the state, Owner the person who is on the way
)

// Sealed is a record as the database has it.
type Sealed struct {
	Place
	Version int64 // counts its writes; 0 where there is none
	Changed time.Time
	Expires time.Time // zero means never
	Body    []byte
}

// Seal is the proof by which the key in use is known again.
type Seal struct {
	KeyID string // empty before the first key
	Proof []byte
}

// Store keeps sealed records.
type Store interface {
	Sealed(ctx context.Context, p Place) (Sealed, error) // ErrNone
	// SealedOf returns the records of a kind, with an owner unless that is empty, by name and owner.
	SealedOf(ctx context.Context, kind, owner string) ([]Sealed, error)
	// Reseal puts r, sealed with the key, in the place of version r.Version, or deletes that when r.Body is nil, and writes
	// the entry if there is one, all in one transaction. It drops what has expired. ErrMoved if another version is there,
	// ErrKeyMoved if another key is in use.
	Reseal(ctx context.Context, keyID string, r Sealed, e *audit.Entry) error
	// TakeSealed returns a record and deletes it: of two who take it, one gets ErrNone.
	TakeSealed(ctx context.Context, p Place) (Sealed, error)
	Seal(ctx context.Context) (Seal, error)
	// Rekey changes the key from one to another and every record with it, in one transaction; one for which change returns
	// nil is deleted. ErrKeyMoved if from is not in use.
	Rekey(ctx context.Context, from string, to Seal, change func(Sealed) ([]byte, error), e audit.Entry) error
}

var (
	ErrNone     = errors.New("there is no such record")
	ErrMoved    = errors.New("the record was changed meanwhile")
	ErrKeyMoved = errors.New("another key is in use")
	// ErrKey is wrapped when the key that the database's secrets were encrypted with is not there.
	ErrKey = errors.New("the encrypted secrets cannot be opened")
	// ErrDamaged: the record was not sealed with this key for this place.
	ErrDamaged = errors.New("the record does not open: it is damaged, or was moved here from another place")
)

// Vault seals and opens records. The keys are outside the database.
type Vault struct {
	Store Store
	Keys  KeySource

	mu   sync.Mutex
	ring ring
	key  string // id of the key in use
}

// Open reads the keys and checks that the one in use is among them. Before the first use it chooses one, and makes it if
// there is none.
func (v *Vault) Open(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.open(ctx)
}

func (v *Vault) open(ctx context.Context) error {
	seal, err := v.Store.Seal(ctx)
	if err != nil {
		return err
	}
	keys, err := v.Keys.read()
	if err != nil {
		return err
	}
	if seal.KeyID == "" {
		if len(keys) == 0 {
			if keys, err = v.Keys.create(); err != nil {
				return err
			}
		}
		seal = keys[0].seal()
		if err := v.Store.Rekey(ctx, "", seal, nil, audit.Entry{Time: time.Now(), Kind: "secret.key", Decision: audit.Changed, Detail: map[string]string{"key": seal.KeyID}}); errors.Is(err, ErrKeyMoved) {
			return v.open(ctx) // another process was first
		} else if err != nil {
			return err
		}
	}
	if err := keys.check(seal); err != nil {
		return fmt.Errorf("%w: %w; %s", ErrKey, err, v.Keys.hint())
	}
	v.ring, v.key = keys, seal.KeyID
	return nil
}

// Check is Open, but makes nothing: a vault that was never used is fine.
func (v *Vault) Check(ctx context.Context) error {
	seal, err := v.Store.Seal(ctx)
	if err != nil || seal.KeyID == "" {
		return err
	}
	return v.Open(ctx)
}

// keys returns the ring and the key in use; again reads both anew.
func (v *Vault) keys(ctx context.Context, again bool) (ring, string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.key == "" || again {
		if err := v.open(ctx); err != nil {
			return nil, "", err
		}
	}
	return v.ring, v.key, nil
}

// read returns a record and what is in it.
func (v *Vault) read(ctx context.Context, p Place) (Sealed, []byte, error) {
	r, err := v.Store.Sealed(ctx, p)
	if err != nil {
		return r, nil, err
	}
	text, err := v.unseal(ctx, r)
	return r, text, err
}

// unseal opens a record. One that another process sealed with a newer key has the keys read anew.
func (v *Vault) unseal(ctx context.Context, r Sealed) ([]byte, error) {
	keys, _, err := v.keys(ctx, false)
	if err == nil && !keys.has(sealedWith(r.Body)) {
		keys, _, err = v.keys(ctx, true)
	}
	if err != nil {
		return nil, err
	}
	return keys.open(r.Place, r.Body)
}

// write puts text into r's place, in which version r.Version is; nil deletes.
func (v *Vault) write(ctx context.Context, r Sealed, text []byte, e *audit.Entry) error {
	keys, id, err := v.keys(ctx, false)
	for again := false; err == nil; again = true {
		r.Body = nil
		if text != nil {
			r.Body = keys.seal(id, r.Place, text)
		}
		if err = v.Store.Reseal(ctx, id, r, e); !errors.Is(err, ErrKeyMoved) || again {
			return err
		}
		keys, id, err = v.keys(ctx, true)
	}
	return err
}

// Rekey encrypts everything anew with a new key, and forgets the old one where the keys are in a file. A running server
// finds the new key there by itself. It returns the new key's id.
func (v *Vault) Rekey(ctx context.Context, e audit.Entry) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.open(ctx); err != nil {
		return "", err
	}
	keys, err := v.Keys.renew(v.ring, v.key)
	if err != nil {
		return "", err
	}
	to := keys[0].seal()
	e.Detail = map[string]string{"key": to.KeyID, "before": v.key}
	err = v.Store.Rekey(ctx, v.key, to, func(r Sealed) ([]byte, error) {
		text, err := keys.open(r.Place, r.Body)
		switch {
		case err == nil:
			return keys.seal(to.KeyID, r.Place, text), nil
		case r.Kind == kindSecret:
			return nil, fmt.Errorf("the secret %s: %w; set it again or remove it first", r.Name, err)
		}
		return nil, nil // nobody can use it, and its person connects again
	}, e)
	if err != nil {
		return "", err
	}
	v.ring, v.key = keys, to.KeyID
	return to.KeyID, v.Keys.keep(keys[:1])
}
