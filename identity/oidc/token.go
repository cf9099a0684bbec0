package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"remit/identity"
	"remit/internal/strictjson"
)

// claimSet is what a token says, by the exact name.
type claimSet map[string]any

// compact refuses what is not header.payload.signature.
func compact(raw string) error {
	if len(raw) > maxToken || strings.Count(raw, ".") != 2 || strings.ContainsAny(raw, " \r\n\t{") {
		return errors.New("there is no signed token in compact form")
	}
	return nil
}

// idToken checks signature, issuer, audience, times and, at a sign-in, the nonce.
func (c *Client) idToken(ctx context.Context, p *provider, raw string, nonce *string) (*oidc.IDToken, claimSet, error) {
	if err := compact(raw); err != nil {
		return nil, nil, err
	}
	id, err := p.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, nil, err
	}
	var payload json.RawMessage
	if err := id.Claims(&payload); err != nil {
		return nil, nil, err
	}
	claims, err := c.checked(payload)
	switch {
	case err != nil:
		return nil, nil, err
	case claims.text("iss") != id.Issuer || claims.text("sub") != id.Subject:
		return nil, nil, errors.New("issuer or subject can be read in two ways")
	case id.Subject == "" || len(id.Subject) > maxSubject:
		return nil, nil, fmt.Errorf("the subject must have 1 to %d bytes", maxSubject)
	case nonce != nil && subtle.ConstantTimeCompare([]byte(claims.text("nonce")), []byte(*nonce)) != 1:
		return nil, nil, errors.New("the nonce is not the one of this sign-in")
	}
	return id, claims, nil
}

// logoutToken checks what go-oidc does not: the times, the audience's exactness, the form of the event.
func (c *Client) logoutToken(ctx context.Context, p *provider, raw string) (identity.Logout, error) {
	t, err := p.verifier.VerifyLogout(ctx, raw)
	if err != nil {
		return identity.Logout{}, err
	}
	var payload json.RawMessage
	if err := t.Claims(&payload); err != nil {
		return identity.Logout{}, err
	}
	claims, err := c.checked(payload)
	if err != nil {
		return identity.Logout{}, err
	}
	events, _ := claims["events"].(map[string]any)
	if _, ok := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any); !ok {
		return identity.Logout{}, errors.New("it is no logout token")
	}
	l := identity.Logout{Issuer: c.Issuer, Subject: claims.text("sub"), Session: claims.text("sid"), Token: claims.text("jti"), Expires: t.Expiry.Add(Skew)}
	if l.Subject != t.Subject || l.Session != t.SessionID || l.Token != t.TokenID || claims.text("iss") != t.Issuer {
		return identity.Logout{}, errors.New("a claim can be read in two ways")
	}
	if len(l.Subject) > maxSubject || len(l.Session) > maxSubject || len(l.Token) > maxSubject {
		return identity.Logout{}, errors.New("a claim is too long")
	}
	return l, nil
}

// read decodes what every reader understands alike.
func read(payload []byte) (claimSet, error) {
	if err := strictjson.Check(payload, strictjson.Limits{Bytes: maxToken, Depth: 16, Names: 2000}); err != nil {
		return nil, err
	}
	claims := claimSet{}
	return claims, json.Unmarshal(payload, &claims)
}

// checked reads a payload whose signature was verified, and checks audience and times.
func (c *Client) checked(payload []byte) (claimSet, error) {
	claims, err := read(payload)
	if err != nil {
		return nil, err
	}
	audience, ok := claims.list("aud")
	party := claims.text("azp")
	switch _, named := claims["azp"]; {
	case !ok || !slices.Contains(audience, c.ClientID):
		return nil, errors.New("it is for another audience")
	case named && party != c.ClientID, !named && len(audience) > 1:
		return nil, errors.New("it was issued to another party")
	}
	return claims, c.inTime(claims)
}

// inTime checks exp and iat, which must be there, and nbf, which may.
func (c *Client) inTime(claims claimSet) error {
	if _, named := claims["iat"]; !named {
		return errors.New("iat is missing")
	}
	return c.within(claims)
}

