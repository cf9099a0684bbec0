package store

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"unsafe"
)

// walIndex is the memory in which SQLite shares the index of a database's WAL between all processes that have the file open. Its
// header counts the transactions that were committed, by whomever (https://www.sqlite.org/walformat.html, section 2.1).
type walIndex struct {
	path string
	refs int // stores of this process

	file  *os.File // nil until somebody counts
	mem   []byte
	count *atomic.Uint32
}

// indexes are those of the files that this process has open. Whoever closes a file loses all locks that the process has on it, also
// those of SQLite: the descriptor stays open until no store has the database open any more.
var indexes = struct {
	sync.Mutex
	of map[string]*walIndex
}{of: map[string]*walIndex{}}

func shareIndex(path string) *walIndex {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	indexes.Lock()
	defer indexes.Unlock()
	x := indexes.of[path]
	if x == nil {
		x = &walIndex{path: path}
		indexes.of[path] = x
	}
	x.refs++
	return x
}

// release ends a store's use, after its connections were closed.
func (x *walIndex) release() {
	if x == nil {
		return
	}
	indexes.Lock()
	defer indexes.Unlock()
	if x.refs--; x.refs > 0 {
		return
	}
	delete(indexes.of, x.path)
	x.file.Close() // of nil, too. The page stays: a request that outlived the server may still read it
}

// The header of the index, whose numbers have the byte order of the machine.
const (
	indexVersion = 3007000
	indexHeader  = 48
	atChanges    = 8
)

// commits returns the count of committed transactions, or nil where it cannot be had. A connection to the database has to be open
// as long as it is read.
func (x *walIndex) commits() *atomic.Uint32 {
	if x == nil {
		return nil
	}
	indexes.Lock()
	defer indexes.Unlock()
	if x.file != nil {
		return x.count
	}
	var err error
	if x.file, err = os.Open(x.path + "-shm"); err != nil {
		return nil
	}
	if x.mem, err = mapShared(x.file, indexHeader); err == nil && binary.NativeEndian.Uint32(x.mem) == indexVersion {
		x.count = (*atomic.Uint32)(unsafe.Pointer(&x.mem[atChanges]))
	}
	return x.count
}

// quiet is a run of transactions that followed each other, of which none changed what a request is decided by: the first is the one
// after the count from, the last made the count to.
type quiet struct{ from, to uint32 }

// after is the run with a transaction more, which was begun at the count and is committed.
func (q quiet) after(count uint32) quiet {
	if q.to != count {
		q.from = count
	}
	return quiet{q.from, count + 1}
}

// covers says that only such transactions lie between two counts. Counts may wrap.
func (q quiet) covers(before, now uint32) bool {
	return before == now || before-q.from <= now-q.from && now-q.from <= q.to-q.from
}
