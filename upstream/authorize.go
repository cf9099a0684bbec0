package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// Subject is whom a request is made for: a user, by a client that acts for them. The zero value is Remit itself.
type Subject struct{ User, Client string }

// Token is an access token.
type Token struct {
	Value string // empty sends none
	// Grant names the consent that the token is of. A connection carries the tokens of one grant, and no others.
	Grant string
}

// Authorizer supplies the access tokens of one server's requests.
type Authorizer interface {
	// Token returns the token for a request. refused is the token that the server has just refused, empty if none: another
	// one is returned, or an error that wraps ErrNotConnected or ErrNoToken. Without a client the user's consent to
	// clients is not asked for: such requests carry no call.
	Token(ctx context.Context, of Subject, refused string) (Token, error)
	// PerUser says whether every call carries the token of the user it is made for.
	PerUser() bool
}

// send does one exchange with the configured headers and the token on it. A request that the server answered with 401 was
// not carried out: it is repeated once, with another token.
func (g *gate) send(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	g.configure(req)
	return g.authorized(req, callHead{})
}

// configure puts the configured headers on a request.
func (g *gate) configure(req *http.Request) {
	for name, value := range g.conn.cfg.Headers {
		req.Header.Set(name, value)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "remit")
	}
}

// authorized does one exchange of a request that has the configured headers, and puts the token on it.
func (g *gate) authorized(req *http.Request, head callHead) (*http.Response, error) {
	if g.conn.cfg.Auth == nil {
		return g.transfer(req, head)
	}
	sent, err := g.authorize(req, "")
	if err != nil {
		return nil, err
	}
	resp, err := g.transfer(req, head)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || sent == "" || req.Body != nil && req.GetBody == nil {
		return resp, err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody) // so that the network connection can be used again
	resp.Body.Close()
	if req.Body != nil {
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	if _, err := g.authorize(req, sent); err != nil {
		return nil, err
	}
	return g.transfer(req, head)
}

// insufficientScope reports whether a refusal is about the token's scope (RFC 6750, section 3.1).
func insufficientScope(resp *http.Response) bool {
	return strings.Contains(strings.Join(resp.Header.Values("WWW-Authenticate"), " "), "insufficient_scope")
}

// authorize puts the token on a request, and returns it. A token of another grant than the connection's is never sent.
func (g *gate) authorize(req *http.Request, refused string) (string, error) {
	c := g.conn
	t, err := c.cfg.Auth.Token(req.Context(), c.of, refused)
	if err != nil {
		return "", noToken(c.cfg.Name, c.secret, err)
	}
	if t.Grant != c.grant {
		f := faultf(ErrUnavailable, "server %s: the account that the connection was opened for was exchanged; nothing was sent: try again", c.cfg.Name)
		c.retire(f)
		return "", f
	}
	if t.Value == "" {
		return "", nil
	}
	c.secret.learn(t.Value)
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Authorization", "Bearer "+t.Value)
	return t.Value, nil
}

// noToken is the error for a request that was not sent because there is no token for it.
func noToken(server string, secret *redactor, err error) error {
	kind, more := ErrNoToken, ErrNoToken
	for _, k := range []error{ErrNotConnected, ErrUnauthorized, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, k) {
			kind = k
			break
		}
	}
	if kind == ErrUnauthorized { // the server was asked
		more = nil
	}
	return &fault{kind: kind, more: more, text: "server " + server + " was not called: " + secret.words(err.Error(), 700)}
}
