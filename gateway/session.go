package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"remit/identity"
)

// session is one of the older era. It holds no right of its own: each of its requests is authenticated, and it serves
// nobody but the key and the persona that opened it.
type session struct {
	id, key, persona string
	version          string
	client           software
	can              can // be asked for

	mu      sync.Mutex
	level   string                             // of log messages that the client asked for; empty is none
	calls   map[string]context.CancelCauseFunc // in flight, by request id as sent
	listen  context.CancelFunc                 // ends its stream; nil when there is none
	turn    int                                // which stream that is
	asked   map[string]chan<- reply            // of what its client was asked, by the request's id as sent
	updates *updates
	over    bool
	seen    time.Time // guarded by sessions.mu
}

// sessions are kept in memory: after a restart clients are told 404 and initialize again. With a key that replicas share, what a
// session is stands in its id, and whichever replica a request reaches serves it.
type sessions struct {
	idle time.Duration
	now  func() time.Time
	key  []byte // nil: ids say nothing

	mu    sync.Mutex
	byID  map[string]*session
	swept time.Time
	ended []string // ids of sessions that clients ended here, the newest last
}

// open starts a session. It ends those that were idle too long, and the key's longest idle one when it has too many.
func (s *sessions) open(who identity.Principal, version string, client software, can can) *session {
	n := &session{key: who.Key, persona: who.Persona, version: version, client: client, can: can}
	n.id = s.seal(n)
	s.keep(n)
	return n
}

// keep has a session in memory from now on.
func (s *sessions) keep(n *session) {
	now := s.now()
	n.updates = newUpdates()
	n.calls, n.asked, n.seen = map[string]context.CancelCauseFunc{}, map[string]chan<- reply{}, now
	var ended []*session
	s.mu.Lock()
	if s.byID == nil {
		s.byID = map[string]*session{}
	}
	if now.Sub(s.swept) > time.Minute {
		s.swept = now
		for id, old := range s.byID {
			if s.expired(old, now) {
				delete(s.byID, id)
				ended = append(ended, old)
			}
		}
	}
	count, oldest := 0, (*session)(nil)
	for _, old := range s.byID {
		if old.key == n.key {
			if count++; oldest == nil || old.seen.Before(oldest.seen) {
				oldest = old
			}
		}
	}
	if count >= maxSessions {
		delete(s.byID, oldest.id)
		ended = append(ended, oldest)
	}
	if _, ok := s.byID[n.id]; !ok {
		s.byID[n.id] = n
	}
	s.mu.Unlock()
	for _, old := range ended {
		old.finish()
	}
}

// expired says whether a session was idle too long. One with a stream or a call is not idle.
func (s *sessions) expired(old *session, now time.Time) bool {
	if now.Sub(old.seen) <= s.idle {
		return false
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	return len(old.calls) == 0 && old.listen == nil
}

// get returns the session if it is who's own; an invented, expired or foreign one is not there.
func (s *sessions) get(id string, who identity.Principal) (*session, bool) {
	if found, ok := s.here(id, who); ok || s.key == nil {
		return found, ok
	}
	n, ok := s.unseal(id)
	if !ok || n.key != who.Key || n.persona != who.Persona {
		return nil, false
	}
	s.keep(n)
	return s.here(id, who) // of two who bring it here, one's stays
}

// here returns a session that is in memory.
func (s *sessions) here(id string, who identity.Principal) (*session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.byID[id]
	if !ok || found.key != who.Key || found.persona != who.Persona {
		return nil, false
	}
	now := s.now()
	if s.expired(found, now) {
		delete(s.byID, id)
		found.finish()
		return nil, false
	}
	found.seen = now
	return found, true
}

func (s *sessions) close(x *session) {
	s.mu.Lock()
	delete(s.byID, x.id)
	if s.key != nil {
		s.ended = append(s.ended[max(0, len(s.ended)-maxEnded+1):], x.id)
	}
	s.mu.Unlock()
	x.finish()
}

var (
	errCancelled = errors.New("the client cancelled the call")
	errEnded     = errors.New("the client ended the session")
)

// finish ends what the session runs.
func (x *session) finish() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	for _, cancel := range x.calls {
		cancel(errEnded)
	}
	if x.listen != nil {
		x.listen()
	}
	x.updates.end()
}

// begin makes a call of the session cancellable by its request id. It fails when the id is in use.
func (x *session) begin(id string, cancel context.CancelCauseFunc) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, used := x.calls[id]; used || x.over {
		return false
	}
	x.calls[id] = cancel
	return true
}

func (x *session) done(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.calls, id)
}

func (x *session) cancel(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if cancel, ok := x.calls[id]; ok {
		cancel(errCancelled)
	}
}

// attach makes a stream the session's one, and ends the one before: a client that lost its connection comes back before
// the loss is noticed here.
func (x *session) attach(end context.CancelFunc) (detach func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.listen != nil {
		x.listen()
	}
	x.listen = end
	if x.over {
		end()
	}
	x.turn++
	mine := x.turn
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.turn == mine {
			x.listen = nil
		}
	}
}
