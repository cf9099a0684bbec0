package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"remit/internal/strictjson"
	"remit/upstream"
)

// members are an object's, by exact name.
type members map[string]jsontext.Value

// message is one JSON-RPC message from a client.
type message struct {
	id     json.RawMessage // a string or an integer as sent; nil for a notification
	method string          // empty for a response
	answer reply           // of a response
	params members
	meta   members          // params._meta
	passed strictjson.Value // params.arguments; without text where there are none
}

// reply is what a client answers to a request of ours: one of the two.
type reply struct{ result, failure jsontext.Value }

// tool is the name in a call, the URI of a resource, or the id of a task.
func (m *message) tool() string {
	member := "name"
	switch {
	case m.method == upstream.ReadResource || m.method == subscribe:
		member = "uri"
	case aboutTask(m.method):
		member = "taskId"
	}
	name, _ := m.params.text(member)
	return name
}

// toolForRecord is the same as the record has it before anything is known of it. The id of a task says nothing there.
func (m *message) toolForRecord() string {
	if aboutTask(m.method) {
		return ""
	}
	return clean(m.tool(), maxNameInRecord)
}

// text returns a member that is a string.
func (m members) text(name string) (string, bool) {
	raw, ok := m[name]
	if !ok || raw.Kind() != '"' {
		return "", false
	}
	if s, ok := strictjson.Text(raw); ok {
		return s, true
	}
	var s string
	if strict.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// object returns a member that is an object.
func (m members) object(name string) (members, bool) {
	raw, ok := m[name]
	if !ok || raw.Kind() != '{' {
		return nil, false
	}
	return membersOf(raw)
}

// membersOf reads an object's members, which are parts of raw where they can be.
func membersOf(raw []byte) (members, bool) { return membersIn(strictjson.Unread(raw)) }

// membersIn returns the members of an object.
func membersIn(object strictjson.Value) (members, bool) {
	if known, ok := object.Members(); ok {
		out := make(members, len(known))
		for _, m := range known {
			out[m.Name] = m.Text
		}
		return out, true
	}
	var out members
	err := strict.Unmarshal(object.Text, &out)
	return out, err == nil
}

// onlyExact refuses members that are one of the known ones in another case: some readers would take them for it.
func (m members) onlyExact(known ...string) *fault {
	for name := range m {
		if slices.Contains(known, name) {
			continue
		}
		for _, k := range known {
			if strings.EqualFold(name, k) {
				return badRequest(codeInvalidRequest, "The member %q is spelled %q here; names are case-sensitive.", k, clean(name, 64))
			}
		}
	}
	return nil
}

// The members that decisions are made on, at each level.
var (
	envelopeNames = []string{"jsonrpc", "id", "method", "params", "result", "error"}
	paramNames    = []string{"name", "arguments", "_meta", "cursor", "protocolVersion", "requestId", "notifications", "requestState", "inputResponses", "uri", "ref", "argument", "context", "level", "task", "taskId"}
	metaNames     = []string{metaVersion, metaCapabilities, metaClient, metaLogLevel, "progressToken", "traceparent", "tracestate", "baggage"}
)

// readBody reads a request's body within the limit, before anything in it is looked at. How long a client may take is
// bounded by whoever serves the gateway.
func (g *Gateway) readBody(x *exchange) ([]byte, *fault) {
	if kind := x.r.Header.Get("Content-Type"); kind != "application/json" && !jsonInUTF8(kind) || x.r.Header.Get("Content-Encoding") != "" {
		return nil, httpFault(http.StatusUnsupportedMediaType, "Send the request as Content-Type: application/json, in UTF-8 and without a content encoding.")
	}
	if x.r.ContentLength > g.c.MaxBody {
		return nil, g.tooLarge()
	}
	body, err := read(http.MaxBytesReader(x.w, x.r.Body, g.c.MaxBody), x.r.ContentLength)
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, g.tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, httpFault(http.StatusRequestTimeout, "The request's body did not come to its end in time; send it again.")
	case err != nil:
		return nil, httpFault(http.StatusBadRequest, "The request's body could not be read to its end.")
	}
	return body, nil
}

func (g *Gateway) tooLarge() *fault {
	return httpFault(http.StatusRequestEntityTooLarge, "The request is over the limit of %d bytes.", g.c.MaxBody)
}

