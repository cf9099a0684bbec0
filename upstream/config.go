package upstream

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Config says how one MCP server is reached: by Command (stdio) or by URL
// (streamable HTTP), never both. It comes from the administrator only; no
// catalog, model or server may fill it in.
type Config struct {
	// Name is the server's unique name: a-z, 0-9, ".", "_" and "-", at most 64.
	Name string

	// Command and Args start a stdio server, without a shell. The child gets
	// Env and a short allow-list of our variables (PATH, HOME, LANG, ...).
	Command string
	Args    []string
	Env     map[string]string
	// Dir is the child's working directory. Empty means ours.
	Dir string

	// URL and Headers reach a streamable HTTP server. Header values and the
	// values in the URL's query are secrets: no error, log line or Health
	// shows them.
	URL     string
	Headers map[string]string
	// Auth supplies the token of each request to URL. Nil sends none but what Headers hold.
	Auth Authorizer `json:"-"`
	// Dial replaces the dialler, for example by one that refuses private
	// addresses. Nil dials what the system resolves.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `json:"-"`

	// Lists are what is listed beside tools, if the server offers it: any of
	// Prompts and Resources, which are their templates, too. Default neither.
	Lists []string

	// Asks are what the server is told that clients can be asked for: any of
	// Form, Page and Model. Of them a call lets the server ask for those in
	// Call.Asks. Default nothing.
	Asks []string

	// Concurrency is the number of calls in flight at once. Default 16.
	Concurrency int
	// ConnectTimeout bounds the start and the handshake. Default 30 s.
	ConnectTimeout time.Duration
	// ListTimeout bounds a whole List, the wait for a connection included. Default 60 s.
	ListTimeout time.Duration
	// CallTimeout bounds a whole Call, the wait for a free place included. Default 120 s.
	CallTimeout time.Duration

	// MaxMessage is the most bytes one message from the server may have. Default 16 MiB.
	// A whole List may have four times as many.
	MaxMessage int
	// MaxTools and MaxPages bound one List. Defaults 5000 and 200.
	MaxTools, MaxPages int
	// Secrets are further texts, beside Headers, Env and the query of URL, that
	// are taken out of everything that is shown or logged.
	Secrets []string `json:"-"`
}

var (
	namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	headerBreak = regexp.MustCompile(`[\x00-\x08\x0a-\x1f\x7f]`)
)

// Validate reports the first thing wrong with c and how to put it right. It
// never repeats a header's or a variable's value.
func (c Config) Validate() error {
	if !namePattern.MatchString(c.Name) {
		return fmt.Errorf("server name %q is not valid: use 1 to 64 of a-z, 0-9, dot, underscore and hyphen", clean(c.Name, 80))
	}
	if (c.Command == "") == (c.URL == "") {
		return fmt.Errorf("server %s: set either a command (stdio) or a url (streamable HTTP), and not both", c.Name)
	}
	if c.Concurrency < 0 || c.ConnectTimeout < 0 || c.ListTimeout < 0 || c.CallTimeout < 0 ||
		c.MaxMessage < 0 || c.MaxTools < 0 || c.MaxPages < 0 {
		return fmt.Errorf("server %s: a limit is negative; leave it out for the default", c.Name)
	}
	for _, kind := range c.Lists {
		if kind != Prompts && kind != Resources {
			return fmt.Errorf("server %s: %q cannot be listed; beside tools there are %s and %s", c.Name, clean(kind, 40), Prompts, Resources)
		}
	}
	for _, ask := range c.Asks {
		if ask != Form && ask != Page && ask != Model {
			return fmt.Errorf("server %s: clients cannot be asked for %q; there are %s, %s and %s", c.Name, clean(ask, 40), Form, Page, Model)
		}
	}
	if c.Command != "" {
		return c.validateStdio()
	}
	return c.validateHTTP()
}

// What a server may offer beside tools.
const (
	Prompts   = "prompts"
	Resources = "resources"
)

func (c Config) validateStdio() error {
	if c.Auth != nil {
		return fmt.Errorf("server %s: oauth is for a url; give a command its secrets in env", c.Name)
	}
	if len(c.Headers) > 0 {
		return fmt.Errorf("server %s: headers are for a url; give a command its secrets in env", c.Name)
	}
	for _, arg := range append([]string{c.Command, c.Dir}, c.Args...) {
		if strings.ContainsRune(arg, 0) {
			return fmt.Errorf("server %s: command, arguments and directory must not contain a NUL character", c.Name)
		}
	}
	for name, value := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return fmt.Errorf("server %s: environment variable %q is not valid: a name has no \"=\", and neither part a NUL character", c.Name, clean(name, 80))
		}
	}
	return nil
}

func (c Config) validateHTTP() error {
	if len(c.Args) > 0 || len(c.Env) > 0 || c.Dir != "" {
		return fmt.Errorf("server %s: args, env and dir are for a command; remove them or replace url by command", c.Name)
	}
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("server %s: the url is not valid: it must look like https://host/path", c.Name)
	}
	if u.User != nil {
		return fmt.Errorf("server %s: the url contains a user or password: put an Authorization header into headers", c.Name)
	}
	for name, value := range c.Headers {
		if c.Auth != nil && strings.EqualFold(name, "Authorization") {
			return fmt.Errorf("server %s: it has both oauth and a header Authorization: remove one", c.Name)
		}
		if !headerName.MatchString(name) || headerBreak.MatchString(value) {
			return fmt.Errorf("server %s: header %q is not a valid HTTP header: check its name and for line breaks in its value", c.Name, clean(name, 80))
		}
		if reservedHeader(name) {
			return fmt.Errorf("server %s: header %s belongs to the protocol and is set by Remit: remove it", c.Name, clean(name, 80))
		}
	}
	return nil
}

// reservedHeader reports whether the transport itself sets the header.
func reservedHeader(name string) bool {
	switch n := strings.ToLower(name); n {
	case "accept", "accept-encoding", "connection", "content-length", "content-type", "host",
		"last-event-id", "te", "trailer", "transfer-encoding", "upgrade":
		return true
	default:
		return strings.HasPrefix(n, "mcp-")
	}
}

// withDefaults returns c with every limit set.
func (c Config) withDefaults() Config {
	set := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	set(&c.Concurrency, 16)
	set(&c.MaxMessage, 16<<20)
	set(&c.MaxTools, 5000)
	set(&c.MaxPages, 200)
	wait := func(t *time.Duration, d time.Duration) {
		if *t == 0 {
			*t = d
		}
	}
	wait(&c.ConnectTimeout, 30*time.Second)
	wait(&c.ListTimeout, 60*time.Second)
	wait(&c.CallTimeout, 120*time.Second)
	return c
}
