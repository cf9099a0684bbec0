package embed

import (
	"errors"
	"fmt"
	"math"

	"remit/catalog/embed/modelfile"
)

// network is the encoder itself (BERT: Devlin et al., 2019): token and position embeddings, transformer blocks that
// normalise after each step, and the mean over all tokens.
type network struct {
	kernel    kernel
	dim       int
	maxTokens int
	heads     int
	embedding modelfile.Table
	positions []float32 // maxTokens rows, the segment's embedding added
	norm      layerNorm
	blocks    []block
}

type block struct {
	norm1, norm2         layerNorm
	qkv, out, ffn1, ffn2 dense
}

type dense struct {
	weights modelfile.Matrix
	bias    []float32
}

type layerNorm struct{ scale, bias []float32 }

// loader reads tensors and keeps the first error.
type loader struct {
	file *modelfile.File
	err  error
}

func newNetwork(f *modelfile.File, k kernel) (*network, error) {
	rows, width := f.Shape("embedding")
	if rows < 1 || f.Dim != width || f.MaxTokens < 3 || f.Heads < 1 || width%(f.Heads*lane) != 0 {
		return nil, fmt.Errorf("embed: %s has %d embeddings of %d, dimension %d, %d tokens, %d heads: cannot run that",
			f.Name, rows, width, f.Dim, f.MaxTokens, f.Heads)
	}
	l := &loader{file: f}
	n := &network{
		kernel:    k,
		dim:       f.Dim,
		maxTokens: f.MaxTokens,
		heads:     f.Heads,
		positions: l.floats("positions", f.MaxTokens*width),
		norm:      l.norm("norm", width),
	}
	var err error
	if n.embedding, err = f.Table("embedding", rows, width); err != nil {
		return nil, err
	}
	for i := 0; ; i++ {
		if in, _ := f.Shape(fmt.Sprintf("%d.qkv", i)); in == 0 {
			break
		}
		n.blocks = append(n.blocks, l.block(i, width))
	}
	if l.err == nil && len(n.blocks) == 0 {
		l.err = errors.New("embed: the model has no blocks")
	}
	return n, l.err
}

func (l *loader) block(i, width int) block {
	name := func(part string) string { return fmt.Sprintf("%d.%s", i, part) }
	_, hidden := l.file.Shape(name("ffn1"))
	return block{
		norm1: l.norm(name("norm1"), width),
		norm2: l.norm(name("norm2"), width),
		qkv:   l.dense(name("qkv"), width, 3*width),
		out:   l.dense(name("out"), width, width),
		ffn1:  l.dense(name("ffn1"), width, hidden),
		ffn2:  l.dense(name("ffn2"), hidden, width),
	}
}

func (l *loader) norm(name string, n int) layerNorm {
	return layerNorm{l.floats(name+".scale", n), l.floats(name+".bias", n)}
}

func (l *loader) dense(name string, in, out int) dense {
	w, err := l.file.Matrix(name, in, out)
	if l.err == nil {
		l.err = err
	}
	return dense{weights: w, bias: l.floats(name+".bias", out)}
}

func (l *loader) floats(name string, n int) []float32 {
	v, err := l.file.Floats(name, n)
	if l.err == nil {
		l.err = err
	}
	return v
}

// scratch is the room that one text needs on its way through the network. It is reused from text to text.
type scratch struct {
	x, y, z []float32 // one row of dim per token
	wide    []float32 // queries, keys and values; then the hidden layer
	weights []float32 // attention of one token in one head
}

func (n *network) newScratch() *scratch {
	wide := 0
	for _, b := range n.blocks {
		wide = max(wide, b.qkv.weights.Out, b.ffn1.weights.Out)
	}
	rows := (n.maxTokens + tile - 1) / tile * tile
	return &scratch{
		x:       make([]float32, rows*n.dim),
		y:       make([]float32, rows*n.dim),
		z:       make([]float32, rows*n.dim),
		wide:    make([]float32, rows*wide),
		weights: make([]float32, n.maxTokens),
	}
}

// run returns the unit vector of a list of one to maxTokens tokens.
func (n *network) run(s *scratch, ids []int32) []float32 {
	x := s.x[:len(ids)*n.dim]
	for i, id := range ids {
		n.embedding.Row(x[i*n.dim:][:n.dim], int(id))
	}
	add(x, n.positions)
	n.norm.apply(x, len(ids))
	for i := range n.blocks {
		n.step(s, &n.blocks[i], len(ids))
	}
	vector := make([]float32, n.dim)
	for i := range ids {
		add(vector, x[i*n.dim:][:n.dim])
	}
	unit(vector) // of the sum as of the mean
	return vector
}

// step takes the tokens in s.x through one block.
func (n *network) step(s *scratch, b *block, tokens int) {
	x := s.x[:tokens*n.dim]
	n.apply(s.wide, s.x, tokens, &b.qkv)
	n.attend(s, tokens)
	n.apply(s.z, s.y, tokens, &b.out)
	add(x, s.z)
	b.norm1.apply(x, tokens)

	n.apply(s.wide, s.x, tokens, &b.ffn1)
	gelu(s.wide[:tokens*b.ffn1.weights.Out])
	n.apply(s.z, s.wide, tokens, &b.ffn2)
	add(x, s.z)
	b.norm2.apply(x, tokens)
}

func (n *network) apply(dst, x []float32, rows int, d *dense) {
	n.kernel.multiply(dst, x, rows, &d.weights, d.bias)
}

// attend reads queries, keys and values (dim values each per token) from s.wide and writes to s.y what each token takes
// from the others.
func (n *network) attend(s *scratch, tokens int) {
	head := n.dim / n.heads
	stride := 3 * n.dim
	scale := float32(1 / math.Sqrt(float64(head)))
	weights := s.weights[:tokens]
	for h := range n.heads {
		keys, values := s.wide[n.dim+h*head:], s.wide[2*n.dim+h*head:]
		for t := range tokens {
			n.kernel.score(weights, s.wide[t*stride+h*head:][:head], keys, stride)
			softmax(weights, scale)
			n.kernel.blend(s.y[t*n.dim+h*head:][:head], weights, values, stride)
		}
	}
}
