package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"remit/audit"
	"remit/internal/durable"
)

// journal makes what is recorded of calls durable before it is in the database, many calls with one write to the disk: an intent
// before its call is forwarded, an entry before its answer leaves. The entries follow into the chain within settleEvery, in one
// transaction; whoever reads the record through the same store waits for those that were acknowledged before. What a process
// that died left in the files, the next start puts into the record, once.
type journal struct {
	s     *Store
	path  string // of the database
	files [journalFiles]*journalFile
	lock  *os.File // of the first of them

	mu     sync.Mutex
	next   *frame // notes that wait to be written
	write  *flush // what their callers wait for
	number int64  // of the last note
	open   map[int64]*memo
	owed   []owed // entries that are durable and not in the database yet
	bytes  int    // of these
	broken error  // why they cannot be brought into the database; nothing new begins then
	closed bool

	entries int64 // number of the last entry
	before  int64 // of the last entry of the epochs before this one
	applied int64 // of the last entry in the database
	moved   chan struct{}

	turn chan struct{} // is full while somebody writes, to these; whoever waits for a Mutex spins, on a processor that others want

	spare  []*frame
	epoch  int64
	frames int64
	at     int   // which file
	size   int64 // of one that is full
	anew   bool

	due  chan struct{} // of the goroutine that brings into the database
	now  chan struct{} // somebody waits for it
	done chan struct{} // it has ended
	stop chan struct{}
}

// owed is an entry on its way from the journal into the database.
type owed struct {
	seq    int64 // its number
	number int64 // of the intent that it replaces; 0 for none
	*memo
}

func (o owed) kind() byte {
	if o.number != 0 {
		return noteEnd
	}
	return noteEntry
}

// flush is one write that several wait for. The first of them writes for all, when the write before has ended.
type flush struct {
	led   bool
	done  chan struct{}
	err   error
	begun []int64 // intents
	ends  []owed  // entries
}

const (
	settleEvery = 50 * time.Millisecond
	retryAfter  = 500 * time.Millisecond
	// maxOwed bounds what waits for the database, in bytes. Nothing new begins beyond it.
	maxOwed  = 64 << 20
	maxSpare = 1 << 20 // of a frame that is kept, in bytes
)

var errJournalClosed = errors.New("the journal of calls is closed")

// Journal has the store record calls through a journal beside the database from now on. It returns how many calls an earlier process
// had in flight, by what it left there. One process at a time may do so. A database that is shared has no journal: there it does
// nothing.
func (s *Store) Journal(ctx context.Context) (unknown int, err error) {
	if s.engine.shared {
		return 0, nil
	}
	j := &journal{s: s, path: s.index.path, next: newFrame(), write: newFlush(), open: map[int64]*memo{}, moved: make(chan struct{}),
		turn: make(chan struct{}, 1), due: make(chan struct{}, 1), now: make(chan struct{}, 1), done: make(chan struct{}), stop: make(chan struct{}), anew: true, size: journalSize}
	if j.lock, err = lockJournal(journalPath(j.path, 0), true); err != nil {
		return 0, fmt.Errorf("the journal of calls beside the database: %w", err)
	}
	if unknown, j.applied, j.epoch, err = s.recoverJournal(ctx); err != nil {
		return 0, errors.Join(err, j.lock.Close())
	}
	for i := range j.files { // which empties them: nothing in them is needed any more
		if j.files[i], err = openJournalFile(journalPath(j.path, i)); err != nil {
			break
		}
	}
	if err = errors.Join(err, durable.Name(j.path)); err != nil {
		return 0, errors.Join(fmt.Errorf("the journal of calls beside the database: %w", err), j.closeFiles(), j.lock.Close())
	}
	j.entries = j.applied
	go j.settleLoop()
	s.journal.Store(j)
	return unknown + s.unknown, nil
}

func newFlush() *flush { return &flush{done: make(chan struct{})} }

// begin makes an intent durable.
func (j *journal) begin(e audit.Entry) (audit.Ticket, error) {
	m := newMemo(&e)
	j.mu.Lock()
	if err := j.refuses(); err != nil {
		j.mu.Unlock()
		return 0, err
	}
	j.number++
	number := j.number
	j.next.add(noteIntent, number, 0, m.text)
	j.open[number] = m // from here on a change of files keeps it
	j.write.begun = append(j.write.begun, number)
	return audit.Ticket(-number), j.wait()
}

