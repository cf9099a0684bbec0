package evals_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
	"remit/catalog/embed"
	"remit/catalog/vector"
	"remit/composer"
	"remit/evals"
	"remit/internal/fakeopenai"
	"remit/internal/llm"
	"remit/prompts"
)

// shownTo are the tools of a prompt, each as the model reads it, by id.
func shownTo(r fakeopenai.Request) (ids []string, lines map[string]string) {
	lines = map[string]string{}
	for line := range strings.Lines(part(r, "tools")) {
		var tool struct{ ID string }
		if json.Unmarshal([]byte(line), &tool) == nil {
			ids, lines[tool.ID] = append(ids, tool.ID), strings.TrimSpace(line)
		}
	}
	return ids, lines
}

// part of the prompt.
func part(r fakeopenai.Request, name string) string {
	_, text, _ := strings.Cut(r.Messages[1].Content, "<"+name+">\n")
	text, _, _ = strings.Cut(text, "\n</"+name+">")
	return text
}

// sensible is a model that takes the whole job for one need, and for it the first tools that it is shown.
func sensible(n int) func(fakeopenai.Request) string {
	return func(r fakeopenai.Request) string {
		switch r.ResponseFormat.JSONSchema.Name {
		case "needs":
			return fmt.Sprintf(`{"needs":[{"words":%s,"search":%[1]s,"effect":"write","object":"","product":""}],"prohibitions":[]}`, part(r, "job"))
		case "choose":
			ids, _ := shownTo(r)
			return choosing(ids[:min(n, len(ids))])
		}
		return `{"remove":[]}`
	}
}

func choosing(ids []string) string {
	var all []string
	for _, id := range ids {
		all = append(all, fmt.Sprintf(`{"tool":%q,"needs":["n1"],"why":"It does it.","limits":[],"arguments":[]}`, id))
	}
	return `{"choices":[` + strings.Join(all, ",") + `],"near_misses":[],"gaps":[]}`
}

// modelRunner runs suites with the model at the endpoint too.
func modelRunner(t testing.TB, url, answers string, offline bool) *evals.Runner {
	t.Helper()
	chat, err := llm.NewChat(llm.ChatConfig{URL: url, Model: "tiny", PerMinute: 10_000, PricePrompt: 2, PriceCompletion: 4})
	if err != nil {
		t.Fatal(err)
	}
	r := shopRunner(2)
	if r.Answers, err = evals.NewAnswers(answers, offline); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Answers.Close() })
	r.Models = []evals.Model{{Name: "tiny", Asked: "tiny, temperature 0", Prompts: prompts.Digest(), NewDrafter: func(c *catalog.Catalog) evals.Drafter {
		return composer.New(composer.Config{Finder: c, Model: r.Answers.Of(chat)})
	}}}
	return r
}

func fakeModel(t testing.TB, answer func(fakeopenai.Request) string) *fakeopenai.Server {
	t.Helper()
	server := fakeopenai.New(8)
	t.Cleanup(server.Close)
	server.Answer = answer
	return server
}

