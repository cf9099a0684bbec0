package store

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"unsafe"

	"remit/audit"
)

// The journal is three files, used in turn. One is written to, in frames that follow each other; each frame is one write, and durable
// when it returns. When the file is full the next one begins anew, in the next epoch, with a frame of everything that is needed of
// the epochs before the last: whoever recovers reads the last two. So the entries that the database does not have yet are not written
// once more, and what the frame overwrites is not needed even while it is not whole. Where a write failed nobody knows what of it is in
// its file: the next epoch stands alone, with everything that is needed.
//
// A frame is a multiple of the block long: magic, length of what it carries, epoch, number within the epoch, checksum, and then
// notes. A note is its kind, the length of its text, the number of its call, and the text: an entry in JSON.
const (
	block       = 4096
	frameHeader = 32
	noteHeader  = 16
	frameMagic  = 0x524d4a31 // "RMJ1"

	journalFiles = 3
	journalSize  = 8 << 20 // of a file, before it is full; it has this size from the start, so that writes find it allocated
)

const (
	noteIntent = 1 // of a call that may be forwarded
	noteEntry  = 2 // to append
	noteEnd    = 3 // to append in place of the intent of the same number; the number of the entry stands before its text
	noteAfter  = 4 // at the beginning of an epoch that needs the one before, with the number of the frames of that
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var order = binary.LittleEndian

// journalPath is the path of one of the files.
func journalPath(database string, which int) string {
	return fmt.Sprintf("%s-calls%d", database, which)
}

// journalFile is one of the files, open for writing.
type journalFile struct {
	*os.File
	end int64 // where the next frame goes
}

var errHeld = errors.New("another process holds the journal of calls")

// lockJournal returns the first file once no other process holds the journal. To serve it waits for that, and makes the file if need be; or
// else it returns errHeld.
func lockJournal(path string, serve bool) (*os.File, error) {
	flags := os.O_RDWR
	if serve {
		flags |= os.O_CREATE
	}
	for {
		f, err := os.OpenFile(path, flags, private)
		if err != nil {
			return nil, err
		}
		err = lockFile(f, serve)
		if err == nil && isAt(f, path) {
			return f, nil
		}
		if err != nil && !serve {
			err = errHeld
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		// whoever held it has removed the file
	}
}

// isAt says whether an open file is what a path leads to now.
func isAt(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(mine, now)
}

// openJournalFile makes a file anew, with blocks that are allocated.
func openJournalFile(path string) (*journalFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, private)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err = errors.Join(f.Chmod(private), f.Truncate(0)); err == nil {
		_, err = f.WriteAt(make([]byte, journalSize), 0)
	}
	if err = errors.Join(err, f.Sync()); err != nil {
		return nil, err
	}
	direct, err := openDurable(path)
	return &journalFile{File: direct}, err
}

// alignedBuffer is n bytes that begin at a block, as writes past the page cache ask for.
func alignedBuffer(n int) []byte {
	b := make([]byte, n+block)
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (block - 1))
	return b[off : off+n : off+n]
}

// frame collects notes in an aligned buffer, behind the place of the header.
type frame struct{ b []byte }

func newFrame() *frame { return &frame{alignedBuffer(64 << 10)[:frameHeader]} }

func (f *frame) empty() bool { return len(f.b) == frameHeader }
func (f *frame) reset()      { f.b = f.b[:frameHeader] }

func (f *frame) grow(n int) {
	if need := len(f.b) + n + block; need > cap(f.b) {
		next := alignedBuffer(max(need, 2*cap(f.b)))
		f.b = next[:copy(next, f.b)]
	}
}

// add takes a note. The number of an entry is 0 for an intent.
func (f *frame) add(kind byte, number, entry int64, text []byte) {
	f.grow(noteHeader + 8 + len(text))
	var h [noteHeader + 8]byte
	h[0] = kind
	order.PutUint64(h[8:], uint64(number))
	size := len(text)
	if kind != noteIntent {
		size += 8
	}
	order.PutUint32(h[4:], uint32(size))
	f.b = append(f.b, h[:noteHeader]...)
	if kind != noteIntent {
		f.b = order.AppendUint64(f.b, uint64(entry))
	}
	f.b = append(f.b, text...)
}

// sealed is the frame as it is written.
func (f *frame) sealed(epoch, number int64) []byte {
	n := len(f.b)
	whole := f.b[:(n+block-1)/block*block]
	clear(whole[n:])
	order.PutUint32(whole, frameMagic)
	order.PutUint32(whole[4:], uint32(n-frameHeader))
	order.PutUint64(whole[8:], uint64(epoch))
	order.PutUint64(whole[16:], uint64(number))
	order.PutUint32(whole[24:], frameSum(whole[:n]))
	return whole
}

func frameSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:24], castagnoli), castagnoli, b[frameHeader:])
}

// written is what a file holds of its newest epoch.
type written struct {
	epoch  int64
	frames int64
	after  int64 // frames of the epoch before, which are needed and not among the notes
	notes  []note
}

type note struct {
	kind          byte
	number, entry int64
	text          []byte
}

// readJournalFile reads the frames of one epoch, up to the first that is not whole. A file that is not there, or whose first frame is
// not whole, holds none.
func readJournalFile(path string) (w written, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return w, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return w, err
	}
	for number := int64(0); len(text) >= frameHeader; number++ {
		size := frameHeader + int(order.Uint32(text[4:]))
		epoch := int64(order.Uint64(text[8:]))
		if order.Uint32(text) != frameMagic || size > len(text) || order.Uint64(text[16:]) != uint64(number) || order.Uint32(text[24:]) != frameSum(text[:size]) {
			return w, nil
		}
		if number == 0 {
			w.epoch = epoch
		} else if epoch != w.epoch {
			return w, nil
		}
		if w.notes, err = readNotes(w.notes, text[frameHeader:size]); err != nil {
			return w, fmt.Errorf("the journal %s: frame %d: %w", path, number, err)
		}
		if number == 0 && len(w.notes) > 0 && w.notes[0].kind == noteAfter {
			w.after, w.notes = w.notes[0].number, w.notes[1:]
		}
		w.frames++
		text = text[min(len(text), (size+block-1)/block*block):]
	}
	return w, nil
}

func readNotes(notes []note, b []byte) ([]note, error) {
	for len(b) > 0 {
		if len(b) < noteHeader || int(order.Uint32(b[4:])) > len(b)-noteHeader {
			return notes, errors.New("a note is cut")
		}
		n := note{kind: b[0], number: int64(order.Uint64(b[8:])), text: b[noteHeader : noteHeader+int(order.Uint32(b[4:]))]}
		b = b[noteHeader+len(n.text):]
		if n.kind != noteIntent {
			if len(n.text) < 8 {
				return notes, errors.New("a note has no number")
			}
			n.entry, n.text = int64(order.Uint64(n.text)), n.text[8:]
		}
		notes = append(notes, n)
	}
	return notes, nil
}

// left is what a process that ended left in the journal.
type left struct {
	entries      []audit.Entry // that are not in the database, in order
	open         []audit.Entry // intents
	entry, epoch int64         // how far the files go
}

// readJournal is what is needed of the files, as of the epoch that began last.
func readJournal(database string) (newest written, err error) {
	var files [journalFiles]written
	for which := range files {
		if files[which], err = readJournalFile(journalPath(database, which)); err != nil {
			return newest, err
		}
		if files[which].epoch > newest.epoch {
			newest = files[which]
		}
	}
	for _, w := range files {
		if w.epoch == newest.epoch-1 && w.frames == newest.after {
			newest.notes, newest.after = append(w.notes, newest.notes...), 0
		}
	}
	return newest, nil
}

// leftBehind reads what follows the entry number applied. Epochs that were recovered before are passed over.
func leftBehind(database string, applied, epoch int64) (left, error) {
	l := left{entry: applied, epoch: epoch}
	newest, err := readJournal(database)
	if err != nil || newest.epoch <= epoch {
		return l, err
	}
	if newest.after > 0 {
		return l, fmt.Errorf("one of the files %s to %s is missing or damaged: put it back, or move all of them away to go on without the newest calls, which only they have",
			journalPath(database, 0), journalPath(database, journalFiles-1))
	}
	l.epoch = newest.epoch
	over := map[int64]bool{} // intents that are not open, or were seen
	for _, n := range newest.notes {
		if n.kind == noteEnd {
			over[n.number] = true
		}
	}
	slices.SortStableFunc(newest.notes, func(a, b note) int { return cmp.Compare(a.entry, b.entry) }) // intents, which have none, stay in front
	for _, n := range newest.notes {
		if n.kind == noteIntent && over[n.number] || n.kind != noteIntent && n.entry <= l.entry {
			continue
		}
		var e audit.Entry
		if err := json.Unmarshal(n.text, &e); err != nil {
			return l, fmt.Errorf("an entry cannot be read: %w", err)
		}
		if n.kind == noteIntent {
			l.open, over[n.number] = append(l.open, e), true
		} else {
			l.entries, l.entry = append(l.entries, e), n.entry
		}
	}
	return l, nil
}
