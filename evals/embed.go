package evals

import (
	"context"
	"fmt"

	"remit/catalog"
)

// Embed makes the vectors of the tools; none without a model. progress may be nil.
func Embed(ctx context.Context, model catalog.Embedder, tools []catalog.Tool, progress func(done, total int)) (map[catalog.ID][]float32, error) {
	if model == nil {
		return nil, nil
	}
	const batch = 64
	vectors := make(map[catalog.ID][]float32, len(tools))
	for from := 0; from < len(tools); from += batch {
		to := min(from+batch, len(tools))
		texts := make([]string, 0, batch)
		for _, t := range tools[from:to] {
			texts = append(texts, catalog.PassageText(t))
		}
		made, err := model.Embed(ctx, texts)
		if err != nil {
			return nil, fmt.Errorf("embedding the tools: %w", err)
		}
		if len(made) != len(texts) {
			return nil, fmt.Errorf("embedding the tools: %d vectors came for %d texts", len(made), len(texts))
		}
		for i, v := range made {
			vectors[tools[from+i].ID] = v
		}
		if progress != nil {
			progress(to, len(tools))
		}
	}
	return vectors, nil
}
