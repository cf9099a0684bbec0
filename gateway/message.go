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

// members are an object's. No two have the same name.
type members strictjson.Object

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

// value returns the member of exactly this name.
func (m members) value(name string) (v strictjson.Value, given bool) {
	return strictjson.Object(m).Member(name)
}

// at is the text of a member; nil where there is none.
func (m members) at(name string) jsontext.Value {
	v, _ := m.value(name)
	return v.Text
}

// text returns a member that is a string.
func (m members) text(name string) (string, bool) {
	raw := m.at(name)
	if raw.Kind() != '"' {
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
	v, given := m.value(name)
	if !given || v.Text[0] != '{' {
		return nil, false
	}
	return membersIn(v)
}

// membersOf reads an object's members, which are parts of raw where they can be.
func membersOf(raw []byte) (members, bool) { return membersIn(strictjson.Unread(raw)) }

// membersIn returns the members of an object; nil for null.
func membersIn(object strictjson.Value) (members, bool) {
	out, err := object.Object()
	return members(out), err == nil
}

// onlyExact refuses members that are one of the known ones in another case: some readers would take them for it.
func (m members) onlyExact(known ...string) *fault {
	for i := range m {
		if slices.Contains(known, m[i].Name) {
			continue
		}
		for _, k := range known {
			if strings.EqualFold(m[i].Name, k) {
				return badRequest(codeInvalidRequest, "The member %q is spelled %q here; names are case-sensitive.", k, clean(m[i].Name, 64))
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
	body, err := read(x.w, x.r.Body, x.r.ContentLength, g.c.MaxBody)
	_, over := errors.AsType[*http.MaxBytesError](err)
	switch {
	case over:
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

// read reads to the end of what has the length, or one that is not known if that is below 0, and at most so much.
func read(w http.ResponseWriter, in io.ReadCloser, length, most int64) ([]byte, error) {
	if length < 0 || length > maxAtOnce {
		return io.ReadAll(http.MaxBytesReader(w, in, most))
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
	if id := outer.at("id"); id != nil {
		if !validID(id) {
			return m, badRequest(codeInvalidRequest, `The member "id" must be a string or an integer of at most %d bytes.`, maxID)
		}
		m.id = json.RawMessage(id)
	}
	return m, m.take(outer)
}

// take takes the method and its parameters.
func (m *message) take(outer members) *fault {
	m.answer = reply{outer.at("result"), outer.at("error")}
	_, hasMethod := outer.value("method")
	if hasMethod == (m.answer.result != nil || m.answer.failure != nil) {
		return badRequest(codeInvalidRequest, `A message has either a "method", or a "result" or "error".`)
	}
	if !hasMethod {
		return nil
	}
	var ok bool
	if m.method, ok = outer.text("method"); !ok || m.method == "" || len(m.method) > 128 {
		m.method = ""
		return badRequest(codeInvalidRequest, `The member "method" must be a string of 1 to 128 bytes.`)
	}
	params, given := outer.value("params")
	if !given {
		return nil
	}
	if m.params, ok = membersIn(params); !ok || m.params == nil {
		return badRequest(codeInvalidParams, `The member "params" must be an object.`)
	}
	if f := m.params.onlyExact(paramNames...); f != nil {
		return f
	}
	m.passed, _ = m.params.value("arguments")
	meta, given := m.params.value("_meta")
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
