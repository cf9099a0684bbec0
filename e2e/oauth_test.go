package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// signedIn is what came of oauth.mjs.
type signedIn struct {
	Error                             string
	Resource, Server, Scope, ClientID string
	Tools                             []string
	Result                            json.RawMessage
}

func (in *installation) ownClient(plan map[string]any) (got signedIn) {
	in.t.Helper()
	text, err := json.Marshal(plan)
	if err != nil {
		in.t.Fatal(err)
	}
	script(in.t, &got, "oauth.mjs", string(text))
	return got
}

// TestOwnClientsSignIn: Zoe has nothing but a persona's address. Her client, an official SDK of either era, finds the provider,
// registers itself or has a client id from before, and has her sign in there; then it calls a tool in her name. A colleague whose
// group may not use the persona signs in as well and gets nothing. Her group is taken away: the next try is refused.
func TestOwnClientsSignIn(t *testing.T) {
	in := install(t, demoUpstreams())
	port := freePort(t)
	issuer := fmt.Sprintf("http://127.0.0.1:%d", port)
	f, err := os.OpenFile(in.config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "oidc:\n  issuer: %s\n  client-id: remit\n  client-secret: ${REMIT_TEST_SECRET}\n  unknown: create\n  roles: [staff=viewer]\n", issuer)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REMIT_TEST_SECRET", "a secret of a test")
	in.stop(syscall.SIGTERM)
	in.start()
	p := startProvider(t, port, in.url)
	p.groups(map[string][]string{"zoe": {"staff", "support"}, "yan": {"staff"}})
	in.crawled("search_customers")
	w := peopled(in)
	if !w.persona("support", "Look up a customer in the CRM and add a note to their record.") {
		t.Fatal("the persona could not be approved")
	}
	in.providerIsUp()
	for _, name := range []string{"zoe", "yan"} {
		in.visit(issuer, "in", name, nil)
	}
	plan := func(sdk, login, client string) map[string]any {
		return map[string]any{"url": in.url + "/p/support/mcp", "sdk": sdk, "login": login, "clientId": client, "tool": "search_customers", "arguments": map[string]any{"query": "Nora"}}
	}
	if got := in.ownClient(plan("legacy", "zoe", "")); !strings.Contains(got.Error, "You may not use this persona") {
		t.Errorf("before anybody may: got %+v", got)
	}
	in.cli("persona", "users", "support", "--group", "support")
	for _, tc := range []struct{ sdk, client string }{{"legacy", ""}, {"modern", ""}, {"legacy", "registered-before"}, {"modern", "registered-before"}} {
		got := in.ownClient(plan(tc.sdk, "zoe", tc.client))
		if got.Error != "" || got.Server != issuer || got.Resource != in.url+"/p/support/mcp" || !slices.Contains(strings.Fields(got.Scope), "remit:support") ||
			!slices.Contains(got.Tools, "search_customers") || !strings.Contains(string(got.Result), "Nora") {
			t.Fatalf("%+v: got %+v %s", tc, got, got.Result)
		}
		if entries := in.cli("audit", "--json", "--kind", "tool.call"); !strings.Contains(entries, fmt.Sprintf(`"agent":%q`, got.ClientID)) || !strings.Contains(entries, `"user":"zoe"`) {
			t.Errorf("the record does not say that client %s called for zoe:\n%s", got.ClientID, entries)
		}
	}
	if got := in.ownClient(plan("modern", "yan", "registered-before")); !strings.Contains(got.Error, "You may not use this persona") {
		t.Errorf("a colleague: got %+v", got)
	}
	p.groups(map[string][]string{"zoe": {"staff"}})
	in.visit(issuer, "in", "zoe", nil)
	if got := in.ownClient(plan("modern", "zoe", "registered-before")); !strings.Contains(got.Error, "You may not use this persona") {
		t.Errorf("without the group: got %+v", got)
	}
	if out := in.cli("audit"); !strings.Contains(out, "neither the person nor a group of theirs may use the persona") {
		t.Errorf("the record is\n%s", out)
	}
	if out := in.cli("audit", "verify"); !strings.Contains(out, "verified") {
		t.Errorf("got %s", out)
	}
}
