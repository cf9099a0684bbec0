package notary

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"remit/audit"
)

// Checkpoint says which entry was the last of the chain at a time, as a signed note: origin, number of the entry, its hash in
// base64, and lines of ours after that.
type Checkpoint struct {
	Head audit.Head
	Time time.Time // whole seconds, UTC
	Cut  *Removed  // if set, this is the statement of a removal: Head is the last entry that was removed
	Note string    // the signed text
}

// Removed says what the statement of a removal adds.
type Removed struct {
	Count int64
	By    string // who had it done; empty is Remit itself
}

// sign returns c with its note.
func (k Key) sign(c Checkpoint) (Checkpoint, error) {
	c.Time = c.Time.UTC().Truncate(time.Second)
	hash, err := hex.DecodeString(c.Head.Hash)
	if err != nil {
		return c, fmt.Errorf("the hash of entry %d: %w", c.Head.Seq, err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\ntime %s\n", k.signer.Name(), c.Head.Seq, base64.StdEncoding.EncodeToString(hash), c.Time.Format(time.RFC3339))
	if c.Cut != nil {
		text += fmt.Sprintf("cut %d by %s\n", c.Cut.Count, strconv.QuoteToASCII(c.Cut.By))
	}
	signed, err := note.Sign(&note.Note{Text: text}, k.signer)
	c.Note = string(signed)
	return c, err
}

// ErrSignature says that a note is not what the key signed.
var ErrSignature = errors.New("no signature of the audit key fits it")

// Open checks that one of the public keys signed a note, and reads it.
func Open(public []string, text string) (Checkpoint, error) {
	var known []note.Verifier
	for _, key := range public {
		v, err := note.NewVerifier(strings.TrimSpace(key))
		if err != nil {
			return Checkpoint{}, errors.New("a public key cannot be read: give what remit audit key prints")
		}
		known = append(known, v)
	}
	n, err := note.Open([]byte(text), note.VerifierList(known...))
	if err != nil {
		return Checkpoint{}, ErrSignature
	}
	lines := strings.Split(strings.TrimSuffix(n.Text, "\n"), "\n")
	if len(lines) < 4 || lines[0] != n.Sigs[0].Name {
		return Checkpoint{}, errors.New("the note is no checkpoint of a record")
	}
	return parse(lines, text)
}

func parse(lines []string, text string) (c Checkpoint, err error) {
	c.Note = text
	hash, err := base64.StdEncoding.DecodeString(lines[2])
	c.Head.Hash = hex.EncodeToString(hash)
	if err == nil {
		c.Head.Seq, err = strconv.ParseInt(lines[1], 10, 64)
	}
	if err == nil {
		c.Time, err = time.Parse("time "+time.RFC3339, lines[3])
	}
	if err == nil && len(lines) > 4 {
		c.Cut = &Removed{}
		_, err = fmt.Sscanf(lines[4], "cut %d by %q", &c.Cut.Count, &c.Cut.By)
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return c, nil
}
