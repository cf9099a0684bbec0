package modelfile

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Writer collects tensors and writes them as one file. The same tensors in the same order give the same bytes, on every
// machine: products are rounded before they are added, so that no compiler fuses the two.
type Writer struct {
	Header Header
	data   []byte
}

// Matrix adds a dense layer; w has in rows of out values.
func (w *Writer) Matrix(name string, in, out int, values []float32) error {
	if len(values) != in*out || out%Panel != 0 {
		return fmt.Errorf("modelfile: %s: %d values are not %d x %d in panels of %d", name, len(values), in, out, Panel)
	}
	scales := make([]float32, out)
	panels := make([]byte, in*out)
	column := make([]float32, in)
	for o := range out {
		for i := range in {
			column[i] = values[i*out+o]
		}
		scales[o] = bestScale(column)
		for i, v := range column {
			panels[(o/Panel*in+i)*Panel+o%Panel] = byte(quantise(v, scales[o]))
		}
	}
	w.add(Tensor{Name: name, Kind: KindMatrix, Rows: in, Cols: out}, appendFloats(panels, scales))
	return nil
}

// Table adds rows that are looked up one at a time.
func (w *Writer) Table(name string, rows, cols int, values []float32) error {
	if len(values) != rows*cols {
		return fmt.Errorf("modelfile: %s: %d values are not %d x %d", name, len(values), rows, cols)
	}
	scales := make([]float32, rows)
	data := make([]byte, len(values))
	for r := range rows {
		row := values[r*cols : (r+1)*cols]
		scales[r] = bestScale(row)
		for c, v := range row {
			data[r*cols+c] = byte(quantise(v, scales[r]))
		}
	}
	w.add(Tensor{Name: name, Kind: KindTable, Rows: rows, Cols: cols}, appendFloats(data, scales))
	return nil
}

// Floats adds a vector as it is.
func (w *Writer) Floats(name string, values []float32) {
	w.add(Tensor{Name: name, Kind: KindFloats, Rows: 1, Cols: len(values)}, appendFloats(nil, values))
}

// Pieces adds the vocabulary.
func (w *Writer) Pieces(name string, pieces []string) error {
	var b []byte
	for i, p := range pieces {
		if len(p) > 255 {
			return fmt.Errorf("modelfile: piece %d is too long", i)
		}
		b = append(b, byte(len(p)))
		b = append(b, p...)
	}
	w.add(Tensor{Name: name, Kind: KindPieces, Rows: len(pieces), Cols: 1}, b)
	return nil
}

// WriteTo writes the file.
func (w *Writer) WriteTo(out io.Writer) (int64, error) {
	header, err := json.Marshal(w.Header)
	if err != nil {
		return 0, err
	}
	b := binary.LittleEndian.AppendUint32([]byte(magic), uint32(len(header)))
	b = append(b, header...)
	n, err := out.Write(append(b, w.data...))
	return int64(n), err
}

func (w *Writer) add(t Tensor, b []byte) {
	t.Offset, t.Size = len(w.data), len(b)
	w.Header.Tensors = append(w.Header.Tensors, t)
	w.data = append(w.data, b...)
}

// bestScale picks the scale with the least squared error: the widest value gives the first guess, and smaller scales,
// which cut the widest values off to keep the many small ones finer, are tried down to 70 % of it.
func bestScale(values []float32) float32 {
	var widest float32
	for _, v := range values {
		widest = max(widest, float32(math.Abs(float64(v))))
	}
	if widest == 0 {
		return 1
	}
	best, least := widest/127, math.Inf(1)
	for step := range 31 {
		scale := float32(float64(widest) / 127 * float64(100-step) / 100)
		sum := 0.0
		for _, v := range values {
			miss := float64(v) - float64(float64(quantise(v, scale))*float64(scale))
			sum += float64(miss * miss)
		}
		if sum < least {
			best, least = scale, sum
		}
	}
	return best
}

func quantise(v, scale float32) int8 {
	q := math.RoundToEven(float64(v) / float64(scale))
	return int8(max(-127, min(127, q)))
}

func appendFloats(b []byte, values []float32) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}
