package approval

import (
	"context"
	"time"
)

const (
	maxHolding = 8           // calls of a key that wait at a time
	pollEvery  = time.Second // how late a decision of another process is heard of, at most
)

// Hold lets one more call of the key wait, unless as many as may do. release ends that.
func (d *Desk) Hold(key string) (release func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holding[key] >= maxHolding {
		return nil, false
	}
	if d.holding == nil {
		d.holding = map[string]int{}
	}
	d.holding[key]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.holding[key]--; d.holding[key] == 0 {
			delete(d.holding, key)
		}
	}, true
}

// Wait returns the request once it is not pending any more, or as it is when ctx ends: at once after a decision in this process
// or a Wake, within a second after one of which nobody tells.
func (d *Desk) Wait(ctx context.Context, id string) (Request, error) {
	woken, leave := d.join(id)
	defer leave()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		r, err := d.Store.Approval(context.WithoutCancel(ctx), id)
		if err != nil || r.State != Pending || !r.Open(d.now()) || ctx.Err() != nil {
			return r, err
		}
		select {
		case <-ctx.Done():
		case <-woken:
		case <-tick.C:
		}
	}
}

// join has the channel written to after each decision on the request.
func (d *Desk) join(id string) (woken chan struct{}, leave func()) {
	woken = make(chan struct{}, 1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		d.waiting = map[string]map[chan struct{}]bool{}
	}
	if d.waiting[id] == nil {
		d.waiting[id] = map[chan struct{}]bool{}
	}
	d.waiting[id][woken] = true
	return woken, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if delete(d.waiting[id], woken); len(d.waiting[id]) == 0 {
			delete(d.waiting, id)
		}
	}
}

// Wake has calls that wait for the request look again: it was decided on, here or by another process.
func (d *Desk) Wake(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for woken := range d.waiting[id] {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
}
