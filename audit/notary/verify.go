package notary

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"remit/audit"
)

// Chain is the record. A store.Store is one.
type Chain interface {
	Append(ctx context.Context, e audit.Entry) error
	Head(ctx context.Context) (audit.Head, error)
	// VerifyEach verifies all entries, and hands over each that is sound.
	VerifyEach(ctx context.Context, each func(audit.Entry) error) (audit.Proof, error)
	// VerifyAfter verifies what follows an entry that is known by its hashes alone, and hands over what is about the record itself.
	VerifyAfter(ctx context.Context, known audit.Head, each func(audit.Entry) error) (audit.Head, error)
	LastBefore(ctx context.Context, t time.Time) (seq int64, err error)
	LastWhole(ctx context.Context, t time.Time) (seq int64, err error)
	// Unremoved says whether entries are left that the newest statement says are removed.
	Unremoved(ctx context.Context) (bool, error)
	Remove(ctx context.Context) error
}

// Verified is what the whole chain was held against.
type Verified struct {
	audit.Proof
	Compared int // checkpoints that the chain agrees with
	Older    int // checkpoints of entries that were removed since, which nothing is left of to compare with
}

// Verify walks the whole chain and holds it against checkpoints. One of the keys must have signed each
// statement of what was removed. Each entry that is sound is handed over.
func Verify(ctx context.Context, c Chain, public []string, against []Checkpoint, each func(audit.Entry) error) (Verified, error) {
	if len(public) == 0 {
		return Verified{}, errors.New("no public key is given to check signatures with")
	}
	h := holder{public: public, want: map[int64]string{}}
	if err := h.expect(against); err != nil {
		return Verified{}, err
	}
	p, err := c.VerifyEach(ctx, func(e audit.Entry) error {
		if err := h.add(e); err != nil {
			return err
		}
		return each(e)
	})
	if err != nil {
		return Verified{Proof: p}, err
	}
	return h.end(p)
}

// Verify walks the whole chain and holds it against the last checkpoint of n.
func (n *Notary) Verify(ctx context.Context) (Verified, error) {
	last, err := n.last()
	if err != nil {
		return Verified{}, err
	}
	return Verify(ctx, n.Chain, n.Public(), signed(last), func(audit.Entry) error { return nil })
}

// holder holds entries against checkpoints.
type holder struct {
	public []string
	want   map[int64]string // hash by number of the entry
	found  int
}

// errRewritten says that a chain which is sound in itself is not the one that was signed.
const errRewritten = "the record was rewritten: entry %d is not the one that was signed"

func (h *holder) expect(against []Checkpoint) error {
	for _, c := range against {
		if known, ok := h.want[c.Head.Seq]; ok && known != c.Head.Hash {
			return fmt.Errorf("two different chains were signed: the checkpoints disagree on entry %d", c.Head.Seq)
		}
		h.want[c.Head.Seq] = c.Head.Hash
	}
	return nil
}

func (h *holder) add(e audit.Entry) error {
	if e.Kind == audit.Pruned && len(h.public) > 0 {
		if err := h.statement(e); err != nil {
			return err
		}
	}
	want, ok := h.want[e.Seq]
	if !ok {
		return nil
	}
	if want != e.Hash {
		return fmt.Errorf(errRewritten, e.Seq)
	}
	h.found++
	return nil
}

// end checks what is before the first entry and after the last.
func (h *holder) end(p audit.Proof) (Verified, error) {
	v := Verified{Proof: p, Compared: h.found}
	for seq, hash := range h.want {
		switch {
		case seq > p.Head.Seq:
			return v, fmt.Errorf("the record was rewritten: entry %d was signed, and the last one is %d", seq, p.Head.Seq)
		case seq == p.Start.Seq && hash != p.Start.Hash:
			return v, fmt.Errorf(errRewritten, seq)
		case seq == p.Start.Seq:
			v.Compared++
		case seq < p.Start.Seq:
			v.Older++
		}
	}
	return v, nil
}

// statement checks that a key signed what an entry says was removed.
func (h *holder) statement(e audit.Entry) error {
	cut, err := audit.CutOf(e)
	if err != nil {
		return err
	}
	c, err := Open(h.public, cut.Note)
	if err == nil && (c.Cut == nil || c.Head != cut.Last || c.Cut.Count != cut.Count || c.Cut.By != cut.Person) {
		err = errors.New("it is about something else")
	}
	if err != nil {
		return fmt.Errorf("the statement in entry %d, that entries up to %d were removed, is forged: %w", cut.Seq, cut.Last.Seq, err)
	}
	return nil
}

// maxLine is more bytes than an entry has.
const maxLine = 16 << 20

// VerifyLines verifies a chain in JSON lines, wherever it begins: an archive, or an export without filters. Without keys, the
// statements in it are not checked.
func VerifyLines(r io.Reader, public []string, against []Checkpoint) (Verified, error) {
	h := holder{public: public, want: map[int64]string{}}
	if err := h.expect(against); err != nil {
		return Verified{}, err
	}
	var v audit.Verifier
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if head, ok := headOf(lines.Bytes()); ok {
			if lines.Scan() {
				return Verified{}, errors.New("something follows its end")
			}
			if err := v.Tail(head); err != nil {
				return Verified{}, err
			}
			return Verified{Proof: audit.Proof{Start: v.Start(), Head: head}, Compared: h.found}, nil
		}
		e, err := v.AddText(lines.Bytes())
		if err == nil {
			err = h.add(e)
		}
		if err != nil {
			return Verified{}, err
		}
	}
	return Verified{}, errors.Join(errors.New("it has no end: it was cut"), lines.Err())
}

// end is the last line of a file.
type end struct {
	Head audit.Head `json:"head"`
}

// headOf reads the last line, which has one form only.
func headOf(text []byte) (audit.Head, bool) {
	var last end
	if json.Unmarshal(text, &last) != nil {
		return audit.Head{}, false
	}
	again, err := json.Marshal(last)
	return last.Head, err == nil && bytes.Equal(again, text)
}
