package composer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"remit/catalog"
	"remit/catalog/tokens"
	"remit/composer"
	"remit/evals"
)

// reader stands for a model that names its needs and grants nothing. It counts what it is shown.
type reader struct {
	needs  []string // what it searches for; the words are the job's first
	tokens int
	shown  map[catalog.ID]bool
}

func (*reader) Name() string { return "reader" }

func (r *reader) Ask(_ context.Context, q composer.Question) (composer.Answer, error) {
	r.tokens += tokens.Count([]byte(q.System)) + tokens.Count([]byte(q.User)) + tokens.Count(q.Schema)
	answer := map[string]any{"choices": []any{}, "near_misses": []any{}, "gaps": []any{}}
	if q.Task == "needs" {
		_, job, _ := strings.Cut(q.User, "<job>\n\"")
		word, _, _ := strings.Cut(job, " ")
		needs := []any{}
		for _, n := range r.needs {
			needs = append(needs, map[string]string{"words": word, "search": n, "effect": "read", "object": "", "product": ""})
		}
		answer = map[string]any{"needs": needs, "prohibitions": []any{}}
	} else {
		_, text, _ := strings.Cut(q.User, "<tools>\n")
		text, _, _ = strings.Cut(text, "\n</tools>")
		for line := range strings.Lines(text) {
			var tool struct{ Server, Name string }
			if err := json.Unmarshal([]byte(line), &tool); err != nil {
				return composer.Answer{}, err
			}
			r.shown[catalog.NewID(tool.Server, tool.Name)] = true
		}
	}
	raw, err := json.Marshal(answer)
	return composer.Answer{JSON: raw}, err
}

// BenchmarkShortlist prints what a model reads for the development jobs over 100, 3,422 and 15,000 tools, and the share of their
// needs for which an acceptable tool is in the closed list. The 15,000 are those and tools of other servers, or those and copies
// of them under other servers' names. A tool that does the same as an acceptable one, by the catalog's own grouping, is as
// acceptable in the second share: most servers are there several times. REMIT_EVAL_DATA names the folder of persona/ and haystack/.
// The model is stood for by one that searches for the needs as the suite words them, and by one that searches for one word only.
func BenchmarkShortlist(b *testing.B) {
	data := os.Getenv("REMIT_EVAL_DATA")
	if data == "" {
		b.Skip("set REMIT_EVAL_DATA to the folder that holds persona/ and haystack/")
	}
	file, err := evals.LoadTools(filepath.Join(data, "persona", "catalog.jsonl"), tokens.Count)
	if err != nil {
		b.Fatal(err)
	}
	hay, err := evals.LoadTools(filepath.Join(data, "haystack", "tools.jsonl"), tokens.Count)
	if err != nil {
		b.Fatal(err)
	}
	suite, err := evals.LoadSuite("../evals/suites/persona-dev.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	large := slices.Clone(file.Tools)
	for _, t := range hay.Tools {
		if len(large) < 15000 && !slices.ContainsFunc(file.Tools, func(o catalog.Tool) bool { return o.ID == t.ID || o.Server() == t.Server() }) {
			large = append(large, t)
		}
	}
	copies := slices.Clone(file.Tools)
	for round := 2; len(copies) < 15000; round++ {
		for _, t := range file.Tools[:min(len(file.Tools), 15000-len(copies))] {
			server, name := t.ID.Split()
			t.ID = catalog.NewID(fmt.Sprintf("%s-%d", server, round), name)
			copies = append(copies, t)
		}
	}
	for _, of := range []struct {
		what  string
		tools []catalog.Tool
	}{{"", file.Tools[:100]}, {"", file.Tools}, {", most of other servers", large}, {", most of them copies", copies}} {
		cat, tools := withVectors(b, of.tools), of.tools
		groups, err := cat.Duplicates(b.Context(), catalog.DefaultLikeness)
		if err != nil {
			b.Fatal(err)
		}
		for _, by := range []string{"needs as the suite words them", "one word"} {
			met, alike, all, sum, most := 0, 0, 0, 0, 0
			for _, cs := range suite.Compose {
				r := &reader{shown: map[catalog.ID]bool{}, needs: []string{"work"}}
				if by != "one word" {
					r.needs = nil
					for _, n := range cs.Needs {
						r.needs = append(r.needs, n.Need)
					}
				}
				d, err := composer.New(composer.Config{Finder: cat, Model: r}).Compose(b.Context(), cs.Job)
				if err != nil || d.Model.Failed != "" {
					b.Fatalf("%s: %v, %+v", cs.ID, err, d.Model)
				}
				sum, most = sum+r.tokens, max(most, r.tokens)
				for _, n := range cs.Needs {
					all++
					shown := slices.Collect(maps.Keys(r.shown))
					acceptable := func(id catalog.ID) bool { return slices.Contains(n.AnyOf, file.Name(id)) }
					if slices.ContainsFunc(shown, acceptable) {
						met++
					}
					if slices.ContainsFunc(shown, func(id catalog.ID) bool {
						group, _ := groups.Of(id)
						return acceptable(id) || slices.ContainsFunc(group.Tools, func(t catalog.Tool) bool { return acceptable(t.ID) })
					}) {
						alike++
					}
				}
			}
			fmt.Printf("%d tools%s, %s: %d tokens a draft, at most %d; needs with an acceptable tool among the candidates %.3f of %d, or one that does the same %.3f\n",
				len(tools), of.what, by, sum/len(suite.Compose), most, float64(met)/float64(all), all, float64(alike)/float64(all))
		}
	}
}
