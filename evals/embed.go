package evals

import (
	"context"
	"fmt"

	"remit/catalog"
)

// Embed makes the vectors of the tools; none without a model. progress may be nil.
func Embed(ctx context.Context, model catalog.Embedder, tools []catalog.Tool, progress func(done, total int)) (map[catalog.ID]catalog.Embedding, error) {
	if model == nil {
		return nil, nil
	}
	const batch = 32 // tools, of two texts each at most
	vectors := make(map[catalog.ID]catalog.Embedding, len(tools))
	for from := 0; from < len(tools); from += batch {
		to := min(from+batch, len(tools))
		var texts []string
		ends := make([]int, 0, batch)
		for _, t := range tools[from:to] {
			texts = append(texts, catalog.Passages(t)...)
			ends = append(ends, len(texts))
		}
		made, err := model.Embed(ctx, texts)
		if err != nil {
			return nil, fmt.Errorf("embedding the tools: %w", err)
		}
		if len(made) != len(texts) {
			return nil, fmt.Errorf("embedding the tools: %d vectors came for %d texts", len(made), len(texts))
		}
		start := 0
		for i, end := range ends {
			vectors[tools[from+i].ID] = catalog.NewEmbedding(made[start:end])
			start = end
		}
		if progress != nil {
			progress(to, len(tools))
		}
	}
	return vectors, nil
}
