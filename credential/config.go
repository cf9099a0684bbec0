package credential

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"remit/internal/outbound"
)

// Grants by which tokens are had.
const (
	ClientCredentials = "client_credentials" // Remit's own (RFC 6749, section 4.4)
	AuthorizationCode = "authorization_code" // each user's own (section 4.1, with PKCE)
	TokenExchange     = "token_exchange"     // each user's own, for what the identity provider gave Remit of them (RFC 8693)
)

// Config says how tokens for one upstream are had. It comes from the administrator only.
type Config struct {
	Server string // the upstream's name
	URL    string // the upstream's
	Grant  string
	// Issuer is the authorization server, whose metadata names the endpoints, unless both are given. Without either the
	// upstream is asked for it, which only a client without a secret may do: an upstream could name any.
	Issuer                            string
	AuthorizeURL, TokenURL, RevokeURL string
	ClientID, ClientSecret            string
	Scopes                            []string
	Resource                          string // RFC 8707; default what the upstream's metadata says, else URL
	Audience                          string // of exchanged tokens, where it is another name than Resource
	Subject                           string // what is exchanged: AccessToken, which is the default, or IDToken
	ListAs                            string // the user whose token lists the tools; empty lists without one
}

// Validate reports the first thing wrong with c. It never repeats a value that may be secret.
func (c Config) Validate() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("upstream %s: oauth: "+format, append([]any{c.Server}, args...)...)
	}
	if c.Grant != ClientCredentials && c.Grant != AuthorizationCode && c.Grant != TokenExchange {
		return fail("the grant is %q: write %s, or %s or %s for each user's own account", c.Grant, ClientCredentials, AuthorizationCode, TokenExchange)
	}
	for _, v := range []struct{ name, text string }{{"issuer", c.Issuer}, {"authorize-url", c.AuthorizeURL}, {"token-url", c.TokenURL},
		{"revoke-url", c.RevokeURL}, {"resource", c.Resource}, {"url of the upstream", c.URL}} {
		if v.text == "" && v.name != "url of the upstream" {
			continue
		}
		if u, err := url.Parse(v.text); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Fragment != "" {
			return fail("the %s is not usable: it must look like https://host/path", v.name)
		}
	}
	switch machine, exchange := c.Grant == ClientCredentials, c.Grant == TokenExchange; {
	case c.ClientID == "":
		return fail("client-id is missing: it is what Remit is registered as there")
	case (machine || exchange) && c.ClientSecret == "":
		return fail("client-secret is missing: %s needs one", c.Grant)
	case machine && c.ListAs != "", (machine || exchange) && c.AuthorizeURL != "":
		return fail("list-as is for users' own accounts, and authorize-url for %s", AuthorizationCode)
	case exchange && c.Issuer == "":
		return fail("issuer is missing: it is the one of oidc.issuer, at which people sign in")
	case !exchange && (c.Audience != "" || c.Subject != ""):
		return fail("audience and subject are for %s", TokenExchange)
	case exchange && c.Subject != "" && c.Subject != AccessToken && c.Subject != IDToken:
		return fail("the subject is %q: write %s or %s", c.Subject, AccessToken, IDToken)
	case !machine && !exchange && (c.AuthorizeURL == "") != (c.TokenURL == ""):
		return fail("authorize-url and token-url go together: set both, or issuer instead")
	case c.ClientSecret != "" && c.Issuer == "" && c.TokenURL == "":
		return fail("issuer is missing: the client's secret must not go where the upstream says; set it, or token-url")
	case strings.ContainsFunc(strings.Join(c.Scopes, ""), func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) || slices.Contains(c.Scopes, ""):
		return fail("the scopes are not valid: write them as a list, without spaces in them")
	}
	return nil
}

// subject is what kind of token is exchanged.
func (c Config) subject() string {
	if c.Subject == "" {
		return AccessToken
	}
	return c.Subject
}

// chosen are the host:port of the addresses that the administrator wrote down.
func (c Config) chosen() (hosts []string) {
	for _, text := range []string{c.URL, c.Issuer, c.TokenURL, c.RevokeURL} {
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			hosts = append(hosts, outbound.Address(u))
		}
	}
	return hosts
}

// Networks parses networks such as 10.0.0.0/8.
func Networks(texts []string) (out []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("oauth-private-networks has %q: write a network, such as 10.0.0.0/8, or one address as 127.0.0.1/32", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
