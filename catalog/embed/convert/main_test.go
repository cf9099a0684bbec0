package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"remit/catalog/embed/modelfile"
)

// unpacked writes a folder as the package has it, with every tensor that the converter asks for, 16 x 16 each.
func unpacked(t *testing.T, vocabulary string, leaveOut string) string {
	t.Helper()
	var weights []map[string]any
	var data []byte
	for _, r := range tensors() {
		if r.to == leaveOut {
			continue
		}
		weights = append(weights,
			map[string]any{"name": r.from, "dtype": "float32", "shape": []int{16, 16}},
			map[string]any{"name": r.from + "/axis", "dtype": "int32", "shape": []int{}})
		for i := range 16 * 16 {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(i%50)-20))
		}
		data = append(data, 1, 0, 0, 0)
	}
	graph, err := json.Marshal(map[string]any{"weightsManifest": []any{
		map[string]any{"paths": []string{"shard1", "shard2"}, "weights": weights},
	}})
	if err != nil {
		t.Fatal(err)
	}
	dist := t.TempDir()
	for name, content := range map[string][]byte{
		"model.json": graph, "vocab.json": []byte(vocabulary), "shard1": data[:1001], "shard2": data[1001:],
	} {
		if err := os.WriteFile(filepath.Join(dist, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dist
}

func TestConvert(t *testing.T) {
	dist := unpacked(t, `[["▁the", -3.5], [":", null]]`, "")
	var files [2][]byte
	for i := range files {
		out := filepath.Join(t.TempDir(), "model.bin")
		if err := convert(dist, out); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two conversions of the same package differ")
	}
	f, err := modelfile.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	pieces, err := f.Pieces("pieces")
	if err != nil || len(pieces) != 2 || pieces[0] != (modelfile.Piece{Text: "▁the", Score: -3.5}) || pieces[1].Score != 0 {
		t.Errorf("pieces: got %v, %v, want ▁the at -3.5 and : at 0", pieces, err)
	}
	if got, want := len(f.Tensors), len(tensors())+1; got != want {
		t.Errorf("tensors: got %d, want %d", got, want)
	}
}

func TestConvertRefuses(t *testing.T) {
	for name, c := range map[string]struct{ vocabulary, leaveOut, want string }{
		"a missing tensor":    {`[["a", 1]]`, "top", "no tensor"},
		"a vocabulary object": {`{}`, "", "vocab.json"},
		"a piece of numbers":  {`[[1, 1]]`, "", "piece 0 is not text"},
		"a score of text":     {`[["a", "b"]]`, "", "score of piece 0"},
	} {
		t.Run(name, func(t *testing.T) {
			err := convert(unpacked(t, c.vocabulary, c.leaveOut), filepath.Join(t.TempDir(), "model.bin"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
