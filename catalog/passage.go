package catalog

import (
	"math"
	"slices"
	"strings"
)

const (
	maxPassage = 1200 // bytes; small encoders read about 128 tokens
	MaxTitle   = 80   // bytes of a title that are read
	maxRest    = 260  // bytes of a description beside its gist
	leastRest  = 16   // bytes that are worth a vector
)

// Passages are what of a tool is embedded, in one or two texts, each as a vector of its own. The first is its core: server and
// name in plain words, title, [Tool.Gist] and the names of the parameters. The second, if there is more, is the rest of the
// description. Vectors are rebuilt when a text changes.
func Passages(t Tool) []string {
	texts := []string{core(t)}
	rest := strings.Join(slices.DeleteFunc(plainSentences(t.Description), func(s string) bool { return cut(s, maxGist) == t.Gist }), ". ")
	if rest = strings.ToValidUTF8(cut(rest, maxRest), ""); len(rest) >= leastRest {
		texts = append(texts, rest)
	}
	return texts
}

func core(t Tool) string {
	var b strings.Builder
	b.WriteString(strings.Join(Words(t.Server()), " ") + " " + strings.Join(Words(t.Name), " "))
	if t.Title != "" {
		b.WriteString(". " + cut(t.Title, MaxTitle))
	}
	if t.Gist != "" {
		b.WriteString(". " + t.Gist)
	}
	for i, p := range t.Params {
		if i == 0 {
			b.WriteString(". ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(strings.Join(Words(p.Name), " "))
		if b.Len() > maxPassage {
			break
		}
	}
	return strings.ToValidUTF8(cut(b.String(), maxPassage), "")
}

// Embedding is the vectors of a tool's [Passages].
type Embedding struct{ Core, Rest []float32 }

// NewEmbedding takes the vectors in the order of the texts.
func NewEmbedding(vectors [][]float32) Embedding {
	var e Embedding
	if len(vectors) > 0 {
		e.Core = vectors[0]
	}
	if len(vectors) > 1 {
		e.Rest = vectors[1]
	}
	return e
}

// restShare is how much the rest counts against the core in the vector that a search compares; 0.5 to 1 are as good.
const restShare = 0.8

// whole is the unit vector of both.
func (e Embedding) whole() []float32 {
	if len(e.Rest) != len(e.Core) {
		return e.Core
	}
	sum, square := make([]float32, len(e.Core)), 0.0
	for i := range sum {
		sum[i] = e.Core[i] + restShare*e.Rest[i]
		square += float64(sum[i]) * float64(sum[i])
	}
	if square == 0 {
		return e.Core
	}
	scale := float32(1 / math.Sqrt(square))
	for i := range sum {
		sum[i] *= scale
	}
	return sum
}
