package upstream

import (
	"context"
	"time"
)

// userConn is the connection of one grant: its network connections, its session and what it knows serve the calls of that
// grant's user and of nobody else.
type userConn struct {
	opening chan struct{} // holds a token while somebody opens it
	conn    *conn         // nil or lost when it has to be opened

	calls int         // under way
	end   *time.Timer // of an idle one
}

const (
	userIdle = 10 * time.Minute // after which a user's connection is closed
	maxUsers = 1024             // connections of users at a time
)

// ofUser returns the connection for a call of the subject's, and what ends its use.
func (s *Server) ofUser(ctx context.Context, of Subject) (*conn, func(), error) {
	t, err := s.userToken(ctx, of)
	if err != nil {
		return nil, nil, err
	}
	u, err := s.acquire(t.Grant)
	if err != nil {
		return nil, nil, err
	}
	release := func() { s.release(t.Grant, u) }
	c, err := s.opened(ctx, u, of.User, t.Grant)
	if err != nil {
		release()
		return nil, nil, err
	}
	return c, release, nil
}

// userToken returns the token for a call of the subject's.
func (s *Server) userToken(ctx context.Context, of Subject) (Token, error) {
	if of.User == "" || of.Client == "" {
		return Token{}, faultf(ErrNotConnected, "server %s is called with its user's account, and this call is made for nobody", s.cfg.Name)
	}
	t, err := s.cfg.Auth.Token(ctx, of, "")
	if err != nil {
		return Token{}, noToken(s.cfg.Name, s.secret, err)
	}
	return t, nil
}

func (s *Server) acquire(grant string) (*userConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil || s.health.State == Stopped {
		return nil, faultf(ErrClosed, "server %s is not running: the pool was not started, or was closed", s.cfg.Name)
	}
	u, ok := s.users[grant]
	if !ok {
		if len(s.users) >= maxUsers {
			return nil, faultf(ErrBusy, "server %s has connections for %d users already; the call was not sent: try again later", s.cfg.Name, maxUsers)
		}
		u = &userConn{opening: make(chan struct{}, 1)}
		s.users[grant] = u
	}
	if u.end != nil {
		u.end.Stop()
	}
	u.calls++
	return u, nil
}

func (s *Server) release(grant string, u *userConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.calls--
	if u.calls == 0 && s.users[grant] == u {
		u.end = time.AfterFunc(s.userIdle, func() { s.drop(grant, u) })
	}
}

// drop closes a connection that is idle.
func (s *Server) drop(grant string, u *userConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.calls > 0 || s.users[grant] != u {
		return
	}
	delete(s.users, grant)
	s.discard(u.conn)
}

// discard ends a connection in the background, once its calls have been answered. s.mu is held, and s.users is not nil.
func (s *Server) discard(c *conn) {
	if c == nil {
		return
	}
	s.closing.Go(func() { c.close(s.userLife, s.cfg.CallTimeout) })
}

// opened returns the user's connection, and opens it if it has to be.
func (s *Server) opened(ctx context.Context, u *userConn, user, grant string) (*conn, error) {
	select {
	case u.opening <- struct{}{}:
	case <-ctx.Done():
		return nil, s.unavailable("")
	}
	defer func() { <-u.opening }()
	s.mu.Lock()
	c := u.conn
	s.mu.Unlock()
	if c != nil && c.life.Err() == nil {
		return c, nil
	}
	fresh, err := s.openAs(ctx, user)
	if err == nil && fresh.grant != grant {
		err = faultf(ErrUnavailable, "server %s: the user's account was exchanged meanwhile; nothing was sent: try again", s.cfg.Name)
		fresh.close(s.endContext(), 0)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		fresh.close(s.userLife, 0)
		return nil, faultf(ErrClosed, "server %s: the pool was closed", s.cfg.Name)
	}
	s.discard(u.conn)
	u.conn = fresh
	return fresh, nil
}

// openAs connects as a user.
func (s *Server) openAs(ctx context.Context, user string) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.ConnectTimeout, faultf(ErrTimeout,
		"server %s did not answer the handshake within %s; the call was not sent", s.cfg.Name, s.cfg.ConnectTimeout))
	defer cancel()
	c, err := s.dialAs(ctx, Subject{User: user}, s.secret.another())
	if err != nil {
		return nil, err
	}
	if err := c.shake(ctx, false); err != nil {
		c.fail(err)
		c.close(s.endContext(), 0)
		return nil, err
	}
	return c, nil
}

// closeUsers ends every user's connection for good, and fails the calls on them.
func (s *Server) closeUsers() {
	s.mu.Lock()
	for _, u := range s.users {
		if u.end != nil {
			u.end.Stop()
		}
		if u.conn != nil {
			u.conn.fail(faultf(ErrClosed, "server %s: the pool was closed during the call", s.cfg.Name))
			s.discard(u.conn)
		}
	}
	s.users = nil
	s.mu.Unlock()
	s.endUsers()
	s.closing.Wait()
}