// refuses says why nothing new may begin. The caller holds mu.
func (j *journal) refuses() error {
	switch {
	case j.closed:
		return errJournalClosed
	case j.broken != nil:
		return fmt.Errorf("the record of earlier calls cannot be brought into the database: %w", j.broken)
	case j.bytes > maxOwed:
		return errors.New("the database is behind with the record of earlier calls")
	}
	return nil
}

// end makes an entry durable, in place of the intent that the ticket names; none for 0.
func (j *journal) end(t audit.Ticket, e audit.Entry) error {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	m, number := newMemo(&e), int64(-t)
	m.entry = e
	j.mu.Lock()
	if number != 0 {
		if _, ok := j.open[number]; !ok {
			j.mu.Unlock()
			return fmt.Errorf("audit intent %d is not open", t)
		}
	} else if err := j.refuses(); err != nil {
		j.mu.Unlock()
		return err
	}
	if j.closed {
		j.mu.Unlock()
		return errJournalClosed
	}
	j.entries++
	o := owed{j.entries, number, m}
	j.next.add(o.kind(), number, o.seq, m.text)
	j.write.ends = append(j.write.ends, o)
	return j.wait()
}

// wait unlocks mu and returns when what the caller added to the frame is on the disk, or cannot be.
func (j *journal) wait() error {
	w := j.write
	led := w.led
	w.led = true
	j.mu.Unlock()
	if !led {
		j.turn <- struct{}{}
		runtime.Gosched() // whoever can run may still add what is written then; a thread that waits for the disk runs nobody
		j.flush()
		<-j.turn
	}
	<-w.done
	return w.err
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// flush writes what waits. The caller has the turn. A panic ends the process, although the caller serves a request, of which net/http
// would recover: others wait for what is written here.
func (j *journal) flush() {
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			go panic(fmt.Sprintf("%v, in %s", v, stack))
			select {}
		}
	}()
	j.mu.Lock()
	if j.next.empty() {
		j.mu.Unlock()
		return
	}
	f, w := j.next, j.write
	j.next, j.write = j.emptyFrame(), newFlush()
	end := j.files[j.at].end
	if full := end+int64(len(f.b))+block > j.size; j.anew || full && int64(j.kept()) < end/4 {
		f = j.carry(f, w)
	}
	j.mu.Unlock()
	w.err = j.put(f)
	j.mu.Lock()
	if w.err == nil {
		for _, o := range w.ends {
			j.drop(o.number)
			j.bytes += len(o.text)
		}
		j.owed = append(j.owed, w.ends...)
	} else {
		for _, number := range w.begun {
			j.drop(number) // its call is not made
		}
	}
	j.keepFrame(f)
	j.mu.Unlock()
	close(w.done)
	if w.err == nil && len(w.ends) > 0 {
		poke(j.due)
	}
}

// drop forgets an intent. The caller holds mu.
func (j *journal) drop(number int64) {
	if m := j.open[number]; m != nil {
		delete(j.open, number)
		m.free()
	}
}

// emptyFrame returns a frame without notes, keepFrame takes one back; a pool would drop them with each collection, and they are large. The caller
// holds mu.
func (j *journal) emptyFrame() *frame {
	if last := len(j.spare) - 1; last >= 0 {
		f := j.spare[last]
		j.spare = j.spare[:last]
		return f
	}
	return newFrame()
}

func (j *journal) keepFrame(f *frame) {
	if f.reset(); cap(f.b) <= maxSpare {
		j.spare = append(j.spare, f)
	}
}

// owedBefore is what epochs before this one owe to the database. The caller holds mu.
func (j *journal) owedBefore() []owed {
	n, _ := slices.BinarySearchFunc(j.owed, j.before+1, func(o owed, seq int64) int { return cmp.Compare(o.seq, seq) })
	return j.owed[:n]
}

// kept is how many bytes the next file would begin with at most, beside what waits to be written. The caller holds mu.
func (j *journal) kept() (n int) {
	for _, m := range j.open {
		n += len(m.text) + noteHeader
	}
	if len(j.owedBefore()) > 0 { // a database that is behind; they are too many to look at with each write
		n += j.bytes + len(j.owed)*(noteHeader+8)
	}
	return n
}

