package audit

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"
)

// MinRetention is the least age of an entry that may be removed: limits count calls of the last day.
const MinRetention = 48 * time.Hour

// Cut is what an entry of kind Pruned states: that everything up to Last may be missing from the front of the chain.
type Cut struct {
	Last    Head   // the last entry that was removed
	Count   int64  // how many entries this cut removed
	Note    string // the statement, signed
	Archive string // digest of the file that they were written to; empty without one
	Seq     int64  // of the entry that states it
	Time    time.Time
	Actor
}

// Entry is c as it is written into the chain.
func (c Cut) Entry() Entry {
	d := map[string]string{"last": strconv.FormatInt(c.Last.Seq, 10), "hash": c.Last.Hash, "count": strconv.FormatInt(c.Count, 10), "note": c.Note}
	if c.Archive != "" {
		d["archive"] = c.Archive
	}
	return Entry{Time: c.Time, Kind: Pruned, Actor: c.Actor, Decision: Changed, Detail: d}
}

// CutOf reads the statement of an entry of kind Pruned.
func CutOf(e Entry) (c Cut, err error) {
	c = Cut{Last: Head{Hash: e.Detail["hash"]}, Note: e.Detail["note"], Archive: e.Detail["archive"], Seq: e.Seq, Time: e.Time, Actor: e.Actor}
	if c.Last.Seq, err = strconv.ParseInt(e.Detail["last"], 10, 64); err == nil {
		c.Count, err = strconv.ParseInt(e.Detail["count"], 10, 64)
	}
	if err != nil || c.Last.Seq < 1 || c.Last.Seq >= e.Seq {
		return Cut{}, fmt.Errorf("audit: entry %d does not say what was removed", e.Seq)
	}
	return c, nil
}

// Verifier walks a chain from the first entry that is left.
type Verifier struct {
	begun     bool
	start, at Head
	cut       Cut // the newest that an entry stated
}

// After returns a Verifier for the entries that follow a known one.
func After(known Head) *Verifier { return &Verifier{begun: true, start: known, at: known} }

// Add takes the next entry and says what is wrong with it, if anything.
func (v *Verifier) Add(e Entry) error { return v.add(e, e.JSON()) }

func (v *Verifier) add(e Entry, sealed []byte) error {
	if !v.begun {
		v.begun, v.start = true, Head{Seq: e.Seq - 1, Hash: e.Prev}
		if e.Seq <= 1 {
			v.start = Head{}
		}
		v.at = v.start
	}
	switch {
	case e.Seq != v.at.Seq+1:
		return fmt.Errorf("audit: entry %d is missing: the next one found is %d", v.at.Seq+1, e.Seq)
	case e.Prev != v.at.Hash:
		return fmt.Errorf("audit: entry %d does not follow entry %d: one of them was replaced", e.Seq, v.at.Seq)
	case e.Hash != sumWithout(sealed, e.Hash):
		return fmt.Errorf("audit: entry %d was edited: its content does not give its hash", e.Seq)
	}
	v.at = Head{Seq: e.Seq, Hash: e.Hash}
	if e.Kind == Pruned {
		c, err := CutOf(e)
		if err != nil {
			return err
		}
		v.cut = c
	}
	return nil
}

// AddText takes the next entry as it is kept. Also an edit that a decoder would not notice, such as another case of a name, is
// found.
func (v *Verifier) AddText(text []byte) (Entry, error) {
	e, sealed, err := parse(text)
	if err != nil {
		return e, fmt.Errorf("audit: the entry after entry %d was edited: %w", v.at.Seq, err)
	}
	if err := v.add(e, sealed); err != nil {
		return e, err
	}
	if !bytes.Equal(sealed, text) {
		return e, fmt.Errorf("audit: entry %d was edited: its text is not what was sealed", e.Seq)
	}
	return e, nil
}

// AddSealed takes the next entry as it is kept and holds the text against the hashes, byte for byte, without reading what it says. What
// Remit wrote about the record itself is read and handed over, as is what was not sealed in its usual form.
func (v *Verifier) AddSealed(text []byte) (e Entry, read bool, err error) {
	const prev, hash, hex = `,"prev":"`, `","hash":"`, 2 * sha256.Size
	r := entryReader{rest: text}
	e.Seq = r.number(`{"seq":`)
	_, kind, _ := bytes.Cut(r.rest, []byte(`","kind":"`))
	end := len(text) - len(prev) - hex - len(hash) - hex - len(`"}`)
	if r.bad || end < 0 || bytes.HasPrefix(kind, []byte("audit.")) {
		e, err = v.AddText(text)
		return e, true, err
	}
	r.rest = text[end:]
	r.want(prev)
	e.Prev = r.take(hex)
	r.want(hash)
	e.Hash = r.take(hex)
	if r.want(`"}`); r.bad {
		e, err = v.AddText(text)
		return e, true, err
	}
	return e, false, v.add(e, text)
}

// Start is the entry before the first, the zero Head for a chain that is whole from its beginning.
func (v *Verifier) Start() Head { return v.start }

// Tail compares where the walk ended with the stored head.
func (v *Verifier) Tail(head Head) error {
	if v.at != head {
		return fmt.Errorf("audit: the chain ends at entry %d, but %d entries were written: the end is missing or was replaced", v.at.Seq, head.Seq)
	}
	return nil
}

// End compares where the walk ended with the stored head, and where it began with what the chain says was removed. Less may
// be missing than was stated: a removal that was interrupted goes on with the next.
func (v *Verifier) End(head Head) (Proof, error) {
	p := Proof{Start: v.start, Head: head, Cut: v.cut}
	if err := v.Tail(head); err != nil {
		return p, err
	}
	switch first := v.start.Seq + 1; {
	case first > v.cut.Last.Seq+1:
		return p, fmt.Errorf("audit: entries %d to %d are missing, and the record does not say that they were removed", v.cut.Last.Seq+1, v.start.Seq)
	case first == v.cut.Last.Seq+1 && v.start != v.cut.Last:
		return p, fmt.Errorf("audit: entry %d does not follow entry %d, which entry %d says was the last one removed", first, v.start.Seq, v.cut.Seq)
	}
	return p, nil
}

// Proof is what a walk over a chain found. Whether Cut is the statement of who could make it is for a signature to show.
type Proof struct {
	Start Head // the last entry that is missing from the front
	Head  Head
	Cut   Cut // the newest statement of what was removed
}
