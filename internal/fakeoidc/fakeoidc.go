// Package fakeoidc owns a scriptable OpenID Connect provider on loopback, for what real ones do not do: it lies about
// every part of its answers when a test tells it to. As it starts it is an honest provider that checks the client's
// secret, the redirect address and PKCE, and signs everybody in as Claims say.
package fakeoidc

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"
)

// What the client is registered as.
const (
	ClientID = "remit"
	Secret   = "a client's secret"
)

// Claims of a token. A claim that is set to nil is left out.
type Claims = map[string]any

// Provider is a running provider. Fields may be changed between requests, under Do.
type Provider struct {
	URL      string // issuer
	Redirect string // the registered address; empty takes any

	mu    sync.Mutex
	codes map[string]grant
	renew map[string]renewal // by refresh token; each is taken once
	held  map[string]string  // subject by access token
	seen  map[string]int     // requests by path

	Alg       string                    // RS256; also none, HS256 (with the public key as secret)
	KeyID     string                    // in the header of tokens
	Type      string                    // in the header of tokens; JWT
	Key       *rsa.PrivateKey           // signs
	Published map[string]*rsa.PublicKey // by key id
	Now       func() time.Time
	Claims    Claims                      // over those of an honest ID token
	Info      Claims                      // of the user information
	Renewable bool                        // sign-ins come with what renews them
	Ended     map[string]bool             // subjects whose sign-ins are not renewed any more
	Renewals  Claims                      // over those of an honest ID token that comes with a renewal; nil: as at the sign-in
	Opaque    map[string]Claims           // what introspection says of tokens, beside that they are active
	Metadata  Claims                      // over those of honest metadata
	Answer    func(url.Values)            // changes what the browser brings back
	Instead   map[string]http.HandlerFunc // by path, instead of an honest answer
	server    *httptest.Server
}

// renewal is a sign-in that can be renewed.
type renewal struct {
	subject string
	claims  Claims // of the sign-in
}

type grant struct{ nonce, challenge, redirect string }

// Start runs a provider until the test ends it with Close.
func Start() *Provider {
	p := &Provider{codes: map[string]grant{}, renew: map[string]renewal{}, held: map[string]string{}, Ended: map[string]bool{}, seen: map[string]int{}, Alg: "RS256", KeyID: "k1", Type: "JWT", Key: NewKey(), Now: time.Now,
		Claims: Claims{}, Info: Claims{}, Metadata: Claims{}, Opaque: map[string]Claims{}, Instead: map[string]http.HandlerFunc{}}
	p.Published = map[string]*rsa.PublicKey{"k1": &p.Key.PublicKey}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.URL = "http://" + p.server.Listener.Addr().String()
	p.server.Start()
	return p
}

// NewKey returns a fresh key.
func NewKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// Close ends the provider: from then on it is down.
func (p *Provider) Close() { p.server.CloseClientConnections(); p.server.Close() }

