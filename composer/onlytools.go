package composer

import (
	"context"
	"slices"

	"remit/catalog"
)

// onlyTools is a catalog without prompts and resources: nobody's words ask for these, so they are never drafted, and people add
// them.
type onlyTools struct{ Finder }

func (f onlyTools) Tools() []catalog.Tool {
	return slices.DeleteFunc(f.Finder.Tools(), func(t catalog.Tool) bool { return t.Kind != catalog.ATool })
}

func (f onlyTools) Score(ctx context.Context, texts []string) (catalog.Scores, error) {
	s, err := f.Finder.Score(ctx, texts)
	if err != nil {
		return s, err
	}
	all := f.Finder.Tools()
	if f.Finder.Digest() != s.Digest {
		s.Digest = "" // the catalog changed in between: whoever asked asks again
		return s, nil
	}
	for _, rows := range [][][]float32{s.Words, s.Cosine} {
		for i, row := range rows {
			kept := row[:0]
			for place, v := range row {
				if all[place].Kind == catalog.ATool {
					kept = append(kept, v)
				}
			}
			rows[i] = kept
		}
	}
	return s, nil
}
