package fakemcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Server is the fake. As an http.Handler it is an MCP endpoint at any path.
type Server struct {
	config Config

	mu        sync.Mutex
	tools     []json.RawMessage
	mute      bool // lists are refused
	changes   int
	listeners map[int]func([]byte)
	nextKey   int
	sessions  map[string]int // requests left, or -1
	running   map[string]context.CancelFunc
	stats     Stats
	jobs      map[string]*job
	replied   chan struct{} // closed and replaced when the client answers
}

// Stats is what the server has seen.
type Stats struct {
	Calls          int               // tools/call requests
	ByTool         map[string]int    // the same, by tool
	Handshakes     int               // initialize and server/discover requests
	Lists          int               // tools/list requests
	LogLevels      []string          // asked for by logging/setLevel
	CancelledTasks []string          // by id
	Cancelled      int               // cancelled requests, by notification or by closing
	Listeners      int               // streams open for announcements
	Sessions       int               // sessions open
	Replies        []json.RawMessage // the client's answers to our requests
	Can            json.RawMessage   // what the client says that it can do, with initialize or the last call
	States         []string          // that clients sent back
	Answers        []string          // to what tasks asked
	Watched        map[string]int    // resources that clients want to hear of, by URI
	Header         http.Header       // of the last HTTP request
	CallHeader     http.Header       // of the last tools/call over HTTP
}

// New makes a server. It reads the catalog, if there is one.
func New(c Config) (*Server, error) {
	s := &Server{config: c, listeners: map[int]func([]byte){}, sessions: map[string]int{},
		running: map[string]context.CancelFunc{}, jobs: map[string]*job{}, replied: make(chan struct{}), stats: Stats{ByTool: map[string]int{}, Watched: map[string]int{}}}
	s.tools = append(s.tools, c.Tools...)
	if c.Catalog != "" {
		tools, err := readCatalog(c.Catalog, c.CatalogServer)
		if err != nil {
			return nil, err
		}
		s.tools = append(s.tools, tools...)
	}
	if len(s.tools) == 0 && c.Catalog == "" {
		s.tools = builtins()
	}
	if n := c.Faults.HugeDescription; n > 0 {
		s.tools = append(s.tools, definition("huge", strings.Repeat("x", n)))
	}
	if c.Faults.DuplicateNames {
		s.tools = append(s.tools, s.tools...)
	}
	return s, nil
}

// Stats returns what the server has seen so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.ByTool, stats.Watched = maps.Clone(stats.ByTool), maps.Clone(stats.Watched)
	stats.Listeners, stats.Sessions = len(s.listeners), len(s.sessions)
	return stats
}

// SetTools replaces the list and announces that.
func (s *Server) SetTools(tools []json.RawMessage) {
	s.mu.Lock()
	s.tools = tools
	s.mu.Unlock()
	s.announce()
}

// Announce says that the list changed, whether or not it did.
func (s *Server) Announce() { s.announce() }

// RefuseLists has every tools/list answered with an error from now on, or no longer.
func (s *Server) RefuseLists(refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = refuse
}

// EndSessions forgets every HTTP session, as a restart does.
func (s *Server) EndSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

// message is one JSON-RPC message from the client.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

type params struct {
	Name          string          `json:"name"`
	Arguments     json.RawMessage `json:"arguments"`
	URI           string          `json:"uri"`
	Task          json.RawMessage `json:"task"`
	TaskID        string          `json:"taskId"`
	Level         string          `json:"level"`
	Cursor        string          `json:"cursor"`
	Version       string          `json:"protocolVersion"`
	RequestID     json.RawMessage `json:"requestId"`
	Responses     json.RawMessage `json:"inputResponses"`
	State         string          `json:"requestState"`
	Notifications struct {
		Tools     bool     `json:"toolsListChanged,omitempty"`
		Resources []string `json:"resourceSubscriptions,omitempty"`
	} `json:"notifications"`
	Can  json.RawMessage `json:"capabilities"`
	Meta struct {
		Version  string          `json:"io.modelcontextprotocol/protocolVersion"`
		Progress json.RawMessage `json:"progressToken"`
		Can      json.RawMessage `json:"io.modelcontextprotocol/clientCapabilities"`
	} `json:"_meta"`
}

// exchange is one request on its way through the server.
type exchange struct {
	message
	params
	header http.Header // nil over stdio

	send func([]byte) // to the client: notifications, requests, the answer
	die  func()       // ends the process or the connection

	answered bool
}

func (x *exchange) modern() bool { return x.Meta.Version != "" }

func (x *exchange) result(raw string) {
	x.answered = true
	x.send([]byte(`{"jsonrpc":"2.0","id":` + string(x.ID) + `,"result":` + raw + `}`))
}

