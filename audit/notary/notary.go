package notary

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"remit/audit"
)

// Notary signs the chain. Several may work on one chain.
type Notary struct {
	Chain    Chain
	Key      Key
	Earlier  []string      // public keys that signed before
	File     string        // of checkpoints, JSON lines; it is only ever appended to
	Interval time.Duration // longest time between the checkpoints of a record that grows
	Entries  int64         // most entries between two checkpoints
	// Retention is how long entries are kept at least; 0 keeps them for ever. They are removed within a day after that.
	Retention time.Duration
	Archive   string                                                        // folder for what is removed; empty keeps nothing
	Unsent    func(ctx context.Context) (upto int64, why string, err error) // the last entry that was sent wherever it has to be; nil means all
	Log       *slog.Logger
	Now       func() time.Time // nil means time.Now

	mu sync.Mutex // one checkpoint at a time
}

func (n *Notary) now() time.Time {
	if n.Now != nil {
		return n.Now()
	}
	return time.Now()
}

// ErrNothingNew says that the newest entry that is not a checkpoint itself was signed before.
var ErrNothingNew = errors.New("the record has nothing new since the last checkpoint")

// Checkpoint verifies what was added since the last checkpoint, signs the head, and adds the checkpoint to the file and, so
// that it is sent wherever the record is sent, to the record itself. A record that contradicts the last checkpoint is not signed.
func (n *Notary) Checkpoint(ctx context.Context, by audit.Actor) (Checkpoint, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	last, err := n.last()
	if err != nil {
		return last, err
	}
	head, err := n.since(ctx, last)
	if err != nil {
		return last, err
	}
	c, err := n.Key.sign(Checkpoint{Head: head, Time: n.now()})
	if err != nil {
		return c, err
	}
	if err := appendTo(n.File, c); err != nil {
		return c, fmt.Errorf("the checkpoint cannot be kept: %w", err)
	}
	// What is in the file is told in the record, even if Remit is being stopped.
	return c, n.Chain.Append(context.WithoutCancel(ctx), audit.Entry{Time: n.now(), Kind: audit.Checkpointed, Actor: by, Decision: audit.Changed,
		Detail: map[string]string{"seq": strconv.FormatInt(c.Head.Seq, 10), "hash": c.Head.Hash, "note": c.Note}})
}

// last is the newest checkpoint in the file, the zero Checkpoint when there is none.
func (n *Notary) last() (Checkpoint, error) {
	c, err := lastIn(n.Public(), n.File)
	if err != nil {
		err = fmt.Errorf("the last checkpoint in %s: %w; nothing is signed until the file is moved away", n.File, err)
	}
	return c, err
}

// Public are the keys whose signatures count.
func (n *Notary) Public() []string { return append([]string{n.Key.public}, n.Earlier...) }

// signed is what a chain must agree with: the last checkpoint, if there is one.
func signed(last Checkpoint) []Checkpoint {
	if last.Head.Seq == 0 {
		return nil
	}
	return []Checkpoint{last}
}

// since verifies what follows a checkpoint and returns the head.
func (n *Notary) since(ctx context.Context, last Checkpoint) (audit.Head, error) {
	own := int64(0) // checkpoints themselves
	look := func(e audit.Entry) error {
		if e.Kind == audit.Checkpointed {
			own++
		}
		return nil
	}
	if last.Head.Seq > 0 {
		h := holder{public: n.Public()}
		head, err := n.Chain.VerifyAfter(ctx, last.Head, func(e audit.Entry) error { return errors.Join(look(e), h.add(e)) })
		if err == nil && head.Seq == last.Head.Seq+own {
			return head, ErrNothingNew
		}
		if err == nil {
			return head, nil
		}
		own = 0
	}
	// There was none, or what followed it was removed by rights, or something is wrong: all of it says which.
	v, err := Verify(ctx, n.Chain, n.Public(), signed(last), look)
	if err == nil && v.Head.Seq-v.Start.Seq == own {
		err = ErrNothingNew
	}
	return v.Head, err
}

// atMost is the longest pause between two looks at what is to be done.
const atMost = 5 * time.Second

// Run makes checkpoints, and removes what is too old, until ctx ends.
func (n *Notary) Run(ctx context.Context) error {
	tick := time.NewTicker(min(n.Interval, atMost))
	defer tick.Stop()
	tell := map[string]string{} // what was told last, by what fails
	try := func(what string, err error) {
		if err != nil && ctx.Err() == nil && err.Error() != tell[what] {
			n.Log.Error(what, "err", err)
		}
		tell[what] = fmt.Sprint(err)
	}
	var looked time.Time // when what is too old was last removed
	for {
		try("the record is not signed", n.due(ctx))
		if n.Retention > 0 && n.now().Sub(looked) >= time.Hour {
			looked = n.now()
			try("old entries are not removed from the record", n.retire(ctx))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Close makes the last checkpoint, when nothing writes to the record any more.
func (n *Notary) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	if _, err := n.Checkpoint(ctx, audit.Actor{}); err != nil && !errors.Is(err, ErrNothingNew) {
		n.Log.Error("the record was not signed at the end", "err", err)
	}
}

// due makes a checkpoint when it is time for one.
func (n *Notary) due(ctx context.Context) error {
	last, err := n.last()
	if err != nil {
		return err
	}
	head, err := n.Chain.Head(ctx)
	if err != nil {
		return err
	}
	switch grown := head.Seq - last.Head.Seq; {
	case grown < 0: // something is wrong, and a try says what
	case grown == 0, grown == 1 && last.Head.Seq > 0: // by the entry that the checkpoint left itself
		return nil
	case grown <= n.Entries && n.now().Sub(last.Time) < n.Interval:
		return nil
	}
	if _, err = n.Checkpoint(ctx, audit.Actor{}); errors.Is(err, ErrNothingNew) {
		return nil
	}
	return err
}
