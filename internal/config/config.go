// Package config owns what an administrator can set: one YAML file, the same names as flags and environment variables,
// the references by which secrets are named and never written down, and the import of other MCP clients' files.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"remit/credential"
)

// Base are the settings that every command needs to find Remit's data. Each field of it and of [Options] is one name in
// three places: the flag --public-url, the variable REMIT_PUBLIC_URL and the key public-url of the file. A flag wins
// over the variable, the variable over the file, the file over the default.
type Base struct {
	Data      string `yaml:"data" env:"REMIT_DATA" default:"${data}" placeholder:"DIR" help:"Folder with everything Remit keeps (default: ${data})."`
	Database  string `yaml:"database" env:"REMIT_DATABASE" default:"" placeholder:"URL" help:"PostgreSQL database for several replicas, as postgres://user:$${NAME}@host:5432/name, whose references to secrets are $${NAME} or $${file:/path} (default: empty, a SQLite file in the data folder)."`
	Listen    string `yaml:"listen" env:"REMIT_LISTEN" default:"127.0.0.1:8321" placeholder:"HOST:PORT" help:"Address of the pages and the personas' endpoints (default: 127.0.0.1:8321)."`
	PublicURL string `yaml:"public-url" env:"REMIT_PUBLIC_URL" default:"" placeholder:"URL" help:"How people and agents reach Remit (default: http:// and the listen address)."`
	LogLevel  string `yaml:"log-level" env:"REMIT_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"Least level that is logged: debug, info, warn or error (default: info)."`
	LogFormat string `yaml:"log-format" env:"REMIT_LOG_FORMAT" default:"text" enum:"text,json" placeholder:"FORM" help:"Form of the log on standard error: text or json (default: text)."`
}

