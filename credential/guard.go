package credential

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"remit/internal/outbound"
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
	g.client = outbound.Client(outbound.Config{Named: g.chosen, Networks: networks, Wait: maxWait, Idle: 10 * time.Second, MaxAnswer: maxAnswer, Redirect: errRedirect})
	return g
}

var errPrivate = fmt.Errorf("%w: if it is meant, name its network in oauth-private-networks", outbound.ErrPrivate)

var errRedirect = errors.New("it redirects, which is not followed: configure the final address")

// parse returns an address that something else than the configuration may have named, if it may be used.
func (g *guard) parse(what, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" || len(text) > 2048 || disguised(u.Hostname()) {
		return nil, fmt.Errorf("the %s is no usable address", what)
	}
	if u.Scheme == "https" || u.Scheme == "http" && (slices.Contains(g.chosen, outbound.Address(u)) || g.allowed(u.Hostname())) {
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

// cause says why a request failed without its address, which could hold anything.
func cause(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, outbound.ErrPrivate) {
		return errPrivate
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
