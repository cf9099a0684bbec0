// Package modelfile owns the file format of an embedded sentence encoder: what the tensors are called, how int8 weights
// and their scales are laid out, and how the vocabulary is stored. It knows nothing about running the model.
//
// A file is
//
//	8 bytes   "RMTENC02"
//	4 bytes   length of the header, little endian
//	n bytes   the header, JSON (Header)
//	rest      the sections that the header's tensors point into
//
// Numbers are little endian. Three kinds of tensor exist:
//
//	matrix    weights of a dense layer, int8, in panels of 16 outputs: for each panel, for each input, 16 bytes; then one
//	          float32 scale per output. A kernel reads a panel from front to back.
//	table     rows of int8, then one float32 scale per row (token embeddings)
//	floats    float32
//	pieces    the vocabulary: for each piece one byte for the length, and the piece in UTF-8
package modelfile

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// Panel is the number of outputs that lie side by side in a matrix.
const Panel = 16

const magic = "RMTENC02"

// The kinds of tensor.
const (
	KindMatrix = "matrix"
	KindTable  = "table"
	KindFloats = "floats"
	KindPieces = "pieces"
)

// Header says what a file holds and where it came from.
type Header struct {
	Name         string   `json:"name"`
	Dim          int      `json:"dim"`
	MaxTokens    int      `json:"max_tokens"`
	Heads        int      `json:"heads"`
	Licence      string   `json:"licence"`
	Source       string   `json:"source"`
	SourceSHA256 string   `json:"source_sha256"`
	Tensors      []Tensor `json:"tensors"`
}

// Tensor is one named section. Offset counts from the end of the header. For a matrix, rows are inputs and columns are
// outputs, whatever the order of the bytes.
type Tensor struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Rows   int    `json:"rows"`
	Cols   int    `json:"cols"`
	Offset int    `json:"offset"`
	Size   int    `json:"size"`
}

// Matrix is a dense layer's weights as they lie in the file.
type Matrix struct {
	In, Out int
	Panels  []byte // int8, In*Out of them, in panels of 16 outputs
	Scales  []float32
}

// Table is a list of int8 rows with a scale each.
type Table struct {
	Rows, Cols int
	Data       []byte // int8
	Scales     []float32
}

// Row writes row i, scaled back to floats, to dst.
func (t *Table) Row(dst []float32, i int) {
	scale := t.Scales[i]
	for j, b := range t.Data[i*t.Cols : (i+1)*t.Cols] {
		dst[j] = float32(int8(b)) * scale
	}
}

// File is an opened model file. It keeps the bytes that it was opened from and must not outlive changes to them.
type File struct {
	Header
	data []byte
}

// Open reads the header and checks that each tensor lies inside the file and has the size its shape asks for.
func Open(file []byte) (*File, error) {
	rest, ok := bytes.CutPrefix(file, []byte(magic))
	if !ok || len(rest) < 4 {
		return nil, errors.New("modelfile: not a model file")
	}
	n := binary.LittleEndian.Uint32(rest)
	rest = rest[4:]
	if uint64(n) > uint64(len(rest)) {
		return nil, errors.New("modelfile: header is cut off")
	}
	f := &File{data: rest[n:]}
	if err := json.Unmarshal(rest[:n], &f.Header); err != nil {
		return nil, fmt.Errorf("modelfile: header: %w", err)
	}
	for _, t := range f.Tensors {
		if err := t.check(len(f.data)); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (t Tensor) check(have int) error {
	const most = 1 << 28
	if t.Rows < 1 || t.Cols < 1 || t.Rows > most/t.Cols {
		return fmt.Errorf("modelfile: %s: bad shape %d x %d", t.Name, t.Rows, t.Cols)
	}
	if t.Offset < 0 || t.Size < 0 || t.Offset > have || t.Size > have-t.Offset {
		return fmt.Errorf("modelfile: %s lies outside the file", t.Name)
	}
	want := t.Size
	switch t.Kind {
	case KindMatrix:
		if t.Cols%Panel != 0 {
			return fmt.Errorf("modelfile: %s: %d outputs are not whole panels of %d", t.Name, t.Cols, Panel)
		}
		want = t.Rows*t.Cols + 4*t.Cols
	case KindTable:
		want = t.Rows*t.Cols + 4*t.Rows
	case KindFloats:
		want = 4 * t.Rows * t.Cols
	case KindPieces:
	default:
		return fmt.Errorf("modelfile: %s: unknown kind %q", t.Name, t.Kind)
	}
	if t.Size != want {
		return fmt.Errorf("modelfile: %s has %d bytes, its shape asks for %d", t.Name, t.Size, want)
	}
	return nil
}

// Shape returns the rows and columns of a tensor, or zeros if there is none of that name.
func (f *File) Shape(name string) (rows, cols int) {
	for _, t := range f.Tensors {
		if t.Name == name {
			return t.Rows, t.Cols
		}
	}
	return 0, 0
}

// Matrix returns the weights of a dense layer from in to out values.
func (f *File) Matrix(name string, in, out int) (Matrix, error) {
	b, err := f.section(name, KindMatrix, in, out)
	if err != nil {
		return Matrix{}, err
	}
	return Matrix{In: in, Out: out, Panels: b[:in*out], Scales: floats(b[in*out:])}, nil
}

// Table returns the rows of a table.
func (f *File) Table(name string, rows, cols int) (Table, error) {
	b, err := f.section(name, KindTable, rows, cols)
	if err != nil {
		return Table{}, err
	}
	return Table{Rows: rows, Cols: cols, Data: b[:rows*cols], Scales: floats(b[rows*cols:])}, nil
}

// Floats returns a vector of n values.
func (f *File) Floats(name string, n int) ([]float32, error) {
	b, err := f.section(name, KindFloats, 1, n)
	if err != nil {
		return nil, err
	}
	return floats(b), nil
}

// Pieces returns the vocabulary; a piece's id is its place in the list.
func (f *File) Pieces(name string) ([]string, error) {
	rows, _ := f.Shape(name)
	b, err := f.section(name, KindPieces, rows, 1)
	if err != nil {
		return nil, err
	}
	pieces := make([]string, 0, min(rows, len(b)))
	for range rows {
		if len(b) < 1 || len(b) < 1+int(b[0]) {
			return nil, fmt.Errorf("modelfile: %s is cut off after %d pieces", name, len(pieces))
		}
		end := 1 + int(b[0])
		pieces = append(pieces, string(b[1:end]))
		b = b[end:]
	}
	return pieces, nil
}

func (f *File) section(name, kind string, rows, cols int) ([]byte, error) {
	for _, t := range f.Tensors {
		if t.Name != name {
			continue
		}
		if t.Kind != kind || t.Rows != rows || t.Cols != cols {
			return nil, fmt.Errorf("modelfile: %s is a %s of %d x %d, not a %s of %d x %d",
				name, t.Kind, t.Rows, t.Cols, kind, rows, cols)
		}
		return f.data[t.Offset : t.Offset+t.Size], nil
	}
	return nil, fmt.Errorf("modelfile: no tensor %s", name)
}

func floats(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}
