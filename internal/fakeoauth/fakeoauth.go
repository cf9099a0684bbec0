// Package fakeoauth is a fake of the outside world: a scriptable OAuth authorization server on loopback, and the guard of
// the resources that it protects. As it starts it is honest: it checks the client, the redirect address, PKCE and the
// resource, takes each code and each refresh token once, and tells whom each token belongs to.
package fakeoauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"
)

// What the client is registered as. A request without a secret is one of the public client.
const (
	ClientID = "remit"
	Secret   = "a-clients-secret-canary"
	Public   = "remit-public"
)

// Provider is a running authorization server. Its fields may be changed under Do.
type Provider struct {
	URL string // issuer

	mu      sync.Mutex
	codes   map[string]grant
	refresh map[string]grant
	access  map[string]grant
	seen    map[string]int // requests by path, and by grant type

	User     string // who signs in at /authorize next
	Lifetime time.Duration
	Deny     string                          // an error that /authorize sends back
	Subject  func(token, kind string) string // whose token it is that is to be exchanged; empty for nobody's
	Exchange map[string]any                  // over the answer to an honest exchange
	Refuse   string                          // an error that /token answers, such as invalid_grant
	Metadata map[string]any                  // over that of an honest server
	Answer   func(url.Values)                // changes what the browser brings back
	Instead  map[string]http.HandlerFunc     // by path, instead of an honest answer
	server   *httptest.Server
}

// grant is what a code or a token stands for.
type grant struct {
	user, client, resource, scope string
	challenge, redirect           string
	family                        string // of one consent
	expires                       time.Time
}

// Start runs a server.
func Start() *Provider {
	p := &Provider{codes: map[string]grant{}, refresh: map[string]grant{}, access: map[string]grant{}, seen: map[string]int{},
		User: "somebody", Lifetime: time.Hour, Metadata: map[string]any{}, Instead: map[string]http.HandlerFunc{}}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.URL = "http://" + p.server.Listener.Addr().String()
	p.server.Start()
	return p
}

// Close ends the server: from then on it is down.
func (p *Provider) Close() { p.server.CloseClientConnections(); p.server.Close() }

// Do changes the server while requests may be under way.
func (p *Provider) Do(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// Seen is how many requests a path, or a grant type, got.
func (p *Provider) Seen(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[what]
}

// Total is how many requests came at all.
func (p *Provider) Total() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for what, times := range p.seen {
		if strings.HasPrefix(what, "/") {
			n += times
		}
	}
	return n
}

// Forget has every access token refused from now on; refresh tokens stay good.
func (p *Provider) Forget() { p.Do(func() { clear(p.access) }) }

// Tokens returns every token that is good now, for tests that look for them where they must not be.
func (p *Provider) Tokens() (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for token := range p.access {
		out = append(out, token)
	}
	for token := range p.refresh {
		out = append(out, token)
	}
	return out
}

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen[r.URL.Path]++
	instead := p.Instead[r.URL.Path]
	p.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		doc := map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "revocation_endpoint": p.URL + "/revoke",
			"authorization_response_iss_parameter_supported": true, "code_challenge_methods_supported": []string{"S256"}}
		maps.Copy(doc, p.Metadata)
		reply(w, http.StatusOK, doc)
	case "/authorize":
		p.authorize(w, r)
	case "/token":
		p.token(w, r)
	case "/revoke":
		p.revoke(w, r)
	default:
		http.NotFound(w, r)
	}
}

