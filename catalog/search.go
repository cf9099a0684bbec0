package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Match is a tool that a search found, and why.
type Match struct {
	Tool  Tool
	Score float64 // Words + Mean; comparable within one search only
	Words float64 // part of Score from words
	Mean  float64 // part of Score from meaning
	Why   []Reason

	// Coverage is how much of the query the tool's own words hold: the share, 0 to 1, of the query's terms weighted by how
	// rare they are. Unlike Score it can be compared between searches of one catalog.
	Coverage float64
	// Similarity is the cosine, -1 to 1, of the query and the tool, or of the query's nearest sentence if that is greater;
	// comparable between searches with one embedding model. 0 when the search used words only.
	Similarity float64
}

// Reason says what matched: query terms in a field of the tool, or nearness in meaning.
type Reason struct {
	Field string   // "server", "name", "title", "description", "parameter" or "meaning"
	Terms []string // the query's words as they were typed; empty for "meaning"
}

// Results of one search, best first.
type Results struct {
	Matches  []Match
	Degraded string // why the search used words only or not all meanings, in words for a person; empty when all was used
}

// Embedder turns texts into unit vectors. Vectors of different models never meet: stored ones are rebuilt when Model or
// Dim differ. A model that encodes queries otherwise than tools is a [QueryEmbedder] too.
type Embedder interface {
	Embed(ctx context.Context, texts []string) ([][]float32, error)
	Model() string // id, with the weights' checksum where they are known
	Dim() int      // 0 until known
}

// QueryEmbedder is an [Embedder] that encodes queries in their own way, say with another prompt.
type QueryEmbedder interface {
	EmbedQueries(ctx context.Context, texts []string) ([][]float32, error)
}

// Vectors answers which tools are near in meaning. It is built once from a fixed set of vectors and is safe for
// concurrent use.
type Vectors interface {
	// Similar writes the cosine of the q-th query and the i-th vector into into[q][i], which has one place a vector.
	Similar(ctx context.Context, queries, into [][]float32) error
	// Near lists for the i-th vector the nearest vectors of other groups, nearest first: a few of one group and at most so
	// many in all, and none with a lower nearness than least. groups has one entry a vector. Where there are very many
	// vectors it may miss some.
	Near(ctx context.Context, groups []int32, least float32, most int) ([][]Neighbour, error)
}

// Neighbour is a vector, by its position, that is near to another.
type Neighbour struct {
	At int32
	// Nearness is the cosine on a scale that means the same for every model: 0 for the median of two vectors taken at
	// random (but for a cosine of 0.6 at most), 1 for equal ones.
	Nearness float32
}

const (
	maxQuery     = 4000 // bytes of a query that are searched; the rest is cut
	defaultCount = 10
)

const emptyCatalog = "The catalog is empty; configure an upstream and crawl it."

// ErrEmptyQuery is returned for a query in which nothing can be searched for.
var ErrEmptyQuery = errors.New("the search has no words; say what the tool should do, such as “send an email”")

// Search returns at most k tools (10 if k is 0) that fit the query by words and by meaning, best first. Of the query its
// first 4,000 bytes are searched. When meanings cannot be used it searches by words alone and says why.
//
// Words are scored by BM25 and meanings by cosine; each is scaled to 0..1 by its least and greatest over all tools, and the
// two are added with the weights of [Config]. A text of several sentences is also searched sentence by sentence, so that a
// tool that one sentence asks for is found in a long job.
func (c *Catalog) Search(ctx context.Context, query string, k int) (Results, error) {
	query = strings.TrimSpace(cut(strings.ToValidUTF8(query, " "), maxQuery))
	if len(Words(query)) == 0 {
		return Results{}, ErrEmptyQuery
	}
	if k < 0 {
		return Results{}, fmt.Errorf("a search cannot return %d tools; ask for at least one", k)
	}
	if k == 0 {
		k = defaultCount
	}
	s := c.now.Load()
	if len(s.tools) == 0 {
		return Results{Degraded: emptyCatalog}, nil
	}
	parts := append([]string{query}, sentences(query)...)
	embedded, degraded, err := c.embedQuery(ctx, s, parts)
	if err != nil {
		return Results{}, err
	}
	b := s.borrow()
	defer s.giveBack(b)
	terms := s.scoreWords(parts, b)
	if err := s.scoreMeanings(ctx, embedded, b); err != nil {
		if ctx.Err() != nil {
			return Results{}, ctx.Err()
		}
		clear(b.meaning)
		embedded, degraded = nil, fmt.Sprintf("Found by words only: %v.", err)
	}
	best := c.fuse(b, len(embedded) > 0, min(k, len(s.tools)))
	out := Results{Matches: make([]Match, len(best)), Degraded: degraded}
	for i, doc := range best {
		out.Matches[i] = c.match(s, b, doc, terms, len(embedded) > 0)
	}
	return out, nil
}

// fuse adds both scores into b.total and returns the k best documents, best first, none with a score of 0.
func (c *Catalog) fuse(b *buffers, meaning bool, k int) []int {
	wordsWeight, meaningWeight := c.weights()
	if !meaning {
		meaningWeight = 0
		wordsWeight = max(wordsWeight, 1)
	}
	for i := range b.total {
		b.words[i] *= float32(wordsWeight)
		b.meaning[i] *= float32(meaningWeight)
		b.total[i] = b.words[i] + b.meaning[i]
	}
	return top(b.total, k)
}

func (c *Catalog) match(s *snapshot, b *buffers, doc int, terms []queryTerm, meaning bool) Match {
	m := Match{
		Tool:  s.tools[doc],
		Score: float64(b.words[doc]) + float64(b.meaning[doc]),
		Words: float64(b.words[doc]),
		Mean:  float64(b.meaning[doc]),
	}
	m.Why, m.Coverage = s.index.why(doc, terms)
	if meaning && b.cosine[doc] > none {
		m.Similarity = float64(b.cosine[doc])
		if m.Mean > 0 {
			m.Why = append(m.Why, Reason{Field: "meaning"})
		}
	}
	return m
}

// top returns the positions of the k greatest scores above 0, greatest first; equal scores keep their order.
func top(scores []float32, k int) []int {
	worse := func(a, b int) bool { return scores[a] < scores[b] || scores[a] == scores[b] && a > b }
	heap := make([]int, 0, k) // the worst is first
	for i, score := range scores {
		switch {
		case score <= 0:
		case len(heap) < k:
			heap = append(heap, i)
			for child := len(heap) - 1; child > 0; {
				parent := (child - 1) / 2
				if !worse(heap[child], heap[parent]) {
					break
				}
				heap[child], heap[parent] = heap[parent], heap[child]
				child = parent
			}
		case worse(heap[0], i):
			heap[0] = i
			for parent := 0; ; {
				child := 2*parent + 1
				if child+1 < k && worse(heap[child+1], heap[child]) {
					child++
				}
				if child >= k || !worse(heap[child], heap[parent]) {
					break
				}
				heap[child], heap[parent] = heap[parent], heap[child]
				parent = child
			}
		}
	}
	slices.SortFunc(heap, func(a, b int) int {
		if worse(b, a) {
			return -1
		}
		return 1
	})
	return heap
}

// cut returns at most n bytes of s without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
