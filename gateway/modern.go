package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"remit/upstream"
)

// Versions of the protocol.
const (
	modernVersion = "2026-07-28"
	legacyVersion = "2025-11-25" // the newest with sessions
)

var (
	legacyVersions = []string{legacyVersion, "2025-06-18", "2025-03-26"}
	allVersions    = append([]string{modernVersion}, legacyVersions...)
)

// Members of _meta.
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaClient       = "io.modelcontextprotocol/clientInfo"
	metaSubscription = "io.modelcontextprotocol/subscriptionId"
	metaLogLevel     = "io.modelcontextprotocol/logLevel"
	metaServer       = "io.modelcontextprotocol/serverInfo"
)

// dispatch chooses the era: a request whose _meta names a version is of the stateless one, one that initializes or names
// a session of the older one.
func (g *Gateway) dispatch(x *exchange) {
	session := x.r.Header.Get("Mcp-Session-Id") != ""
	switch x.r.Method {
	case http.MethodPost:
	case http.MethodGet, http.MethodDelete:
		if session {
			g.legacyStream(x)
			return
		}
		fallthrough
	default:
		x.w.Header().Set("Allow", "POST")
		f := httpFault(http.StatusMethodNotAllowed, "Send requests as POST; GET and DELETE are for sessions of the older protocol versions.")
		f.reason = "the HTTP method " + clean(x.r.Method, 16) + " is not allowed here"
		g.refuse(x, f)
		return
	}
	body, f := g.readBody(x)
	if f == nil {
		x.message, f = parse(body)
	}
	if f != nil {
		g.refuse(x, f)
		return
	}
	g.observe(x)
	_, hasVersion := x.meta.value(metaVersion)
	switch {
	case hasVersion:
		x.modern = true
		g.serveModern(x)
	case x.method == "initialize" || session:
		g.serveLegacy(x)
	case x.id == nil && x.method != "":
		g.notified(x) // without a session it tells us nothing
	default:
		g.refuse(x, x.noEra())
	}
}

// noEra explains what a request of neither era lacks.
func (x *exchange) noEra() *fault {
	version := x.r.Header.Get("Mcp-Protocol-Version")
	if version != "" && !slices.Contains(legacyVersions, version) {
		x.modern = true
		if version != modernVersion {
			return unsupported(version)
		}
		return badRequest(codeInvalidParams, "params._meta lacks %q.", metaVersion)
	}
	return badRequest(codeInvalidRequest, "The request names no session: send initialize first, and its Mcp-Session-Id with every request after it.")
}

func unsupported(version string) *fault {
	supported, _ := json.Marshal(allVersions) // strings always encode
	f := badRequest(codeVersion, "Unsupported protocol version")
	f.data = []byte(`{"supported":` + string(supported) + `,"requested":` + quote(clean(version, 64)) + `}`)
	return f
}

// serveModern serves the stateless era.
func (g *Gateway) serveModern(x *exchange) {
	if x.id == nil {
		g.notified(x)
		return
	}
	if f := x.checkModern(); f != nil {
		g.refuse(x, f)
		return
	}
	switch x.method {
	case "server/discover":
		g.withView(x, func(v *view) { x.succeed(g.discover(v)) })
	case "subscriptions/listen":
		g.withView(x, func(v *view) { g.listen(x, v) })
	default:
		g.serveOffered(x)
	}
}

// serveOffered serves what both eras have.
func (g *Gateway) serveOffered(x *exchange) {
	switch x.method {
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list":
		g.list(x)
	case "tools/call":
		g.call(x)
	case upstream.GetPrompt, upstream.ReadResource, upstream.Complete:
		g.getOther(x)
	case upstream.GetTask, upstream.CancelTask, upstream.UpdateTask, upstream.TaskResult:
		g.askOfTask(x)
	default:
		g.refuse(x, x.noMethod())
	}
}

func (x *exchange) noMethod() *fault {
	status := 0
	if x.modern {
		status = http.StatusNotFound
	}
	return &fault{status: status, code: codeNoMethod, message: "Method not found: this endpoint offers nothing of the kind.",
		reason: "there is no method " + strconv.Quote(clean(x.method, maxNameInRecord))}
}

// notified answers a notification: accepted, unless it is a request without an id.
func (g *Gateway) notified(x *exchange) {
	if strings.HasPrefix(x.method, "notifications/") {
		x.w.WriteHeader(http.StatusAccepted)
		return
	}
	g.refuse(x, badRequest(codeInvalidRequest, `A request needs an "id".`))
}