func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// authorize signs User in and sends them back with a code.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if id := q.Get("client_id"); err != nil || id != ClientID && id != Public || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("resource") == "" {
		http.Error(w, "the request is not what this client is registered for", http.StatusBadRequest)
		return
	}
	answer := url.Values{"state": {q.Get("state")}, "iss": {p.URL}}
	if p.Deny != "" {
		answer.Set("error", p.Deny)
	} else {
		code := "code-" + rand.Text()
		p.codes[code] = grant{user: p.User, client: q.Get("client_id"), resource: q.Get("resource"), scope: q.Get("scope"), challenge: q.Get("code_challenge"),
			redirect: q.Get("redirect_uri"), family: rand.Text()}
		answer.Set("code", code)
	}
	if p.Answer != nil {
		p.Answer(answer)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

// client is who asks, if that is who they say.
func client(r *http.Request) (string, bool) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		return Public, r.FormValue("client_id") == Public
	}
	return id, id == ClientID && secret == Secret
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, ok := client(r)
	kind := r.FormValue("grant_type")
	p.seen[kind]++
	fail := func(status int, code string) {
		reply(w, status, map[string]string{"error": code, "error_description": fmt.Sprint("you sent ", r.Form)})
	}
	if !ok {
		fail(http.StatusUnauthorized, "invalid_client")
		return
	}
	if p.Refuse != "" {
		fail(http.StatusBadRequest, p.Refuse)
		return
	}
	var g grant
	switch kind {
	case "client_credentials":
		g = grant{user: "client " + id, client: id, resource: r.FormValue("resource"), scope: r.FormValue("scope")}
	case "authorization_code":
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		g, ok = p.codes[r.FormValue("code")]
		delete(p.codes, r.FormValue("code"))
		ok = ok && g.redirect == r.FormValue("redirect_uri") && g.challenge == base64.RawURLEncoding.EncodeToString(sum[:])
	case exchangeGrant:
		p.exchange(w, r, id, fail)
		return
	case "refresh_token":
		g, ok = p.refresh[r.FormValue("refresh_token")]
		delete(p.refresh, r.FormValue("refresh_token"))
	default:
		fail(http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	if !ok || g.client != id || g.resource == "" || g.resource != r.FormValue("resource") {
		fail(http.StatusBadRequest, "invalid_grant")
		return
	}
	p.give(w, kind, g)
}

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	tokenType     = "urn:ietf:params:oauth:token-type:"
)

// exchange gives the client a token of whom the subject token is (RFC 8693), for the resource.
func (p *Provider) exchange(w http.ResponseWriter, r *http.Request, id string, fail func(int, string)) {
	user := ""
	if p.Subject != nil && id == ClientID {
		user = p.Subject(r.FormValue("subject_token"), strings.TrimPrefix(r.FormValue("subject_token_type"), tokenType))
	}
	if user == "" || r.FormValue("resource") == "" || r.FormValue("requested_token_type") != tokenType+"access_token" {
		fail(http.StatusBadRequest, "invalid_request")
		return
	}
	token := "access-canary-" + rand.Text()
	p.access[token] = grant{user: user, client: id, resource: r.FormValue("resource"), scope: r.FormValue("scope"), expires: time.Now().Add(p.Lifetime)}
	answer := map[string]any{"access_token": token, "issued_token_type": tokenType + "access_token", "token_type": "Bearer", "expires_in": int(p.Lifetime.Seconds())}
	maps.Copy(answer, p.Exchange)
	reply(w, http.StatusOK, answer)
}

func (p *Provider) give(w http.ResponseWriter, kind string, g grant) {
	g.expires = time.Now().Add(p.Lifetime)
	token := "access-canary-" + rand.Text()
	p.access[token] = g
	answer := map[string]any{"access_token": token, "token_type": "Bearer"}
	if p.Lifetime > 0 {
		answer["expires_in"] = int(p.Lifetime.Seconds())
	}
	if kind != "client_credentials" {
		next := "refresh-canary-" + rand.Text()
		p.refresh[next] = g
		answer["refresh_token"] = next
	}
	if g.scope != "" {
		answer["scope"] = g.scope
	}
	reply(w, http.StatusOK, answer)
}

// revoke ends a token and everything of the same consent.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	if _, ok := client(r); !ok {
		reply(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	g, ok := p.refresh[r.FormValue("token")]
	if !ok {
		g = p.access[r.FormValue("token")]
	}
	for _, tokens := range []map[string]grant{p.access, p.refresh} {
		maps.DeleteFunc(tokens, func(token string, of grant) bool {
			return token == r.FormValue("token") || g.family != "" && of.family == g.family
		})
	}
}

// who says whose token it is, if it is good for the resource.
func (p *Provider) who(token, resource string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, ok := p.access[token]
	return g.user, ok && g.resource == resource && (p.Lifetime == 0 || time.Now().Before(g.expires))
}
