package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/upstream"
)

func TestExpand(t *testing.T) {
	t.Setenv("WORD", "canary")
	t.Setenv("EMPTY", "")
	file := write(t, "secret", "  from a file\n")
	for _, c := range []struct{ text, want, err string }{
		{"plain $HOME $x", "plain $HOME $x", ""},
		{"Bearer ${WORD}!", "Bearer canary!", ""},
		{"${EMPTY}", "", ""},
		{"${NOT_SET_HERE:-else}", "else", ""},
		{"$${WORD}", "${WORD}", ""},
		{"${file:" + file + "}", "from a file", ""},
		{"${NOT_SET_HERE}", "", "the environment variable NOT_SET_HERE is not set"},
		{"${file:/no/such/file}", "", "/no/such/file"},
		{"${a b}", "", "${a b} is no reference"},
	} {
		got, err := Expand(c.text)
		if err == nil && c.err == "" && got == c.want {
			continue
		}
		if c.err == "" || !strings.Contains(errorText(err), c.err) || strings.Contains(errorText(err), "canary") {
			t.Errorf("%q: got %q, %v; want %q, %q", c.text, got, err, c.want, c.err)
		}
	}
}

const withSecrets = `database: postgres://u:canary-10@h/db

embeddings: {url: "https://e.example/v1", model: m, key: "${E_KEY}"}
oidc: {issuer: "https://id.example", client-id: remit, client-secret: canary-0}
upstreams:
  good:
    command: srv
    args: ["--token=${TOK}", "--level", "debug"]
    env: {GITHUB_TOKEN: "${TOK}", LEVEL: debug, KEY_FILE: /etc/key}
  bad:
    command: srv
    args: ["--api-key", "canary-1", "--password=canary-2", "postgres://u:canary-3@h/db", "Authorization: Bearer canary-4"]
    env: {GITHUB_TOKEN: canary-5, DB: "postgres://u:canary-6@h/db"}
  web:
    url: https://h.example/mcp?api_key=canary-7&page=2
    headers: {Authorization: Bearer canary-8, X-Team: blue}
`

func TestWarningsNameWrittenOutSecretsWithoutThem(t *testing.T) {
	f, err := parse("f.yaml", []byte(withSecrets))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range f.Warnings() {
		what, _, _ := strings.Cut(w, " looks like")
		got = append(got, what)
	}
	want := []string{"oidc.client-secret", "database", "upstream bad: env DB", "upstream bad: env GITHUB_TOKEN", "upstream bad: argument 2", "upstream bad: argument 3",
		"upstream bad: argument 4", "upstream bad: argument 5", "upstream web: header Authorization", "upstream web: parameter api_key of the url"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("warnings (-want +got):\n" + diff)
	}
	if strings.Contains(strings.Join(f.Warnings(), ""), "canary") {
		t.Error("a warning shows a secret")
	}
}

func TestShowKeepsReferencesAndHidesSecrets(t *testing.T) {
	t.Setenv("TOK", "canary-from-environment")
	f, err := parse("f.yaml", []byte(withSecrets))
	if err != nil {
		t.Fatal(err)
	}
	text, err := Show(Options{Base: f.Base, Embeddings: Embeddings{Key: "canary-9"}, OIDC: f.OIDC}, f)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "canary") {
		t.Errorf("a secret is shown:\n%s", text)
	}
	for _, want := range []string{"${TOK}", "--token=${TOK}", "LEVEL: debug", "X-Team: blue", "--password=" + hidden, "page=2", "database: postgres://h/db"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if _, err := parse("shown.yaml", []byte(text)); err != nil {
		t.Errorf("what is shown cannot be read again: %v", err)
	}
}

func TestConfigs(t *testing.T) {
	t.Setenv("TOK", "canary")
	f, err := parse("f.yaml", []byte("upstreams:\n  b: {url: https://h/mcp, headers: {Authorization: 'Bearer ${TOK}'}, call-timeout: 5s}\n"+
		"  a: {command: srv, args: ['${TOK}'], env: {T: '${TOK}'}, concurrency: 3}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Configs(Options{CallTimeout: 60e9}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []upstream.Config{
		{Name: "a", Command: "srv", Args: []string{"canary"}, Env: map[string]string{"T": "canary"}, Headers: map[string]string{}, Concurrency: 3, CallTimeout: 60e9,
			Secrets: []string{"canary", "canary"}},
		{Name: "b", URL: "https://h/mcp", Env: map[string]string{}, Headers: map[string]string{"Authorization": "Bearer canary"}, CallTimeout: 5e9, Secrets: []string{"Bearer canary"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("configs (-want +got):\n" + diff)
	}
}

func TestConfigsNameUpstreamAndVariable(t *testing.T) {
	f, err := parse("f.yaml", []byte("upstreams:\n  a: {command: srv, env: {T: '${NOT_SET_1}'}}\n  b: {command: x, url: https://y}\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Configs(Options{}, nil)
	for _, want := range []string{"f.yaml: upstream a: env T: the environment variable NOT_SET_1 is not set", "server b: set either a command"} {
		if !strings.Contains(errorText(err), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}
