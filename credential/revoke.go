package credential

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// revoke tells the authorization server that a connection's tokens are not needed any more (RFC 7009). With the refresh
// token go the access tokens that came of it.
func (p *party) revoke(ctx context.Context, s server, c connection) error {
	if s.Revoke == "" {
		return fmt.Errorf("the authorization server offers no way to end tokens")
	}
	form := url.Values{"token": {c.Refresh}, "token_type_hint": {"refresh_token"}}
	if c.Refresh == "" {
		form = url.Values{"token": {c.Access.Value}, "token_type_hint": {"access_token"}}
	}
	if p.c.ClientSecret == "" {
		form.Set("client_id", p.c.ClientID)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Revoke, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("the revocation endpoint is no usable address")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if p.c.ClientSecret != "" {
		req.SetBasicAuth(url.QueryEscape(p.c.ClientID), url.QueryEscape(p.c.ClientSecret))
	}
	res, err := p.guard.client.Do(req)
	if err != nil {
		return fmt.Errorf("the authorization server cannot be reached: %w", cause(err))
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the authorization server answered HTTP %d", res.StatusCode)
	}
	return nil
}
