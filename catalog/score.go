package catalog

import (
	"context"
	"fmt"
	"strings"
)

// Scores is how well the core of every tool fits each of several texts, for a caller that weighs them itself: its names,
// title and [Tool.Gist]. The rest of what a server writes about its tool moves no score, of this tool or of another.
type Scores struct {
	Digest   string      // of the catalog that was scored; tools are in the order of [Catalog.Tools]
	Words    [][]float32 // by text and tool: BM25F, 0 or more
	Cosine   [][]float32 // by text and tool, -1 to 1, and -2 for a tool without a vector; nil when words only were used
	Model    string      // whose cosines they are
	Degraded string      // why words only, or not all meanings, were used; empty when all were
}

// Score scores every tool for every text. Of a text its first 4,000 bytes count.
func (c *Catalog) Score(ctx context.Context, texts []string) (Scores, error) {
	s := c.now.Load()
	out := Scores{Digest: s.digest, Words: make([][]float32, len(texts))}
	parts := make([]string, len(texts))
	for i, text := range texts {
		parts[i] = strings.TrimSpace(cut(strings.ToValidUTF8(text, " "), maxQuery))
		out.Words[i] = make([]float32, len(s.tools))
		s.index.scoreCore(s.index.parse(parts[i]), out.Words[i])
	}
	if len(parts) == 0 || len(s.tools) == 0 {
		return out, ctx.Err()
	}
	vectors, degraded, err := c.embedQuery(ctx, s, parts)
	out.Degraded = degraded
	if err != nil || len(vectors) == 0 {
		return out, err
	}
	near := make([][]float32, len(vectors))
	for i := range near {
		near[i] = make([]float32, len(s.embedded))
	}
	if err := s.cores.Similar(ctx, vectors, near); err != nil {
		out.Degraded = fmt.Sprintf("Found by words only: %v.", err)
		return out, ctx.Err()
	}
	out.Cosine, out.Model = make([][]float32, len(texts)), c.config.Embedder.Model()
	for i := range out.Cosine {
		out.Cosine[i] = make([]float32, len(s.tools))
		for j := range out.Cosine[i] {
			out.Cosine[i][j] = none
		}
		for j, doc := range s.embedded {
			out.Cosine[i][doc] = near[i][j]
		}
	}
	return out, nil
}