// Do changes the provider while requests may be under way.
func (p *Provider) Do(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// Seen is how many requests a path got.
func (p *Provider) Seen(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[path]
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
	case "/.well-known/openid-configuration":
		reply(w, over(Claims{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"userinfo_endpoint": p.URL + "/userinfo", "introspection_endpoint": p.URL + "/introspect", "authorization_response_iss_parameter_supported": true, "backchannel_logout_supported": true,
			"code_challenge_methods_supported": []string{"S256"}, "id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}}, p.Metadata))
	case "/authorize":
		p.authorize(w, r)
	case "/token":
		p.token(w, r)
	case "/keys":
		keys := []Claims{}
		for id, k := range p.Published {
			keys = append(keys, Claims{"kty": "RSA", "use": "sig", "kid": id, "n": encode(k.N.Bytes()), "e": encode(big.NewInt(int64(k.E)).Bytes())})
		}
		reply(w, Claims{"keys": keys})
	case "/userinfo":
		reply(w, p.Info)
	case "/introspect":
		p.introspect(w, r)
	default:
		http.NotFound(w, r)
	}
}

func over(honest, changes Claims) Claims {
	for name, value := range changes {
		if honest[name] = value; value == nil {
			delete(honest, name)
		}
	}
	return honest
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// authorize signs in whoever comes and sends them back with a code.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || p.Redirect != "" && q.Get("redirect_uri") != p.Redirect || q.Get("client_id") != ClientID ||
		q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "the request is not what this client is registered for", http.StatusBadRequest)
		return
	}
	code := encode(random())
	p.codes[code] = grant{q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri")}
	answer := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}
	if p.Answer != nil {
		p.Answer(answer)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

// token takes each code once, with the verifier of its challenge.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	secret, _ = url.QueryUnescape(secret)
	if r.FormValue("grant_type") == "refresh_token" {
		p.renewal(w, r.FormValue("refresh_token"), id == ClientID && secret == Secret)
		return
	}
	g, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || id != ClientID || secret != Secret || r.FormValue("redirect_uri") != g.redirect || encode(sum[:]) != g.challenge {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	subject, ok := p.Claims["sub"].(string)
	if !ok {
		subject = "s1"
	}
	p.give(w, renewal{subject, maps.Clone(p.Claims)}, Claims{"sub": "s1", "nonce": g.nonce}, p.Claims)
}

// renewal takes each refresh token once.
func (p *Provider) renewal(w http.ResponseWriter, token string, known bool) {
	of, ok := p.renew[token]
	delete(p.renew, token)
	if !known || !ok || p.Ended[of.subject] {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	changes := of.claims
	if p.Renewals != nil {
		changes = p.Renewals
	}
	p.give(w, of, Claims{"sub": of.subject}, changes)
}

// give answers with the subject's tokens. What the ID token says more than every one is honest, and then changes.
func (p *Provider) give(w http.ResponseWriter, of renewal, honest, changes Claims) {
	now := p.Now().Unix()
	access := "opaque-canary-" + encode(random())
	p.held[access] = of.subject
	answer := Claims{"access_token": access, "token_type": "Bearer", "expires_in": 300,
		"id_token": p.Sign(over(over(Claims{"iss": p.URL, "aud": ClientID, "iat": now, "exp": now + 300}, honest), changes))}
	if p.Renewable {
		next := "renew-canary-" + encode(random())
		p.renew[next] = of
		answer["refresh_token"] = next
	}
	reply(w, answer)
}

// Renewal is a refresh token of the subject.
func (p *Provider) Renewal(subject string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	token := "renew-canary-" + encode(random())
	p.renew[token] = renewal{subject: subject}
	return token
}

// Holder is whose access token it is; empty for nobody's.
func (p *Provider) Holder(token string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[token]
}

// introspect tells the client, and nobody else, about an opaque token.
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	secret, _ = url.QueryUnescape(secret)
	if id != ClientID || secret != Secret {
		http.Error(w, "this client is not known", http.StatusUnauthorized)
		return
	}
	claims, active := p.Opaque[r.FormValue("token")]
	if !active {
		reply(w, Claims{"active": false})
		return
	}
	reply(w, over(Claims{"active": true}, claims))
}

// AccessToken is an honest access token (RFC 9068) of the client agent for the resource, with changes.
func (p *Provider) AccessToken(resource string, changes Claims) string {
	now, kind := p.Now().Unix(), p.Type
	if p.Type == "JWT" {
		p.Type = "at+jwt"
	}
	defer func() { p.Type = kind }()
	return p.Sign(over(Claims{"iss": p.URL, "aud": resource, "sub": "s1", "client_id": "agent", "iat": now, "exp": now + 300, "jti": encode(random())}, changes))
}

// LogoutToken is an honest logout token with changes.
func (p *Provider) LogoutToken(changes Claims) string {
	now := p.Now().Unix()
	return p.Sign(over(Claims{"iss": p.URL, "aud": ClientID, "iat": now, "exp": now + 120, "jti": encode(random()),
		"events": Claims{"http://schemas.openid.net/event/backchannel-logout": Claims{}}}, changes))
}

// Sign returns a token with the claims, as Alg, KeyID and Key say.
func (p *Provider) Sign(claims Claims) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return p.SignText(string(body))
}

// SignText signs any payload.
func (p *Provider) SignText(payload string) string {
	header, err := json.Marshal(Claims{"alg": p.Alg, "kid": p.KeyID, "typ": p.Type})
	if err != nil {
		panic(err)
	}
	signed := encode(header) + "." + encode([]byte(payload))
	sum := sha256.Sum256([]byte(signed))
	switch p.Alg {
	case "none":
		return signed + "."
	case "HS256":
		der, err := x509.MarshalPKIXPublicKey(&p.Key.PublicKey)
		if err != nil {
			panic(err)
		}
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		mac.Write([]byte(signed))
		return signed + "." + encode(mac.Sum(nil))
	case "RS256":
		sig, err := rsa.SignPKCS1v15(rand.Reader, p.Key, crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return signed + "." + encode(sig)
	}
	panic(fmt.Sprintf("fakeoidc: no algorithm %q", p.Alg))
}

func random() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return b
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
