package embed

import (
	"errors"
	"fmt"
	"math"

	"remit/catalog/embed/modelfile"
)

// network is the encoder itself: token embeddings plus a position signal, transformer blocks that normalise before each
// step, the mean over all tokens, and one dense layer with tanh.
type network struct {
	kernel    kernel
	dim       int
	maxTokens int
	heads     int
	embedding modelfile.Table
	timing    []float32 // the signal of each position, maxTokens rows
	blocks    []block
	top       dense
}

type block struct {
	norm1, norm2         layerNorm
	qkv, out, ffn1, ffn2 dense
	widen                *dense // brings a narrower input to the block's width; nil where they are equal
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
	if rows < 1 || f.Dim < 1 || f.MaxTokens < 1 || f.Heads < 1 || width%(f.Heads*lane) != 0 || f.Dim%(f.Heads*lane) != 0 {
		return nil, fmt.Errorf("embed: %s has %d embeddings of %d, dimension %d, %d tokens, %d heads: cannot run that",
			f.Name, rows, width, f.Dim, f.MaxTokens, f.Heads)
	}
	l := &loader{file: f}
	n := &network{
		kernel:    k,
		dim:       f.Dim,
		maxTokens: f.MaxTokens,
		heads:     f.Heads,
		timing:    timing(l.floats("timing", width/2), f.MaxTokens),
		top:       l.dense("top", f.Dim, f.Dim),
	}
	var err error
	if n.embedding, err = f.Table("embedding", rows, width); err != nil {
		return nil, err
	}
	for i := 0; ; i++ {
		if in, _ := f.Shape(fmt.Sprintf("%d.qkv", i)); in == 0 {
			break
		}
		n.blocks = append(n.blocks, l.block(i, width, f.Dim))
		width = f.Dim
	}
	if l.err == nil && len(n.blocks) == 0 {
		l.err = errors.New("embed: the model has no blocks")
	}
	return n, l.err
}

func (l *loader) block(i, in, out int) block {
	name := func(part string) string { return fmt.Sprintf("%d.%s", i, part) }
	_, hidden := l.file.Shape(name("ffn1"))
	b := block{
		norm1: layerNorm{l.floats(name("norm1.scale"), in), l.floats(name("norm1.bias"), in)},
		norm2: layerNorm{l.floats(name("norm2.scale"), out), l.floats(name("norm2.bias"), out)},
		qkv:   l.dense(name("qkv"), in, 3*in),
		out:   l.dense(name("out"), in, out),
		ffn1:  l.dense(name("ffn1"), out, hidden),
		ffn2:  l.dense(name("ffn2"), hidden, out),
	}
	if in != out {
		widen := l.dense(name("widen"), in, out)
		b.widen = &widen
	}
	return b
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

// timing lays out the position signal: for each position the sines, then the cosines, of position times frequency.
func timing(frequencies []float32, positions int) []float32 {
	out := make([]float32, 0, 2*len(frequencies)*positions)
	for p := range positions {
		for _, f := range frequencies {
			out = append(out, float32(math.Sin(float64(float32(p)*f))))
		}
		for _, f := range frequencies {
			out = append(out, float32(math.Cos(float64(float32(p)*f))))
		}
	}
	return out
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

// run returns the unit vector of a list of at least one token.
func (n *network) run(s *scratch, ids []int32) []float32 {
	ids = ids[:min(len(ids), n.maxTokens)]
	width := n.embedding.Cols
	for i, id := range ids {
		// The model adds the signal to the embedding and that to the embedding again.
		row := s.x[i*width:][:width]
		n.embedding.Row(row, int(id))
		for j, t := range n.timing[i*width:][:width] {
			row[j] = 2*row[j] + t
		}
	}
	for i := range n.blocks {
		n.step(s, &n.blocks[i], len(ids))
	}
	mean := s.y[:n.dim]
	clear(mean)
	for i := range ids {
		add(mean, s.x[i*n.dim:][:n.dim])
	}
	for j := range mean {
		mean[j] /= float32(len(ids))
	}
	n.apply(s.z, s.y, 1, &n.top, negative)
	vector := make([]float32, n.dim)
	for j, v := range s.z[:n.dim] {
		vector[j] = float32(math.Tanh(float64(v)))
	}
	unit(vector)
	return vector
}

// step takes the tokens in s.x through one block.
func (n *network) step(s *scratch, b *block, tokens int) {
	in := b.qkv.weights.In
	b.norm1.apply(s.y, s.x, tokens)
	n.apply(s.wide, s.y, tokens, &b.qkv, negative)
	n.attend(s, tokens, in)
	if b.widen != nil {
		n.apply(s.z, s.x, tokens, b.widen, negative)
		s.x, s.z = s.z, s.x
	}
	n.apply(s.z, s.y, tokens, &b.out, negative)
	add(s.x[:tokens*n.dim], s.z)

	b.norm2.apply(s.y, s.x, tokens)
	n.apply(s.wide, s.y, tokens, &b.ffn1, 0)
	n.apply(s.z, s.wide, tokens, &b.ffn2, negative)
	add(s.x[:tokens*n.dim], s.z)
}

// negative as a floor changes nothing.
var negative = float32(math.Inf(-1))

func (n *network) apply(dst, x []float32, rows int, d *dense, floor float32) {
	n.kernel.multiply(dst, x, rows, &d.weights, d.bias, floor)
}

// attend reads queries, keys and values (width values each per token) from s.wide and writes to s.y what each token
// takes from the others.
func (n *network) attend(s *scratch, tokens, width int) {
	head := width / n.heads
	stride := 3 * width
	scale := float32(1 / math.Sqrt(float64(head)))
	weights := s.weights[:tokens]
	for h := range n.heads {
		keys, values := s.wide[width+h*head:], s.wide[2*width+h*head:]
		for t := range tokens {
			n.kernel.score(weights, s.wide[t*stride+h*head:][:head], keys, stride)
			softmax(weights, scale)
			n.kernel.blend(s.y[t*width+h*head:][:head], weights, values, stride)
		}
	}
}
