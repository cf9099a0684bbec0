package gateway

import (
	"context"
	"net/http"
	"slices"
)

// serveLegacy serves the POST requests of the older era.
func (g *Gateway) serveLegacy(x *exchange) {
	if x.method == "initialize" && x.id != nil {
		g.withView(x, func(v *view) { g.initialize(x, v) })
		return
	}
	if f := g.inSession(x); f != nil {
		g.refuse(x, f)
		return
	}
	switch {
	case x.method == "": // a response
		g.answer(x)
		return
	case x.id == nil:
		if id := x.params.at("requestId"); id != nil && x.method == "notifications/cancelled" {
			x.session.cancel(string(id))
		}
		g.notified(x)
		return
	}
	switch x.method {
	case "ping":
		x.succeed([]byte("{}"))
	case subscribe:
		g.getOther(x)
	case "resources/unsubscribe":
		x.unsubscribe()
	case "logging/setLevel":
		x.setLevel()
	default:
		g.serveOffered(x)
	}
}

// initialize opens a session in the version asked for, or in the newest with sessions.
func (g *Gateway) initialize(x *exchange, v *view) {
	version, ok := x.params.text("protocolVersion")
	if !ok {
		g.refuse(x, rpcFault(codeInvalidParams, `The member "protocolVersion" of params must be a string.`))
		return
	}
	if !slices.Contains(legacyVersions, version) {
		version = legacyVersion
	}
	capabilities, _ := x.params.object("capabilities")
	s := g.sessions.open(x.who, version, clientOf(x.params, "clientInfo"), canBeAsked(capabilities))
	x.w.Header().Set("Mcp-Session-Id", s.id)
	x.succeed([]byte(`{"protocolVersion":` + quote(version) + `,` + v.capabilities(false) + `,"serverInfo":` + g.info() + `}`))
}

// inSession finds the request's session and checks its version header.
func (g *Gateway) inSession(x *exchange) *fault {
	ids := x.r.Header.Values("Mcp-Session-Id")
	if len(ids) != 1 {
		return badRequest(codeInvalidRequest, "Send one Mcp-Session-Id.")
	}
	s, ok := g.sessions.get(ids[0], x.who)
	if !ok {
		return httpFault(http.StatusNotFound, "Session not found: it ended, or never was; send initialize to open one.")
	}
	if version := x.r.Header.Get("Mcp-Protocol-Version"); version != "" && !slices.Contains(legacyVersions, version) {
		return httpFault(http.StatusBadRequest, "Unsupported protocol version %q in a session; the session's is %s.", clean(version, 64), s.version)
	}
	x.session = s
	return nil
}

// legacyStream serves GET and DELETE of the older era.
func (g *Gateway) legacyStream(x *exchange) {
	if f := g.inSession(x); f != nil {
		g.refuse(x, f)
		return
	}
	if x.r.Method == http.MethodDelete {
		g.sessions.close(x.session)
		x.w.WriteHeader(http.StatusNoContent)
		return
	}
	g.withView(x, func(v *view) {
		ctx, cancel := context.WithCancel(x.r.Context())
		defer cancel()
		detach := x.session.attach(cancel)
		defer detach()
		var changed [][]byte
		for _, a := range announced {
			if v.offers(a.list) {
				changed = append(changed, []byte(`{"jsonrpc":"2.0","method":"`+a.method+`"}`))
			}
		}
		g.follow(ctx, x, following{changed: changed, updates: x.session.updates})
	})
}
