package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// write puts text into a file of a temporary folder and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileErrorsNamePlaceAndNearestKey(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"top level":       {"lisen: 127.0.0.1:1\n", `f.yaml:1: there is no setting "lisen"; did you mean "listen"?`},
		"with underscore": {"# c\npublic_url: http://x\n", `f.yaml:2: there is no setting "public_url"; did you mean "public-url"?`},
		"in embeddings":   {"embeddings:\n  modle: x\n", `f.yaml:2: there is no setting "modle" in embeddings; did you mean "model"?`},
		"in an upstream":  {"upstreams:\n  a:\n    comand: x\n", `f.yaml:3: there is no setting "comand" in upstreams.a; did you mean "command"?`},
		"two at once": {"lisen: x\nupstreams: {a: {ur: x}}\n", `f.yaml:1: there is no setting "lisen"; did you mean "listen"?` + "\n" +
			`f.yaml:2: there is no setting "ur" in upstreams.a; did you mean "url"?`},
		"twice the same": {"listen: a:1\nlisten: b:1\n", `f.yaml:2: mapping key "listen" already defined at [1:1]`},
		"a wrong type":   {"max-tools: many\n", `f.yaml:1: a whole number is expected here, not a string`},
		"no mapping":     {"- a\n", `f.yaml:1: this is no list of settings: write "name: value" lines`},
		"two documents":  {"listen: a:1\n---\nlisten: b:1\n", `f.yaml holds 2 documents: keep one`},
		"an alias":       {"upstreams:\n  a: &x {command: y, bad: 1}\n  b: *x\n", `f.yaml:2: there is no setting "bad" in upstreams.a; did you mean "dir"?`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse("f.yaml", []byte(c.text))
			if got := errorText(err); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestEmptyFilesAreFine(t *testing.T) {
	for _, text := range []string{"", "# nothing yet\n", "upstreams:\n", "upstreams: {}\n", "null\n"} {
		if f, err := parse("f.yaml", []byte(text)); err != nil || len(f.Upstreams) != 0 {
			t.Errorf("%q: got %v, %v; want no upstreams and no error", text, f, err)
		}
	}
}

// TestPrecedence pins flag > environment > file > default.
func TestPrecedence(t *testing.T) {
	path := write(t, "remit.yaml", "listen: file:1\nmax-tools: 7\ncrawl-interval: 1h\nsingle-operator: true\nallowed-hosts: [a, b]\naudit-retention: 400d\naudit-sinks: {siem: {url: udp://h}}\nembeddings: {url: http://file, model: m}\nmodel: {name: m, choose: {max-tokens: 9}}\n"+
		"oidc: {issuer: https://file, client-id: remit, roles: [\"cn=a,dc=b=author\"]}\n")
	t.Setenv("REMIT_OIDC_ROLES", "cn=a,dc=b=author;ops=admin")
	t.Setenv("REMIT_LISTEN", "env:1")
	t.Setenv("REMIT_MODEL_CHOOSE_NAME", "large")
	t.Setenv("REMIT_MAX_TOOLS", "8")
	t.Setenv("REMIT_EMBEDDINGS_MODEL", "env-model")
	var cli struct {
		Config string `env:"REMIT_CONFIG"`
		Options
	}
	source := &Source{}
	k, err := kong.New(&cli, kong.Vars(Vars()), kong.Resolvers(source))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse([]string{"--config", path, "--max-tools=9", "--no-single-operator"}); err != nil {
		t.Fatal(err)
	}
	want := Options{Base: Base{Data: defaultData(), Listen: "env:1", LogLevel: "info", LogFormat: "text"}, MaxTools: 9,
		MaxStaleness: time.Second, AllowedHosts: []string{"a", "b"}, KeepArguments: true, CrawlInterval: time.Hour, ListGrace: time.Hour, RemindBefore: 336 * time.Hour, CallTimeout: 2 * time.Minute, ApprovalWait: 45 * time.Second, ReadTimeout: 30 * time.Second,
		OIDC: OIDC{Issuer: "https://file", ClientID: "remit", Scopes: []string{"profile", "email"}, GroupsClaim: "groups", Unknown: "refuse", VouchFor: 720 * time.Hour, Passwords: true,
			Roles: []string{"cn=a,dc=b=author", "ops=admin"}},
		Model:      Model{Name: "m", Wait: 30 * time.Second, MaxTokens: 4000, RequestsPerMinute: 60, Choose: ModelTask{Name: "large", MaxTokens: 9}},
		OAuth:      OwnClients{Scope: "remit:{persona}"},
		Embeddings: Embeddings{URL: "http://file", Model: "env-model"}, Audit: Audit{CheckpointInterval: time.Hour, CheckpointEntries: 10000, AuditRetention: 400}}
	got := cli.Options
	if len(got.AllowedOrigins) == 0 {
		got.AllowedOrigins = nil
	}
	if len(got.OIDC.Networks) == 0 {
		got.OIDC.Networks = nil
	}
	if len(got.TrustedProxy) == 0 {
		got.TrustedProxy = nil
	}
	if len(got.AuditPublicKeys) == 0 {
		got.AuditPublicKeys = nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("settings (-want +got):\n" + diff)
	}
	if source.File().Path != path {
		t.Errorf("read %q, want %q", source.File().Path, path)
	}
}

// TestNamesAgree keeps key, flag and variable of every option one name, with a default and a help text.
func TestNamesAgree(t *testing.T) {
	var cli struct{ Options }
	k, err := kong.New(&cli, kong.Vars(Vars()))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	var walk func(prefix string, of reflect.Type)
	walk = func(prefix string, of reflect.Type) {
		for name, typ := range fieldsOf(of) {
			if typ.Kind() == reflect.Struct {
				walk(prefix+name+"-", typ)
				continue
			}
			keys[prefix+name] = true
		}
	}
	walk("", reflect.TypeFor[Options]())
	flags := map[string]bool{}
	for _, f := range k.Model.Flags {
		if f.Name == "help" {
			continue
		}
		flags[f.Name] = true
		want := "REMIT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if len(f.Envs) != 1 || f.Envs[0] != want {
			t.Errorf("--%s: variable is %v, want %s", f.Name, f.Envs, want)
		}
		if !f.HasDefault || !strings.Contains(f.Help, "(default: ") {
			t.Errorf("--%s: no default, or none in its help %q", f.Name, f.Help)
		}
	}
	if diff := cmp.Diff(keys, flags); diff != "" {
		t.Error("keys of the file against flags (-file +flags):\n" + diff)
	}
}