// carry goes on to the next file, in the next epoch: its first frame holds the calls that are open, the entries that may be in neither
// of the last two epochs otherwise, and what waits to be written. The caller holds mu.
func (j *journal) carry(waiting *frame, w *flush) *frame {
	first, entries := j.emptyFrame(), j.owed
	if !j.anew {
		first.add(noteAfter, j.frames, 0, nil)
		entries = j.owedBefore()
	}
	for number, m := range j.open {
		first.add(noteIntent, number, 0, m.text)
	}
	for _, o := range entries {
		first.add(noteEntry, 0, o.seq, o.text)
	}
	for _, o := range w.ends {
		first.add(o.kind(), o.number, o.seq, o.text)
	}
	if j.frames > 0 { // or else the other files hold what is needed
		j.at = (j.at + 1) % journalFiles
	}
	j.anew, j.before = false, j.entries-int64(len(w.ends))
	j.epoch++
	j.frames, j.files[j.at].end = 0, 0
	j.keepFrame(waiting)
	return first
}

// put writes a frame. Where that fails nobody knows what of it is on the disk: an epoch that stands alone has to follow.
func (j *journal) put(f *frame) error {
	file := j.files[j.at]
	b := f.sealed(j.epoch, j.frames)
	if _, err := file.WriteAt(b, file.end); err != nil {
		j.anew = true
		return fmt.Errorf("the journal of calls: %w", err)
	}
	file.end += int64(len(b))
	j.frames++
	return nil
}

// settleLoop brings entries into the database, at once when it was idle and else every settleEvery.
func (j *journal) settleLoop() {
	defer close(j.done)
	for {
		select {
		case <-j.due:
		case <-j.now:
		case <-j.stop:
			j.settleAll()
			return
		}
		pause := settleEvery
		if j.settleAll() != nil {
			pause = retryAfter
			poke(j.due)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-j.now:
			poke(j.due)
		case <-j.stop:
		}
		timer.Stop()
	}
}

// settleAll brings what is owed now into the database.
func (j *journal) settleAll() error {
	j.mu.Lock()
	batch := j.owed
	j.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	last := batch[len(batch)-1].seq
	err := j.s.queue(context.Background(), write{record: &recording{settled: batch}, done: make(chan error, 1)})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = err
	if err == nil {
		for _, o := range batch {
			j.bytes -= len(o.text)
			o.free()
		}
		j.owed, j.applied = slices.Clone(j.owed[len(batch):]), last
	}
	close(j.moved)
	j.moved = make(chan struct{})
	return err
}

// settled returns when the entries that were acknowledged before, by whichever process of this machine, are in the database.
func (s *Store) settled(ctx context.Context) error {
	j := s.journal.Load()
	if j == nil {
		return s.othersSettled(ctx)
	}
	j.mu.Lock()
	upto := j.applied
	if n := len(j.owed); n > 0 {
		upto = j.owed[n-1].seq
	}
	for {
		applied, broken, moved := j.applied, j.broken, j.moved
		j.mu.Unlock()
		switch {
		case applied >= upto:
			return nil
		case broken != nil:
			return fmt.Errorf("the record of the newest calls cannot be brought into the database: %w", broken)
		}
		poke(j.now)
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
		j.mu.Lock()
	}
}

// inFlight returns the intents that are open.
func (j *journal) inFlight() ([]audit.Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []audit.Entry
	for _, m := range j.open {
		var e audit.Entry
		if err := json.Unmarshal(m.text, &e); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// close brings everything into the database. The files go when nothing in them is needed.
func (j *journal) close() error {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.turn <- struct{}{}
	j.flush()
	<-j.turn
	close(j.stop)
	<-j.done
	err := errors.Join(j.settleAll(), j.closeFiles()) // of what was written last
	defer j.lock.Close()
	if err != nil || len(j.open) > 0 {
		return err
	}
	if err := j.s.recovered(j.applied, j.epoch); err != nil { // should only some of the files be removed
		return err
	}
	for i := range j.files { // the one that is locked last
		err = errors.Join(err, os.Remove(journalPath(j.path, journalFiles-1-i)))
	}
	return err
}

func (j *journal) closeFiles() (err error) {
	for _, f := range j.files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