// jsonInUTF8 says that a content type is JSON in no other encoding.
func jsonInUTF8(contentType string) bool {
	kind, parameters, err := mime.ParseMediaType(contentType)
	charset := parameters["charset"]
	return err == nil && kind == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// maxAtOnce is for how many bytes memory is asked for before they are there.
const maxAtOnce = 2 << 20

// read reads to the end of what has the length, or one that is not known if that is below 0.
func read(in io.Reader, length int64) ([]byte, error) {
	if length < 0 || length > maxAtOnce {
		return io.ReadAll(in)
	}
	body := make([]byte, length+1) // so that the end is seen
	n, err := io.ReadFull(in, body)
	if int64(n) == length && (err == io.EOF || err == io.ErrUnexpectedEOF) {
		err = nil
	}
	return body[:n], err
}

// maxDepth bounds the nesting of a request. maxKept is how deep what it holds is known after the one reading: the members of
// arguments.
const (
	maxDepth = 64
	maxKept  = 3
)

// parse reads one message and refuses whatever two readers could understand differently.
func parse(body []byte) (message, *fault) {
	var m message
	if first := bytes.TrimLeft(body, " \t\r\n"); len(first) > 0 && first[0] == '[' {
		return m, badRequest(codeInvalidRequest, "Batches are not accepted; send each message as a request of its own.")
	}
	whole, ok := strictjson.Read(body, maxKept)
	if !ok {
		if err := strictjson.Check(body, strictjson.Limits{Bytes: len(body), Depth: maxDepth}); err != nil {
			f := badRequest(codeParse, "The request is not JSON that every reader understands alike: duplicate names, trailing data, invalid UTF-8 and nesting deeper than %d are refused.", maxDepth)
			f.reason = err.Error()
			return m, f
		}
		whole = strictjson.Unread(body)
	}
	outer, ok := membersIn(whole)
	if !ok || outer == nil {
		return m, badRequest(codeInvalidRequest, "The request is not a JSON object.")
	}
	if f := outer.onlyExact(envelopeNames...); f != nil {
		return m, f
	}
	if version, _ := outer.text("jsonrpc"); version != "2.0" {
		return m, badRequest(codeInvalidRequest, `The member "jsonrpc" must be "2.0".`)
	}
	if id, ok := outer["id"]; ok {
		if !validID(id) {
			return m, badRequest(codeInvalidRequest, `The member "id" must be a string or an integer of at most %d bytes.`, maxID)
		}
		m.id = json.RawMessage(id)
	}
	return m, m.take(whole, outer)
}

// memberOf returns a member of an object, of which the members are given.
func memberOf(object strictjson.Value, own members, name string) (v strictjson.Value, ok bool) {
	if object.Known() {
		return object.Member(name)
	}
	raw, ok := own[name]
	return strictjson.Unread(raw), ok
}

// take takes the method and its parameters.
func (m *message) take(whole strictjson.Value, outer members) *fault {
	_, hasResult := outer["result"]
	_, hasError := outer["error"]
	_, hasMethod := outer["method"]
	if hasMethod == (hasResult || hasError) {
		return badRequest(codeInvalidRequest, `A message has either a "method", or a "result" or "error".`)
	}
	if !hasMethod {
		m.answer = reply{outer["result"], outer["error"]}
		return nil
	}
	var ok bool
	if m.method, ok = outer.text("method"); !ok || m.method == "" || len(m.method) > 128 {
		m.method = ""
		return badRequest(codeInvalidRequest, `The member "method" must be a string of 1 to 128 bytes.`)
	}
	params, given := memberOf(whole, outer, "params")
	if !given {
		return nil
	}
	if m.params, ok = membersIn(params); !ok || m.params == nil {
		return badRequest(codeInvalidParams, `The member "params" must be an object.`)
	}
	if f := m.params.onlyExact(paramNames...); f != nil {
		return f
	}
	m.passed, _ = memberOf(params, m.params, "arguments")
	meta, given := memberOf(params, m.params, "_meta")
	if !given {
		return nil
	}
	if m.meta, ok = membersIn(meta); !ok || m.meta == nil {
		return badRequest(codeInvalidParams, `The member "_meta" must be an object.`)
	}
	return m.meta.onlyExact(metaNames...)
}

const maxID = 256

// validID says whether raw is what MCP takes as an id: a string or an integer.
func validID(raw jsontext.Value) bool {
	if len(raw) > maxID {
		return false
	}
	return raw.Kind() == '"' || raw.Kind() == '0' && !bytes.ContainsAny(raw, ".eE")
}
