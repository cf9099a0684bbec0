// Package embed owns the sentence encoder that is built into the binary: its weights, its tokenizer and the arithmetic
// that turns a text into a vector. It needs no network, no key and no C compiler.
//
// The model has three layers of all-MiniLM-L6-v2 (English, 384 dimensions, Apache-2.0), fine-tuned on requests and the
// tools that serve them; see model/NOTICE and train/. Vectors are of unit length, so the dot product of two is their cosine.
package embed

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"remit/catalog/embed/modelfile"
)

//go:embed model/remit-minilm.bin
var weights []byte

// Encoder turns texts into vectors. It is safe for concurrent use.
type Encoder struct {
	model     string
	tokenizer *tokenizer
	network   *network
	scratch   sync.Pool
}

// New loads the embedded model.
func New() (*Encoder, error) {
	return load(weights, fastest())
}

func load(file []byte, k kernel) (*Encoder, error) {
	f, err := modelfile.Open(file)
	if err != nil {
		return nil, err
	}
	pieces, err := f.Pieces("pieces")
	if err != nil {
		return nil, err
	}
	n, err := newNetwork(f, k)
	if err != nil {
		return nil, err
	}
	if rows, _ := f.Shape("embedding"); len(pieces) > rows {
		return nil, fmt.Errorf("embed: %d pieces for %d embeddings", len(pieces), rows)
	}
	t, err := newTokenizer(pieces)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(file)
	return &Encoder{
		model:     f.Name + "-" + hex.EncodeToString(sum[:6]),
		tokenizer: t,
		network:   n,
		scratch:   sync.Pool{New: func() any { return n.newScratch() }},
	}, nil
}

// Model names the model and its exact weights. A vector that was stored under another name must be made again.
func (e *Encoder) Model() string { return e.model }

// Dim is the length of a vector.
func (e *Encoder) Dim() int { return e.network.dim }

// Embed returns one unit vector per text, in order. It works on as many texts at once as there are processors, and stops
// between texts when ctx is done; then it returns ctx's error and no vectors.
//
// A text is read up to its first 8192 bytes, and of those its first 126 tokens (about 90 English words) count. A text that
// says nothing to the model (empty, white space, a script that its vocabulary lacks) is no error: its vector is that of
// the empty text or of unknown tokens, so an index never holds zeros or NaN.
func (e *Encoder) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	var next atomic.Int64
	work := func() {
		s := e.scratch.Get().(*scratch)
		defer e.scratch.Put(s)
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= len(texts) {
				return
			}
			vectors[i] = e.network.run(s, e.tokens(texts[i]))
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(texts)) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return vectors, nil
}

func (e *Encoder) tokens(text string) []int32 {
	return e.tokenizer.encode(clean(text), e.network.maxTokens)
}