// checkModern holds the headers against the body (2026-07-28, streamable HTTP, server validation) and asks for what every
// request must carry.
func (x *exchange) checkModern() *fault {
	version, ok := x.meta.text(metaVersion)
	if !ok {
		return badRequest(codeInvalidParams, "The member %q of _meta must be a string.", metaVersion)
	}
	if f := match("MCP-Protocol-Version", x.r.Header["Mcp-Protocol-Version"], version); f != nil {
		return f
	}
	if version != modernVersion {
		return unsupported(version)
	}
	if f := match("Mcp-Method", x.r.Header["Mcp-Method"], x.method); f != nil {
		return f
	}
	if _, named := kindOf(x.method); named && !slices.Contains([]string{upstream.Complete, subscribe, upstream.TaskResult}, x.method) { // the last two are none of this era
		given := x.r.Header["Mcp-Name"]
		if f := match("Mcp-Name", given, x.tool()); f != nil && !(len(given) == 0 && aboutTask(x.method)) { // which some clients do not send there
			return f
		}
	}
	if _, ok := x.meta.object(metaCapabilities); !ok {
		return badRequest(codeInvalidParams, "params._meta lacks the object %q.", metaCapabilities)
	}
	if _, given := x.meta.value(metaClient); given {
		if _, ok := x.meta.object(metaClient); !ok {
			return badRequest(codeInvalidParams, "The member %q of _meta must be an object.", metaClient)
		}
	}
	return nil
}

// match refuses a header that is missing, given twice, or not what the body says. No decision is taken from a header.
func match(name string, values []string, body string) *fault {
	switch {
	case len(values) == 0:
		return badRequest(codeHeaderMismatch, "Header mismatch: the header %s is missing.", name)
	case len(values) > 1:
		return badRequest(codeHeaderMismatch, "Header mismatch: the header %s is given twice.", name)
	}
	if got, ok := decodeHeader(values[0]); !ok || got != body {
		return badRequest(codeHeaderMismatch, "Header mismatch: the header %s says %q, the body says %q.", name, clean(values[0], 128), clean(body, 128))
	}
	return nil
}

// decodeHeader undoes the base64 form of values that a header cannot hold (streamable HTTP, value encoding).
func decodeHeader(value string) (string, bool) {
	inner, ok := strings.CutPrefix(value, "=?base64?")
	if !ok {
		return value, true
	}
	if inner, ok = strings.CutSuffix(inner, "?="); !ok {
		return value, true
	}
	text, err := base64.StdEncoding.DecodeString(inner)
	return string(text), err == nil
}

// freshFor is how long a client may use a list without asking again, in milliseconds. A longer time would not widen what
// it may call: that is decided at the call.
const freshFor = "60000"

// info is how we name ourselves to clients.
func (g *Gateway) info() string { return `{"name":"remit","version":` + quote(g.c.Version) + `}` }

// tail is what results of the stateless era carry beside their own members.
func (g *Gateway) tail() string {
	return `"resultType":"complete","ttlMs":` + freshFor + `,"cacheScope":"private","_meta":{"` + metaServer + `":` + g.info() + `}}`
}

func (g *Gateway) discover(v *view) []byte {
	supported, _ := json.Marshal(allVersions) // strings always encode
	return []byte(`{"supportedVersions":` + string(supported) + `,` + v.capabilities(true) + `,` + g.tail())
}

// withView runs serve when the persona has a live revision, and else refuses.
func (g *Gateway) withView(x *exchange, serve func(*view)) {
	v, f := g.view(x)
	if f != nil {
		g.refuse(x, f)
		return
	}
	serve(v)
}

// list answers with the approved definitions, on one page.
func (g *Gateway) list(x *exchange) {
	g.withView(x, func(v *view) {
		if !v.offers(x.method) {
			g.refuse(x, x.noMethod())
			return
		}
		if cursor := x.params.at("cursor"); cursor != nil && !bytes.Equal(cursor, []byte("null")) {
			g.refuse(x, rpcFault(codeInvalidParams, "Unknown cursor: the list has one page."))
			return
		}
		if g.c.HideFrozen {
			v = g.unfrozen(x, v)
		}
		lists := v.lists[listed[x.method].kind]
		if x.modern {
			x.succeed(lists.modern)
		} else {
			x.succeed(lists.legacy)
		}
	})
}
