package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"remit/catalog"
	"remit/persona"
)

// streams are the open ones that wait for changes.
type streams struct {
	mu   sync.Mutex
	open map[persona.ID]map[*listener]bool
}

// listener is one open stream.
type listener struct {
	key     string
	user    string
	changed chan struct{} // holds one change that was not told yet
}

// join adds a listener, unless its key has as many as it may.
func (s *streams) join(id persona.ID, key, user string) (l *listener, leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	for other := range s.open[id] {
		if other.key == key {
			count++
		}
	}
	if count >= maxStreams {
		return nil, nil, false
	}
	if s.open == nil {
		s.open = map[persona.ID]map[*listener]bool{}
	}
	if s.open[id] == nil {
		s.open[id] = map[*listener]bool{}
	}
	l = &listener{key: key, user: user, changed: make(chan struct{}, 1)}
	s.open[id][l] = true
	return l, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.open[id], l); len(s.open[id]) == 0 {
			delete(s.open, id)
		}
	}, true
}

func (s *streams) notify(id persona.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.open[id] {
		l.notify()
	}
}

// tell notifies the streams that are chosen, whichever their persona.
func (s *streams) tell(chosen func(*listener) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, open := range s.open {
		for l := range open {
			if chosen(l) {
				l.notify()
			}
		}
	}
}

func (l *listener) notify() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// listen serves subscriptions/listen: changes of the lists that the view has, and of resources that it grants.
func (g *Gateway) listen(x *exchange, v *view) {
	filter, ok := x.params.object("notifications")
	if !ok {
		g.refuse(x, rpcFault(codeInvalidParams, `The member "notifications" of params must be an object.`))
		return
	}
	if f := x.listensForTasks(v, filter); f != nil {
		g.refuse(x, f)
		return
	}
	meta := `"_meta":{"` + metaSubscription + `":` + string(x.id) + `}`
	var honoured []string
	var changed [][]byte
	for _, a := range announced {
		if v.offers(a.list) && string(filter.at(a.filter)) == "true" {
			honoured = append(honoured, `"`+a.filter+`":true`)
			changed = append(changed, []byte(`{"jsonrpc":"2.0","method":"`+a.method+`","params":{`+meta+`}}`))
		}
	}
	f := following{changed: changed, meta: "," + meta}
	if wanted := filter.at("resourceSubscriptions"); wanted != nil && v.whole().grantsKind(catalog.AResource, catalog.ATemplate) {
		f.updates = newUpdates()
		defer f.updates.end()
		if uris := g.watchAll(x, wanted, f.updates); len(uris) > 0 {
			all, _ := json.Marshal(uris) // texts always encode
			honoured = append(honoured, `"resourceSubscriptions":`+string(all))
		}
	}
	f.first = []byte(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{` + meta + `,"notifications":{` + strings.Join(honoured, ",") + `}}}`)
	end := x.resultOf([]byte(`{"resultType":"complete",` + meta + `}`))
	f.end = &end
	g.follow(x.r.Context(), x, f)
}

// following is what a stream is told.
type following struct {
	first   []byte    // at the start
	changed [][]byte  // after each change of a list
	updates *updates  // of resources; nil for none
	meta    string    // further members of these
	end     *response // when we end the stream in good order
}

// follow keeps a stream open until the client leaves, the key is no longer valid, the persona allows nothing any more, or
// the gateway closes.
func (g *Gateway) follow(ctx context.Context, x *exchange, to following) {
	changed := to.changed
	var fresh chan struct{}
	if to.updates != nil {
		fresh = to.updates.fresh
	}
	l, leave, ok := g.streams.join(x.persona, x.who.Key, x.who.User)
	if !ok {
		g.refuse(x, httpFault(http.StatusTooManyRequests, "The key has %d open streams, which is the limit; close one.", maxStreams))
		return
	}
	defer leave()
	s := x.stream()
	defer s.close()
	if to.first != nil {
		s.message(to.first)
	}
	tick := time.NewTicker(g.c.Recheck)
	defer tick.Stop()
	var rested <-chan time.Time
	for {
		told, last, updated := false, false, false
		select {
		case <-ctx.Done():
			return
		case <-g.closing:
			last = true
		case <-l.changed:
			told = len(changed) > 0
		case <-fresh:
			updated, fresh, rested = true, nil, time.After(updatePause)
		case <-rested:
			fresh, rested = to.updates.fresh, nil
			continue
		case <-tick.C:
		}
		if !last {
			if !g.stillValid(ctx, x) {
				return
			}
			if _, f := g.view(x); f != nil { // the client hears that its list is empty, and that is all it can hear
				told, last = len(changed) > 0, true
			}
		}
		if updated && !last {
			g.tell(ctx, x, s, to.updates, to.meta)
		}
		if told {
			for _, m := range changed {
				s.message(m)
			}
		}
		if last {
			if to.end != nil {
				s.message(to.end[:]...)
			}
			return
		}
		if !told {
			s.comment()
		}
	}
}

// stillValid checks the key or token of an open stream again.
func (g *Gateway) stillValid(ctx context.Context, x *exchange) bool {
	who, f := g.principal(ctx, x, string(x.persona))
	return f == nil && who.Key == x.who.Key && who.Persona == x.who.Persona
}
