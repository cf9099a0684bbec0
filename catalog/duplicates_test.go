package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
	"remit/catalog/vector"
)

// nearAll is a catalog whose tools are all near to each other in meaning, so that only what is compared of them decides.
func nearAll(t testing.TB, tools ...catalog.Tool) *catalog.Catalog {
	t.Helper()
	vectors := map[catalog.ID]catalog.Embedding{}
	for i := range tools {
		tools[i].Tokens = len(tools[i].Definition)
		vectors[tools[i].ID] = catalog.Embedding{Core: []float32{1, 0}}
	}
	return filled(t, catalog.Config{Embedder: &fixed{dim: 2}, NewVectors: vector.New}, tools, vectors)
}

func TestDuplicatesDoTheSame(t *testing.T) {
	for _, tc := range []struct {
		a, b catalog.Tool
		why  string
	}{
		{tool(t, "linear", "linear_createIssue", "Create a new issue in Linear", "title", "teamId"),
			tool(t, "linear-prod", "linear_create_issue", "Creates an issue", "title", "team_id"), "one product, other spelling"},
		{tool(t, "jira", "getUsers", "Get a list of users", "query"), tool(t, "jira-cloud", "list_users", "Lists users", "query"), "get of many is list"},
		{tool(t, "k8s-a", "pods_exec", "Execute a command in a pod", "name", "command"),
			tool(t, "k8s-b", "exec_in_pod", "Execute a command in a pod", "name", "command"), "verb last"},
		{tool(t, "exa", "web_search_exa", "Search the web for any topic using Exa", "query"),
			tool(t, "tavily", "tavily_search", "Search the web for current information on any topic", "query"), "anyone's web"},
		{tool(t, "puppeteer", "puppeteer_click", "Click an element on the page", "selector"),
			tool(t, "playwright", "playwright_click", "Click an element on the page", "selector"), "what the call brings along"},
	} {
		got := duplicates(t, nearAll(t, tc.a, tc.b), catalog.DefaultLikeness)
		if len(got.Groups) != 1 {
			t.Errorf("%s: %s and %s are in no group, though they do the same", tc.why, tc.a.ID, tc.b.ID)
		}
	}
}

func TestDuplicatesKeepApart(t *testing.T) {
	for _, tc := range []struct {
		a, b catalog.Tool
		why  string
	}{
		{tool(t, "github", "list_issues", "List the issues of a GitHub repository", "repo"),
			tool(t, "gitlab", "list_issues", "List the issues of a GitLab project", "repo"), "two products"},
		{tool(t, "contentful", "delete_environment", "Delete an environment", "id"),
			tool(t, "postman", "deleteEnvironment", "Deletes an environment.", "id"), "two products that are not named"},
		{tool(t, "linear", "archive_issue", "Archive an issue", "id"), tool(t, "linear-b", "delete_issue", "Delete an issue", "id"), "another effect"},
		{tool(t, "linear", "get_issue", "Get an issue", "id"), tool(t, "linear-b", "get_issues", "Get issues", "id"), "one and many"},
		{tool(t, "linear", "delete_issue_relation", "Delete an issue relation", "id"), tool(t, "linear-b", "delete_issue", "Delete an issue", "id"), "another thing"},
		{tool(t, "linear", "addIssueToProject", "Add an issue to a project", "id"),
			tool(t, "linear-b", "create_project_with_issues", "Create a project with issues", "id"), "the same words the other way round"},
		{tool(t, "gcp-storage", "list_buckets", "Lists all storage buckets", "project"),
			tool(t, "gcp-logging", "list_buckets", "Lists all logging buckets", "project"), "two parts of a product"},
		{tool(t, "linear", "get_issue", "Get an issue", "id"), tool(t, "linear", "read_issue", "Read an issue", "id"), "one server"},
	} {
		for _, g := range duplicates(t, nearAll(t, tc.a, tc.b), catalog.DefaultLikeness).Groups {
			t.Errorf("%s: %s and %s are a group of likeness %.2f", tc.why, tc.a.ID, tc.b.ID, g.Likeness)
		}
	}
}