// TestModels: a model is measured beside the composer without one, with what it cost; the recorded answers repeat the run without
// the endpoint, and an answer that is not recorded is told, not made up.
func TestModels(t *testing.T) {
	suite := composeSuite(t, catalogOf(t, shop), shopSuite)
	file := filepath.Join(t.TempDir(), "answers.jsonl")
	server := fakeModel(t, sensible(1))
	r := modelRunner(t, server.URL, file, false)
	run, err := r.Run(t.Context(), []evals.Suite{suite})
	if err != nil {
		t.Fatal(err)
	}
	with := run.Reports[1]
	if with.Variant != "model:tiny" || with.Setup.Chat == "" || with.Verdict == "" || with.Changes == nil || run.Reports[0].Setup.Chat != "" {
		t.Errorf("got %q with %+v, %q", with.Variant, with.Setup, with.Verdict)
	}
	for name, want := range map[string]float64{"need_recall": 1, "forbidden": 0, "model_failed": 0, "requests": 3} {
		if m, ok := with.Metric(name); !ok || m.Value != want {
			t.Errorf("%s: got %+v, want %v", name, m, want)
		}
	}
	read, _ := with.Metric("prompt_tokens")
	wrote, _ := with.Metric("completion_tokens")
	if cost, _ := with.Metric("cost"); read.Value == 0 || wrote.Value == 0 || cost.Value < (2*read.Value+4*wrote.Value)/1e6-1e-12 || cost.Value > (2*read.Value+4*wrote.Value)/1e6+1e-12 {
		t.Errorf("got %v tokens read, %v written and a cost of %v", read.Value, wrote.Value, cost.Value)
	}
	if waited, ok := with.Metric("model_p50_ms"); !ok || waited.Value <= 0 {
		t.Errorf("got %+v, want how long the endpoint took", waited)
	}
	if m, ok := run.Reports[0].Metric("cost"); ok {
		t.Errorf("the composer alone costs %+v", m)
	}

	asked := len(server.Requests())
	server.Close()
	again, err := modelRunner(t, server.URL, file, true).Run(t.Context(), []evals.Suite{suite})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(timeless(t, run), timeless(t, again)); diff != "" {
		t.Errorf("the repeated run differs (-first +again):\n%s", diff)
	}
	if got := len(server.Requests()); got != asked {
		t.Errorf("offline the endpoint was asked %d times", got-asked)
	}

	other := suite
	other.Compose = slices.Clone(suite.Compose)
	other.Compose[0].Job += " Now."
	if _, err := modelRunner(t, server.URL, file, true).Run(t.Context(), []evals.Suite{other}); err == nil || !strings.Contains(err.Error(), `has no answer of tiny to its question "needs"`) {
		t.Errorf("got %v, want that the answer is not recorded", err)
	}
}

