package fakeoauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// UserHeader tells the resource behind the guard whose token came.
const UserHeader = "X-Fake-User"

// Resource is a server that takes only the provider's tokens, each for this resource, and each session from the user alone
// who opened it.
type Resource struct {
	URL string

	provider *Provider
	next     http.Handler
	server   *httptest.Server

	mu       sync.Mutex
	sessions map[string]string // user by session
	mixed    []string
	refused  int
	Metadata string // in place of the honest document (RFC 9728)
	Open     bool   // a request without a token is taken, as nobody's
}

// Do changes Metadata and Open while requests may be under way.
func (r *Resource) Do(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// Protect runs next behind a guard.
func (p *Provider) Protect(next http.Handler) *Resource {
	r := &Resource{provider: p, next: next, sessions: map[string]string{}}
	r.server = httptest.NewUnstartedServer(r)
	r.URL = "http://" + r.server.Listener.Addr().String() + "/mcp"
	r.server.Start()
	return r
}

// Close ends the server.
func (r *Resource) Close() { r.server.CloseClientConnections(); r.server.Close() }

// Mixed returns each use of a session by another user than who opened it.
func (r *Resource) Mixed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mixed
}

// Refused is how many requests had no good token.
func (r *Resource) Refused() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

func (r *Resource) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	doc, open := r.Metadata, r.Open
	r.mu.Unlock()
	metadata := r.server.URL + "/.well-known/oauth-protected-resource/mcp"
	if strings.HasPrefix(req.URL.Path, "/.well-known/") {
		if doc == "" {
			doc = fmt.Sprintf(`{"resource":%q,"authorization_servers":[%q]}`, r.URL, r.provider.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(doc))
		return
	}
	token, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	user, ok := r.provider.who(token, r.URL)
	if !ok && !(open && token == "") {
		r.mu.Lock()
		r.refused++
		r.mu.Unlock()
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer error="invalid_token", resource_metadata=%q`, metadata))
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	if session := req.Header.Get("Mcp-Session-Id"); session != "" {
		r.mu.Lock()
		opened := r.sessions[session]
		if opened != user {
			r.mixed = append(r.mixed, opened+"'s session carried "+user)
		}
		r.mu.Unlock()
	}
	req.Header.Set(UserHeader, user)
	r.next.ServeHTTP(&watched{w, r, user}, req)
}

// watched notes who opens a session.
type watched struct {
	http.ResponseWriter
	of   *Resource
	user string
}

func (w *watched) note() {
	if session := w.Header().Get("Mcp-Session-Id"); session != "" {
		w.of.mu.Lock()
		w.of.sessions[session] = w.user
		w.of.mu.Unlock()
	}
}

func (w *watched) WriteHeader(status int) { w.note(); w.ResponseWriter.WriteHeader(status) }

func (w *watched) Write(b []byte) (int, error) { w.note(); return w.ResponseWriter.Write(b) }

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }
