package gateway

import (
	"encoding/json"
	"regexp"
	"strings"
)

// trace is the W3C trace context that a request came with. All of it is the caller's word: nothing is decided on it.
type trace struct {
	id            string // lower-case hex; empty without a valid traceparent
	parent, state string // traceparent and tracestate; empty when they are not valid
	http          string // traceparent of the HTTP request, where parent is the message's own
}

// traceContext takes the trace context out of _meta, and out of the headers when _meta has none that is valid (2026-07-28,
// _meta; OpenTelemetry's conventions for MCP). A request starts a trace of its own when neither has.
func (x *exchange) traceContext() trace {
	header, state := single(x.r.Header["Traceparent"]), strings.Join(x.r.Header["Tracestate"], ",")
	if traceID(header) == "" {
		header, state = "", ""
	}
	t := trace{parent: header}
	if parent, _ := x.meta.text("traceparent"); traceID(parent) != "" {
		t.parent, t.http = parent, header
		state, _ = x.meta.text("tracestate")
	}
	if t.id = traceID(t.parent); state != "" && validState(state) {
		t.state = state
	}
	return t
}

func single(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// traceParent is version, trace id, parent id and flags (W3C Trace Context, traceparent); later versions may append.
var traceParent = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$`)

// traceID is empty for a traceparent that is not valid.
func traceID(parent string) string {
	if parent == "" || len(parent) > 128 {
		return ""
	}
	m := traceParent.FindStringSubmatch(parent)
	if m == nil || m[1] == "ff" || m[1] == "00" && m[4] != "" || strings.Trim(m[2], "0") == "" || strings.Trim(m[3], "0") == "" {
		return ""
	}
	return m[2]
}

var (
	stateKey   = regexp.MustCompile(`^[a-z0-9][a-z0-9_*/@-]{0,255}$`)
	stateValue = regexp.MustCompile(`^[ -+\--<>-~]{0,255}[!-+\--<>-~]$`)
)

// validState says whether state is a tracestate of at most 32 members, each key once, and 1,024 bytes.
func validState(state string) bool {
	if len(state) > 1024 || strings.Count(state, ",") >= 32 {
		return false
	}
	known := map[string]bool{}
	for member := range strings.SplitSeq(state, ",") {
		if member = strings.Trim(member, " \t"); member == "" {
			continue
		}
		key, value, _ := strings.Cut(member, "=")
		if known[key] || !stateKey.MatchString(key) || !stateValue.MatchString(value) {
			return false
		}
		known[key] = true
	}
	return len(known) > 0
}

// maxBaggage is the limit of W3C Baggage, with the quotes.
const maxBaggage = 8192 + 2

// traceMeta is what goes on to the server in _meta: the trace context, and the caller's baggage only where that is asked for.
func (c *call) traceMeta(baggage bool) map[string]json.RawMessage {
	if c.trace.parent == "" && !baggage {
		return nil
	}
	meta := map[string]json.RawMessage{}
	if c.trace.parent != "" {
		meta["traceparent"] = json.RawMessage(quote(c.trace.parent))
	}
	if c.trace.state != "" {
		meta["tracestate"] = json.RawMessage(quote(c.trace.state))
	}
	if raw := c.meta.at("baggage"); baggage && raw.Kind() == '"' && len(raw) <= maxBaggage {
		meta["baggage"] = json.RawMessage(raw)
	}
	return meta
}
