package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"golang.org/x/crypto/argon2"
)

// An access key reads remit_<id>_<secret><checksum>, in lower-case base32: 50 bits of id, which is public and by which
// the key is found; 256 bits of secret; and the CRC-32 of all before it, so that secret scanners can tell a key from
// chance and a mistyped one is refused without a look-up. docs/keys.md promises this form to others.
const keyPrefix = "remit_"

// tokenPrefix begins a management token, which is built alike. No text is both.
const tokenPrefix = "remitmt_"

var b32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	idLen     = 10
	secretLen = 52                             // 256 bits
	sumLen    = 7                              // 32 bits
	restLen   = idLen + 1 + secretLen + sumLen // after the prefix
)

// newSecret returns a fresh key's or token's public id and its whole text.
func newSecret(prefix string) (id, text string) {
	id = b32.EncodeToString(random(7))[:idLen]
	text = prefix + id + "_" + b32.EncodeToString(random(32))
	return id, text + checksum(text)
}

func checksum(text string) string {
	return b32.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}

// LooksLikeKey says whether a text claims to be an access key or a management token, be it a valid one or not. Such a text is
// shown to nobody else.
func LooksLikeKey(text string) bool {
	return strings.HasPrefix(text, keyPrefix) || strings.HasPrefix(text, tokenPrefix)
}

// secretID returns the public id of a well-formed key or token.
func secretID(prefix, text string) (string, bool) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || len(rest) != restLen || !spelled(rest) || checksum(text[:len(text)-sumLen]) != text[len(text)-sumLen:] {
		return "", false
	}
	return text[len(prefix) : len(prefix)+idLen], true
}

// spelled says that what follows the prefix is letters and digits of base32 around one "_". Every request asks.
func spelled(rest string) bool {
	for i := range len(rest) {
		switch c := rest[i]; {
		case i == idLen && c == '_', i != idLen && (c >= 'a' && c <= 'z' || c >= '2' && c <= '7'):
		default:
			return false
		}
	}
	return true
}

// SessionTokenLen is the length of a session's token. No key and no management token is as short.
const SessionTokenLen = 43

// newToken returns 256 random bits for a cookie or a link.
func newToken() string { return base64.RawURLEncoding.EncodeToString(random(32)) }

// hash is how random secrets are stored: with 256 random bits a plain hash cannot be guessed back.
func hash(text string) []byte {
	var room [128]byte // for a key's text, which every request has
	sum := sha256.Sum256(append(room[:0], text...))
	return sum[:]
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return b
}

// Parameters of argon2id for passwords: the second of OWASP's equivalent choices (Password Storage Cheat Sheet).
const (
	argonTime   = 2
	argonMemory = 19 * 1024 // KiB
	argonLanes  = 1
)

// argonTurn bounds how many passwords are hashed at a time, and so the memory that sign-ins can take.
var argonTurn = make(chan struct{}, 2)

func hashPassword(password string) string {
	salt := random(16)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(derive(password, salt)))
}

// passwordMatches takes as long for an unset hash as for a wrong password, so that names cannot be probed.
func passwordMatches(encoded, password string) bool {
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 {
		derive(password, make([]byte, 16))
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	return err1 == nil && err2 == nil && subtle.ConstantTimeCompare(derive(password, salt), want) == 1
}

func derive(password string, salt []byte) []byte {
	argonTurn <- struct{}{}
	defer func() { <-argonTurn }()
	return argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, 32)
}