// within checks exp, which must be there, and iat and nbf, which may.
func (c *Client) within(claims claimSet) error {
	now := c.Now()
	expires, ok := claims.moment("exp")
	switch {
	case !ok:
		return errors.New("exp is missing or is no time")
	case !now.Before(expires.Add(Skew)):
		return fmt.Errorf("it expired at %s", expires.Format(time.RFC3339))
	}
	for _, name := range []string{"iat", "nbf"} {
		from, ok := claims.moment(name)
		if _, named := claims[name]; named && !ok {
			return fmt.Errorf("%s is no time", name)
		}
		if from.After(now.Add(Skew)) {
			return errors.New("it is from the future: compare the clocks of Remit and of the provider")
		}
	}
	return nil
}

func (s claimSet) text(name string) string {
	text, _ := s[name].(string)
	return text
}

// list reads a text or a list of texts; false for anything else.
func (s claimSet) list(name string) ([]string, bool) { return texts(s[name]) }

func texts(value any) ([]string, bool) {
	switch value := value.(type) {
	case string:
		return []string{value}, true
	case []any:
		out := make([]string, 0, len(value))
		for _, each := range value {
			text, ok := each.(string)
			if !ok {
				return nil, false
			}
			out = append(out, text)
		}
		return out, true
	}
	return nil, false
}

func (s claimSet) moment(name string) (time.Time, bool) {
	seconds, ok := s[name].(float64)
	if !ok || math.IsNaN(seconds) || seconds < 0 || seconds > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0).UTC(), true
}

// find returns the claim of the name; where there is none, the one at the path that its dots make (realm_access.roles).
func (s claimSet) find(name string) (any, bool) {
	if value, ok := s[name]; ok {
		return value, true
	}
	head, rest, nested := strings.Cut(name, ".")
	below, ok := s[head].(map[string]any)
	if !nested || !ok {
		return nil, false
	}
	return claimSet(below).find(rest)
}

// provided reads who it is. Names only suggest what to call somebody new.
func (c *Client) provided(claims claimSet) identity.Provided {
	who := identity.Provided{Issuer: c.Issuer, Subject: claims.text("sub"), Session: claims.text("sid"), Mapped: len(c.roles) > 0, Teamed: len(c.teams) > 0, Groups: c.groupsOf(claims), Roles: c.rolesOf(claims), Teams: c.teamsOf(claims)}
	if len(who.Session) > maxSubject {
		who.Session = ""
	}
	for _, name := range []string{"preferred_username", "email", "name"} {
		if text := claims.text(name); text != "" {
			who.Names = append(who.Names, text)
		}
	}
	return who
}

// Of somebody's groups no more are kept, nor longer ones, in bytes.
const (
	maxGroups = 1000
	maxGroup  = 255
)

// groupsOf lists the groups in order, each once. An e-mail address counts only when the provider verified it.
func (c *Client) groupsOf(claims claimSet) []string {
	value, _ := claims.find(c.GroupsClaim)
	groups, _ := texts(value)
	if verified, _ := claims["email_verified"].(bool); c.GroupsClaim == "email" && !verified {
		return nil
	}
	groups = slices.DeleteFunc(groups, func(g string) bool { return g == "" || len(g) > maxGroup })
	slices.Sort(groups)
	groups = slices.Compact(groups)
	return groups[:min(len(groups), maxGroups)]
}

// rolesOf maps the groups, in the order of [identity.Roles].
func (c *Client) rolesOf(claims claimSet) []identity.Role {
	given := map[identity.Role]bool{}
	for _, g := range c.groupsOf(claims) {
		for _, role := range c.roles[g] {
			given[role] = true
		}
	}
	roles := []identity.Role{}
	for _, role := range identity.Roles {
		if given[role] {
			roles = append(roles, role)
		}
	}
	return roles
}

// teamsOf maps the groups, in order, each team once.
func (c *Client) teamsOf(claims claimSet) []string {
	teams := []string{}
	for _, g := range c.groupsOf(claims) {
		teams = append(teams, c.teams[g]...)
	}
	slices.Sort(teams)
	return slices.Compact(teams)
}
