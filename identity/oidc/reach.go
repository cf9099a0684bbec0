package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"remit/internal/outbound"
)

const (
	maxAnswer = 1 << 20 // bytes of metadata, keys and tokens
	maxWait   = 10 * time.Second
)

// permits says whether an address may be used at all: https, or http on loopback if the issuer is so as well.
func (c *Client) permits(u *url.URL) bool {
	if u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && c.issuer.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// guarded returns the client for everything that the provider is asked: bounded in time and size, without redirects. Its
// metadata names addresses, which are as hostile as any text: besides the issuer's own host, which the administrator
// chose, they must be public or in Networks, and that is checked when the connection is made.
func (c *Client) guarded() (*http.Client, error) {
	var networks []netip.Prefix
	for _, text := range c.Networks {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("oidc: the network %q must be written like 10.0.0.0/8", text)
		}
		networks = append(networks, network)
	}
	return outbound.Client(outbound.Config{Named: []string{outbound.Address(c.issuer)}, Networks: networks, Wait: maxWait, Idle: time.Minute, MaxAnswer: maxAnswer,
		Redirect: errors.New("the provider redirects: its metadata must name the final addresses")}), nil
}

// slowed lets the provider's keys be read at the pace of [keysEvery]. A key that is not among those last read is looked for,
// but not at the pace of whoever sends tokens with invented key ids.
type slowed struct {
	http.RoundTripper
	c *Client
}

func (s slowed) RoundTrip(req *http.Request) (*http.Response, error) {
	if !s.c.keys.AllowN(s.c.Now(), 1) {
		return nil, lookError{fmt.Errorf("unknown keys were looked for too often; the next look is within %s", keysEvery)}
	}
	res, err := s.RoundTripper.RoundTrip(req)
	switch {
	case err != nil:
		return nil, lookError{err}
	case res.StatusCode >= 500:
		res.Body.Close()
		return nil, lookError{errors.New("the keys cannot be had: " + res.Status)}
	}
	return res, nil
}
