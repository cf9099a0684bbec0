package config

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// OIDC says where people sign in beside Remit's own accounts. Without an issuer they do so here only.
type OIDC struct {
	Issuer       string        `yaml:"issuer" env:"REMIT_OIDC_ISSUER" default:"" placeholder:"URL" help:"The provider's issuer, letter by letter as in its metadata (default: none, people have accounts in Remit)."`
	ClientID     string        `yaml:"client-id" env:"REMIT_OIDC_CLIENT_ID" default:"" placeholder:"ID" help:"Remit's client id at the provider (default: none)."`
	ClientSecret string        `yaml:"client-secret" env:"REMIT_OIDC_CLIENT_SECRET" default:"" placeholder:"REFERENCE" help:"Its secret, as $${NAME} or $${file:/path} (default: none, a public client)."`
	Name         string        `yaml:"name" env:"REMIT_OIDC_NAME" default:"" placeholder:"NAME" help:"What people call the provider, for the sign-in page (default: the issuer's host)."`
	Scopes       []string      `yaml:"scopes" env:"REMIT_OIDC_SCOPES" default:"profile,email" placeholder:"SCOPE" help:"What is asked for beside openid (default: profile,email)."`
	GroupsClaim  string        `yaml:"groups-claim" env:"REMIT_OIDC_GROUPS_CLAIM" default:"groups" placeholder:"CLAIM" help:"Claim that lists a person's groups; a dot goes down into an object (default: groups)."`
	Roles        []string      `yaml:"roles" env:"REMIT_OIDC_ROLES" default:"" sep:";" placeholder:"GROUP=ROLE" help:"Which role a group gives; repeat it, or put semicolons between (default: none, admins give roles in Remit)."`
	Teams        []string      `yaml:"teams" env:"REMIT_OIDC_TEAMS" default:"" sep:";" placeholder:"GROUP=TEAM" help:"Which team a group is; repeat it, or put semicolons between (default: none, admins say in Remit who is in which team)."`
	Unknown      string        `yaml:"unknown" env:"REMIT_OIDC_UNKNOWN" default:"refuse" enum:"refuse,create" placeholder:"WHAT" help:"What happens to whom the provider knows and Remit does not: refuse or create (default: refuse)."`
	VouchFor     time.Duration `yaml:"vouch-for" env:"REMIT_OIDC_VOUCH_FOR" default:"720h" placeholder:"TIME" help:"How long one sign-in at the provider keeps a person's access keys and sessions working (default: 720h, which is 30 days)."`
	Renew        time.Duration `yaml:"renew" env:"REMIT_OIDC_RENEW" default:"0s" placeholder:"TIME" help:"Ask for what renews sign-ins (offline_access), keep it encrypted, and ask the provider about each person once in this time (default: 0s, which keeps nothing and asks nothing)."`
	Passwords    bool          `yaml:"passwords" env:"REMIT_OIDC_PASSWORDS" default:"true" negatable:"" help:"Keep sign-in by password beside the provider, for those whom it does not know (default: true)."`
	Networks     []string      `yaml:"networks" env:"REMIT_OIDC_NETWORKS" default:"" placeholder:"CIDR" help:"Private networks in which the provider's endpoints may be, beside the issuer's own host (default: none)."`
}

// validate checks what can be checked without the provider; oidc.New checks the rest at the start.
func (o OIDC) validate() error {
	switch {
	case o.Issuer == "" && (o.ClientID != "" || len(o.Roles)+len(o.Teams) > 0):
		return errors.New("oidc has settings but no issuer: set oidc.issuer to the provider's address")
	case o.Issuer == "":
		return nil
	case o.ClientID == "":
		return errors.New("oidc.issuer needs oidc.client-id: register Remit at the provider")
	case o.VouchFor < time.Minute:
		return fmt.Errorf("oidc.vouch-for is %s: it must be at least 1m", o.VouchFor)
	}
	if o.Renew != 0 && o.Renew < 10*time.Second {
		return fmt.Errorf("oidc.renew is %s: it must be at least 10s, or 0s", o.Renew)
	}
	for _, network := range o.Networks {
		if _, _, err := net.ParseCIDR(network); err != nil {
			return fmt.Errorf("oidc.networks has %q: write a network, such as 10.0.0.0/8", network)
		}
	}
	return nil
}
