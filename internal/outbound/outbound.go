// Package outbound owns how Remit asks addresses that somebody else named: a server, or the metadata of one. Such an address
// is as hostile as any text. It must be public, which is checked for each address as it is dialled, so that neither spelling
// nor a name that resolves to something else the second time gets around it; answers are bounded in time and size; no
// redirect is followed, and no proxy of the environment is used.
package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// Config says what is reached, and how long and how large an answer may be.
type Config struct {
	Named     []string       // host:port in lower case that the administrator wrote down; they may be private
	Networks  []netip.Prefix // that may be private
	Wait      time.Duration  // for a whole exchange, and for each part of making a connection
	Idle      time.Duration  // after which a connection that nobody uses is closed
	MaxAnswer int64          // bytes
	Redirect  error          // what a redirect fails with
}

// ErrPrivate is for an address that is not public and that nobody allowed.
var ErrPrivate = errors.New("its address is not public")

// Client returns an HTTP client that keeps to c.
func Client(c Config) *http.Client {
	var v4, v6 []netip.Prefix
	for _, p := range c.Networks {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	safe := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dial := func(ctx context.Context, network, to string) (net.Conn, error) {
		dialer := net.Dialer{Timeout: c.Wait}
		if !slices.Contains(c.Named, strings.ToLower(to)) {
			dialer.Control = safe.Safe
		}
		conn, err := dialer.DialContext(ctx, network, to)
		if errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrProhibitedPort) {
			return nil, ErrPrivate
		}
		return conn, err
	}
	return &http.Client{Timeout: c.Wait,
		Transport: bounded{&http.Transport{DialContext: dial, TLSHandshakeTimeout: c.Wait, ResponseHeaderTimeout: c.Wait, MaxResponseHeaderBytes: 64 << 10,
			IdleConnTimeout: c.Idle, MaxIdleConnsPerHost: 2, ForceAttemptHTTP2: true}, c.MaxAnswer},
		CheckRedirect: func(*http.Request, []*http.Request) error { return c.Redirect }}
}

// Address is host:port of u in lower case.
func Address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// bounded cuts answers that are too large.
type bounded struct {
	*http.Transport
	most int64
}

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := b.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{http.MaxBytesReader(nil, res.Body, b.most), res.Body}
	return res, nil
}
