package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/catalog/embed/modelfile"
)

// trained writes a folder as the training does, with tensors of the given shapes.
func trained(t *testing.T, shapes map[string][]int) string {
	t.Helper()
	header, data := map[string]any{"__metadata__": map[string]string{"by": "test"}}, []byte(nil)
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		start, n := len(data), 1
		for _, d := range shapes[name] {
			n *= d
		}
		for i := range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(i%50)-20))
		}
		header[name] = map[string]any{"dtype": "F32", "shape": shapes[name], "data_offsets": []int{start, len(data)}}
	}
	head, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	raw := append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...)
	dir := t.TempDir()
	for name, content := range map[string][]byte{"model.safetensors": append(raw, data...), "vocab.txt": []byte("[PAD]\n[UNK]\n##a\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var complete = map[string][]int{"embedding": {3, 32}, "positions": {128, 32}, "norm.scale": {32}, "norm.bias": {32}, "0.qkv": {32, 96}, "0.qkv.bias": {96}}

func TestConvert(t *testing.T) {
	dir := trained(t, complete)
	var files [2][]byte
	for i := range files {
		out := filepath.Join(t.TempDir(), "model.bin")
		if err := convert(dir, out); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two conversions of the same folder differ")
	}
	f, err := modelfile.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := [2]int{f.Dim, f.MaxTokens}, [2]int{32, 128}; got != want {
		t.Errorf("dimension and tokens: got %v, want %v", got, want)
	}
	pieces, err := f.Pieces("pieces")
	if diff := cmp.Diff([]string{"[PAD]", "[UNK]", "##a"}, pieces); diff != "" || err != nil {
		t.Errorf("pieces (-want +got):\n%s%v", diff, err)
	}
	bias, err := f.Floats("0.qkv.bias", 96)
	if err != nil || bias[1] != -19 {
		t.Errorf("bias: got %v, %v, want -19 at 1", bias, err)
	}
	if _, err := f.Matrix("0.qkv", 32, 96); err != nil {
		t.Error(err)
	}
}

func TestConvertRefuses(t *testing.T) {
	without := func(name string, shape ...int) map[string][]int {
		m := maps.Clone(complete)
		delete(m, name)
		if shape != nil {
			m[name] = shape
		}
		return m
	}
	for name, c := range map[string]struct {
		shapes map[string][]int
		want   string
	}{
		"a missing tensor":      {without("norm.scale"), "norm.scale"},
		"a matrix of one row":   {without("0.qkv", 96), "1 dimensions"},
		"outputs of no panels":  {without("0.qkv", 32, 5), "panels"},
		"a matrix of dimension": {without("0.qkv", 2, 16, 96), "3 dimensions"},
	} {
		t.Run(name, func(t *testing.T) {
			err := convert(trained(t, c.shapes), filepath.Join(t.TempDir(), "model.bin"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	dir := trained(t, complete)
	if err := os.Truncate(filepath.Join(dir, "model.safetensors"), 300); err != nil {
		t.Fatal(err)
	}
	if err := convert(dir, filepath.Join(t.TempDir(), "model.bin")); err == nil {
		t.Error("a file that is cut off: got no error")
	}
}
