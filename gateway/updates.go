package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"remit/audit"
	"remit/catalog"
	"remit/internal/strictjson"
	"remit/upstream"
)

// A client may hear of the changes of a resource that it may read. To ask for that is a request like a read: it passes the same
// steps, counts and is recorded. What is told is the URI alone, and only as long as the resource may still be read.

// subscribe is the older era's request; in the stateless one each URI of a subscriptions/listen stands for one.
const subscribe = "resources/subscribe"

// maxWatched bounds the resources that one session or stream hears of.
const maxWatched = 32

// updatePause is the least time between two looks of a stream at what changed: a server that announces changes without end has no more asked
// of the database, and written to clients.
const updatePause = time.Second

// updates are the resources of which one session, or one stream, hears.
type updates struct {
	life  context.Context
	end   context.CancelFunc
	fresh chan struct{} // holds one sign that something changed

	mu      sync.Mutex
	watched map[string]*watched // by URI
	changed map[string]bool     // not told yet
}

// watched is one resource of which a client hears.
type watched struct {
	life context.Context
	end  context.CancelFunc
}

func newUpdates() *updates {
	u := &updates{fresh: make(chan struct{}, 1), watched: map[string]*watched{}, changed: map[string]bool{}}
	u.life, u.end = context.WithCancel(context.Background())
	return u
}

// begin has a resource watched from now on; it returns nil for one that is already.
func (u *updates) begin(uri string) (*watched, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.watched[uri] != nil {
		return nil, nil
	}
	if len(u.watched) >= maxWatched {
		return nil, fmt.Errorf("this client hears of %d resources already, which is the limit", maxWatched)
	}
	w := &watched{}
	w.life, w.end = context.WithCancel(u.life)
	u.watched[uri] = w
	return w, nil
}

// drop has a resource no longer watched.
func (u *updates) drop(uri string) { u.over(uri, nil) }

// over does the same, unless the resource is watched anew.
func (u *updates) over(uri string, only *watched) {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.watched[uri]
	if w == nil || only != nil && w != only {
		return
	}
	w.end()
	delete(u.watched, uri)
	delete(u.changed, uri)
}

func (u *updates) updated(uri string) {
	u.mu.Lock()
	if u.watched[uri] != nil {
		u.changed[uri] = true
	}
	u.mu.Unlock()
	select {
	case u.fresh <- struct{}{}:
	default:
	}
}

// take returns what changed since it was last asked.
func (u *updates) take() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	uris := slices.Sorted(maps.Keys(u.changed))
	clear(u.changed)
	return uris
}

// hearOf asks the server to tell of the resource, in place of a read.
func (g *Gateway) hearOf(ctx context.Context, c *call) *fault {
	u, uri, server := c.updates, c.name, c.server
	w, err := u.begin(uri)
	switch {
	case err != nil:
		return rpcFault(codeInvalidParams, "%v; unsubscribe from one.", err)
	case w != nil:
		agreed := make(chan error, 1)
		g.busy.Add(1) // the request is in it, too
		go func() {
			defer g.busy.Done()
			defer context.AfterFunc(g.stopping, func() { u.over(uri, w) })()
			say := func(err error) {
				select {
				case agreed <- err:
				default:
				}
			}
			say(server.Watch(w.life, uri, func() { say(nil) }, func() { u.updated(uri) }))
			u.over(uri, w)
		}()
		select {
		case err = <-agreed:
		case <-ctx.Done():
			err = c.why(ctx)
		}
		if err != nil {
			u.over(uri, w)
			name, _ := c.grant.Tool.Split()
			c.entry.Decision = audit.Failed
			return c.failure(ctx, name, err)
		}
	}
	c.entry.Decision = audit.Allowed
	c.result = [2][]byte{nil, []byte("{}")}
	return nil
}

// unsubscribe always succeeds: nothing is told of what nobody subscribed to.
func (x *exchange) unsubscribe() {
	uri, _ := x.params.text("uri")
	x.session.updates.drop(uri)
	x.succeed([]byte("{}"))
}

// watchAll asks for what a stream of the stateless era wants to hear of, each for itself, and returns what is honoured.
func (g *Gateway) watchAll(x *exchange, wanted jsontext.Value, u *updates) (honoured []string) {
	var uris []string
	if json.Unmarshal(wanted, &uris) != nil || len(uris) > maxWatched {
		return nil
	}
	for _, uri := range uris {
		y := *x
		y.method, y.seen = subscribe, nil
		y.params = members{{Name: "uri", Value: strictjson.Unread(quote(uri))}}
		y.meta = slices.DeleteFunc(slices.Clone(x.meta), func(m strictjson.Member) bool { return m.Name == "progressToken" || m.Name == metaLogLevel }) // the stream is another
		c := g.newCall(&y)
		c.updates, c.quiet = u, true
		if g.run(c) == nil {
			honoured = append(honoured, uri)
		}
	}
	return honoured
}

// stillReads says whether a resource of which a client hears may be read now.
func (g *Gateway) stillReads(ctx context.Context, x *exchange, uri string) bool {
	y := *x
	y.seen, y.method = nil, upstream.ReadResource
	_, f := g.decideAgain(ctx, &y, &call{kind: catalog.AResource, name: uri, arguments: strictjson.Unread(`{"uri":` + quote(uri) + `}`)})
	return f == nil
}

// tell sends a stream what changed.
func (g *Gateway) tell(ctx context.Context, x *exchange, s *stream, u *updates, meta string) {
	for _, uri := range u.take() {
		if !g.stillReads(ctx, x, uri) {
			u.drop(uri)
			continue
		}
		s.message([]byte(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":` + quote(uri) + meta + `}}`))
	}
}
