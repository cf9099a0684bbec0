package config

import (
	"maps"
	"net/url"
	"slices"

	"github.com/goccy/go-yaml"
)

const hidden = "(written out, not shown)"

// Show returns the settings in force as YAML. References stay references; what looks like a secret that is written out
// is hidden.
func Show(o Options, f *File) (string, error) {
	shown := File{Options: o, Upstreams: map[string]Upstream{}}
	if k := o.Embeddings.Key; k != "" && !reference.MatchString(k) {
		shown.Embeddings.Key = hidden
	}
	if k := o.Model.Key; k != "" && !reference.MatchString(k) {
		shown.Model.Key = hidden
	}
	if k := o.OIDC.ClientSecret; k != "" && !reference.MatchString(k) {
		shown.OIDC.ClientSecret = hidden
	}
	if k := o.Webhook.Secret; k != "" && !reference.MatchString(k) {
		shown.Webhook.Secret = hidden
	}
	shown.Database, shown.Redis = shownURL(o.Database), shownURL(o.Redis)
	for name, u := range f.Upstreams {
		shown.Upstreams[name] = masked(u)
	}
	if o.AuditKey != "" && !reference.MatchString(o.AuditKey) {
		shown.AuditKey = hidden
	}
	for name, k := range f.Sinks {
		if shown.Sinks == nil {
			shown.Sinks = map[string]Sink{}
		}
		k.Headers = maskedMap(k.Headers)
		k.URL = shownURL(k.URL)
		shown.Sinks[name] = k
	}
	text, err := yaml.MarshalWithOptions(shown, yaml.IndentSequence(true))
	return string(text), err
}

func masked(u Upstream) Upstream {
	u.Env, u.Headers = maskedMap(u.Env), maskedMap(u.Headers)
	if looksSecret("client-secret", u.OAuth.ClientSecret) {
		u.OAuth.ClientSecret = hidden
	}
	u.Args = slices.Clone(u.Args)
	for _, arg := range secretArgs(u.Args) {
		u.Args[arg.index] = u.Args[arg.index][:arg.start] + hidden
	}
	u.URL = shownURL(u.URL)
	return u
}

func maskedMap(values map[string]string) map[string]string {
	out := maps.Clone(values)
	for name, value := range out {
		if looksSecret(name, value) {
			out[name] = hidden
		}
	}
	return out
}

// shownURL is a URL without the secrets that are written out in it.
func shownURL(text string) string {
	names := secretQuery(text)
	if len(names) == 0 && !revealing(text) {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return hidden
	}
	u.User = nil
	query := u.Query()
	for _, name := range names {
		query.Set(name, "hidden")
	}
	u.RawQuery = query.Encode()
	return u.String()
}
