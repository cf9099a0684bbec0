package main

import (
	"fmt"

	"remit/identity"
	"remit/identity/oidc"
	"remit/internal/config"
	"remit/web"
)

// provider returns the identity provider of the configuration; nil without one. It is not asked anything yet.
func (a *app) provider() (web.Provider, error) {
	o := a.opts.OIDC
	if o.Issuer == "" {
		return nil, nil
	}
	secret, err := config.Secrets(a.secret).Expand(o.ClientSecret)
	if err != nil {
		return nil, fmt.Errorf("oidc.client-secret: %w", err)
	}
	return oidc.New(oidc.Config{Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: secret, RedirectURL: a.opts.Address() + "/sign-in/callback",
		Name: o.Name, Scopes: o.Scopes, GroupsClaim: o.GroupsClaim, Roles: o.Roles, Networks: o.Networks})
}

// rules are what a sign-in at the provider may do.
func (a *app) rules() identity.ProviderRules {
	return identity.ProviderRules{Create: a.opts.OIDC.Unknown == "create", VouchFor: a.opts.OIDC.VouchFor}
}