// Options are all settings that have a flag.
type Options struct {
	Base           `yaml:",inline"`
	Redis          string        `yaml:"redis" env:"REMIT_REDIS" default:"" placeholder:"URL" help:"Redis that counts limits for all replicas, as redis://user:$${NAME}@host:6379/0, whose references to secrets are $${NAME} or $${file:/path} (default: empty; with PostgreSQL the database counts, else each process for itself)."`
	MaxStaleness   time.Duration `yaml:"max-staleness" env:"REMIT_MAX_STALENESS" default:"1s" placeholder:"TIME" help:"With PostgreSQL, how long a change made by another replica may stay unknown where its announcement does not arrive; 0s asks the database on every request (default: 1s)."`
	AllowedHosts   []string      `yaml:"allowed-hosts" env:"REMIT_ALLOWED_HOSTS" default:"" placeholder:"HOST" help:"Further Host headers to answer to, beside the listen address and the public URL (default: none)."`
	AllowedOrigins []string      `yaml:"allowed-origins" env:"REMIT_ALLOWED_ORIGINS" default:"" placeholder:"URL" help:"Further web origins whose pages may call the endpoints (default: none)."`
	TrustedProxy   []string      `yaml:"trusted-proxy" env:"REMIT_TRUSTED_PROXY" default:"" placeholder:"CIDR" help:"Networks of reverse proxies whose X-Forwarded-For names the client, for the limits on sign-ins and the addresses of access keys (default: none)."`
	SingleOperator bool          `yaml:"single-operator" env:"REMIT_SINGLE_OPERATOR" default:"false" negatable:"" help:"Let authors approve their own personas; each such approval says so in the record (default: false)."`
	HideFrozen     bool          `yaml:"hide-frozen" env:"REMIT_HIDE_FROZEN" default:"false" negatable:"" help:"Leave tools out of agents' lists that are not, or not for certain, what was approved; without it they are listed as they were approved, and refused (default: false)."`
	KeepArguments  bool          `yaml:"keep-arguments" env:"REMIT_KEEP_ARGUMENTS" default:"true" negatable:"" help:"Keep what calls are sent in the record, up to 4 KiB each, after masks and without secrets of a known form (default: true)."`
	MaxTools       int           `yaml:"max-tools" env:"REMIT_MAX_TOOLS" default:"100" placeholder:"N" help:"Most tools that one persona may have (default: 100)."`
	CrawlInterval  time.Duration `yaml:"crawl-interval" env:"REMIT_CRAWL_INTERVAL" default:"15m" placeholder:"TIME" help:"How often every upstream is listed again (default: 15m)."`
	ListGrace      time.Duration `yaml:"list-grace" env:"REMIT_LIST_GRACE" default:"1h" placeholder:"TIME" help:"How long the tools of an upstream may be called while it cannot be listed and has announced no change (default: 1h)."`
	RemindBefore   time.Duration `yaml:"remind-before" env:"REMIT_REMIND_BEFORE" default:"336h" placeholder:"TIME" help:"How long before a persona expires, or has to be looked at again, people are reminded (default: 336h, 14 days)."`
	CallTimeout    time.Duration `yaml:"call-timeout" env:"REMIT_CALL_TIMEOUT" default:"2m" placeholder:"TIME" help:"Longest wait for an upstream's answer to one call (default: 2m)."`
	ApprovalWait   time.Duration `yaml:"approval-wait" env:"REMIT_APPROVAL_WAIT" default:"45s" placeholder:"TIME" help:"How long a call that a person has to approve is held before the agent is told to repeat it; at most half of call-timeout (default: 45s)."`
	ReadTimeout    time.Duration `yaml:"read-timeout" env:"REMIT_READ_TIMEOUT" default:"30s" placeholder:"TIME" help:"Longest wait for a client to send a request's headers, and then its body (default: 30s)."`
	TwoReviewers   bool          `yaml:"two-reviewers" env:"REMIT_TWO_REVIEWERS" default:"false" negatable:"" help:"Let a persona whose tools do more than read go live only after two reviewers approved it (default: false)."`
	Drain          time.Duration `yaml:"drain" env:"REMIT_DRAIN" default:"0s" placeholder:"TIME" help:"How long to go on serving after the signal to stop, while /readyz already says no, so that a load balancer sends nothing more (default: 0s)."`
	MetricsAddress string        `yaml:"metrics-address" env:"REMIT_METRICS_ADDRESS" default:"" placeholder:"HOST:PORT" help:"Address of /metrics for Prometheus, such as 127.0.0.1:9464, never that of the pages; without a host it is 127.0.0.1 (default: none)."`
	TracesEndpoint string        `yaml:"traces-endpoint" env:"REMIT_TRACES_ENDPOINT" default:"" placeholder:"URL" help:"Collector that takes OpenTelemetry traces over HTTP, such as http://127.0.0.1:4318 (default: that of OTEL_EXPORTER_OTLP_ENDPOINT; without it nothing is traced)."`
	ForwardBaggage bool          `yaml:"forward-baggage" env:"REMIT_FORWARD_BAGGAGE" default:"false" negatable:"" help:"Pass the W3C baggage of agents on to upstreams; it is text that no schema or policy checks (default: false)."`
	SecretKeyFile  string        `yaml:"secret-key-file" env:"REMIT_SECRET_KEY_FILE" default:"" placeholder:"FILE" help:"File with the key of the encrypted secrets, made if need be (default: secret.key in the data folder; the variable REMIT_SECRET_KEY may hold the key itself, or refer to it as $${file:/path})."`
	OAuthNetworks  []string      `yaml:"oauth-private-networks" env:"REMIT_OAUTH_PRIVATE_NETWORKS" name:"oauth-private-networks" default:"" placeholder:"CIDR" help:"Private networks in which the authorization servers of upstreams may be, also without https; for development 127.0.0.0/8 (default: none)."`
	Embeddings     Embeddings    `yaml:"embeddings" embed:"" prefix:"embeddings-"`
	Model          Model         `yaml:"model" embed:"" prefix:"model-" group:"Language model for drafts (docs/models.md):"`
	OIDC           OIDC          `yaml:"oidc" embed:"" prefix:"oidc-" group:"Sign-in at an OpenID Connect provider (docs/identity.md):"`
	OAuth          OwnClients    `yaml:"oauth" embed:"" prefix:"oauth-" group:"People's own clients, by OAuth at the same provider (docs/oauth.md):"`
	Webhook        Webhook       `yaml:"approval-webhook" embed:"" prefix:"approval-webhook-"`
	Audit          `yaml:",inline"`
}

// Webhook says who is told that a call waits for a person.
type Webhook struct {
	URL    string `yaml:"url" env:"REMIT_APPROVAL_WEBHOOK_URL" default:"" placeholder:"URL" help:"Where a signed message goes when a call waits for a person's approval, or a revision for its review (default: empty, nowhere)."`
	Secret string `yaml:"secret" env:"REMIT_APPROVAL_WEBHOOK_SECRET" default:"" placeholder:"REFERENCE" help:"Secret of its signature, as $${secret:NAME}, $${NAME} or $${file:/path}: whsec_ and base64, or a text of at least 24 bytes (default: none; needed with a URL)."`
}

// Embeddings says where the vectors of the search come from.
type Embeddings struct {
	URL   string `yaml:"url" env:"REMIT_EMBEDDINGS_URL" default:"" placeholder:"URL" help:"OpenAI-compatible embeddings endpoint, such as http://127.0.0.1:11434/v1; \"off\" searches by words only (default: empty, the model inside the binary)."`
	Model string `yaml:"model" env:"REMIT_EMBEDDINGS_MODEL" default:"" placeholder:"NAME" help:"Model at that endpoint (default: none; needed with a URL)."`
	Key   string `yaml:"key" env:"REMIT_EMBEDDINGS_KEY" default:"" placeholder:"REFERENCE" help:"Key of that endpoint, as $${secret:NAME}, $${NAME} or $${file:/path} (default: none)."`
}

