package approval

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// State is what a client sends back when it repeats the call (2026-07-28, multi round-trip requests): the request's id and its
// end, authenticated together with the whole binding. It gives no right; the stored request does. Empty without a key.
func (d *Desk) State(r Request) string {
	if len(d.Key) < sha256.Size {
		return ""
	}
	head := "v1." + r.ID + "." + strconv.FormatInt(r.Expires.Unix(), 10)
	return head + "." + base64.RawURLEncoding.EncodeToString(d.sum(head, r.Binding))
}

// Check returns the id in a state that was made for this very call. Everything else, and what is older than an approval can
// be, is ErrState.
func (d *Desk) Check(state string, b Binding) (id string, err error) {
	parts := strings.Split(state, ".")
	if len(d.Key) < sha256.Size || len(state) > 256 || len(parts) != 4 || parts[0] != "v1" {
		return "", ErrState
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(parts[3])
	if err != nil || !hmac.Equal(sum, d.sum(strings.Join(parts[:3], "."), b)) {
		return "", ErrState
	}
	end, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || d.now().Sub(time.Unix(end, 0)) > 24*time.Hour { // a decision counts for a day at most after the wait
		return "", ErrState
	}
	return parts[1], nil
}

// sum authenticates head and binding. Each part stands with its length, so that no two bindings read alike.
func (d *Desk) sum(head string, b Binding) []byte {
	mac := hmac.New(sha256.New, d.Key)
	for _, part := range []string{"remit request state", head, b.Key, b.Agent, b.User, b.Persona, fmt.Sprint(b.Revision), b.Tool, b.Digest, b.Arguments} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		mac.Write(size[:])
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}
