package gateway

import (
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
	secret  string             // the key, to check it again while a stream is open
	persona persona.ID         // of the key, never of the path alone
	message
	modern  bool     // the request is of the stateless era
	session *session // of the request, in the older era

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
	case len(r.Header.Values("Origin")) > 1 || len(r.Header.Values("Origin")) == 1 && !g.origins[origin]:
		g.refuse(x, httpFault(http.StatusForbidden, "This origin is not allowed; the operator can add it to the allowed origins."))
		return false
	}
	id, ok := personaOf(r.URL.Path)
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
	return g.identify(x, id)
}

// identify authenticates. A key of another persona, an unknown persona and a wrong key answer alike.
func (g *Gateway) identify(x *exchange, id string) bool {
	unauthorized := httpFault(http.StatusUnauthorized, "The access key is missing, not valid, or not for this persona. Send a valid one as Authorization: Bearer.")
	secret, ok := bearer(x.r.Header)
	if !ok {
		unauthorized.reason = "no usable Authorization header"
		g.refuse(x, unauthorized)
		return false
	}
	x.from = g.c.Proxies.Address(x.r)
	who, err := g.c.Keys.Authenticate(x.r.Context(), secret, x.from)
	refused, known := errors.AsType[*identity.KeyRefused](err)
	switch {
	case known:
		unauthorized.reason = refused.Reason
		x.who = refused.Of // the record says whose key it was
	case errors.Is(err, identity.ErrCredential):
		unauthorized.reason = "the access key is not valid"
	case err != nil:
		g.complain("an access key could not be checked", err)
		unauthorized = httpFault(http.StatusServiceUnavailable, "The access key cannot be checked now; try again later.")
	case who.Persona == "" || who.Persona != id:
		unauthorized.reason = "the access key is for another persona than " + strconv.Quote(clean(id, 64))
		x.who = who
	default:
		x.who, x.secret, x.persona = who, secret, persona.ID(who.Persona)
		return true
	}
	g.refuse(x, unauthorized)
	return false
}

// personaOf takes the persona's id out of /k/{persona}/mcp.
func personaOf(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "/k/")
	if !ok {
		return "", false
	}
	id, ok := strings.CutSuffix(rest, "/mcp")
	return id, ok && id != "" && !strings.Contains(id, "/")
}

// bearer returns the one bearer credential of the request.
func bearer(h http.Header) (string, bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, secret, _ := strings.Cut(values[0], " ")
	secret = strings.TrimSpace(secret)
	return secret, strings.EqualFold(scheme, "Bearer") && secret != "" && len(secret) <= 512
}

// hostName is a Host header's name in lower case, without port and brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
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
