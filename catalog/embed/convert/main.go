// Command convert makes the embedded model out of what the training wrote: a folder with model.safetensors (float32, named
// as package embed asks for them, dense layers as inputs × outputs) and vocab.txt (one piece a line). The same input gives
// the same bytes on every run and every machine. From the root of the repository:
//
//	go run ./catalog/embed/convert -from FOLDER -out catalog/embed/model/remit-minilm.bin
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"remit/catalog/embed/modelfile"
)

func main() {
	from := flag.String("from", "", "folder with model.safetensors and vocab.txt")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if *from == "" || *out == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := convert(*from, *out); err != nil {
		fmt.Fprintln(os.Stderr, "convert:", err)
		os.Exit(1)
	}
}

func convert(from, out string) error {
	raw, err := os.ReadFile(filepath.Join(from, "model.safetensors"))
	if err != nil {
		return err
	}
	vocabulary, err := os.ReadFile(filepath.Join(from, "vocab.txt"))
	if err != nil {
		return err
	}
	tensors, err := open(raw)
	if err != nil {
		return fmt.Errorf("model.safetensors: %w", err)
	}
	width := len(tensors["norm.scale"].values)
	if width == 0 {
		return errors.New("model.safetensors: no tensor norm.scale")
	}
	w := &modelfile.Writer{Header: modelfile.Header{
		Name:         "remit-minilm",
		Dim:          width,
		MaxTokens:    len(tensors["positions"].values) / width,
		Heads:        12,
		Licence:      "Apache-2.0",
		Source:       "sentence-transformers/all-MiniLM-L6-v2, layers 0, 2 and 5, fine-tuned by catalog/embed/train",
		SourceSHA256: fmt.Sprintf("%x", sha256.Sum256(raw)),
	}}
	if err := w.Pieces("pieces", strings.Split(strings.TrimRight(string(vocabulary), "\n"), "\n")); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		if err := add(w, name, tensors[name]); err != nil {
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

func add(w *modelfile.Writer, name string, t tensor) error {
	switch {
	case name == "positions" || strings.HasSuffix(name, ".bias") || strings.HasSuffix(name, ".scale"):
		w.Floats(name, t.values)
		return nil
	case len(t.shape) != 2:
		return fmt.Errorf("model.safetensors: %s has %d dimensions, want 2", name, len(t.shape))
	case name == "embedding":
		return w.Table(name, t.shape[0], t.shape[1], t.values)
	}
	return w.Matrix(name, t.shape[0], t.shape[1], t.values)
}

type tensor struct {
	shape  []int
	values []float32
}

// open reads the safetensors format: the header's length (8 bytes, little endian), the header (JSON), the tensors.
func open(raw []byte) (map[string]tensor, error) {
	if len(raw) < 8 || binary.LittleEndian.Uint64(raw) > uint64(len(raw)-8) {
		return nil, errors.New("cut off")
	}
	n := 8 + int(binary.LittleEndian.Uint64(raw))
	var header map[string]struct {
		Dtype   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(raw[8:n], &header); err != nil {
		return nil, err
	}
	delete(header, "__metadata__")
	out := map[string]tensor{}
	for name, h := range header {
		size := 4
		for _, d := range h.Shape {
			size *= d
		}
		if h.Dtype != "F32" || h.Offsets[0] < 0 || h.Offsets[1] > len(raw)-n || h.Offsets[1]-h.Offsets[0] != size {
			return nil, fmt.Errorf("%s is no float32 tensor within the file", name)
		}
		t := tensor{shape: h.Shape, values: make([]float32, size/4)}
		for i := range t.values {
			t.values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[n+h.Offsets[0]+4*i:]))
		}
		out[name] = t
	}
	return out, nil
}
