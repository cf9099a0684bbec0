package e2e_test

import (
	"cmp"
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"remit/catalog"
	"remit/identity"
	"remit/internal/fakemcp"
	"remit/persona"
	"remit/policy"
	"remit/store"
)

// A persona is live for forty days, and its agent needs one of its two tools. A reviewer sees that on its page and takes the
// other away; the agent's next list lacks it. The persona is approved by the same code as ever, with a clock forty days ago.
func TestUnusedToolIsTakenAway(t *testing.T) {
	fake, err := fakemcp.New(fakemcp.Config{Name: "billing", Tools: []json.RawMessage{
		json.RawMessage(`{"name":"list_invoices","description":"Lists invoices.","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}`),
		json.RawMessage(`{"name":"delete_invoice","description":"Deletes an invoice for ever.","inputSchema":{"type":"object"}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(fake)
	defer server.Close()
	defer server.CloseClientConnections()
	in := install(t, "  billing: {url: "+server.URL+"}\n")
	in.crawled("list_invoices", "delete_invoice")
	in.approvedAgo(40*24*time.Hour, "invoices", func(id catalog.ID) bool { return strings.HasPrefix(string(id), "billing/") })
	key := regexp.MustCompile(`remit_\S+`).FindString(in.cli("key", "create", "--agent", "e2e-agent", "--user", "zoe@example.com", "--persona", "invoices"))

	endpoint := in.url + "/k/invoices/mcp"
	agent := func() (names []string, answer string) {
		var sdk struct {
			Tools   []struct{ Name string }
			Error   string
			Result  json.RawMessage
			Outside struct{ Error string }
		}
		script(t, &sdk, "sdk.mjs", endpoint, key, "list_invoices", `{}`, "drop_all")
		for _, tool := range sdk.Tools {
			names = append(names, tool.Name)
		}
		return names, sdk.Error + string(sdk.Result)
	}
	if got, answer := agent(); !slices.Equal(got, []string{"delete_invoice", "list_invoices"}) || !strings.Contains(answer, "list_invoices") {
		t.Fatalf("before: got %v, %s", got, answer)
	}

	var out struct {
		Window, Proposal, Refused, Notice, Tools string
		Ticked                                   []string
	}
	plan := map[string]any{"link": in.person("ravi", "reviewer"), "url": in.url + "/personas/invoices"}
	browse(t, &out, "rightsize.mjs", plan)
	if !slices.Equal(out.Ticked, []string{"billing/delete_invoice"}) || !strings.Contains(out.Proposal, "1 of the 2 tools, without billing/delete_invoice (destructive)") {
		t.Errorf("the reviewer read %q with %v ticked", out.Proposal, out.Ticked)
	}
	if !strings.Contains(out.Window, "30 days, 1 forwarded call") || !strings.Contains(out.Refused, "drop_all") {
		t.Errorf("the reviewer read the window %q and what was refused %q", out.Window, out.Refused)
	}
	if !strings.Contains(out.Notice, "Removed.") || strings.Contains(out.Tools, "delete_invoice") {
		t.Errorf("after it: got %q and tools %q", out.Notice, out.Tools)
	}
	if got, answer := agent(); !slices.Equal(got, []string{"list_invoices"}) || !strings.Contains(answer, "list_invoices") {
		t.Errorf("after: got %v, %s", got, answer)
	}
	if got := in.cli("audit", "--kind", "persona.narrow", "--json"); !strings.Contains(got, `"removed":"billing/delete_invoice"`) || !strings.Contains(got, `"unused_from"`) {
		t.Errorf("the record: got %s", got)
	}
	in.cli("audit", "verify")
}

// approvedAgo has a persona with the granted tools written and approved so long ago, beside the running server. Their servers may ask for
// what asks says.
func (in *installation) approvedAgo(ago time.Duration, id persona.ID, granted func(catalog.ID) bool, lets ...policy.Policy) {
	t := in.t
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, cmp.Or(in.database, filepath.Join(in.dir, "data", "remit.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	offered, err := db.Tools(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := &persona.Registry{Store: db, Now: func() time.Time { return time.Now().Add(-ago) },
		Current: func(id catalog.ID) (catalog.Tool, bool) {
			i := slices.IndexFunc(offered, func(t catalog.Tool) bool { return t.ID == id })
			if i < 0 {
				return catalog.Tool{}, false
			}
			return offered[i], true
		}}
	p := persona.Proposal{Job: "List the invoices that are due."}
	var rules policy.Policy
	if len(lets) > 0 {
		rules = lets[0]
	}
	for _, tool := range offered {
		if granted(tool.ID) {
			p.Grants = append(p.Grants, persona.Grant{Pin: persona.Pin{Tool: tool.ID}, Reason: "the job asks for it", Confidence: 1, Policy: rules})
		}
	}
	author := identity.Principal{Person: "ada", Roles: []identity.Role{identity.Author}}
	reviewer := identity.Principal{Person: "bea", Roles: []identity.Role{identity.Reviewer}}
	if err := r.Create(ctx, author, id, "Invoices", p); err != nil {
		t.Fatal(err)
	}
	if err := r.Submit(ctx, author, id, 1); err != nil {
		t.Fatal(err)
	}
	written, err := db.Persona(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Approve(ctx, reviewer, id, 1, written.Latest().Digests()); err != nil {
		t.Fatal(err)
	}
}
