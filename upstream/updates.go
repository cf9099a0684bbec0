package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// maxWatches bounds the resources of one server of which clients hear at a time: over HTTP each of them is a stream in the newer era.
const maxWatches = 64

// watcher is who hears of the changes of a resource on one connection.
type watcher struct{ updated func() }

// Watch has updated called each time the server says that the resource
// changed, and each time that it may have missed that, until ctx ends. ready
// is called once the server has agreed. It returns an error, an *RPCError or
// another, where the server does not agree, and where calls carry their
// user's token: changes are told on a connection that all share. updated must
// not block.
func (s *Server) Watch(ctx context.Context, uri string, ready, updated func()) error {
	if s.cfg.Auth != nil && s.cfg.Auth.PerUser() {
		return faultf(ErrInvalid, "server %s is called with its user's account, and tells nobody's changes", s.cfg.Name)
	}
	defer s.watching.Add(-1)
	if s.watching.Add(1) > maxWatches {
		return faultf(ErrBusy, "server %s: clients hear of %d of its resources already, which is the limit", s.cfg.Name, maxWatches)
	}
	wait := retryDelays(s.retryFrom, s.retryTo)
	for first := true; ; first = false {
		c, err := s.connected(ctx, !first)
		if err == nil && !c.info.subscribes {
			err = faultf(ErrInvalid, "server %s does not tell of changes of its resources", s.cfg.Name)
		}
		if err == nil {
			agreed := ready
			if !first {
				agreed = updated
			}
			err = c.watchOne(ctx, uri, agreed, updated)
		}
		var refused *RPCError
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if first && err != nil || errors.As(err, &refused) {
			return err
		}
		timer := time.NewTimer(wait.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// watchOne returns when ctx or the connection ends, nil if it was agreed before.
func (c *conn) watchOne(ctx context.Context, uri string, agreed, updated func()) error {
	if c.modern() {
		var was atomic.Bool
		_, err := c.do(ctx, request{method: "subscriptions/listen", params: map[string]any{"notifications": map[string]any{"resourceSubscriptions": []string{uri}}},
			heard: func(m message) {
				if m.Method == "notifications/subscriptions/acknowledged" && honours(m.Params, uri) && was.CompareAndSwap(false, true) {
					agreed()
				} else if m.Method == resourceUpdated && was.Load() {
					updated()
				}
			}})
		if was.Load() {
			return nil
		}
		if err == nil {
			err = faultf(ErrInvalid, "server %s does not tell of changes of this resource", c.cfg.Name)
		}
		return err
	}
	w := &watcher{updated}
	if err := c.subscribe(ctx, uri, w); err != nil {
		return err
	}
	agreed()
	select {
	case <-ctx.Done():
	case <-c.life.Done():
	}
	c.unsubscribe(uri, w)
	return nil
}

const resourceUpdated = "notifications/resources/updated"

// honours says that the server agreed to tell of the resource.
func honours(params json.RawMessage, uri string) bool {
	var p struct {
		Notifications struct {
			Resources []string `json:"resourceSubscriptions"`
		} `json:"notifications"`
	}
	return json.Unmarshal(params, &p) == nil && slices.Contains(p.Notifications.Resources, uri)
}

// turn is of those who have something to say about one resource.
type turn struct {
	of   int           // how many
	held chan struct{} // holds one while a request is answered
}

// inTurn does one thing about the subscriptions of a resource at a time: a server that hears that it is watched, and then that it no longer is, from
// two who mean it the other way round, would tell nobody. Other resources do not wait for an answer that does not come.
func (c *conn) inTurn(ctx context.Context, uri string, do func() error) error {
	c.mu.Lock()
	t := c.turns[uri]
	if t == nil {
		t = &turn{held: make(chan struct{}, 1)}
		c.turns[uri] = t
	}
	t.of++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if t.of--; t.of == 0 {
			delete(c.turns, uri)
		}
	}()
	select {
	case t.held <- struct{}{}:
		defer func() { <-t.held }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// subscribe asks a server of the older era, each time: one that has agreed agrees again.
func (c *conn) subscribe(ctx context.Context, uri string, w *watcher) error {
	c.mu.Lock()
	c.watched[uri] = append(c.watched[uri], w)
	c.mu.Unlock()
	err := c.inTurn(ctx, uri, func() error {
		_, err := c.do(ctx, request{method: "resources/subscribe", params: map[string]any{"uri": uri}})
		return err
	})
	if err != nil {
		c.leave(uri, w)
	}
	return err
}

// leave takes a watcher away, and says whether it was the last.
func (c *conn) leave(uri string, w *watcher) (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched[uri] = slices.DeleteFunc(c.watched[uri], func(other *watcher) bool { return other == w })
	if last = len(c.watched[uri]) == 0; last {
		delete(c.watched, uri)
	}
	return last
}

func (c *conn) unsubscribe(uri string, w *watcher) {
	if !c.leave(uri, w) || c.life.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.life, 5*time.Second)
	defer cancel()
	_ = c.inTurn(ctx, uri, func() error { // what it tells if it does not hear of that is dropped
		c.mu.Lock()
		again := len(c.watched[uri]) > 0 // by another, who came meanwhile
		c.mu.Unlock()
		if again {
			return nil
		}
		_, err := c.do(ctx, request{method: "resources/unsubscribe", params: map[string]any{"uri": uri}})
		return err
	})
}

// resourceChanged tells those who watch it.
func (c *conn) resourceChanged(params json.RawMessage) {
	var p struct{ URI string }
	if json.Unmarshal(params, &p) != nil {
		return
	}
	c.mu.Lock()
	all := slices.Clone(c.watched[p.URI])
	c.mu.Unlock()
	for _, w := range all {
		w.updated()
	}
}

// missed tells all who watch that they may have missed something.
func (c *conn) missed() {
	c.mu.Lock()
	var all []*watcher
	for _, some := range c.watched {
		all = append(all, some...)
	}
	c.mu.Unlock()
	for _, w := range all {
		w.updated()
	}
}

// subscriptionOf is the request on whose stream a notification of the newer
// era belongs, nil for none. Over stdio its _meta says that.
func (c *conn) subscriptionOf(params json.RawMessage, only *pending) *pending {
	if only != nil {
		return only
	}
	var p struct {
		Meta struct {
			ID int64 `json:"io.modelcontextprotocol/subscriptionId"`
		} `json:"_meta"`
	}
	if json.Unmarshal(params, &p) != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending[p.Meta.ID]
}
