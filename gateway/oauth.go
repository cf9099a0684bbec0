package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"remit/identity"
	"remit/persona"
)

// OAuth is the way in for people's own clients: at /p/{persona}/mcp the gateway is a resource server of OAuth 2.1
// (2026-07-28, authorization). Which persona a token is for is said by its audience, and who may use that persona by the
// persona: the path alone says neither. All fields but Scope are required.
type OAuth struct {
	Tokens  Tokens
	People  People
	Address string                        // of Remit, as clients know it, without a slash at its end; never taken from a request
	Issuers func(persona string) []string // whose tokens may be for it, for clients to choose the first of
	Scope   string                        // that a token must have; {persona} stands for the persona's id; empty asks for none
}

// Tokens returns what an access token says that was made for exactly the resource. identity.ErrCredential for any other;
// another error says that nobody knows now. Neither quotes the token. An oidc.Issuers is one.
type Tokens interface {
	AccessToken(ctx context.Context, token, persona, resource string) (identity.Bearer, error)
}

// People returns the principal of a token at a persona, or identity.ErrForbidden. An identity.Directory is one.
type People interface {
	Admit(ctx context.Context, b identity.Bearer, persona string, users identity.Users) (identity.Principal, error)
}

// wellKnown is where clients look for the metadata of a protected resource, with the resource's path behind it (RFC 9728).
const wellKnown = "/.well-known/oauth-protected-resource"

func (o *OAuth) resource(id string) string { return o.Address + "/p/" + id + "/mcp" }

func (o *OAuth) scope(id string) string { return strings.ReplaceAll(o.Scope, "{persona}", id) }

// challenged is a fault with a challenge that says where the metadata is and which scope a token needs (RFC 6750, 9728).
func (o *OAuth) challenged(id string, status int, code, message string) *fault {
	f := httpFault(status, "%s", message)
	f.challenge = `Bearer resource_metadata="` + o.Address + wellKnown + "/p/" + id + `/mcp"`
	if scope := o.scope(id); scope != "" {
		f.challenge += `, scope="` + scope + `"`
	}
	if code != "" {
		f.challenge += `, error="` + code + `", error_description=` + strconv.Quote(message)
	}
	return f
}

// metadata serves the document of RFC 9728. It is there for every id and the same but for issuers that the configuration pins to some,
// so it says of no persona that it exists.
func (g *Gateway) metadata(x *exchange, id string) {
	if persona.ID(id).Validate() != nil {
		http.NotFound(x.w, x.r)
		return
	}
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		x.w.Header().Set("Allow", "GET, HEAD")
		http.Error(x.w, "the metadata is read with GET", http.StatusMethodNotAllowed)
		return
	}
	document := map[string]any{"resource": g.c.OAuth.resource(id), "authorization_servers": g.c.OAuth.Issuers(id),
		"bearer_methods_supported": []string{"header"}, "resource_name": "Remit: " + id}
	if scope := g.c.OAuth.scope(id); scope != "" {
		document["scopes_supported"] = []string{scope}
	}
	x.w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(x.w).Encode(document) // a client that is gone misses it
}

// tokenOf returns whom the access token lets in at the persona. A persona that does not exist answers like one that the
// person may not use.
func (g *Gateway) tokenOf(ctx context.Context, token, id string) (identity.Principal, *fault) {
	o, nobody := g.c.OAuth, identity.Principal{}
	if persona.ID(id).Validate() != nil {
		return nobody, httpFault(http.StatusNotFound, "There is no persona of such a name.")
	}
	if token == "" {
		f := o.challenged(id, http.StatusUnauthorized, "", "Sign in: this address takes access tokens of its authorization server, as Authorization: Bearer.")
		f.reason = "no usable Authorization header"
		return nobody, f
	}
	if identity.LooksLikeKey(token) {
		f := o.challenged(id, http.StatusUnauthorized, "invalid_token", "An access key is for the persona's other address, below /k/; this one takes access tokens.")
		return nobody, f
	}
	later := httpFault(http.StatusServiceUnavailable, "The access token cannot be checked now; try again later.")
	b, err := o.Tokens.AccessToken(ctx, token, id, o.resource(id))
	switch {
	case errors.Is(err, identity.ErrCredential):
		f := o.challenged(id, http.StatusUnauthorized, "invalid_token", "The access token is not valid for this address; sign in again.")
		f.reason = "access token: " + err.Error()
		return nobody, f
	case err != nil:
		later.reason = "access token: " + err.Error()
		return nobody, later
	}
	p, err := g.c.Personas.Persona(ctx, persona.ID(id))
	if err != nil && !errors.Is(err, persona.ErrNotFound) {
		g.complain("a persona could not be read", err)
		return nobody, later
	}
	who, err := o.People.Admit(ctx, b, id, p.Users)
	switch scope := o.scope(id); {
	case err != nil && !errors.Is(err, identity.ErrForbidden):
		g.complain("whether a person may use a persona could not be read", err)
		return nobody, later
	case scope != "" && !slices.Contains(b.Scopes, scope):
		f := o.challenged(id, http.StatusForbidden, "insufficient_scope", "The access token lacks the scope "+scope+".")
		return named(who), f
	case err != nil:
		f := httpFault(http.StatusForbidden, "You may not use this persona. Sign in to Remit itself at %s once, then ask a reviewer there to let you or a group of yours use it.", o.Address)
		f.reason = "access token: " + err.Error()
		return named(who), f
	}
	return who, nil
}

// named is who without what would let them in.
func named(who identity.Principal) identity.Principal {
	return identity.Principal{Agent: who.Agent, User: who.User}
}
