package upstream

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// redactor knows one server's secrets and takes them out of text that will
// be shown or logged, and out of what the server answers as an error. A
// server may well repeat them in its own words, or in the encodings that
// programs use without thinking of it (see encodings.go). Whoever wants to
// give a secret away can do so in others.
type redactor struct {
	forms []string

	mu     sync.Mutex
	learnt []learnt // tokens, the newest last
}

// learnt is a token with its forms.
type learnt struct {
	token string
	forms []string
}

// maxLearnt is how many tokens are known at a time: of those before, no answer is waited for any more.
const maxLearnt = 4

// learn takes a token as a further secret.
func (r *redactor) learn(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.learnt, func(l learnt) bool { return l.token == token }) {
		return
	}
	var of redactor
	of.add(token)
	if len(r.learnt) == maxLearnt {
		r.learnt = r.learnt[1:]
	}
	r.learnt = append(r.learnt[:len(r.learnt):len(r.learnt)], learnt{token, of.forms})
}

// all returns the forms of everything that is secret now.
func (r *redactor) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.forms
	for _, l := range r.learnt {
		all = append(all[:len(all):len(all)], l.forms...)
	}
	return all
}

// another is a redactor of the same configured secrets that knows no token yet.
func (r *redactor) another() *redactor { return &redactor{forms: r.forms} }

const redacted = "[redacted]"

func newRedactor(c Config) *redactor {
	r := &redactor{}
	for _, value := range c.Headers {
		r.addWords(value) // "Bearer" and the token
	}
	for _, value := range c.Secrets {
		r.addWords(value)
		if _, after, ok := strings.Cut(value, "="); ok { // --token=…
			r.add(after)
		}
		r.addMembers(value)
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
			}
		}
	}
	return r
}

// add takes text as a secret if it is long enough to be one: shorter text
// would only take ordinary words out of the messages. Text that will be
// searched is cleaned and decoded first, so the secret is known like that too.
func (r *redactor) add(text string) {
	once, _ := peel(text)
	for _, form := range []string{text, clean(text, len(text)), once} {
		if len(form) < 8 || slices.Contains(r.forms, form) {
			continue
		}
		for _, encoded := range encodings(form) {
			if !slices.Contains(r.forms, encoded) {
				r.forms = append(r.forms, encoded)
			}
		}
	}
}

func (r *redactor) addWords(text string) {
	r.add(text)
	for _, word := range strings.Fields(text) {
		r.add(word)
	}
}

// addMembers adds the texts in a secret that is JSON, such as a service
// account's file: a server may repeat one of them, or the whole laid out anew.
func (r *redactor) addMembers(text string) {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			r.addWords(v)
		case []any:
			for _, element := range v {
				walk(element)
			}
		case map[string]any:
			for _, member := range v {
				walk(member)
			}
		}
	}
	walk(value)
}

// maxLayers is how many times over a secret may be escaped and still be found.
const maxLayers = 4

type span struct{ start, end int }

// spans returns where secrets are in text, in order; they may overlap.
func (r *redactor) spans(text string) []span {
	var found []span
	var origin []int // of each byte of what is searched, in text; nil while that is text itself
	forms := r.all()
	for range maxLayers {
		for _, form := range forms {
			for from := 0; ; {
				i := strings.Index(text[from:], form)
				if i < 0 {
					break
				}
				s := span{from + i, from + i + len(form)}
				from = s.end
				if origin != nil {
					s = span{origin[s.start], origin[s.end]}
				}
				found = append(found, s)
			}
		}
		plain, from := peel(text)
		if from == nil {
			break
		}
		if origin != nil {
			for i := range from {
				from[i] = origin[from[i]]
			}
		}
		text, origin = plain, from
	}
	slices.SortFunc(found, func(a, b span) int { return a.start - b.start })
	return found
}

func (r *redactor) text(s string) string {
	found := r.spans(s)
	if found == nil {
		return s
	}
	var b strings.Builder
	at := 0
	for _, f := range found {
		if f.start >= at {
			b.WriteString(s[at:f.start])
			b.WriteString(redacted)
		}
		at = max(at, f.end)
	}
	b.WriteString(s[at:])
	return b.String()
}

// words makes a server's text fit to be shown: cleaned, without secrets, short.
func (r *redactor) words(s string, limit int) string {
	if len(s) > 16*limit {
		s = s[:16*limit]
	}
	// Cleaning first, so that invisible characters cannot split a secret.
	return cut(r.text(clean(s, 16*limit)), limit)
}
