package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"remit/upstream"
)

// Configs returns how each upstream is reached, with every reference replaced. All that is wrong is reported at once.
func (f *File) Configs(o Options) ([]upstream.Config, error) {
	var configs []upstream.Config
	var errs []error
	for _, name := range f.Servers() {
		c, err := f.Upstreams[name].config(name, o)
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

func (u Upstream) config(name string, o Options) (upstream.Config, error) {
	c := upstream.Config{Name: name, Concurrency: u.Concurrency, ConnectTimeout: u.ConnectTimeout, ListTimeout: u.ListTimeout,
		CallTimeout: u.CallTimeout, MaxMessage: u.MaxMessage, Env: map[string]string{}, Headers: map[string]string{}}
	if c.CallTimeout == 0 {
		c.CallTimeout = o.CallTimeout
	}
	var errs []error
	expand := func(text, place string) string {
		value, err := Expand(text)
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
	return c, errors.Join(errs...)
}
