package modelfile

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sample(t testing.TB) []byte {
	t.Helper()
	values := make([]float32, 3*2*Panel)
	for i := range values {
		values[i] = float32(i-40) / 7
	}
	w := &Writer{Header: Header{Name: "sample", Dim: 2, Licence: "Apache-2.0"}}
	if err := w.Pieces("pieces", []string{"�", "##the", ""}); err != nil {
		t.Fatal(err)
	}
	if err := w.Matrix("dense", 3, 2*Panel, values); err != nil {
		t.Fatal(err)
	}
	if err := w.Table("table", 6, Panel, values); err != nil {
		t.Fatal(err)
	}
	w.Floats("bias", []float32{1, -2.5, 0})
	var file bytes.Buffer
	if _, err := w.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestRoundTrip(t *testing.T) {
	f, err := Open(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	pieces, err := f.Pieces("pieces")
	if diff := cmp.Diff([]string{"�", "##the", ""}, pieces); diff != "" || err != nil {
		t.Errorf("pieces (-want +got):\n%s%v", diff, err)
	}
	bias, err := f.Floats("bias", 3)
	if diff := cmp.Diff([]float32{1, -2.5, 0}, bias); diff != "" || err != nil {
		t.Errorf("floats (-want +got):\n%s%v", diff, err)
	}
	m, err := f.Matrix("dense", 3, 2*Panel)
	if err != nil {
		t.Fatal(err)
	}
	table, err := f.Table("table", 6, Panel)
	if err != nil {
		t.Fatal(err)
	}
	row := make([]float32, Panel)
	for i := range 3 * 2 * Panel {
		want := float64(float32(i-40) / 7)
		in, out := i/(2*Panel), i%(2*Panel)
		weight := int8(m.Panels[(out/Panel*3+in)*Panel+out%Panel])
		if got := float64(weight) * float64(m.Scales[out]); math.Abs(got-want) > float64(m.Scales[out])/2+1e-6 {
			t.Errorf("matrix %d, %d: got %v, want %v", in, out, got, want)
		}
		table.Row(row, i/Panel)
		if got := float64(row[i%Panel]); math.Abs(got-want) > 0.1 {
			t.Errorf("table %d, %d: got %v, want %v", i/Panel, i%Panel, got, want)
		}
	}
}

func TestSameInputSameBytes(t *testing.T) {
	if !bytes.Equal(sample(t), sample(t)) {
		t.Error("two files of the same tensors differ")
	}
}

func TestWrongShape(t *testing.T) {
	f, err := Open(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() error{
		"missing":        func() error { _, err := f.Floats("nowhere", 1); return err },
		"missing pieces": func() error { _, err := f.Pieces("nowhere"); return err },
		"wrong length":   func() error { _, err := f.Floats("bias", 4); return err },
		"wrong kind":     func() error { _, err := f.Floats("dense", 3); return err },
		"transposed":     func() error { _, err := f.Matrix("dense", 2*Panel, 3); return err },
		"wrong rows":     func() error { _, err := f.Table("table", 5, Panel); return err },
		"ragged panels":  func() error { return new(Writer).Matrix("m", 1, 3, make([]float32, 3)) },
		"too few values": func() error { return new(Writer).Table("t", 2, 3, make([]float32, 5)) },
	} {
		if err := read(); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

// Whatever the bytes are, reading a file that Open took does not panic.
func FuzzOpen(f *testing.F) {
	f.Add(sample(f))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Open(b)
		if err != nil {
			return
		}
		for _, tensor := range file.Tensors {
			file.Matrix(tensor.Name, tensor.Rows, tensor.Cols)
			file.Table(tensor.Name, tensor.Rows, tensor.Cols)
			file.Floats(tensor.Name, tensor.Cols)
			file.Pieces(tensor.Name)
		}
	})
}