func (x *exchange) fail(code int, text, data string) {
	x.answered = true
	if data != "" {
		data = `,"data":` + data
	}
	x.send(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%s%s}}`, x.ID, code, quote(text), data))
}

// quote is text as JSON.
func quote(text string) string {
	raw, _ := json.Marshal(text) // a string always encodes
	return string(raw)
}

// complete marks a result as whole, which the newer era asks for.
func (x *exchange) complete(members string) {
	if x.modern() {
		members = `"resultType":"complete",` + members
	}
	x.result("{" + members + "}")
}

// serve answers one request, or does not.
func (s *Server) serve(ctx context.Context, x *exchange) {
	f := s.config.Faults
	handshake := x.Method == "initialize" || x.Method == "server/discover"
	switch {
	case handshake && f.DieOnDiscover && x.Method == "server/discover":
		x.die()
		return
	case handshake && f.HangAtHandshake:
		<-ctx.Done()
		return
	case x.modern() && !s.config.modern():
		if !f.IgnoreUnknown {
			x.fail(-32601, "method not found", "")
		}
		return
	case !x.modern() && !s.config.legacy():
		x.fail(-32022, "unsupported protocol version", `{"supported":["2026-07-28"],"requested":"unknown"}`)
		return
	}
	s.mu.Lock()
	if handshake {
		s.stats.Handshakes++
	}
	s.mu.Unlock()
	switch x.Method {
	case "server/discover":
		x.complete(fmt.Sprintf(`"supportedVersions":["2026-07-28"],"capabilities":%s,"instructions":%s,"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":%s}`,
			s.capabilities(), quote(s.config.Instructions), s.info()))
	case "initialize":
		s.mu.Lock()
		s.stats.Can = x.Can
		s.mu.Unlock()
		x.result(fmt.Sprintf(`{"protocolVersion":%q,"capabilities":%s,"serverInfo":%s,"instructions":%s}`,
			s.config.olderVersion(x.Version), s.capabilities(), s.info(), quote(s.config.Instructions)))
	case "ping":
		x.result("{}")
	case "logging/setLevel":
		s.mu.Lock()
		s.stats.LogLevels = append(s.stats.LogLevels, x.Level)
		s.mu.Unlock()
		x.result("{}")
	case "tools/list":
		s.list(x)
	case "tools/call":
		s.call(ctx, x)
	case "tasks/get", "tasks/update", "tasks/cancel", "tasks/result":
		s.aboutTask(ctx, x)
	case "subscriptions/listen":
		s.listen(ctx, x)
	case "resources/subscribe", "resources/unsubscribe":
		s.mu.Lock()
		if s.stats.Watched[x.URI] = 1; x.Method == "resources/unsubscribe" {
			delete(s.stats.Watched, x.URI)
		}
		s.mu.Unlock()
		x.result("{}")
	case "prompts/list", "resources/list", "resources/templates/list", "prompts/get", "resources/read", "completion/complete":
		s.other(ctx, x)
	default:
		x.fail(-32601, "method not found", "")
	}
}

func (s *Server) capabilities() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := `{"tools":{"listChanged":true}`
	if len(s.config.Before) > 0 {
		out += `,"logging":{}`
	}
	if len(s.config.Prompts) > 0 {
		out += `,"prompts":{"listChanged":true},"completions":{}`
	}
	if len(s.config.Resources)+len(s.config.Templates) > 0 {
		out += `,"resources":{"listChanged":true,"subscribe":true}`
	}
	if len(s.config.Tasks) > 0 {
		out += `,"extensions":{"io.modelcontextprotocol/tasks":{}},"tasks":{"requests":{"tools":{"call":{}}}}`
	}
	return out + "}"
}

// other serves what is no tool.
func (s *Server) other(ctx context.Context, x *exchange) {
	s.mu.Lock()
	now := s.config
	s.mu.Unlock()
	lists := map[string]struct {
		member string
		all    []json.RawMessage
	}{"prompts/list": {"prompts", now.Prompts}, "resources/list": {"resources", now.Resources}, "resources/templates/list": {"resourceTemplates", now.Templates}}
	if l, ok := lists[x.Method]; ok {
		x.complete(fmt.Sprintf(`"%s":[%s],"ttlMs":0,"cacheScope":"private"`, l.member, bytes.Join(rawSlices(l.all), []byte(","))))
		return
	}
	s.mu.Lock()
	s.stats.Calls++
	s.stats.ByTool[x.Name+x.URI]++
	s.mu.Unlock()
	name := x.Name + x.URI
	if !s.asks(ctx, name, x) {
		return
	}
	if raw, ok := s.config.Errors[name]; ok {
		x.answered = true
		x.send([]byte(`{"jsonrpc":"2.0","id":` + string(x.ID) + `,"error":` + string(raw) + `}`))
		return
	}
	if raw, ok := s.config.Results[name]; ok {
		x.result(string(raw))
		return
	}
	switch x.Method {
	case "prompts/get":
		x.complete(fmt.Sprintf(`"messages":[{"role":"user","content":{"type":"text","text":%s}}]`, quote(x.Name+" "+string(x.Arguments))))
	case "resources/read":
		x.complete(fmt.Sprintf(`"contents":[{"uri":%s,"text":%s}],"ttlMs":60000,"cacheScope":"public"`, quote(x.URI), quote("what is at "+x.URI)))
	default:
		x.complete(`"completion":{"values":[` + quote(string(x.message.Params)) + `]}`)
	}
}

// SetPrompts replaces the prompts and announces that.
func (s *Server) SetPrompts(prompts []json.RawMessage) {
	s.mu.Lock()
	s.config.Prompts = prompts
	s.mu.Unlock()
	s.announce()
}

func (s *Server) info() string {
	name := s.config.Name
	if name == "" {
		name = "fake"
	}
	return fmt.Sprintf(`{"name":%s,"version":"1.2.3"}`, quote(name))
}

func (s *Server) list(x *exchange) {
	s.mu.Lock()
	s.stats.Lists++
	tools, mute := s.tools, s.mute
	s.mu.Unlock()
	if mute {
		x.fail(-32603, "the list is not available", "")
		return
	}
	start, _ := strconv.Atoi(x.Cursor) // no cursor is the start
	end, next := len(tools), ""
	if size := s.config.PageSize; size > 0 && start+size < len(tools) {
		end, next = start+size, strconv.Itoa(start+size)
	}
	page := tools[min(start, len(tools)):end]
	switch f := s.config.Faults; {
	case f.BadList:
		x.complete(`"tools":"none"`)
		return
	case f.CursorLoop:
		next = "0"
	case f.EndlessPages:
		page, next = nil, strconv.Itoa(start+1)
	}
	members := `"tools":[` + string(bytes.Join(rawSlices(page), []byte(","))) + `]`
	if next != "" {
		members += fmt.Sprintf(`,"nextCursor":%q`, next)
	}
	if x.modern() {
		members += `,"ttlMs":0,"cacheScope":"private"`
	}
	x.complete(members)
}

func rawSlices(raw []json.RawMessage) [][]byte {
	out := make([][]byte, len(raw))
	for i, r := range raw {
		out[i] = r
	}
	return out
}

// listen is the stream of the newer era for announcements.
func (s *Server) listen(ctx context.Context, x *exchange) {
	meta := `"_meta":{"io.modelcontextprotocol/subscriptionId":` + string(x.ID) + `}`
	honoured := x.Notifications
	if len(honoured.Resources) == 0 {
		honoured.Tools = true
	}
	asked, _ := json.Marshal(honoured) // texts always encode
	x.send([]byte(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{` + meta + `,"notifications":` + string(asked) + `}}`))
	leave := s.join(func(raw []byte) {
		var m struct {
			Method string
			Params struct{ URI string }
		}
		switch _ = json.Unmarshal(raw, &m); { // it is one of ours
		case m.Method == "notifications/resources/updated" && slices.Contains(honoured.Resources, m.Params.URI):
			x.send([]byte(`{"jsonrpc":"2.0","method":"` + m.Method + `","params":{"uri":` + quote(m.Params.URI) + `,` + meta + `}}`))
		case m.Method != "notifications/resources/updated" && honoured.Tools:
			x.send([]byte(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{` + meta + `}}`))
		}
	})
	defer leave()
	s.watch(honoured.Resources, 1)
	defer s.watch(honoured.Resources, -1)
	<-ctx.Done()
}

func (s *Server) watch(uris []string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, uri := range uris {
		if s.stats.Watched[uri] += n; s.stats.Watched[uri] == 0 {
			delete(s.stats.Watched, uri)
		}
	}
}

// Update tells clients that the resource changed, whether or not they want to hear of it, but for those of the newer era.
func (s *Server) Update(uri string) {
	s.tell([]byte(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":` + quote(uri) + `}}`))
}

// Opened tells clients of the older era that a page was done with.
func (s *Server) Opened(elicitation string) { s.tell(opened(elicitation)) }

// join adds a stream for announcements until the function returned is called.
func (s *Server) join(send func([]byte)) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.nextKey
	s.nextKey++
	s.listeners[key] = send
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, key)
	}
}

func (s *Server) announce() {
	s.tell([]byte(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`))
}

func (s *Server) tell(message []byte) {
	s.mu.Lock()
	var all []func([]byte)
	for _, send := range s.listeners {
		all = append(all, send)
	}
	s.mu.Unlock()
	for _, send := range all {
		send(message)
	}
}

// run serves a request until it is done or cancelled under its key.
func (s *Server) run(ctx context.Context, key string, x *exchange) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.running[key] = cancel
	s.mu.Unlock()
	s.serve(ctx, x)
	s.mu.Lock()
	delete(s.running, key)
	if ctx.Err() != nil && !x.answered {
		s.stats.Cancelled++
	}
	s.mu.Unlock()
}

// notified takes a notification or an answer from the client.
func (s *Server) notified(m message, p params, scope string, raw []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case m.Method == "notifications/cancelled":
		if cancel := s.running[scope+string(p.RequestID)]; cancel != nil {
			cancel()
		}
	case m.Method == "":
		s.stats.Replies = append(s.stats.Replies, bytes.Clone(raw))
		close(s.replied)
		s.replied = make(chan struct{})
	}
}
