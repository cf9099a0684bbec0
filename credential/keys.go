package credential

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// KeyVariable is the environment variable that may hold the keys.
const KeyVariable = "REMIT_SECRET_KEY"

// KeySource is where the keys are: in Text, separated by white space, or else in File, one a line. A key is 32 random bytes
// in base64. The first one encrypts what Rekey changes; the others only open.
type KeySource struct{ Text, File string }

// key is AES-256-GCM with random nonces, good for 2^32 records.
type key struct {
	id   string
	text string
	aead cipher.AEAD
}

type ring []key

const idSize = 8 // bytes of a key's id

func newKey() key {
	raw := make([]byte, 32)
	rand.Read(raw)
	k, _ := parseKey(base64.StdEncoding.EncodeToString(raw)) // 32 bytes are a key
	return k
}

func parseKey(text string) (key, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return key{}, errors.New("a key is 32 bytes in base64, as openssl rand -base64 32 prints them")
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	sum := sha256.Sum256(append([]byte("remit key id\x00"), raw...))
	return key{id: hex.EncodeToString(sum[:idSize]), text: text, aead: aead}, err
}

// read returns the keys; none if there is no file yet.
func (s KeySource) read() (ring, error) {
	text, from := s.Text, KeyVariable
	if text == "" {
		from = s.File
		info, err := os.Stat(s.File)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			return nil, fmt.Errorf("%w: other accounts can read the key %s: run chmod 600 on it, and remit secret rekey if somebody may have read it", ErrKey, s.File)
		}
		raw, err := os.ReadFile(s.File)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		text = string(raw)
	}
	var keys ring
	for _, word := range strings.Fields(text) {
		k, err := parseKey(word)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrKey, from, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: %s holds no key", ErrKey, from)
	}
	return keys, nil
}

// create makes the first key.
func (s KeySource) create() (ring, error) {
	keys := ring{newKey()}
	if err := os.MkdirAll(filepath.Dir(s.File), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(s.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return s.read() // another process was first
	}
	if err != nil {
		return nil, fmt.Errorf("the key of the encrypted secrets cannot be made: %w; name another file with --secret-key-file", err)
	}
	_, err = f.WriteString(keys[0].text + "\n")
	return keys, errors.Join(err, f.Sync(), f.Close())
}

// renew puts another key than the one in use before the others. In a file it is there before anything is encrypted with it.
func (s KeySource) renew(keys ring, used string) (ring, error) {
	if keys[0].id != used {
		return keys, nil // the operator put it there, or an earlier try was cut short
	}
	if s.Text != "" {
		return nil, fmt.Errorf("set %s to a new key and the present one after it, separated by a space: openssl rand -base64 32 makes one", KeyVariable)
	}
	keys = append(ring{newKey()}, keys...)
	return keys, s.keep(keys)
}

// keep replaces the file at once or not at all.
func (s KeySource) keep(keys ring) (err error) {
	if s.Text != "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(s.File), ".key-*") // 0600
	if err != nil {
		return fmt.Errorf("the key's file cannot be written: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	for _, k := range keys {
		_, werr := f.WriteString(k.text + "\n")
		err = errors.Join(err, werr)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("the key's file cannot be written: %w", err)
	}
	return os.Rename(f.Name(), s.File)
}

// hint says where the key should be.
func (s KeySource) hint() string {
	if s.Text != "" {
		return "set " + KeyVariable + " to that key"
	}
	return "put that key back into " + s.File + ", name its file with --secret-key-file, or set " + KeyVariable
}

func (k key) seal() Seal {
	return Seal{KeyID: k.id, Proof: ring{k}.seal(k.id, Place{Kind: "proof", Name: k.id}, []byte("remit"))}
}

func (r ring) find(id string) (key, bool) {
	i := slices.IndexFunc(r, func(k key) bool { return k.id == id })
	if i < 0 {
		return key{}, false
	}
	return r[i], true
}

func (r ring) has(id string) bool {
	_, ok := r.find(id)
	return ok
}

// check says whether the key in use is there and is the one it was.
func (r ring) check(s Seal) error {
	if len(r) == 0 {
		return fmt.Errorf("they were encrypted with key %s, and there is no key", s.KeyID)
	}
	if !r.has(s.KeyID) {
		return fmt.Errorf("they were encrypted with key %s, and there is only key %s", s.KeyID, r[0].id)
	}
	_, err := r.open(Place{Kind: "proof", Name: s.KeyID}, s.Proof)
	return err
}

// A sealed body is a version byte, the key's id, the nonce and the ciphertext. All but the nonce and the ciphertext, and
// the place, are authenticated with it.
const bodyVersion = 1

func header(id string, p Place) (head, bound []byte) {
	raw, _ := hex.DecodeString(id) // it was made by parseKey
	head = append([]byte{bodyVersion}, raw...)
	bound = bytes.Clone(head)
	for _, part := range []string{p.Kind, p.Name, p.Owner} {
		bound = binary.BigEndian.AppendUint32(bound, uint32(len(part)))
		bound = append(bound, part...)
	}
	return head, bound
}

// seal encrypts with the key, which is in the ring.
func (r ring) seal(id string, p Place, text []byte) []byte {
	k, _ := r.find(id)
	head, bound := header(id, p)
	return k.aead.Seal(head, nil, text, bound)
}

// sealedWith is the id of the key that a body was sealed with.
func sealedWith(body []byte) string {
	if len(body) < 1+idSize || body[0] != bodyVersion {
		return ""
	}
	return hex.EncodeToString(body[1 : 1+idSize])
}

func (r ring) open(p Place, body []byte) ([]byte, error) {
	k, ok := r.find(sealedWith(body))
	if !ok {
		return nil, ErrDamaged
	}
	_, bound := header(k.id, p)
	text, err := k.aead.Open(nil, nil, body[1+idSize:], bound)
	if err != nil {
		return nil, ErrDamaged
	}
	return text, nil
}
