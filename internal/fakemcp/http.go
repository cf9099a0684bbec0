package fakemcp

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// ServeHTTP is the MCP endpoint.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.stats.Header = r.Header.Clone()
	s.mu.Unlock()
	f := s.config.Faults
	for name, value := range s.config.Require {
		if r.Header.Get(name) != value {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
	}
	switch {
	case f.RedirectTo != "":
		http.Redirect(w, r, f.RedirectTo, http.StatusTemporaryRedirect)
	case f.Status != 0:
		http.Error(w, fmt.Sprint("status ", f.Status, r.Header), f.Status)
	case r.Method == http.MethodPost:
		s.post(w, r)
	case r.Method == http.MethodGet && s.config.legacy():
		s.get(w, r)
	case r.Method == http.MethodDelete && s.config.legacy():
		s.mu.Lock()
		delete(s.sessions, r.Header.Get("Mcp-Session-Id"))
		s.mu.Unlock()
	default:
		w.Header().Set("Allow", "POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	x := &exchange{header: r.Header}
	if json.Unmarshal(raw, &x.message) != nil || string(x.message.Params) == "null" {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	_ = json.Unmarshal(x.message.Params, &x.params) // what cannot be read is missing
	if x.Method == "tools/call" {
		s.mu.Lock()
		s.stats.CallHeader = r.Header.Clone()
		s.mu.Unlock()
	}
	session := r.Header.Get("Mcp-Session-Id")
	switch {
	case x.modern():
		if problem := mismatch(x, r.Header); problem != "" {
			w.WriteHeader(http.StatusBadRequest)
			x.send = func(raw []byte) { _, _ = w.Write(raw) } // the client misses it
			x.fail(-32020, problem, "")
			return
		}
	case x.Method == "initialize":
		session = s.open(w)
	case !s.use(session):
		http.Error(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"session not found"}}`, http.StatusNotFound)
		return
	}
	if x.Method == "" || x.ID == nil {
		s.notified(x.message, x.params, session, raw)
		w.WriteHeader(http.StatusAccepted)
		return
	}
	x.die = func() { panic(http.ErrAbortHandler) }
	s.answer(w, r, session, x)
}

// mismatch checks the headers that the newer era asks for.
func mismatch(x *exchange, h http.Header) string {
	switch {
	case h.Get("Mcp-Protocol-Version") != x.Meta.Version:
		return "Mcp-Protocol-Version does not match"
	case h.Get("Mcp-Method") != x.Method:
		return "Mcp-Method does not match"
	case x.Method == "tools/call" && plainName(h.Get("Mcp-Name")) != x.Name, x.TaskID != "" && plainName(h.Get("Mcp-Name")) != x.TaskID:
		return "Mcp-Name does not match"
	}
	return ""
}

// plainName undoes the encoding of names that do not fit into a header.
func plainName(value string) string {
	if inner, ok := strings.CutPrefix(value, "=?base64?"); ok {
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimSuffix(inner, "?=")) // a wrong one does not match
		return string(raw)
	}
	return value
}

// open starts a session and says so in the answer.
func (s *Server) open(w http.ResponseWriter) string {
	if !s.config.legacy() {
		return ""
	}
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[id] = -1
	if n := s.config.Faults.SessionUses; n > 0 {
		s.sessions[id] = n
	}
	w.Header().Set("Mcp-Session-Id", id)
	return id
}

// use counts a request of a session, and reports whether there is such a one.
func (s *Server) use(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, ok := s.sessions[id]
	if !ok || left == 0 {
		delete(s.sessions, id)
		return false
	}
	s.sessions[id] = max(left-1, -1)
	return true
}

// answer serves a request, as a stream if it says more than its answer.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, session string, x *exchange) {
	stream := s.config.SSE || x.Method == "subscriptions/listen" ||
		x.Method == "tools/call" && (x.Name == "progress" || x.Name == "ask" || len(s.config.Before[x.Name]) > 0) ||
		!x.modern() && (len(s.config.Asks[x.Name+x.URI]) > 0 || x.Method == "tasks/result")
	var mu sync.Mutex
	over := false
	x.send = func(raw []byte) {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		if !stream {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(raw) // a client that is gone misses it
			return
		}
		_, _ = fmt.Fprintf(w, "event: message\ndata: %s\n\n", bytes.ReplaceAll(raw, []byte("\n"), []byte("\ndata: ")))
		_ = http.NewResponseController(w).Flush() // likewise
	}
	if stream {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = fmt.Fprint(w, ": hello\n\n")
		_ = http.NewResponseController(w).Flush() // a client that is gone misses it
	}
	s.run(r.Context(), session+string(x.ID), x)
	mu.Lock()
	defer mu.Unlock()
	over = true
}

// get is the stream of the older era for announcements.
func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	if !s.use(r.Header.Get("Mcp-Session-Id")) {
		http.Error(w, "session not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush() // a client that is gone misses it
	var mu sync.Mutex
	over := false
	leave := s.join(func(raw []byte) {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			_, _ = fmt.Fprintf(w, "data: %s\n\n", raw) // likewise
			_ = http.NewResponseController(w).Flush()
		}
	})
	<-r.Context().Done()
	leave()
	mu.Lock()
	defer mu.Unlock()
	over = true
}
