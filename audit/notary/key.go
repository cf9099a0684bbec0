// Package notary owns what makes the record provable to somebody else: the key that signs, signed checkpoints of the chain, the
// file that they are kept in, what is checked against them, and removal with a signed statement of what was removed.
package notary

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"remit/internal/durable"
)

// Key signs. Its name, which checkpoints carry as the origin, is the key's alone.
type Key struct {
	signer note.Signer
	public string
}

// NewKey returns the text of a new key, which is a secret.
func NewKey() (string, error) {
	name := make([]byte, 4)
	rand.Read(name)
	private, _, err := note.GenerateKey(rand.Reader, "remit-audit-"+hex.EncodeToString(name))
	return private, err
}

// ParseKey reads what NewKey returned.
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	signer, err := note.NewSigner(text)
	if err != nil {
		return Key{}, errors.New("the audit key is no Ed25519 key in the form of signed notes (PRIVATE+KEY+…)") // never the text
	}
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(text, "+", 5)[4]) // behind the name and its hash; a byte names the algorithm
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return Key{}, errors.New("the audit key cannot be read")
	}
	public, err := note.NewEd25519VerifierKey(signer.Name(), ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey))
	return Key{signer, public}, err
}

// Public is what checks the key's signatures: it can be given to anybody.
func (k Key) Public() string { return k.public }

// KeyFile reads the key in the file, which nobody but its owner may read, and makes one if there is none.
func KeyFile(path string) (Key, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeKeyFile(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("the audit key: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return Key{}, fmt.Errorf("the audit key %s can be read by other accounts, who could sign with it: run chmod 600 on it, or remove it to get a new one", path)
	}
	return ParseKey(string(text))
}

// makeKeyFile puts a whole key under the name or none. When two processes make one, the first wins.
func makeKeyFile(path string) ([]byte, error) {
	private, err := NewKey()
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".audit-key-*") // 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(private + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := durable.Name(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
