package catalog

import (
	"context"
	"slices"
)

// sentenceShare is how much the best sentence of a long query counts against the whole of it.
const sentenceShare = 0.5

// buffers are the score arrays of one search, one place a tool.
type buffers struct {
	words, meaning, total []float32
	cosine                []float32 // greatest of whole and sentences; none where a tool has no vector
	part, best            []float32 // scratch
	near                  [][]float32
}

func (s *snapshot) borrow() *buffers {
	b, ok := s.pool.Get().(*buffers)
	if !ok {
		n := len(s.tools)
		all := make([]float32, 6*n)
		next := func() []float32 { part := all[:n:n]; all = all[n:]; return part }
		return &buffers{words: next(), meaning: next(), total: next(), cosine: next(), part: next(), best: next()}
	}
	clear(b.words)
	clear(b.meaning)
	clear(b.best)
	return b
}

func (s *snapshot) giveBack(b *buffers) { s.pool.Put(b) }

// scoreWords fills b.words with 0..1 and returns the terms of the whole query, which is parts[0].
func (s *snapshot) scoreWords(parts []string, b *buffers) []queryTerm {
	terms := s.index.parse(parts[0])
	s.index.score(terms, b.words)
	for _, part := range parts[1:] {
		clear(b.part)
		s.index.score(s.index.parse(part), b.part)
		for i, score := range b.part {
			b.best[i] = max(b.best[i], score)
		}
	}
	scaleWords(b.words)
	if len(parts) > 1 {
		scaleWords(b.best)
		mix(b.words, b.best)
	}
	return terms
}

// none is the cosine of a tool without a vector; a true one is -1 at least.
const none = -2

// scoreMeanings fills b.meaning with 0..1 and b.cosine, from the vectors of the whole query and of its sentences.
func (s *snapshot) scoreMeanings(ctx context.Context, queries [][]float32, b *buffers) error {
	for len(b.near) < len(queries) {
		b.near = append(b.near, make([]float32, len(s.embedded)))
	}
	if len(queries) > 0 {
		if err := s.vectors.Similar(ctx, queries, b.near[:len(queries)]); err != nil {
			return err
		}
	}
	for i := range b.cosine {
		b.cosine[i], b.meaning[i], b.best[i] = none, none, none
	}
	for q, near := range b.near[:len(queries)] {
		into := b.best
		if q == 0 {
			into = b.meaning
		}
		for i, cosine := range near {
			doc := s.embedded[i]
			into[doc] = max(into[doc], cosine)
			b.cosine[doc] = max(b.cosine[doc], cosine)
		}
	}
	scaleMeanings(b.meaning)
	if len(queries) > 1 {
		scaleMeanings(b.best)
		mix(b.meaning, b.best)
	}
	return nil
}

// scaleWords brings BM25 scores, of which 0 is the natural least, to 0..1 by their greatest.
func scaleWords(scores []float32) {
	if most := slices.Max(scores); most > 0 {
		for i := range scores {
			scores[i] /= most
		}
	}
}

// scaleMeanings brings cosines to 0..1 by their least and greatest, squared, so that the middling ones that most tools have
// do not outweigh words; a tool without a vector gets 0.
func scaleMeanings(cosines []float32) {
	least, most := float32(2), float32(none)
	for _, c := range cosines {
		if c > none {
			least, most = min(least, c), max(most, c)
		}
	}
	for i, c := range cosines {
		switch {
		case c <= none:
			cosines[i] = 0
		case most > least:
			cosines[i] = (c - least) * (c - least) / ((most - least) * (most - least))
		default:
			cosines[i] = max(c, 0) // all alike
		}
	}
}

func mix(whole, best []float32) {
	for i := range whole {
		whole[i] = (1-sentenceShare)*whole[i] + sentenceShare*best[i]
	}
}
