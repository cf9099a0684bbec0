package evals

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"remit/catalog"
)

// RetrieveModes are the ways of searching that are compared: by words and meaning, by words only, by meaning only.
var RetrieveModes = []string{"hybrid", "words", "meaning"}

// RetrieveRun runs suites in every mode.
type RetrieveRun struct {
	Dirs       []string // of suites, see [LoadRetrieve]
	Embedder   catalog.Embedder
	NewVectors func([]catalog.ID, [][]float32) (catalog.Vectors, error)
	Limit      int                    // queries of a suite that are run; 0 means all
	Progress   func(set, mode string) // may be nil
}

// Run returns the reports by mode. A text is embedded once however many modes need it; hybrid comes first, so its times
// contain the embedding of the query and those of meaning do not.
func (r RetrieveRun) Run(ctx context.Context) (map[string]RetrieveReports, error) {
	out := map[string]RetrieveReports{}
	for _, dir := range r.Dirs {
		set, err := LoadRetrieve(dir)
		if err != nil {
			return nil, err
		}
		if r.Limit > 0 && len(set.Queries) > r.Limit {
			set.Queries = set.Queries[:r.Limit]
		}
		if err := r.runSet(ctx, set, out); err != nil {
			return nil, fmt.Errorf("suite %s: %w", set.Name, err)
		}
	}
	return out, nil
}

func (r RetrieveRun) runSet(ctx context.Context, set RetrieveSet, out map[string]RetrieveReports) error {
	model := &memo{Embedder: r.Embedder, known: map[string][]float32{}}
	vectors := map[catalog.ID][]float32{}
	const batch = 64
	for start := 0; start < len(set.Tools); start += batch {
		tools := set.Tools[start:min(start+batch, len(set.Tools))]
		texts := make([]string, len(tools))
		for i, t := range tools {
			texts[i] = catalog.PassageText(t)
		}
		made, err := r.Embedder.Embed(ctx, texts)
		if err != nil {
			return err
		}
		for i, t := range tools {
			vectors[t.ID] = made[i]
		}
	}
	for _, mode := range RetrieveModes {
		if r.Progress != nil {
			r.Progress(set.Name, mode)
		}
		config := catalog.Config{Embedder: model, NewVectors: r.NewVectors}
		switch mode {
		case "words":
			config = catalog.Config{}
		case "meaning":
			config.MeaningWeight = 1
		}
		c := catalog.New(config)
		if err := c.Replace(set.Tools, vectors); err != nil {
			return err
		}
		report, err := RunRetrieve(ctx, set, c)
		if err != nil {
			return err
		}
		out[mode] = append(out[mode], report)
	}
	return nil
}

// RetrieveTables prints the reports of every mode, one table each.
func RetrieveTables(reports map[string]RetrieveReports) string {
	var b strings.Builder
	for _, mode := range slices.Sorted(maps.Keys(reports)) {
		fmt.Fprintf(&b, "%s\n%s\n", mode, reports[mode])
	}
	return b.String()
}

// memo remembers the vectors of queries, so that the modes are compared on the same work. It is not for concurrent use.
type memo struct {
	catalog.Embedder
	known map[string][]float32
}

// EmbedQueries embeds the texts that were not embedded before.
func (m *memo) EmbedQueries(ctx context.Context, texts []string) ([][]float32, error) {
	var unknown []string
	for _, text := range texts {
		if _, ok := m.known[text]; !ok {
			unknown = append(unknown, text)
		}
	}
	if len(unknown) > 0 {
		embed := m.Embedder.Embed
		if q, ok := m.Embedder.(catalog.QueryEmbedder); ok {
			embed = q.EmbedQueries
		}
		made, err := embed(ctx, unknown)
		if err != nil {
			return nil, err
		}
		for i, text := range unknown {
			m.known[text] = made[i]
		}
	}
	out := make([][]float32, len(texts))
	for i, text := range texts {
		out[i] = m.known[text]
	}
	return out, nil
}
