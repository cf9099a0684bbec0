package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

const (
	maxSealed = 2 << 10        // bytes of an id
	sealedFor = 24 * time.Hour // since a session was opened; then its client is told 404 and initializes again
	maxEnded  = 10_000         // ended sessions that are remembered
)

// sealed is what a session's id says to another replica. It is no secret, and opens nothing without the key that it names.
type sealed struct {
	Key     string    `json:"k"`
	Persona string    `json:"p"`
	Version string    `json:"v"`
	Client  [2]string `json:"c"`
	Can     can       `json:"a,omitempty"` // be asked for
	Opened  int64     `json:"t"`           // seconds since 1970
	Chance  string    `json:"r"`
}

// seal returns a session's id: random, and with a key what the session is as well.
func (s *sessions) seal(n *session) string {
	if s.key == nil {
		return rand.Text()
	}
	text, err := json.Marshal(sealed{n.key, n.persona, n.version, [2]string{n.client.name, n.client.version}, n.can, s.now().Unix(), rand.Text()})
	if err != nil {
		panic("gateway: a session did not encode: " + err.Error()) // it is strings and a number
	}
	return base64.RawURLEncoding.EncodeToString(text) + "." + base64.RawURLEncoding.EncodeToString(s.sign(text))
}

func (s *sessions) sign(text []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(text)
	return h.Sum(nil)
}

// unseal reads an id that a replica with the same key made, unless its client ended the session here or it is too old.
func (s *sessions) unseal(id string) (*session, bool) {
	first, last, ok := strings.Cut(id, ".")
	if !ok || len(id) > maxSealed {
		return nil, false
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return nil, false
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(last)
	if err != nil || !hmac.Equal(signature, s.sign(text)) {
		return nil, false
	}
	var is sealed
	if err := json.Unmarshal(text, &is); err != nil || s.now().Sub(time.Unix(is.Opened, 0)) > sealedFor {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.ended, id) {
		return nil, false
	}
	return &session{id: id, key: is.Key, persona: is.Persona, version: is.Version, client: software{name: is.Client[0], version: is.Client[1]}, can: is.Can}, true
}