// Off says that the search shall use words only.
func (e Embeddings) Off() bool { return e.URL == "off" }

// Upstream is one MCP server of the file: a command, or a URL. Every text in it may hold references to secrets.
type Upstream struct {
	Command        string            `yaml:"command,omitempty" jsonschema:"oneof_required=command" help:"Program that speaks MCP on its standard input and output; it is started without a shell."`
	Args           []string          `yaml:"args,omitempty" help:"Arguments of the command."`
	Env            map[string]string `yaml:"env,omitempty" help:"Environment of the command, beside PATH, HOME and the like. Write secrets as $${secret:NAME}, $${NAME} or $${file:/path}."`
	Dir            string            `yaml:"dir,omitempty" help:"Working directory of the command."`
	URL            string            `yaml:"url,omitempty" jsonschema:"oneof_required=url" help:"Address of a streamable HTTP server."`
	Headers        map[string]string `yaml:"headers,omitempty" help:"Headers sent to the url. Write secrets as $${secret:NAME}, $${NAME} or $${file:/path}."`
	OAuth          OAuth             `yaml:"oauth,omitempty" help:"How tokens for the url are had, in place of a header Authorization."`
	Lists          []string          `yaml:"lists,omitempty" enum:"prompts,resources" help:"What is listed beside tools, to be granted like them: prompts, resources (default: neither)."`
	Asks           []string          `yaml:"asks,omitempty" enum:"elicitation,elicitation-url,sampling" help:"What the server is told that clients can be asked for, where a persona lets it: elicitation, elicitation-url, sampling (default: nothing)."`
	Concurrency    int               `yaml:"concurrency,omitempty" default:"16" help:"Most calls at a time."`
	ConnectTimeout time.Duration     `yaml:"connect-timeout,omitempty" default:"30s" help:"Longest wait for the start and the handshake."`
	ListTimeout    time.Duration     `yaml:"list-timeout,omitempty" default:"1m" help:"Longest wait for the list of tools."`
	CallTimeout    time.Duration     `yaml:"call-timeout,omitempty" help:"Longest wait for the answer to one call (default: call-timeout above)."`
	MaxMessage     int               `yaml:"max-message,omitempty" default:"16777216" help:"Most bytes of one message from the server."`
}

// OAuth says how tokens for an upstream are had.
type OAuth struct {
	Grant        string   `yaml:"grant,omitempty" enum:"client_credentials,authorization_code,token_exchange" help:"client_credentials for Remit's own token, authorization_code for the account of the user that each call is made for, token_exchange for a token that the user's sign-in is exchanged for."`
	Issuer       string   `yaml:"issuer,omitempty" help:"The authorization server; its metadata names the endpoints."`
	AuthorizeURL string   `yaml:"authorize-url,omitempty" help:"Where people sign in, if the authorization server has no metadata."`
	TokenURL     string   `yaml:"token-url,omitempty" help:"Where tokens are had, if the authorization server has no metadata."`
	RevokeURL    string   `yaml:"revoke-url,omitempty" help:"Where tokens are ended, if the authorization server has no metadata."`
	ClientID     string   `yaml:"client-id,omitempty" help:"What Remit is registered as at the authorization server."`
	ClientSecret string   `yaml:"client-secret,omitempty" help:"The client's secret, as $${secret:NAME}, $${NAME} or $${file:/path}."`
	Scopes       []string `yaml:"scopes,omitempty" help:"What the tokens may do."`
	Resource     string   `yaml:"resource,omitempty" help:"The resource that tokens are asked for (default: what the upstream calls itself, else the url)."`
	Audience     string   `yaml:"audience,omitempty" help:"Of the tokens that sign-ins are exchanged for, where the provider knows the upstream by another name than the resource."`
	Subject      string   `yaml:"subject,omitempty" enum:"access_token,id_token" help:"What of a sign-in is exchanged (default: access_token)."`
	ListAs       string   `yaml:"list-as,omitempty" help:"Whose account lists the tools, with authorization_code (default: nobody's; they are listed without a token)."`
}

// File is the whole of remit.yaml.
type File struct {
	Options   `yaml:",inline"`
	Upstreams map[string]Upstream `yaml:"upstreams" help:"The MCP servers whose tools personas may be given, by name."`
	Sinks     map[string]Sink     `yaml:"audit-sinks,omitempty" help:"Where every entry of the record is sent, by name."`

	Path   string         `yaml:"-"` // where it was read; empty when there is none
	values map[string]any // what the file sets, by flag name
}

