package config

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

// A reference names a secret without writing it down: ${NAME} is the environment variable, ${NAME:-text} the same with
// a text for when it is not set, ${file:/path} the content of a file without the white space around it, ${secret:NAME} one
// of the encrypted store. $${ stands for the two characters themselves.
var reference = regexp.MustCompile(`\$\$\{|\$\{([^{}]*)\}`)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	secretName   = regexp.MustCompile(`(?i)(secret|passw(or)?d|passphrase|credential|authorization|cookie)|(token|key|pwd|[_-]pat|[_-]auth|[_-]dsn|connection[_-]?string)s?$`)
	pathName     = regexp.MustCompile(`(?i)[_-](file|path|dir)$`)
	secretValue  = regexp.MustCompile(`^(sk-|sk_|pk_live|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abprs]-|AKIA|eyJ|ya29\.|remit_)|(?i)^(bearer|basic|token) \S`)
	scheme       = regexp.MustCompile(`(?i)^(bearer|basic|token)\s+`)
	randomValue  = regexp.MustCompile(`^[A-Za-z0-9_=+-]{32,}$`)
)

const maxSecretFile = 64 << 10 // bytes

// Secrets returns a secret of the encrypted store by its name.
type Secrets func(name string) (string, error)

// Expand replaces the references in text, without an encrypted store.
func Expand(text string) (string, error) { return Secrets(nil).Expand(text) }

// Expand replaces the references in text. Its errors name the reference, never a value.
func (s Secrets) Expand(text string) (string, error) {
	var errs []error
	out := reference.ReplaceAllStringFunc(text, func(ref string) string {
		if ref == "$${" {
			return "${"
		}
		value, err := s.lookUp(ref[2 : len(ref)-1])
		errs = append(errs, err)
		return value
	})
	return out, errors.Join(errs...)
}

func (s Secrets) lookUp(ref string) (string, error) {
	if name, ok := strings.CutPrefix(ref, "secret:"); ok {
		if s == nil {
			return "", fmt.Errorf("${%s} cannot be used here: the encrypted store is not open", ref)
		}
		return s(name)
	}
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("the secret's file cannot be read: %w", err)
		}
		if len(text) > maxSecretFile {
			return "", fmt.Errorf("the secret's file %s has more than %d bytes: check the path", path, maxSecretFile)
		}
		return strings.TrimSpace(string(text)), nil
	}
	name, instead, hasDefault := strings.Cut(ref, ":-")
	if !variableName.MatchString(name) {
		return "", fmt.Errorf("${%s} is no reference: write ${NAME} for an environment variable, ${file:/path} for a file, ${secret:NAME} for the encrypted store, or $${ for the two characters", name)
	}
	value, ok := os.LookupEnv(name)
	switch {
	case ok:
		return value, nil
	case hasDefault:
		return instead, nil
	}
	return "", fmt.Errorf("the environment variable %s is not set: set it before you start Remit", name)
}

// looksSecret says whether a value under a name should be a reference. A value that is one already is not a secret.
func looksSecret(name, value string) bool {
	if value == "" || reference.MatchString(value) {
		return false
	}
	return secretName.MatchString(name) && !pathName.MatchString(name) || revealing(value)
}

// revealing says whether a value looks like a secret under any name.
func revealing(value string) bool {
	if reference.MatchString(value) {
		return false
	}
	if u, err := url.Parse(value); err == nil && u.User != nil {
		if _, set := u.User.Password(); set {
			return true
		}
	}
	return secretValue.MatchString(value) || randomValue.MatchString(value) && strings.ContainsAny(value, "0123456789")
}

// secretArg says where in an argument a secret seems to be.
type secretArg struct {
	index int
	start int // first byte of the secret
}

// secretArgs finds arguments that look like a secret, or hold one after "=" or ":", or follow a flag with such a name.
func secretArgs(args []string) []secretArg {
	var found []secretArg
	for i, arg := range args {
		name, value, joined := cutArg(arg)
		switch {
		case joined && looksSecret(name, value):
			found = append(found, secretArg{i, len(arg) - len(value) + len(scheme.FindString(value))})
		case revealing(arg),
			i > 0 && strings.HasPrefix(args[i-1], "-") && !strings.HasPrefix(arg, "-") && looksSecret(args[i-1], arg):
			found = append(found, secretArg{i, len(scheme.FindString(arg))})
		}
	}
	return found
}

// cutArg splits --token=x and, as in a header, Authorization: x.
func cutArg(arg string) (name, value string, ok bool) {
	if i := strings.IndexAny(arg, "=:"); i > 0 && !strings.Contains(arg[:i], "/") && !strings.HasPrefix(arg[i:], "://") {
		return arg[:i], strings.TrimSpace(arg[i+1:]), true
	}
	return "", "", false
}

// secretQuery returns the names of the URL's query parameters whose values look like secrets.
func secretQuery(text string) []string {
	u, err := url.Parse(text)
	if err != nil {
		return nil
	}
	var found []string
	for _, name := range slices.Sorted(maps.Keys(u.Query())) {
		if looksSecret(name, u.Query().Get(name)) {
			found = append(found, name)
		}
	}
	return found
}

// Warnings names every place of the file where a secret seems to be written out, without showing it.
func (f *File) Warnings() []string {
	var out []string
	warn := func(format string, args ...any) {
		out = append(out, fmt.Sprintf(format, args...)+" looks like a secret that is written out: use a reference such as ${secret:NAME}, ${NAME} or ${file:/path}")
	}
	if k := f.Embeddings.Key; k != "" && !reference.MatchString(k) {
		warn("embeddings.key")
	}
	if k := f.Model.Key; k != "" && !reference.MatchString(k) {
		warn("model.key")
	}
	if k := f.OIDC.ClientSecret; k != "" && !reference.MatchString(k) {
		warn("oidc.client-secret")
	}
	if k := f.Webhook.Secret; k != "" && !reference.MatchString(k) {
		warn("approval-webhook.secret")
	}
	if shownURL(f.Database) != f.Database {
		warn("database")
	}
	if shownURL(f.Redis) != f.Redis {
		warn("redis")
	}
	if f.AuditKey != "" && !reference.MatchString(f.AuditKey) {
		warn("audit-key")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Sinks)) {
		k := f.Sinks[name]
		for _, header := range slices.Sorted(maps.Keys(k.Headers)) {
			if looksSecret(header, k.Headers[header]) {
				warn("audit-sinks: %s: header %s", name, header)
			}
		}
		for _, parameter := range secretQuery(k.URL) {
			warn("audit-sinks: %s: parameter %s of the url", name, parameter)
		}
	}
	for _, name := range f.Servers() {
		u := f.Upstreams[name]
		for _, variable := range slices.Sorted(maps.Keys(u.Env)) {
			if looksSecret(variable, u.Env[variable]) {
				warn("upstream %s: env %s", name, variable)
			}
		}
		for _, header := range slices.Sorted(maps.Keys(u.Headers)) {
			if looksSecret(header, u.Headers[header]) {
				warn("upstream %s: header %s", name, header)
			}
		}
		for _, arg := range secretArgs(u.Args) {
			warn("upstream %s: argument %d", name, arg.index+1)
		}
		if looksSecret("client-secret", u.OAuth.ClientSecret) {
			warn("upstream %s: oauth client-secret", name)
		}
		for _, parameter := range secretQuery(u.URL) {
			warn("upstream %s: parameter %s of the url", name, parameter)
		}
	}
	return out
}
