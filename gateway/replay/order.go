package replay

import (
	"container/heap"
	"time"

	"remit/audit"
)

// Bounds of what is held back to bring calls into order. A call that took longer, or began before so many others that ended
// first, comes late, and limits count it as of then.
const (
	longestCall = 10 * time.Minute
	maxHeld     = 4096
)

// inOrder turns calls as they ended, which is how the record has them, into calls as they began, which is how they were decided.
type inOrder struct{ held byBeginning }

// add takes the next entry of the record and hands on those that none can come before any more.
func (q *inOrder) add(e audit.Entry, next func(audit.Entry)) {
	e.ResultDigest, e.Prev, e.Hash = "", "", "" // nobody needs them
	heap.Push(&q.held, e)
	for len(q.held) > 0 && (len(q.held) > maxHeld || q.held[0].Began().Before(e.Time.Add(-longestCall))) {
		next(heap.Pop(&q.held).(audit.Entry))
	}
}

// flush hands on the rest.
func (q *inOrder) flush(next func(audit.Entry)) {
	for len(q.held) > 0 {
		next(heap.Pop(&q.held).(audit.Entry))
	}
}

// byBeginning is a heap.
type byBeginning []audit.Entry

func (h byBeginning) Len() int { return len(h) }
func (h byBeginning) Less(i, j int) bool {
	a, b := h[i].Began(), h[j].Began()
	return a.Before(b) || a.Equal(b) && h[i].Seq < h[j].Seq
}
func (h byBeginning) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *byBeginning) Push(e any)   { *h = append(*h, e.(audit.Entry)) }
func (h *byBeginning) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = audit.Entry{}
	*h = (*h)[:last]
	return e
}
