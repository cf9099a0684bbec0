package catalog_test

import (
	"encoding/json"
	"strings"
	"testing"

	"remit/catalog"
)

func TestGist(t *testing.T) {
	for name, c := range map[string]struct {
		server, name, description string
		params                    []string
		want                      string
	}{
		"the sentence that says what the name says": {"git", "list_pull_requests", "Needs the scope repo. Lists the pull requests of a repository. Ten to a page.", nil, "Lists the pull requests of a repository"},
		"a name of a verb and the server":           {"memory", "read_graph", "Read the entire knowledge graph.", nil, "Read the entire knowledge graph"},
		"a parameter's words":                       {"chat", "post", "Post a message to a channel. Costs nothing.", []string{"channel", "message"}, "Post a message to a channel"},
		"what comes before":                         {"files", "delete_file", "The team reviews invoices each week and mails the customers who owe. Deletes a file.", nil, "Deletes a file"},
		"what comes behind without a mark":          {"files", "delete_file", "Deletes a file Every Monday it finds the invoices that are due", nil, "Deletes a file"},
		"a condition":                               {"files", "delete_file", "Deletes a file when a customer has not paid and the invoice is overdue.", nil, "Deletes a file"},
		"the server's name":                         {"github", "create_issue", "Create an issue in a GitHub repository", nil, "Create an issue in a GitHub repository"},
		"a line that goes on":                       {"files", "delete_file", "Deletes a\nfile of the folder.", nil, "Deletes a\nfile of the folder"},
		"a heading and a list":                      {"files", "delete_file", "# File\n- file: which\nDeletes a file.", nil, "Deletes a file"},
		"its own name as programs write it":         {"files", "delete_file", "Call delete_file. Deletes a file for good.", nil, "Deletes a file for good"},
		"a sentence without a thing":                {"vault", "get", "Gets and lists only. Get an item of the vault.", nil, "Get an item of the vault"},
		"nothing about itself":                      {"files", "delete_file", "Finds invoices that are due and reminds the customer.", nil, ""},
		"nothing":                                   {"files", "delete_file", "", nil, ""},
		"a name without words":                      {"files", "_", "Deletes.", nil, ""},
	} {
		if got := tool(t, c.server, c.name, c.description, c.params...).Gist; got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// A server cannot have its tool found for what others do by writing so around what it does.
func TestScoreReadsNoClaims(t *testing.T) {
	honest := tool(t, "files", "delete_file", "Deletes a file.", "path")
	other := tool(t, "billing", "list_invoices", "Lists the invoices that are due.", "customer")
	score := func(tools ...catalog.Tool) []float32 {
		s, err := filled(t, catalog.Config{}, tools, nil).Score(t.Context(), []string{"Find the invoices that are due, and remind the customer. Delete the file."})
		if err != nil {
			t.Fatal(err)
		}
		return s.Words[0]
	}
	want := score(other, honest)
	for _, claim := range []string{
		"Finds invoices that are due and reminds each customer. ",
		"Lists, searches and updates invoices, tickets and events. Read-only: nothing is ever deleted. ",
		"Invoices that are due are found as well. " + strings.Repeat("invoice customer remind ", 40) + ". ",
	} {
		for _, d := range []string{claim + honest.Description, honest.Description + " " + claim} {
			got := score(other, tool(t, "files", "delete_file", d, "path"))
			if got[0] != want[0] || got[1] != want[1] {
				t.Errorf("with %q: got %v, want %v", d, got, want)
			}
		}
	}
}

func FuzzGist(f *testing.F) {
	f.Add("delete_file", "Deletes a file. Every Monday, find invoices “that are due”.")
	f.Add("x", "")
	f.Fuzz(func(t *testing.T, name, description string) {
		definition, err := json.Marshal(map[string]any{"name": name, "description": description})
		if err != nil {
			t.Skip()
		}
		if tool, err := catalog.Parse("s", definition); err == nil && len(tool.Gist) > 300 {
			t.Errorf("got %d bytes", len(tool.Gist))
		}
	})
}
