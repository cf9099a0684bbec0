package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
	"remit/catalog/vector"
	"remit/internal/fakeopenai"
	"remit/internal/llm"
)

func tool(t testing.TB, server, name, description string, params ...string) catalog.Tool {
	t.Helper()
	var properties []string
	for _, p := range params {
		properties = append(properties, fmt.Sprintf("%q:{}", p))
	}
	got, err := catalog.Parse(server, fmt.Appendf(nil, `{"name":%q,"description":%q,"inputSchema":{"type":"object","properties":{%s}}}`,
		name, description, strings.Join(properties, ",")))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func office(t testing.TB) []catalog.Tool {
	return []catalog.Tool{
		tool(t, "github", "create_issue", "Opens a new issue in a repository.", "repo", "title"),
		tool(t, "github", "listPullRequests", "Lists pull requests.", "repo"),
		tool(t, "mail", "send", "Sends an e-mail to recipients.", "to", "subject"),
		tool(t, "calendar", "find_event", "Searches meetings by date.", "date"),
		tool(t, "billing", "refund", "Pays an amount back to a customer.", "invoiceNumber"),
	}
}

func filled(t testing.TB, config catalog.Config, tools []catalog.Tool, vectors map[catalog.ID]catalog.Embedding) *catalog.Catalog {
	t.Helper()
	c := catalog.New(config)
	if err := c.Replace(tools, vectors); err != nil {
		t.Fatal(err)
	}
	return c
}

func ids(r catalog.Results) []catalog.ID {
	var out []catalog.ID
	for _, m := range r.Matches {
		out = append(out, m.Tool.ID)
	}
	return out
}

func TestSearchByWords(t *testing.T) {
	c := filled(t, catalog.Config{}, office(t), nil)
	for _, tc := range []struct {
		query string
		first catalog.ID
		why   []catalog.Reason
	}{
		{"GitHub", "github/create_issue", []catalog.Reason{{Field: "server", Terms: []string{"GitHub"}}}},
		{"please create the ISSUES", "github/create_issue",
			[]catalog.Reason{{Field: "name", Terms: []string{"create", "ISSUES"}}, {Field: "description", Terms: []string{"ISSUES"}}}},
		{"pull-request list", "github/listPullRequests", []catalog.Reason{
			{Field: "name", Terms: []string{"pull", "request", "list"}}, {Field: "description", Terms: []string{"pull", "request", "list"}}}},
		{"sending emails by mail", "mail/send", []catalog.Reason{{Field: "name", Terms: []string{"sending"}},
			{Field: "description", Terms: []string{"sending", "mail"}}, {Field: "server", Terms: []string{"mail"}}}},
		{"invoice number", "billing/refund", []catalog.Reason{{Field: "parameter", Terms: []string{"invoice", "number"}}}},
	} {
		got, err := c.Search(t.Context(), tc.query, 3)
		if err != nil || len(got.Matches) == 0 {
			t.Fatalf("%s: got %v, %v", tc.query, got, err)
		}
		m := got.Matches[0]
		if diff := cmp.Diff(tc.why, m.Why); m.Tool.ID != tc.first || diff != "" {
			t.Errorf("%s: got %s, want %s: %s", tc.query, m.Tool.ID, tc.first, diff)
		}
		if m.Score != m.Words+m.Mean || m.Mean != 0 || m.Similarity != 0 || got.Degraded != "" {
			t.Errorf("%s: got scores %+v, degraded %q, want words only", tc.query, m, got.Degraded)
		}
	}
}

func TestCoverageIsTheShareOfTheQuery(t *testing.T) {
	c := filled(t, catalog.Config{}, office(t), nil)
	for _, tc := range []struct {
		query    string
		low, top float64
	}{{"refund", 1, 1}, {"refund kangaroo", 0.3, 0.6}, {"refund kangaroo zebra aardvark", 0.1, 0.3}} {
		got, err := c.Search(t.Context(), tc.query, 1)
		if err != nil || len(got.Matches) != 1 {
			t.Fatalf("%s: got %v, %v", tc.query, got, err)
		}
		if cover := got.Matches[0].Coverage; cover < tc.low || cover > tc.top {
			t.Errorf("%s: got coverage %f, want %f to %f", tc.query, cover, tc.low, tc.top)
		}
	}
}

func TestNothingMatches(t *testing.T) {
	c := filled(t, catalog.Config{}, office(t), nil)
	got, err := c.Search(t.Context(), "kangaroo", 5)
	if err != nil || len(got.Matches) != 0 {
		t.Errorf("got %v, %v, want nothing", ids(got), err)
	}
	if got, err := catalog.New(catalog.Config{}).Search(t.Context(), "mail", 5); err != nil || len(got.Matches) != 0 || got.Degraded == "" {
		t.Errorf("empty catalog: got %+v, %v, want nothing and the reason", got, err)
	}
}

func TestQueriesThatAreRefusedOrBounded(t *testing.T) {
	c := filled(t, catalog.Config{}, office(t), nil)
	for _, query := range []string{"", " \t\n", "?!", "\xff\xfe", "🦘"} {
		if _, err := c.Search(t.Context(), query, 5); !errors.Is(err, catalog.ErrEmptyQuery) {
			t.Errorf("%q: got %v, want %v", query, err, catalog.ErrEmptyQuery)
		}
	}
	if _, err := c.Search(t.Context(), "mail", -1); err == nil {
		t.Error("k of -1: got no error")
	}
	for _, tc := range []struct {
		query string
		want  int
	}{
		{strings.Repeat("x ", 1990) + "refund", 1},        // within 4,000 bytes
		{strings.Repeat("x ", 2000) + "refund", 0},        // beyond
		{strings.Repeat("é", 1<<20), 0},                   // cut within no character
		{"the of and refund " + "\x00\xff\u202e mail", 2}, // odd bytes
	} {
		got, err := c.Search(t.Context(), tc.query, 1<<30)
		if err != nil || len(got.Matches) != tc.want {
			t.Errorf("%.30q: got %v, %v, want %d tools", tc.query, ids(got), err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Search(ctx, "mail", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestReplace(t *testing.T) {
	tools := office(t)
	c := filled(t, catalog.Config{}, tools, nil)
	before := c.Digest()
	if got, want := len(c.Tools()), 5; got != want || !slices.IsSortedFunc(c.Tools(), func(a, b catalog.Tool) int { return strings.Compare(string(a.ID), string(b.ID)) }) {
		t.Errorf("got %d tools, want %d by id", got, want)
	}
	tools[2].Gone, tools[0].Tokens, tools[1].Tokens = true, 30, 12
	if err := c.Replace(tools, nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Tool("mail/send"); ok {
		t.Error("a tool that is gone is still there")
	}
	if got, err := c.Search(t.Context(), "send mail", 5); err != nil || slices.Contains(ids(got), "mail/send") {
		t.Errorf("got %v, %v, want no tool that is gone", ids(got), err)
	}
	if got, ok := c.Tool("github/create_issue"); !ok || got.Name != "create_issue" {
		t.Errorf("got %+v, %v", got, ok)
	}
	if got, want := c.Tokens(), 42; got != want {
		t.Errorf("got %d tokens, want %d", got, want)
	}
	after := c.Digest()
	tools[0].Digest = "sha256:other"
	if err := c.Replace(tools, nil); err != nil || before == after || after == c.Digest() {
		t.Errorf("got digests %s, %s, %s, %v, want three", before, after, c.Digest(), err)
	}
}

// embedded returns a catalog of tools whose vectors come from a server.
func embedded(t *testing.T, server *fakeopenai.Server, tools []catalog.Tool) *catalog.Catalog {
	t.Helper()
	model, err := llm.New(llm.Config{URL: server.URL, Model: "m", MaxTries: 1})
	if err != nil {
		t.Fatal(err)
	}
	vectors := map[catalog.ID]catalog.Embedding{}
	for _, tool := range tools {
		v, err := model.Embed(t.Context(), catalog.Passages(tool))
		if err != nil {
			t.Fatal(err)
		}
		vectors[tool.ID] = catalog.NewEmbedding(v)
	}
	return filled(t, catalog.Config{Embedder: model, NewVectors: vector.New}, tools, vectors)
}

func TestSearchByMeaning(t *testing.T) {
	server := fakeopenai.New(64)
	defer server.Close()
	c := embedded(t, server, office(t))
	asked := len(server.Requests())
	for range 2 {
		got, err := c.Search(t.Context(), "pays back a customer", 5)
		if err != nil || got.Degraded != "" || len(got.Matches) == 0 {
			t.Fatalf("got %v, %v", got, err)
		}
		m := got.Matches[0]
		last := catalog.Reason{Field: "meaning"}
		if m.Tool.ID != "billing/refund" || m.Mean != 1.5 || m.Words != 1 || m.Score != 2.5 || m.Similarity <= 0 || m.Similarity > 1 ||
			!cmp.Equal(m.Why[len(m.Why)-1], last) {
			t.Errorf("got %+v", m)
		}
	}
	if got := len(server.Requests()) - asked; got != 1 {
		t.Errorf("got %d requests for one query asked twice, want 1", got)
	}
	long := strings.Repeat("We keep the office running and drink coffee all day long. ", 4) + "Then somebody has to send an e-mail to recipients."
	got, err := c.Search(t.Context(), long, 1)
	if err != nil || !slices.Equal(ids(got), []catalog.ID{"mail/send"}) {
		t.Errorf("got %v, %v, want the tool of one sentence", ids(got), err)
	}
	if r := server.Requests(); len(r[len(r)-1].Input) != 6 {
		t.Errorf("got %q embedded, want the whole and five sentences", r[len(r)-1].Input)
	}
}

// Texts that begin alike are told apart: of several, each has its own vector.
func TestScoreOfTextsThatBeginAlike(t *testing.T) {
	server := fakeopenai.New(64)
	defer server.Close()
	c := embedded(t, server, office(t))
	score := func(texts ...string) catalog.Scores {
		s, err := c.Score(t.Context(), texts)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	score("look at mail", "send an e-mail")
	got := score("look at mail", "pay back a customer", "send an e-mail")
	for i, text := range []string{"look at mail", "pay back a customer", "send an e-mail"} {
		if want := score(text).Cosine[0]; !slices.Equal(got.Cosine[i], want) {
			t.Errorf("%q: got %v, want %v", text, got.Cosine[i], want)
		}
	}
}

func TestDegraded(t *testing.T) {
	server := fakeopenai.New(64)
	defer server.Close()
	c := embedded(t, server, office(t))
	server.Misbehave(fakeopenai.ServerError)
	asked := len(server.Requests())
	for range 3 {
		got, err := c.Search(t.Context(), "refund a customer", 5)
		if err != nil || !slices.Equal(ids(got), []catalog.ID{"billing/refund"}) {
			t.Errorf("got %v, %v, want what words find", ids(got), err)
		}
		if !strings.Contains(got.Degraded, "words only") || !strings.Contains(got.Degraded, server.URL) {
			t.Errorf("got %q, want the reason", got.Degraded)
		}
	}
	if got := len(server.Requests()) - asked; got != 1 {
		t.Errorf("got %d requests while the endpoint is down, want 1", got)
	}

	c = embedded(t, fresh(t), office(t))
	if err := c.Replace(office(t), map[catalog.ID]catalog.Embedding{"mail/send": {Core: []float32{1, 0}}, "billing/refund": {Core: []float32{1, 0, 0}}}); err == nil {
		t.Error("vectors of two lengths gave no error")
	}
	if got, err := c.Search(t.Context(), "refund", 5); err != nil || len(got.Matches) != 1 || !strings.Contains(got.Degraded, "crawl again") && !strings.Contains(got.Degraded, "Crawl again") {
		t.Errorf("got %+v, %v, want words and the reason", got, err)
	}
	if err := c.Replace(office(t), map[catalog.ID]catalog.Embedding{"mail/send": {Core: []float32{1, 0}}}); err != nil {
		t.Fatal(err)
	}
	// The stored vectors have two dimensions and the query's has 64.
	if got, err := c.Search(t.Context(), "refund", 5); err != nil || len(got.Matches) != 1 || !strings.Contains(got.Degraded, "another model") {
		t.Errorf("got %+v, %v, want words and the reason", got, err)
	}
}

func fresh(t *testing.T) *fakeopenai.Server {
	server := fakeopenai.New(64)
	t.Cleanup(server.Close)
	return server
}

func TestToolsWithoutVectorAreFoundByWords(t *testing.T) {
	server := fresh(t)
	model, err := llm.New(llm.Config{URL: server.URL, Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	v, err := model.Embed(t.Context(), []string{"mail send"})
	if err != nil {
		t.Fatal(err)
	}
	c := filled(t, catalog.Config{Embedder: model, NewVectors: vector.New}, office(t), map[catalog.ID]catalog.Embedding{"mail/send": {Core: v[0]}})
	got, err := c.Search(t.Context(), "refund a customer", 1)
	if err != nil || !slices.Equal(ids(got), []catalog.ID{"billing/refund"}) || !strings.Contains(got.Degraded, "4 of 5 tools") {
		t.Errorf("got %v, %q, %v", ids(got), got.Degraded, err)
	}
}

// remote is an embedding endpoint that does not answer until it is up.
type remote struct {
	up    bool
	calls int
}

func (r *remote) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	r.calls++
	if !r.up {
		<-ctx.Done()
		return nil, fmt.Errorf("remote: %w", ctx.Err())
	}
	out := make([][]float32, len(texts))
	for i := range out {
		out[i] = []float32{1, 0}
	}
	return out, nil
}
func (r *remote) Model() string { return "remote" }
func (r *remote) Dim() int      { return 2 }

func TestSlowEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{}
		c := filled(t, catalog.Config{Embedder: r, NewVectors: vector.New, QueryTimeout: time.Second}, office(t),
			map[catalog.ID]catalog.Embedding{"mail/send": {Core: []float32{1, 0}}, "billing/refund": {Core: []float32{0, 1}}})
		search := func() (catalog.Results, time.Duration) {
			start := time.Now()
			got, err := c.Search(t.Context(), "refund", 5)
			if err != nil {
				t.Fatal(err)
			}
			return got, time.Since(start)
		}
		if got, took := search(); !strings.Contains(got.Degraded, "no answer within 1s") || took != time.Second {
			t.Errorf("got %q after %s, want words only after 1s", got.Degraded, took)
		}
		if got, took := search(); got.Degraded == "" || took != 0 {
			t.Errorf("got %q after %s, want words only at once", got.Degraded, took)
		}
		r.up = true
		<-time.After(11 * time.Second) // of the bubble: the pause after a failure
		if got, _ := search(); strings.Contains(got.Degraded, "no answer") || r.calls != 2 {
			t.Errorf("got %q after %d calls, want the endpoint used again", got.Degraded, r.calls)
		}
	})
}

func TestSearchWhileReplacing(t *testing.T) {
	server := fresh(t)
	tools := office(t)
	c := embedded(t, server, tools)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 200 {
				if got, err := c.Search(t.Context(), "refund a customer", 3); err != nil || len(got.Matches) == 0 || got.Matches[0].Tool.ID != "billing/refund" {
					t.Errorf("got %v, %v", ids(got), err)
					return
				}
			}
		})
	}
	for i := range 50 {
		if err := c.Replace(tools[i%4:], nil); err != nil {
			t.Error(err)
		}
	}
	wait.Wait()
}

func TestPassages(t *testing.T) {
	for description, want := range map[string][]string{
		"Lists.": {"git hub list open prs. repo name, state"},
		"Needs a token with the scope repo. Lists the PRs that are open. Ten to a page.": {
			"git hub list open prs. Lists the PRs that are open. repo name, state",
			"Needs a token with the scope repo. Ten to a page",
		},
	} {
		if got := catalog.Passages(tool(t, "git-hub", "listOpenPRs", description, "repoName", "state")); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, text := range catalog.Passages(tool(t, "s", "t", strings.Repeat("é", 100_000), "p")) {
		if len(text) > 1200 {
			t.Errorf("got %d bytes, want at most 1200", len(text))
		}
	}
}

// However many processors read the words, the index is the same.
func TestWordsReadByManyProcessors(t *testing.T) {
	var tools []catalog.Tool
	for i := range 101 {
		tools = append(tools, tool(t, fmt.Sprint("server", i%7), fmt.Sprint("tool_", i),
			fmt.Sprintf("Finds %d customers of region %d, and %s.", i%13, i%5, []string{"tells nobody", "sends mail", "writes a report"}[i%3])))
	}
	search := func(processors int) (found []catalog.Match) {
		t.Helper()
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		c := catalog.New(catalog.Config{})
		if err := c.Replace(tools, nil); err != nil {
			t.Fatal(err)
		}
		for _, query := range []string{"customers of region 3", "send mail", "server4 report", "tool_17", "nothing of the kind"} {
			got, err := c.Search(t.Context(), query, 50)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, got.Matches...)
		}
		return found
	}
	want := search(1)
	if len(want) < 100 {
		t.Fatalf("only %d were found", len(want))
	}
	for _, processors := range []int{2, 3, 8} {
		if diff := cmp.Diff(want, search(processors)); diff != "" {
			t.Errorf("%d processors: %s", processors, diff)
		}
	}
}
