package config

import (
	"errors"
	"strings"
)

// OwnClients says how people's own clients reach personas at /p/PERSONA/mcp, signed in at the provider of [OIDC].
type OwnClients struct {
	Scope        string   `yaml:"scope" env:"REMIT_OAUTH_SCOPE" default:"remit:{persona}" placeholder:"SCOPE" help:"Scope that an access token must have; {persona} stands for the persona's id; none asks for none (default: remit:{persona})."`
	Issuers      []string `yaml:"issuers" env:"REMIT_OAUTH_ISSUERS" default:"" sep:";" placeholder:"ISSUER" help:"Further issuers whose access tokens (JWT) are taken; with ' PERSONA,PERSONA' after one, for these personas only. Repeat it, or put semicolons between (default: none but oidc.issuer)."`
	SameSubjects bool     `yaml:"same-subjects" env:"REMIT_OAUTH_SAME_SUBJECTS" default:"false" negatable:"" help:"They call people by the same subjects as oidc.issuer does, as the authorization servers of one provider can (default: false, people are bound to each by remit person bind)."`
	Introspect   bool     `yaml:"introspect" env:"REMIT_OAUTH_INTROSPECT" default:"false" negatable:"" help:"Ask the provider about access tokens that are no JWT (default: false, they are refused)."`
}

// Required is the scope; empty for none.
func (o OwnClients) Required() string {
	if o.Scope == "none" {
		return ""
	}
	return o.Scope
}

func (o OwnClients) validate(p OIDC) error {
	scope := o.Required()
	switch {
	case strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }):
		return errors.New("oauth.scope is one scope: printable ASCII without spaces, quotes and backslashes, such as remit:{persona}")
	case len(o.Issuers) > 0 && p.Issuer == "":
		return errors.New("oauth.issuers are beside oidc.issuer: set that first")
	case o.Introspect && (p.Issuer == "" || p.ClientSecret == ""):
		return errors.New("oauth.introspect needs oidc.issuer, oidc.client-id and oidc.client-secret")
	}
	return nil
}