func TestSchemaNamesEveryKey(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	for name := range fieldsOf(reflect.TypeFor[File]()) {
		if !strings.Contains(string(text), `"`+name+`": {`) {
			t.Errorf("the schema lacks %q", name)
		}
	}
	for _, want := range []string{`"default": "127.0.0.1:8321"`, `"default": 100`, `"additionalProperties": false`,
		`"description": "Least level that is logged`, `"json"`, "${NAME}"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the schema lacks %s:\n%s", want, text)
		}
	}
	var schema struct {
		Properties struct {
			Upstreams struct {
				Of struct {
					Properties struct {
						Lists struct {
							Type  string
							Enum  []string
							Items struct{ Enum []string }
						}
					}
				} `json:"additionalProperties"`
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	if got := schema.Properties.Upstreams.Of.Properties.Lists; got.Enum != nil || !slices.Equal(got.Items.Enum, []string{"prompts", "resources"}) {
		t.Errorf("lists: got %+v, want each to be one of two", got)
	}
	if strings.Contains(string(text), "$$") {
		t.Error("the schema shows the flags' escapes")
	}
}

func TestOptionsValidate(t *testing.T) {
	good := Options{Base: Base{Listen: "127.0.0.1:1"}, MaxTools: 1, CrawlInterval: time.Minute, ListGrace: time.Minute, CallTimeout: time.Minute, ReadTimeout: time.Minute,
		Audit: Audit{CheckpointInterval: time.Hour, CheckpointEntries: 1}}
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"good":            {func(o *Options) {}, ""},
		"off":             {func(o *Options) { o.Embeddings.URL = "off" }, ""},
		"no port":         {func(o *Options) { o.Listen = "localhost" }, `listen is "localhost"`},
		"public url":      {func(o *Options) { o.PublicURL = "remit.example" }, "public-url is not"},
		"public path":     {func(o *Options) { o.PublicURL = "https://h.example/remit" }, "public-url has a path"},
		"user in the url": {func(o *Options) { o.Embeddings.URL = "http://u:hunter2@h" }, "embeddings.url is not"},
		"two reviewers":   {func(o *Options) { o.TwoReviewers, o.SingleOperator = true, true }, "contradict"},
		"no issuer":       {func(o *Options) { o.OIDC.ClientID = "remit" }, "no issuer"},
		"no client":       {func(o *Options) { o.OIDC.Issuer = "https://p" }, "oidc.client-id"},
		"no vouching":     {func(o *Options) { o.OIDC.Issuer, o.OIDC.ClientID = "https://p", "remit" }, "vouch-for"},
		"a network": {func(o *Options) {
			o.OIDC = OIDC{Issuer: "https://p", ClientID: "r", VouchFor: time.Hour, Networks: []string{"10.0.0.1"}}
		}, "oidc.networks"},
		"no model":         {func(o *Options) { o.Embeddings.URL = "http://h" }, "embeddings.model"},
		"no tools":         {func(o *Options) { o.MaxTools = 0 }, "max-tools is 0"},
		"negative crawl":   {func(o *Options) { o.CrawlInterval = -1 }, "crawl-interval"},
		"long staleness":   {func(o *Options) { o.MaxStaleness = time.Hour }, "max-staleness"},
		"other database":   {func(o *Options) { o.Database = "mysql://h/db" }, "postgres://"},
		"proxy's address":  {func(o *Options) { o.TrustedProxy = []string{"10.0.0.1"} }, "10.0.0.1/32"},
		"no time to send":  {func(o *Options) { o.ReadTimeout = 0 }, "read-timeout"},
		"no grace":         {func(o *Options) { o.ListGrace = 0 }, "list-grace"},
		"reminds later":    {func(o *Options) { o.RemindBefore = -1 }, "remind-before"},
		"no checkpoints":   {func(o *Options) { o.CheckpointInterval = 0 }, "checkpoint-interval"},
		"none by count":    {func(o *Options) { o.CheckpointEntries = 0 }, "checkpoint-entries"},
		"short retention":  {func(o *Options) { o.AuditRetention = 1 }, "audit-retention is too short"},
		"useless archive":  {func(o *Options) { o.AuditArchive = "a" }, "audit-archive needs"},
		"no time for call": {func(o *Options) { o.CallTimeout = 0 }, "call-timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			c.change(&o)
			got := errorText(o.Validate())
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.Contains(got, "hunter2") {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	for _, c := range []struct{ listen, public, want string }{
		{"127.0.0.1:8321", "", "http://127.0.0.1:8321"},
		{":80", "", "http://127.0.0.1:80"},
		{"[::]:80", "", "http://127.0.0.1:80"},
		{"localhost:80", "", "http://localhost:80"},
		{":80", "https://remit.example/", "https://remit.example"},
	} {
		if got := (Base{Listen: c.listen, PublicURL: c.public}).Address(); got != c.want {
			t.Errorf("listen %q, public %q: got %q, want %q", c.listen, c.public, got, c.want)
		}
	}
}

func TestDays(t *testing.T) {
	for text, want := range map[string]Days{"400d": 400, "0": 0, "": 0, "d": -1, "-1d": -1, "36h": -1, "4": -1, "99999d": -1, "1.5d": -1} {
		var got Days
		err := got.UnmarshalText([]byte(text))
		if err != nil && want != -1 || err == nil && got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
		if again, _ := got.MarshalText(); err == nil && text != "0" && string(again) != text {
			t.Errorf("%q is written %q", text, again)
		}
	}
}
