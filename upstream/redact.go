package upstream

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
)

// redactor knows one server's secrets and takes them out of text that will
// be shown or logged. A server may well repeat them in its own words.
type redactor struct{ secrets []string }

const redacted = "[redacted]"

func newRedactor(c Config) *redactor {
	r := &redactor{}
	for _, value := range c.Headers {
		r.add(value)
		for _, word := range strings.Fields(value) { // "Bearer" and the token
			r.add(word)
		}
	}
	for _, value := range c.Secrets {
		r.add(value)
		if _, after, ok := strings.Cut(value, "="); ok { // --token=…
			r.add(after)
		}
		for _, word := range strings.Fields(value) {
			r.add(word)
		}
	}
	for name, value := range c.Env {
		if !slices.Contains(inheritedEnv, name) {
			r.add(value)
		}
	}
	if u, err := url.Parse(c.URL); err == nil && u.RawQuery != "" {
		r.add(u.RawQuery)
		for _, values := range u.Query() {
			for _, value := range values {
				r.add(value)
				r.add(url.QueryEscape(value))
			}
		}
	}
	// The longest first, so that no part of a secret is left over.
	slices.SortFunc(r.secrets, func(a, b string) int { return len(b) - len(a) })
	return r
}

// add takes text as a secret if it is long enough to be one: shorter text
// would only take ordinary words out of the messages.
func (r *redactor) add(text string) {
	if len(text) >= 8 && !slices.Contains(r.secrets, text) {
		r.secrets = append(r.secrets, text)
	}
}

func (r *redactor) text(s string) string {
	for _, secret := range r.secrets {
		s = strings.ReplaceAll(s, secret, redacted)
	}
	return s
}

func (r *redactor) bytes(b []byte) []byte {
	for _, secret := range r.secrets {
		b = bytes.ReplaceAll(b, []byte(secret), []byte(redacted))
	}
	return b
}

// words makes a server's text fit to be shown: cleaned, without secrets, short.
func (r *redactor) words(s string, limit int) string {
	if len(s) > 16*limit {
		s = s[:16*limit]
	}
	// Cleaning first, so that invisible characters cannot split a secret.
	return cut(r.text(clean(s, 4*limit)), limit)
}
