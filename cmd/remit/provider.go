package main

import (
	"fmt"

	"remit/gateway"
	"remit/identity"
	"remit/identity/oidc"
	"remit/internal/config"
)

// provider returns the identity provider of the configuration; nil without one. It is not asked anything yet.
func (a *app) provider() (*oidc.Client, error) {
	o := a.opts.OIDC
	if o.Issuer == "" {
		return nil, nil
	}
	secret, err := config.Secrets(a.secret).Expand(o.ClientSecret)
	if err != nil {
		return nil, fmt.Errorf("oidc.client-secret: %w", err)
	}
	return oidc.New(oidc.Config{Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: secret, RedirectURL: a.opts.Address() + "/sign-in/callback",
		Name: o.Name, Scopes: o.Scopes, GroupsClaim: o.GroupsClaim, Roles: o.Roles, Teams: o.Teams, Networks: o.Networks,
		Introspect: a.opts.OAuth.Introspect, Renew: o.Renew > 0})
}

// oauth is the way in for people's own clients; nil without a provider.
func (a *app) oauth(p *oidc.Client, people gateway.People) (*gateway.OAuth, error) {
	if p == nil {
		return nil, nil
	}
	var more []oidc.Issuer
	for _, text := range a.opts.OAuth.Issuers {
		i, err := oidc.ParseIssuer(text)
		if err != nil {
			return nil, fmt.Errorf("oauth.issuers: %w", err)
		}
		more = append(more, i)
	}
	all, err := oidc.NewIssuers(p, more, a.opts.OAuth.SameSubjects)
	if err != nil {
		return nil, fmt.Errorf("oauth.issuers: %w", err)
	}
	return &gateway.OAuth{Tokens: all, People: people, Address: a.opts.Address(), Issuers: all.For, Scope: a.opts.OAuth.Required()}, nil
}

// rules are what a sign-in at the provider may do.
func (a *app) rules() identity.ProviderRules {
	return identity.ProviderRules{Create: a.opts.OIDC.Unknown == "create", VouchFor: a.opts.OIDC.VouchFor}
}
