package store

import (
	"sync"

	"remit/audit"
)

// memo is what was noted, for as long as the files need it. They are used again: those of calls were a fifth of the garbage.
type memo struct {
	text   []byte
	entry  audit.Entry // whose text it is, until it is in the database
	sealed []byte      // its text there
}

var memos = sync.Pool{New: func() any { return new(memo) }}

func newMemo(e *audit.Entry) *memo {
	m := memos.Get().(*memo)
	m.text = e.AppendJSON(m.text[:0])
	return m
}

// maxMemo bounds the text of a memo that is used again, in bytes.
const maxMemo = 16 << 10

func (m *memo) free() {
	if m.entry = (audit.Entry{}); cap(m.text)+cap(m.sealed) <= maxMemo {
		memos.Put(m)
	}
}
