package notary

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"remit/audit"
	"remit/internal/durable"
)

// ErrNothingOld says that there is nothing to remove.
var ErrNothingOld = errors.New("nothing in the record is older")

// Prune removes the entries before a time, as far as they are whole from the front. It verifies the chain first; writes what it
// will remove to the archive, if one is named, and makes that durable; then states in the chain, signed, what is removed; then
// removes it. Stopped at any point it has lost nothing, and the next goes on.
func (n *Notary) Prune(ctx context.Context, by audit.Actor, before time.Time, archive string) (cut audit.Cut, err error) {
	if young := n.now().Add(-audit.MinRetention); before.After(young) {
		return cut, fmt.Errorf("entries of the last %s are needed, by limits among others: only what is older than %s can be removed",
			audit.MinRetention, young.UTC().Format(time.RFC3339))
	}
	upto, err := n.Chain.LastBefore(ctx, before)
	if err != nil {
		return cut, err
	}
	return n.prune(ctx, by, upto, archive)
}

// prune is Prune of the entries up to a number.
func (n *Notary) prune(ctx context.Context, by audit.Actor, upto int64, archive string) (cut audit.Cut, err error) {
	if err := n.sent(ctx, upto); err != nil {
		return cut, err
	}
	last, err := n.last()
	if err != nil {
		return cut, err
	}
	cut = audit.Cut{Last: audit.Head{Seq: upto}, Actor: by, Time: n.now()}
	if cut, err = n.archive(ctx, cut, signed(last), archive); err != nil {
		return cut, err
	}
	if cut.Count == 0 {
		if err := n.Chain.Remove(ctx); err != nil { // what one that was interrupted left
			return cut, err
		}
		return cut, ErrNothingOld
	}
	statement, err := n.Key.sign(Checkpoint{Head: cut.Last, Time: cut.Time, Cut: &Removed{Count: cut.Count, By: by.Person}})
	if err != nil {
		return cut, err
	}
	cut.Note = statement.Note
	if err := n.Chain.Append(ctx, cut.Entry()); err != nil {
		return cut, err
	}
	if err := n.Chain.Remove(ctx); err != nil {
		return cut, fmt.Errorf("it is stated what is removed, but not all of it is yet; the next removal goes on: %w", err)
	}
	if _, err = n.Checkpoint(ctx, by); errors.Is(err, ErrNothingNew) { // another process was faster
		err = nil
	}
	return cut, err
}

// sent says whether the entries up to a number were sent wherever they have to be.
func (n *Notary) sent(ctx context.Context, last int64) error {
	if n.Unsent == nil || last == 0 {
		return nil
	}
	upto, why, err := n.Unsent(ctx)
	if err != nil || last <= upto {
		return err
	}
	return fmt.Errorf("entries from %d on were not sent yet to %s: see remit audit sinks, or take it out of the configuration", upto+1, why)
}

// archive walks the whole chain, writes what cut removes to the file if one is named, and completes cut.
func (n *Notary) archive(ctx context.Context, cut audit.Cut, signed []Checkpoint, path string) (audit.Cut, error) {
	to := &archive{out: bufio.NewWriter(io.Discard), sum: sha256.New()}
	if path != "" {
		f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return cut, fmt.Errorf("the archive: %w", err)
		}
		defer os.Remove(f.Name())
		defer f.Close()
		to.file, to.out = f, bufio.NewWriter(io.MultiWriter(f, to.sum))
	}
	lines := json.NewEncoder(to.out)
	_, err := Verify(ctx, n.Chain, n.Public(), signed, func(e audit.Entry) error {
		if e.Seq > cut.Last.Seq {
			return nil
		}
		cut.Count++
		cut.Last.Hash = e.Hash
		return lines.Encode(e)
	})
	if err != nil {
		return cut, fmt.Errorf("nothing was removed, because the record is not what was written: %w", err)
	}
	if path == "" || cut.Count == 0 {
		return cut, nil
	}
	if err := lines.Encode(end{cut.Last}); err != nil {
		return cut, err
	}
	cut.Archive, err = to.keep(path)
	return cut, err
}

// archive is a file that is being written.
type archive struct {
	file *os.File
	out  *bufio.Writer
	sum  hash.Hash
}

// keep makes the file durable under its name and returns its digest. A file with that name is left alone, unless it has the
// same content: a removal that was interrupted may be repeated.
func (a *archive) keep(path string) (digest string, err error) {
	if err := errors.Join(a.out.Flush(), a.file.Sync()); err != nil {
		return "", fmt.Errorf("the archive: %w", err)
	}
	digest = "sha256:" + hex.EncodeToString(a.sum.Sum(nil))
	err = os.Link(a.file.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		if old, err := os.ReadFile(path); err == nil && audit.Digest(old) == digest {
			return digest, nil
		}
		return "", fmt.Errorf("nothing was removed: the archive %s exists with other content; name another", path)
	}
	if err == nil {
		err = durable.Name(path)
	}
	if err != nil {
		return "", fmt.Errorf("the archive: %w", err)
	}
	return digest, nil
}

// slack keeps removals, each of which leaves an entry, rare.
const slack = 24 * time.Hour

// goOn removes what a removal that was interrupted left, if the record is still sound.
func (n *Notary) goOn(ctx context.Context) error {
	left, err := n.Chain.Unremoved(ctx)
	if err != nil || !left {
		return err
	}
	last, err := n.last()
	if err != nil {
		return err
	}
	if _, err := n.archive(ctx, audit.Cut{}, signed(last), ""); err != nil { // which verifies all of it
		return err
	}
	return n.Chain.Remove(ctx)
}

// retire removes what is older than the retention, once it is a day older; where the record has parts, once a whole one is.
func (n *Notary) retire(ctx context.Context) error {
	if err := n.goOn(ctx); err != nil {
		return err
	}
	overdue, err := n.Chain.LastWhole(ctx, n.now().Add(-n.Retention-slack))
	if err != nil || overdue == 0 {
		return err
	}
	upto, err := n.Chain.LastWhole(ctx, n.now().Add(-n.Retention))
	if err != nil {
		return err
	}
	path := ""
	if n.Archive != "" {
		if err := os.MkdirAll(n.Archive, 0o700); err != nil {
			return fmt.Errorf("the folder for archives: %w", err)
		}
		path = filepath.Join(n.Archive, fmt.Sprintf("audit-to-%012d.jsonl", upto))
	}
	cut, err := n.prune(ctx, audit.Actor{}, upto, path)
	if errors.Is(err, ErrNothingOld) {
		return nil
	}
	if err == nil {
		n.Log.Info("old entries were removed from the record", "entries", cut.Count, "up to", cut.Last.Seq, "archive", path)
	}
	return err
}
