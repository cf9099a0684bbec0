package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client asks a Remit over its API.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 20

// NewClient returns a client of the Remit at the address, such as https://remit.example.com. A token travels over https only,
// or to this machine.
func NewClient(address, token string) (*Client, error) {
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("the server %q must be http or https with a host and no path, such as https://remit.example.com", address)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("the server %q is reached over http, where anybody on the way reads the token; use https", address)
	}
	if token = strings.TrimSpace(token); token == "" || strings.ContainsAny(token, " \t\r\n") {
		return nil, errors.New("REMIT_TOKEN must hold a management token: make one with remit token create, or on the page My tokens")
	}
	refuse := func(*http.Request, []*http.Request) error {
		return errors.New("it sends the request elsewhere; give the address that it names")
	}
	return &Client{base: u, token: token, http: &http.Client{Timeout: 3 * time.Minute, CheckRedirect: refuse}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Get reads into out what the path below Base answers.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, nil, out)
}

// Post sends in and reads the answer into out.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.do(ctx, http.MethodPost, path, in, out)
}

// Delete ends what the path names.
func (c *Client) Delete(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodDelete, path, nil, out)
}

// do sends one request. What the server refuses is a *Problem.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+Base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", "application/json, application/problem+json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", c.base, errors.Unwrap(err))
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("the answer of %s broke off: %w", c.base, err)
	case len(raw) > maxAnswer:
		return fmt.Errorf("the answer of %s is over %d MiB", c.base, maxAnswer>>20)
	case res.StatusCode >= 300:
		var p Problem
		if json.Unmarshal(raw, &p) != nil || p.Code == "" {
			return fmt.Errorf("%s answers %s and not as Remit's API does; is it the right address?", c.base, res.Status)
		}
		return &p
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("the answer of %s cannot be read: %w; is it of another version?", c.base, err)
	}
	return nil
}
