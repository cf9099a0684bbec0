package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// server is what is known of an authorization server (RFC 8414).
type server struct {
	Issuer       string   `json:"issuer"`
	Authorize    string   `json:"authorization_endpoint"`
	Token        string   `json:"token_endpoint"`
	Revoke       string   `json:"revocation_endpoint"`
	Methods      []string `json:"token_endpoint_auth_methods_supported"`
	Challenges   []string `json:"code_challenge_methods_supported"`
	NamesItself  bool     `json:"authorization_response_iss_parameter_supported"`
	resource     string   // as the upstream calls itself; empty if it was not asked
	discoveredAt time.Time
}

// id is by what tokens of the server are known: tokens of one are never sent to another.
func (s server) id() string {
	if s.Issuer != "" {
		return s.Issuer
	}
	return s.Token
}

const metadataAge = time.Hour // after which metadata is read again

// find returns the upstream's authorization server, as configured or, if it may, as the upstream says.
func (p *party) find(ctx context.Context) (server, error) {
	if p.c.TokenURL != "" {
		return server{Issuer: p.c.Issuer, Authorize: p.c.AuthorizeURL, Token: p.c.TokenURL, Revoke: p.c.RevokeURL}, nil
	}
	if p.c.Issuer != "" {
		return p.metadata(ctx, p.c.Issuer)
	}
	issuer, resource, err := p.ask(ctx)
	if err != nil {
		return server{}, err
	}
	s, err := p.metadata(ctx, issuer)
	s.resource = resource
	return s, err
}

// metadata returns what an issuer says of itself. What was read within the hour is not read again; older is used when the
// issuer does not answer.
func (p *party) metadata(ctx context.Context, issuer string) (server, error) {
	p.mu.Lock()
	known, ok := p.servers[issuer]
	p.mu.Unlock()
	if ok && p.now().Sub(known.discoveredAt) < metadataAge {
		return known, nil
	}
	s, err := p.readMetadata(ctx, issuer)
	if err != nil {
		if ok {
			return known, nil
		}
		return server{}, err
	}
	s.discoveredAt = p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.servers) >= 8 { // an upstream may name a new one each time
		clear(p.servers)
	}
	p.servers[issuer] = s
	return s, nil
}

func (p *party) readMetadata(ctx context.Context, issuer string) (server, error) {
	u, err := p.guard.parse("authorization server", issuer)
	if err != nil {
		return server{}, err
	}
	host, path := u.Scheme+"://"+u.Host, strings.TrimRight(u.EscapedPath(), "/")
	places := []string{host + "/.well-known/oauth-authorization-server" + path, host + "/.well-known/openid-configuration" + path}
	if path != "" {
		places = append(places, host+path+"/.well-known/openid-configuration")
	}
	var s server
	for _, place := range places {
		if err = p.read(ctx, place, &s); !errors.Is(err, errNotThere) {
			break
		}
	}
	if err != nil {
		return server{}, fmt.Errorf("the metadata of the authorization server %s cannot be read: %w", clean(u.Host, 200), err)
	}
	if s.Issuer != issuer {
		return server{}, fmt.Errorf("the authorization server %s calls itself by another name: its issuer must be exactly %s", clean(u.Host, 200), clean(issuer, 200))
	}
	for what, text := range map[string]string{"authorization endpoint": s.Authorize, "token endpoint": s.Token, "revocation endpoint": s.Revoke} {
		if text == "" && what != "token endpoint" {
			continue
		}
		if _, err := p.guard.parse(what, text); err != nil {
			return server{}, err
		}
	}
	if s.Challenges != nil && !slices.Contains(s.Challenges, "S256") {
		return server{}, fmt.Errorf("the authorization server %s does not support PKCE with S256, without which a code could be stolen", clean(u.Host, 200))
	}
	return s, nil
}

var errNotThere = errors.New("there is none where it should be")

// read gets a JSON document.
func (p *party) read(ctx context.Context, from string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return errors.New("its address is not usable")
	}
	req.Header.Set("Accept", "application/json")
	res, err := p.guard.client.Do(req)
	if err != nil {
		return cause(err)
	}
	defer res.Body.Close()
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode >= 400 && res.StatusCode < 500:
		return errNotThere
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("it answered HTTP %d", res.StatusCode)
	case kind != "application/json":
		return fmt.Errorf("it is %q and not JSON", clean(kind, 60))
	}
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return errors.New("its answer broke off or is too large")
	}
	if json.Unmarshal(raw, into) != nil {
		return errors.New("it is not JSON of the expected form")
	}
	return nil
}

var resourceMetadata = regexp.MustCompile(`(?i)\bresource_metadata\s*=\s*"([^"]*)"`)

// ask has the upstream say who its authorization server is (RFC 9728).
func (p *party) ask(ctx context.Context) (issuer, resource string, err error) {
	u, err := url.Parse(p.c.URL)
	if err != nil {
		return "", "", err
	}
	root := u.Scheme + "://" + u.Host + "/.well-known/oauth-protected-resource"
	places := []string{root + strings.TrimRight(u.EscapedPath(), "/"), root}
	if named, err := p.challenge(ctx); err != nil {
		return "", "", err
	} else if named != "" {
		if _, err := p.guard.parse("metadata that the upstream names", named); err != nil {
			return "", "", err
		}
		places = []string{named}
	}
	var doc struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
	}
	for _, place := range places {
		if err = p.read(ctx, place, &doc); !errors.Is(err, errNotThere) {
			break
		}
	}
	switch {
	case err != nil:
		return "", "", fmt.Errorf("the upstream does not say who its authorization server is: %w; configure oauth.issuer", err)
	case len(doc.Servers) != 1:
		return "", "", fmt.Errorf("the upstream names %d authorization servers: configure one of them as oauth.issuer", len(doc.Servers))
	case !covers(doc.Resource, u):
		return "", "", fmt.Errorf("the upstream's metadata is that of another resource: configure oauth.issuer if it is right")
	}
	return doc.Servers[0], doc.Resource, nil
}

// covers says whether a resource is the upstream or a part of its address above it.
func covers(resource string, upstream *url.URL) bool {
	r, err := url.Parse(resource)
	if err != nil || r.Scheme != upstream.Scheme || !strings.EqualFold(r.Host, upstream.Host) || r.User != nil || strings.Contains(resource, "#") {
		return false
	}
	path := strings.TrimRight(r.Path, "/")
	return path == strings.TrimRight(upstream.Path, "/") || strings.HasPrefix(upstream.Path, path+"/")
}

// challenge returns the address of the metadata that a request without a token is answered with; empty if there is none.
func (p *party) challenge(ctx context.Context) (string, error) {
	body := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.c.URL, body)
	if err != nil {
		return "", errors.New("the upstream's address is not usable")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := p.guard.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("the upstream cannot be asked for its authorization server: %w", cause(err))
	}
	res.Body.Close()
	for _, h := range res.Header.Values("WWW-Authenticate") {
		if m := resourceMetadata.FindStringSubmatch(h); m != nil && res.StatusCode == http.StatusUnauthorized {
			return m[1], nil
		}
	}
	return "", nil
}