func duplicates(t testing.TB, c *catalog.Catalog, least float64) catalog.Groups {
	t.Helper()
	got, err := c.Duplicates(t.Context(), least)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestDuplicatesSumUp(t *testing.T) {
	c := nearAll(t,
		tool(t, "jira-a", "create_issue", "Create an issue"), tool(t, "jira-b", "create_issue", "Create an issue now"),
		tool(t, "jira-c", "create_issue", "Create an issue."), tool(t, "jira-a", "list_boards", "List boards"),
		tool(t, "jira-b", "list_boards", "List the boards"), tool(t, "mail", "send", "Send an e-mail"))
	got := duplicates(t, c, catalog.DefaultLikeness)
	var groups []string
	for _, g := range got.Groups {
		var ids []string
		for _, tool := range g.Tools {
			ids = append(ids, string(tool.ID))
		}
		groups = append(groups, fmt.Sprintf("%s wasted %d", strings.Join(ids, " "), g.Wasted))
	}
	cost := func(id catalog.ID) int { tool, _ := c.Tool(id); return tool.Tokens }
	issues, boards := cost("jira-c/create_issue")+cost("jira-b/create_issue"), cost("jira-b/list_boards")
	want := []string{fmt.Sprint("jira-a/create_issue jira-c/create_issue jira-b/create_issue wasted ", issues),
		fmt.Sprint("jira-a/list_boards jira-b/list_boards wasted ", boards)}
	if diff := cmp.Diff(want, groups); diff != "" || got.Wasted != issues+boards || got.Degraded != "" {
		t.Errorf("got %d tokens, degraded %q, (-want +got):\n%s", got.Wasted, got.Degraded, diff)
	}
	overlaps := []catalog.Overlap{{A: "jira-a", B: "jira-b", Groups: 2, Wasted: cost("jira-b/create_issue") + boards},
		{A: "jira-b", B: "jira-c", Groups: 1, Wasted: cost("jira-b/create_issue")}, {A: "jira-a", B: "jira-c", Groups: 1, Wasted: cost("jira-c/create_issue")}}
	if diff := cmp.Diff(overlaps, got.Overlaps); diff != "" {
		t.Errorf("overlaps (-want +got):\n%s", diff)
	}
	if g, ok := got.Of("jira-b/list_boards"); !ok || g.Tools[0].ID != "jira-a/list_boards" {
		t.Errorf("got %v, %v, want the group of jira-b/list_boards", g, ok)
	}
	if _, ok := got.Of("mail/send"); ok {
		t.Error("mail/send is in a group")
	}
}

func TestDuplicatesFollowTheCatalog(t *testing.T) {
	a, b := tool(t, "jira-a", "create_issue", "Create an issue"), tool(t, "jira-b", "create_issue", "Create an issue")
	c := nearAll(t, a, b)
	if got := len(duplicates(t, c, 0.5).Groups); got != 1 {
		t.Fatalf("got %d groups, want 1", got)
	}
	if err := c.Replace([]catalog.Tool{a}, map[catalog.ID]catalog.Embedding{a.ID: {Core: []float32{1, 0}}}); err != nil {
		t.Fatal(err)
	}
	if got := len(duplicates(t, c, 0.5).Groups); got != 0 {
		t.Errorf("one of the two is gone: got %d groups, want none", got)
	}
	if err := c.Replace([]catalog.Tool{a, b}, nil); err != nil {
		t.Fatal(err)
	}
	if got := duplicates(t, c, 0.5); len(got.Groups) != 0 || !strings.Contains(got.Degraded, "no vectors") {
		t.Errorf("without vectors: got %+v, want the reason", got)
	}
	if err := c.Replace([]catalog.Tool{a, b}, map[catalog.ID]catalog.Embedding{a.ID: {Core: []float32{1, 0}}}); err != nil {
		t.Fatal(err)
	}
	if got := duplicates(t, c, 0.5).Degraded; !strings.HasPrefix(got, "1 of 2 tools have no vector yet") {
		t.Errorf("got %q, want how many tools lack a vector", got)
	}
}

func TestDuplicatesRefuse(t *testing.T) {
	c := nearAll(t, office(t)...)
	for _, least := range []float64{-1, 0, 0.49, 1.01} {
		if _, err := c.Duplicates(t.Context(), least); !errors.Is(err, catalog.ErrLikeness) {
			t.Errorf("%v: got %v, want %v", least, err, catalog.ErrLikeness)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Duplicates(ctx, 0.7); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if got := duplicates(t, c, 0.7); len(got.Groups) != 0 {
		t.Errorf("after a call that was given up: got %v, want no group", got.Groups)
	}
}

// A server may list a tool a hundred times over under other names: groups stay small, and time does not explode.
func TestDuplicatesOfAFlood(t *testing.T) {
	var tools []catalog.Tool
	for i := range 1500 {
		tools = append(tools, tool(t, fmt.Sprint("web-", i%100), fmt.Sprint("search_", i), "Search the web", "query"))
	}
	for _, g := range duplicates(t, nearAll(t, tools...), 0.5).Groups {
		if len(g.Tools) > 33 {
			t.Errorf("got a group of %d tools, want at most 33", len(g.Tools))
		}
	}
}
