package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"remit/identity"
	"remit/persona"
)

// exchange is one HTTP request on its way through the gateway.
type exchange struct {
	w http.ResponseWriter
	r *http.Request

	from    netip.Addr         // where the request comes from; the zero Addr where that is not known
	who     identity.Principal // set once the key was found valid for the persona
	secret  string             // the key or token, to check it again while a stream is open
	oauth   bool               // it came where tokens are taken, and keys are not
	persona persona.ID         // of the key, never of the path alone
	message
	modern  bool     // the request is of the stateless era
	session *session // of the request, in the older era

	forTask bool // the client, of the older era, reads no result in its answer, but a task

	stopped []persona.Suspension // as they were when the live revision was found
	mark    persona.Shadow       // of the revision that runs beside it
	beside  *persona.Revision    // that revision; nil when there is none that may

	trace trace
	seen  *Observation // nil when nobody observes
}

// admit checks what needs no body: where the request comes from, and with which key. It answers the ones it refuses.
func (g *Gateway) admit(x *exchange) bool {
	r := x.r
	origin := r.Header.Get("Origin")
	switch {
	case !g.hosts[hostName(r.Host)]:
		g.refuse(x, httpFault(http.StatusForbidden, "This host name is not allowed; the operator can add it to the allowed hosts."))
		return false
	case len(r.Header.Values("Origin")) > 1 || len(r.Header.Values("Origin")) == 1 && !g.origins[origin] && !ownOrigin(r):
		g.refuse(x, httpFault(http.StatusForbidden, "This origin is not allowed; the operator can add it to the allowed origins."))
		return false
	}
	id, metadata, ok := "", false, false
	if id, ok = personaOf("/k/", r.URL.Path); !ok && g.c.OAuth != nil {
		x.oauth = true
		if id, ok = personaOf("/p/", r.URL.Path); !ok {
			id, ok = personaOf(wellKnown+"/p/", r.URL.Path)
			metadata = ok
		}
	}
	if !ok {
		http.NotFound(x.w, r)
		return false
	}
	if origin != "" {
		allowOrigin(x.w.Header(), origin)
		if r.Method == http.MethodOptions {
			x.w.WriteHeader(http.StatusNoContent)
			return false
		}
	}
	if r.URL.RawQuery != "" {
		g.refuse(x, httpFault(http.StatusBadRequest, "The endpoint takes no query string; send the key in the header Authorization: Bearer."))
		return false
	}
	if metadata {
		g.metadata(x, id)
		return false
	}
	return g.identify(x, id)
}

// identify authenticates. What is refused for a persona is refused alike for one that does not exist.
func (g *Gateway) identify(x *exchange, id string) bool {
	x.from, x.secret = g.c.Proxies.Address(x.r), bearer(x.r.Header)
	who, f := g.principal(x.r.Context(), x, id)
	if x.who = who; f != nil { // the record says whose it was, as far as that is known
		g.refuse(x, f)
		return false
	}
	x.persona = persona.ID(who.Persona)
	return true
}

// principal turns the request's credential into who is asking at the persona's endpoint: a key where keys are taken, a token
// where tokens are. It is the only place that does.
func (g *Gateway) principal(ctx context.Context, x *exchange, id string) (identity.Principal, *fault) {
	if x.oauth {
		return g.tokenOf(ctx, x.secret, id)
	}
	return g.keyOf(ctx, x.secret, id, x.from)
}

// maxKey bounds an access key, in bytes.
const maxKey = 512

// keyOf returns whose key it is, if it may be used from the address. A key of another persona, an unknown persona and a wrong
// key answer alike. Beside a fault it returns whose key it was, where the secret was right: that is for the record alone.
func (g *Gateway) keyOf(ctx context.Context, secret, id string, from netip.Addr) (identity.Principal, *fault) {
	if secret == "" || len(secret) > maxKey {
		return identity.Principal{}, unauthorized("no usable Authorization header")
	}
	who, err := g.c.Keys.Authenticate(ctx, secret, from)
	refused, known := errors.AsType[*identity.KeyRefused](err)
	switch {
	case known:
		return refused.Of, unauthorized(refused.Reason)
	case errors.Is(err, identity.ErrCredential):
		return identity.Principal{}, unauthorized("the access key is not valid")
	case err != nil:
		g.complain("an access key could not be checked", err)
		return identity.Principal{}, httpFault(http.StatusServiceUnavailable, "The access key cannot be checked now; try again later.")
	case who.Persona == "" || who.Persona != id:
		return who, unauthorized("the access key is for another persona than " + strconv.Quote(clean(id, 64)))
	default:
		return who, nil
	}
}

// unauthorized says the same whatever the reason, which is for the record.
func unauthorized(reason string) *fault {
	f := httpFault(http.StatusUnauthorized, "The access key is missing, not valid, or not for this persona. Send a valid one as Authorization: Bearer.")
	f.challenge, f.reason = "Bearer", reason
	return f
}

// personaOf takes the persona's id out of a path like /k/{persona}/mcp.
func personaOf(before, path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, before)
	if !ok {
		return "", false
	}
	id, ok := strings.CutSuffix(rest, "/mcp")
	return id, ok && id != "" && !strings.Contains(id, "/")
}

// bearer returns the one bearer credential of the request, or nothing.
func bearer(h http.Header) string {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, secret, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// ownOrigin says that the request's page came from the very host and port that it asks. Its host was found allowed before.
func ownOrigin(r *http.Request) bool {
	scheme, at, ok := strings.Cut(r.Header.Get("Origin"), "://")
	return ok && (scheme == "https" || scheme == "http") && strings.EqualFold(at, r.Host)
}

// hostName is a Host header's name in lower case, without port and brackets.
func hostName(host string) string {
	if strings.Contains(host, ":") {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// allowOrigin lets pages of an allowed origin read answers. Cookies are never asked for.
func allowOrigin(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Methods", "POST, GET, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID, Traceparent, Tracestate")
	h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate")
	h.Set("Access-Control-Max-Age", "600")
}