// Validate checks what the types cannot. Kong calls it for every command line.
func (o Options) Validate() error {
	if _, _, err := net.SplitHostPort(o.Listen); err != nil {
		return fmt.Errorf("listen is %q: write a host and a port, such as 127.0.0.1:8321", o.Listen)
	}
	if o.MetricsAddress != "" {
		if _, _, err := net.SplitHostPort(o.MetricsAddress); err != nil {
			return fmt.Errorf("metrics-address is %q: write a host and a port, such as 127.0.0.1:9464", o.MetricsAddress)
		}
	}
	for name, text := range map[string]string{"public-url": o.PublicURL, "embeddings.url": o.Embeddings.URL, "traces-endpoint": o.TracesEndpoint,
		"approval-webhook.url": o.Webhook.URL} {
		if text == "" || name == "embeddings.url" && o.Embeddings.Off() {
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
			return fmt.Errorf("%s is not a usable address: it must look like https://host, without a user or a query", name)
		}
		if name == "public-url" && strings.Trim(u.Path, "/") != "" {
			return errors.New("public-url has a path: Remit needs a host name of its own, such as https://remit.example.com")
		}
	}
	if o.Database != "" && !strings.HasPrefix(o.Database, "postgres://") && !strings.HasPrefix(o.Database, "postgresql://") && !reference.MatchString(o.Database) {
		return errors.New("database is no URL of PostgreSQL: write postgres://user:${NAME}@host:5432/name, or leave it out for a SQLite file in the data folder")
	}
	for _, network := range o.TrustedProxy {
		if _, _, err := net.ParseCIDR(network); err != nil {
			return fmt.Errorf("trusted-proxy has %q: write a network, such as 10.0.0.0/8, or one address as 10.0.0.1/32", network)
		}
	}
	if _, err := credential.Networks(o.OAuthNetworks); err != nil {
		return err
	}
	switch {
	case o.Embeddings.URL != "" && !o.Embeddings.Off() && o.Embeddings.Model == "":
		return errors.New("embeddings.url needs embeddings.model: name the model at that endpoint")
	case o.TwoReviewers && o.SingleOperator:
		return errors.New("two-reviewers and single-operator contradict each other: choose one")
	case o.Webhook.URL != "" && o.Webhook.Secret == "":
		return errors.New("approval-webhook.url needs approval-webhook.secret: a reference such as ${NAME} to what the receiver checks messages with")
	case o.Drain < 0 || o.Drain > 5*time.Minute:
		return fmt.Errorf("drain is %s: it must be 0s to 5m", o.Drain)
	case o.MaxStaleness < 0 || o.MaxStaleness > time.Minute:
		return fmt.Errorf("max-staleness is %s: it must be 0s to 1m", o.MaxStaleness)
	case o.ApprovalWait < 0:
		return fmt.Errorf("approval-wait is %s: it must be at least 0s, which does not hold calls at all", o.ApprovalWait)
	case o.MaxTools < 1:
		return fmt.Errorf("max-tools is %d: it must be at least 1", o.MaxTools)
	case o.CrawlInterval < time.Second:
		return fmt.Errorf("crawl-interval is %s: it must be at least 1s", o.CrawlInterval)
	case o.ListGrace < time.Second:
		return fmt.Errorf("list-grace is %s: it must be at least 1s", o.ListGrace)
	case o.RemindBefore < 0:
		return fmt.Errorf("remind-before is %s: it must not be negative", o.RemindBefore)
	case o.CallTimeout < time.Second:
		return fmt.Errorf("call-timeout is %s: it must be at least 1s", o.CallTimeout)
	case o.ReadTimeout < time.Second:
		return fmt.Errorf("read-timeout is %s: it must be at least 1s", o.ReadTimeout)
	}
	return errors.Join(o.Model.validate(), o.OIDC.validate(), o.OAuth.validate(o.OIDC), o.Audit.validate())
}

// Address is the URL at which people and agents reach Remit, without a slash at its end.
func (b Base) Address() string {
	if b.PublicURL != "" {
		return strings.TrimRight(b.PublicURL, "/")
	}
	host, port, _ := net.SplitHostPort(b.Listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Vars are the values that defaults of the flags refer to.
func Vars() map[string]string { return map[string]string{"data": defaultData()} }

func defaultData() string {
	return filepath.Join(xdg("XDG_DATA_HOME", ".local", "share"), "remit")
}

func xdg(variable string, below ...string) string {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "." // no home: the folder in which Remit was started
	}
	return filepath.Join(append([]string{home}, below...)...)
}

// Find returns the file to read: path when it is set, else ./remit.yaml, else remit/remit.yaml in the user's
// configuration folder, else "".
func Find(path string) string {
	if path != "" {
		return path
	}
	for _, candidate := range []string{"remit.yaml", filepath.Join(xdg("XDG_CONFIG_HOME", ".config"), "remit", "remit.yaml")} {
		if _, err := os.Stat(candidate); err == nil {
			return candidate
		}
	}
	return ""
}
