package credential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

const (
	maxAnswer = 1 << 20 // bytes of metadata or of a token's answer
	maxWait   = 15 * time.Second
)

// guard reaches authorization servers. What an upstream's or a server's metadata names is as hostile as any text: it must
// be https and public, which is checked for each address as it is dialled, so that neither spelling nor a name that
// resolves to something else the second time gets around it. Hosts that the administrator wrote down, and networks that he
// allowed, may be private. No redirect is followed, and no proxy of the environment is used.
type guard struct {
	chosen   []string
	networks []netip.Prefix
	client   *http.Client
}

func newGuard(c Config, networks []netip.Prefix) *guard {
	g := &guard{chosen: c.chosen(), networks: networks}
	var v4, v6 []netip.Prefix
	for _, p := range networks {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	safe := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	g.client = &http.Client{Timeout: maxWait, Transport: bounded{&http.Transport{
		TLSHandshakeTimeout: maxWait, MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: 10 * time.Second, MaxIdleConnsPerHost: 2, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			dialer := net.Dialer{Timeout: maxWait}
			if !slices.Contains(g.chosen, strings.ToLower(to)) {
				dialer.Control = safe.Safe
			}
			conn, err := dialer.DialContext(ctx, network, to)
			if errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrProhibitedPort) {
				return nil, errPrivate
			}
			return conn, err
		}}}, CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect }}
	return g
}

var (
	errPrivate  = errors.New("its address is not public: if it is meant, name its network in oauth-private-networks")
	errRedirect = errors.New("it redirects, which is not followed: configure the final address")
)

// parse returns an address that something else than the configuration may have named, if it may be used.
func (g *guard) parse(what, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" || len(text) > 2048 || disguised(u.Hostname()) {
		return nil, fmt.Errorf("the %s is no usable address", what)
	}
	if u.Scheme == "https" || u.Scheme == "http" && (slices.Contains(g.chosen, address(u)) || g.allowed(u.Hostname())) {
		return u, nil
	}
	return nil, fmt.Errorf("the %s is at %s://%s, which is not https", what, clean(u.Scheme, 20), clean(u.Host, 200))
}

var endsInNumber = regexp.MustCompile(`(?i)(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$`)

// disguised says whether a host is an address in a spelling that some programs read as another than others, such as octal.
func disguised(host string) bool {
	_, err := netip.ParseAddr(host)
	return err != nil && endsInNumber.MatchString(host)
}

// allowed says whether a host is written as an address of an allowed network.
func (g *guard) allowed(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(g.networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// bounded cuts answers that are too large.
type bounded struct{ *http.Transport }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := b.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{http.MaxBytesReader(nil, res.Body, maxAnswer), res.Body}
	return res, nil
}

// cause says why a request failed without its address, which could hold anything.
func cause(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}

// clean makes text from outside fit for an error: printable ASCII, at most limit bytes.
func clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), limit)]
}