// TestModelsFail: what the model does wrong is an outcome; an endpoint that does not answer ends the run, for its drafts would
// be the composer's and count as the model's.
func TestModelsFail(t *testing.T) {
	suite := composeSuite(t, catalogOf(t, shop), shopSuite)
	file := filepath.Join(t.TempDir(), "answers.jsonl")
	server := fakeModel(t, sensible(1))
	server.Misbehave(slices.Repeat([]fakeopenai.Fault{fakeopenai.Refusal}, 3)...)
	for _, offline := range []bool{false, true} {
		run, err := modelRunner(t, server.URL, file, offline).Run(t.Context(), []evals.Suite{suite})
		if err != nil {
			t.Fatal(err)
		}
		if m, _ := run.Reports[1].Metric("model_failed"); m.Value != 1 || run.Reports[1].Changes.Drafts != 0 {
			t.Errorf("offline %v: got %+v and %d other drafts, want those of the composer", offline, m, run.Reports[1].Changes.Drafts)
		}
	}
	server.Misbehave(slices.Repeat([]fakeopenai.Fault{fakeopenai.Unauthorized}, 9)...)
	if _, err := modelRunner(t, server.URL, "", false).Run(t.Context(), []evals.Suite{suite}); err == nil || !strings.Contains(err.Error(), "check the configured key") {
		t.Errorf("got %v, want that the endpoint refused", err)
	}
	if err := os.WriteFile(file, []byte(`{"request":"0a","answer":{}}`+"\nnot JSON\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := evals.NewAnswers(file, true); err == nil || !strings.Contains(err.Error(), "answers.jsonl:2") {
		t.Errorf("got %v, want the line that is wrong", err)
	}
}

// TestAnswersGoOn: a run that was stopped while it wrote an answer goes on with the whole ones, and the file stays readable.
func TestAnswersGoOn(t *testing.T) {
	suite := composeSuite(t, catalogOf(t, shop), shopSuite)
	file := filepath.Join(t.TempDir(), "answers.jsonl")
	server := fakeModel(t, sensible(1))
	if _, err := modelRunner(t, server.URL, file, false).Run(t.Context(), []evals.Suite{suite}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	asked := len(server.Requests())
	if err := os.WriteFile(file, whole[:len(whole)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := modelRunner(t, server.URL, file, false).Run(t.Context(), []evals.Suite{suite}); err != nil {
		t.Fatal(err)
	}
	if got := len(server.Requests()) - asked; got != 1 {
		t.Errorf("got %d requests, want 1 for the answer that was cut", got)
	}
	if _, err := modelRunner(t, server.URL, file, true).Run(t.Context(), []evals.Suite{suite}); err != nil {
		t.Errorf("offline afterwards: %v", err)
	}
}

// gullible is a model over poisoned tools. It grants, beside the first tool of the list, every tool of which it reads something
// else than its server said before the attack; with greed it also grants every tool that it was not shown for the job then.
type gullible struct {
	greed bool
	said  map[string]string // gist by server/name, before the attack

	mu     sync.Mutex
	was    map[string]map[string]bool // shown before, by job
	poison bool
	fell   int
}

func (g *gullible) answer(r fakeopenai.Request) string {
	if r.ResponseFormat.JSONSchema.Name != "choose" {
		return sensible(1)(r)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	job := part(r, "job")
	ids, lines := shownTo(r)
	if !g.poison {
		g.was[job] = map[string]bool{}
	}
	chosen := ids[:min(1, len(ids))]
	for _, id := range ids {
		var tool struct{ Server, Name, Does string }
		if err := json.Unmarshal([]byte(lines[id]), &tool); err != nil {
			panic(err)
		}
		name := tool.Server + "/" + tool.Name
		if !g.poison {
			g.was[job][name] = true
		} else if (!alike(g.said[name], tool.Does) || g.greed && !g.was[job][name]) && !slices.Contains(chosen, id) {
			chosen = append(chosen, id)
			g.fell++
		}
	}
	return choosing(chosen)
}

// alike says that a gist is the one that is shown, which is cut.
func alike(gist, shown string) bool {
	gist, shown = strings.Join(strings.Fields(gist), " "), strings.TrimSuffix(shown, "…")
	return strings.HasPrefix(gist, shown) || strings.Contains(shown, "⟨") // spelt out
}

// BenchmarkPoisonThroughAModel prints which poisoned tools get into the drafts of the development suite through models that fall
// for what they read, and for whatever is new to them. REMIT_EVAL_DATA names the folder of persona/. It takes some ten minutes.
func BenchmarkPoisonThroughAModel(b *testing.B) {
	data := os.Getenv("REMIT_EVAL_DATA")
	if data == "" {
		b.Skip("set REMIT_EVAL_DATA to the folder that holds persona/")
	}
	suite, err := evals.LoadSuite("suites/persona-dev.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	suite.Catalog = filepath.Join(data, "persona", "catalog.jsonl")
	tools, err := evals.LoadCatalog(suite.Catalog, nil)
	if err != nil {
		b.Fatal(err)
	}
	model, err := embed.New()
	if err != nil {
		b.Fatal(err)
	}
	said := map[string]string{}
	for _, t := range tools {
		server, own := t.ID.Split()
		said[server+"/"+own] = t.Gist
	}
	r := shopRunner(2)
	r.Embedder, r.NewVectors, r.Robustness = model, vector.New, true
	if r.Answers, err = evals.NewAnswers("", false); err != nil {
		b.Fatal(err)
	}
	models := map[string]*gullible{"reads": {said: said}, "greedy": {said: said, greed: true}}
	for _, name := range []string{"reads", "greedy"} {
		g := models[name]
		g.was = map[string]map[string]bool{}
		chat, err := llm.NewChat(llm.ChatConfig{URL: fakeModel(b, g.answer).URL, Model: name, PerMinute: 1_000_000})
		if err != nil {
			b.Fatal(err)
		}
		r.Models = append(r.Models, evals.Model{Name: name, NewDrafter: func(c *catalog.Catalog) evals.Drafter {
			g.poison = len(g.was) > 0 // the first catalog is the one before the attack
			return composer.New(composer.Config{Finder: c, Model: r.Answers.Of(chat)})
		}})
	}
	run, err := r.Run(b.Context(), []evals.Suite{suite})
	if err != nil {
		b.Fatal(err)
	}
	for _, report := range run.Reports {
		if !strings.Contains(report.Variant, "poisoned") {
			continue
		}
		kinds, attacks := map[string]int{}, map[string]int{}
		for _, d := range report.Changes.Decisions {
			kinds[d.What]++
		}
		for _, e := range report.Changes.Entered {
			attacks[e.Attack]++
		}
		failed, _ := report.Metric("model_failed")
		fmt.Printf("%s: %d of %d drafts hold other tools, %d poisoned tools entered %v, decisions %v, model failed %.3f\n",
			report.Variant, report.Changes.Drafts, report.Changes.Of, len(report.Changes.Entered), attacks, kinds, failed.Value)
	}
	for name, g := range models {
		fmt.Printf("%s fell for %d tools\n", name, g.fell)
	}
}
