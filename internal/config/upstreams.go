package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"remit/credential"
	"remit/upstream"
)

// Configs returns how each upstream is reached, with every reference replaced. All that is wrong is reported at once.
func (f *File) Configs(o Options, secrets Secrets) ([]upstream.Config, error) {
	var configs []upstream.Config
	var errs []error
	for _, name := range f.Servers() {
		c, err := f.Upstreams[name].config(name, o, secrets)
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Path, err))
			continue
		}
		configs = append(configs, c)
	}
	return configs, errors.Join(errs...)
}

func (u Upstream) config(name string, o Options, secrets Secrets) (upstream.Config, error) {
	c := upstream.Config{Name: name, Concurrency: u.Concurrency, ConnectTimeout: u.ConnectTimeout, ListTimeout: u.ListTimeout,
		CallTimeout: u.CallTimeout, MaxMessage: u.MaxMessage, Lists: u.Lists, Asks: u.Asks, Env: map[string]string{}, Headers: map[string]string{}}
	if c.CallTimeout == 0 {
		c.CallTimeout = o.CallTimeout
	}
	var errs []error
	expand := func(text, place string) string {
		value, err := secrets.Expand(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("upstream %s: %s: %w", name, place, err))
		}
		if value != text { // what a reference stood for
			c.Secrets = append(c.Secrets, value)
		}
		return value
	}
	c.Command, c.Dir, c.URL = expand(u.Command, "command"), expand(u.Dir, "dir"), expand(u.URL, "url")
	for i, arg := range u.Args {
		c.Args = append(c.Args, expand(arg, fmt.Sprintf("argument %d", i+1)))
	}
	for _, variable := range slices.Sorted(maps.Keys(u.Env)) {
		c.Env[variable] = expand(u.Env[variable], "env "+variable)
	}
	for _, header := range slices.Sorted(maps.Keys(u.Headers)) {
		c.Headers[header] = expand(u.Headers[header], "header "+header)
	}
	expand(u.OAuth.ClientSecret, "oauth client-secret") // which an upstream's error could repeat
	return c, errors.Join(errs...)
}

// Credentials returns how tokens are had for each upstream that has oauth. All that is wrong is reported at once.
func (f *File) Credentials(secrets Secrets) ([]credential.Config, error) {
	var configs []credential.Config
	var errs []error
	for _, name := range f.Servers() {
		u := f.Upstreams[name]
		if reflect.ValueOf(u.OAuth).IsZero() {
			continue
		}
		c, err := u.OAuth.config(name, u.URL, secrets)
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Path, err))
			continue
		}
		configs = append(configs, c)
	}
	return configs, errors.Join(errs...)
}

func (o OAuth) config(name, url string, secrets Secrets) (credential.Config, error) {
	if url == "" {
		return credential.Config{}, fmt.Errorf("upstream %s: oauth is for a url; give a command its secrets in env", name)
	}
	var errs []error
	expand := func(text, place string) string {
		value, err := secrets.Expand(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("upstream %s: oauth %s: %w", name, place, err))
		}
		return value
	}
	return credential.Config{Server: name, URL: expand(url, "url"), Grant: o.Grant, Issuer: expand(o.Issuer, "issuer"),
		AuthorizeURL: expand(o.AuthorizeURL, "authorize-url"), TokenURL: expand(o.TokenURL, "token-url"), RevokeURL: expand(o.RevokeURL, "revoke-url"),
		ClientID: expand(o.ClientID, "client-id"), ClientSecret: expand(o.ClientSecret, "client-secret"), Scopes: o.Scopes,
		Resource: expand(o.Resource, "resource"), Audience: expand(o.Audience, "audience"), Subject: o.Subject, ListAs: o.ListAs}, errors.Join(errs...)
}
