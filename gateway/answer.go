package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Codes of JSON-RPC and of MCP revision 2026-07-28 (basic, error codes).
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeNoMethod       = -32601
	codeInvalidParams  = -32602
	codeInternal       = -32603
	codeNoResource     = -32002 // of the older era
	codeHeaderMismatch = -32020
	codeCapability     = -32021 // the client lacks a capability; the stateless era answers it with HTTP 400
	codeVersion        = -32022
	codePages          = -32042 // of 2025-11-25: the client's user has to open pages first
	// codeRefused is ours, in the range that MCP leaves to applications: the persona allows nothing now.
	codeRefused = 403
)

// fault is an answer other than a result.
type fault struct {
	status    int    // of HTTP; 0 means 200
	code      int    // of JSON-RPC
	tool      bool   // it is a tool's result with isError, which agents are shown, and no error of the protocol; where none is read, codeRefused
	silent    bool   // the request was cancelled by a message of its own: it gets no response
	result    []byte // the whole result, where it is neither
	message   string // a sentence for the agent, with the next step
	quoted    []byte // the message as a JSON string, where it is a server's own
	data      []byte // JSON, or nil
	reason    string // for the record; empty means message
	challenge string // of WWW-Authenticate; empty sends none
	policy    string // that refused, as the record names it, where it is not the step
	undecided bool   // it refuses because what a decision depends on is damaged or could not be read
}

func (f *fault) why() string {
	if f.reason == "" {
		return clean(f.message, maxReason)
	}
	return clean(f.reason, maxReason)
}

func rpcFault(code int, format string, args ...any) *fault {
	return &fault{code: code, message: fmt.Sprintf(format, args...)}
}

// httpFault refuses a request as a whole.
func httpFault(status int, format string, args ...any) *fault {
	return &fault{status: status, code: codeInvalidRequest, message: fmt.Sprintf(format, args...)}
}

func badRequest(code int, format string, args ...any) *fault {
	return &fault{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

func (f *fault) unsure() *fault {
	f.undecided = true
	return f
}

// toolFault tells the agent message, and the record reason.
func toolFault(message, reason string) *fault {
	return &fault{tool: true, message: message, reason: reason}
}

func quote(text string) string {
	quoted, _ := jsontext.AppendQuote(nil, text) // invalid UTF-8 is replaced
	return string(quoted)
}

var closing = []byte{'}'}

// response is a JSON-RPC response in parts, so that a large result is not copied.
type response [4][]byte

func (x *exchange) head() []byte {
	b := append(make([]byte, 0, 64), `{"jsonrpc":"2.0"`...)
	if x.id != nil {
		b = append(append(b, `,"id":`...), x.id...)
	}
	return b
}

func (x *exchange) resultOf(result ...[]byte) response {
	r := response{append(x.head(), `,"result":`...), 3: closing}
	copy(r[1:3], result)
	return r
}

func (x *exchange) faultOf(f *fault) response {
	if f.result != nil {
		return x.resultOf(f.result)
	}
	if f.tool && (x.method != "tools/call" || x.forTask) {
		f = &fault{code: codeRefused, message: f.message}
	}
	if f.tool {
		return x.resultOf(x.toolError(f.message))
	}
	b := append(x.head(), `,"error":{"code":`...)
	b = strconv.AppendInt(b, int64(f.code), 10)
	if b = append(b, `,"message":`...); f.quoted != nil {
		b = append(b, f.quoted...)
	} else {
		b = append(b, quote(f.message)...)
	}
	if f.data != nil {
		b = append(append(b, `,"data":`...), f.data...)
	}
	return response{append(b, '}', '}')}
}

// toolError is a tool's result that says what went wrong, in words for the agent.
func (x *exchange) toolError(text string) []byte {
	start := `{`
	if x.modern {
		start = `{"resultType":"complete",`
	}
	return []byte(start + `"content":[{"type":"text","text":` + quote(text) + `}],"isError":true}`)
}

// fail answers with f.
func (x *exchange) fail(f *fault) { x.send(f.status, x.faultOf(f)) }

// succeed answers with a result.
func (x *exchange) succeed(result []byte) { x.send(0, x.resultOf(result)) }

// unmeasured is up to which size net/http, which holds a small answer back until it is whole, says its length by itself.
const unmeasured = 2000

// writeTimeout bounds how long a client may take to accept one answer or event.
const writeTimeout = 30 * time.Second

func (x *exchange) send(status int, body response) {
	h := x.w.Header()
	h["Content-Type"] = asJSON
	if size := len(body[0]) + len(body[1]) + len(body[2]) + len(body[3]); size > unmeasured {
		h.Set("Content-Length", strconv.Itoa(size))
	}
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(writeTimeout)) // where there is one
	x.w.WriteHeader(orDefault(status, http.StatusOK))
	body.to(x.w)
}

// maxJoined is up to how many bytes a response is copied into one piece: net/http sends what is over its buffer of 4 KiB piece by piece,
// and a system call costs more than the copy.
const maxJoined = 64 << 10

var joined = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// to writes the response. A client that is gone misses it.
func (r response) to(w io.Writer) {
	if size := len(r[0]) + len(r[1]) + len(r[2]) + len(r[3]); size <= maxJoined {
		b := joined.Get().(*bytes.Buffer)
		defer joined.Put(b)
		b.Reset()
		b.Grow(size)
		for _, part := range r {
			b.Write(part)
		}
		_, _ = w.Write(b.Bytes())
		return
	}
	for _, part := range r {
		_, _ = w.Write(part)
	}
}

// What every answer's headers say.
var (
	asJSON   = []string{"application/json"}
	noStore  = []string{"no-store"}
	noSniffs = []string{"nosniff"}
)

// stream is an answer that is sent as server-sent events.
type stream struct {
	mu   sync.Mutex
	w    http.ResponseWriter
	over bool
}

func (x *exchange) stream() *stream {
	h := x.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	s := &stream{w: x.w}
	s.mu.Lock()
	defer s.mu.Unlock()
	x.w.WriteHeader(http.StatusOK)
	s.flush()
	return s
}

// message sends one JSON-RPC message. JSON text has line breaks as white space only, so each of its lines becomes a
// line of the event and no reader sees another value.
func (s *stream) message(parts ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	line := []byte("event: message\ndata: ")
	for _, part := range parts {
		for rest := part; ; {
			i := bytes.IndexAny(rest, "\r\n")
			if i < 0 {
				line = append(line, rest...)
				break
			}
			line = append(append(line, rest[:i]...), "\ndata: "...)
			rest = rest[i+1:]
		}
	}
	s.write(append(line, "\n\n"...))
}

// comment keeps the connection open.
func (s *stream) comment() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.write([]byte(":\n\n"))
	}
}

func (s *stream) write(event []byte) {
	_ = http.NewResponseController(s.w).SetWriteDeadline(time.Now().Add(writeTimeout)) // where there is one
	if _, err := s.w.Write(event); err != nil {
		s.over = true // the client is gone
		return
	}
	s.flush()
}

func (s *stream) flush() { _ = http.NewResponseController(s.w).Flush() } // a client that is gone misses it

// close makes sure that nothing is written after the handler returned.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// acceptsStream says whether the client reads server-sent events.
func acceptsStream(r *http.Request) bool {
	return strings.Contains(strings.ToLower(strings.Join(r.Header.Values("Accept"), ",")), "text/event-stream")
}
