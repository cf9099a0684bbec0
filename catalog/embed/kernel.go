package embed

import "remit/catalog/embed/modelfile"

// kernel is the arithmetic that takes nearly all of the time, so that a processor can have its own.
type kernel struct {
	name string
	// multiply sets dst (rows of w.Out) to x (rows of w.In) times w plus bias.
	// Both slices have room for whole tiles of rows: what lies past rows is read and overwritten, but means nothing.
	multiply func(dst, x []float32, rows int, w *modelfile.Matrix, bias []float32)
	// score sets dst[j] to the dot product of q and the j-th key; keys start stride values apart. len(q) is a multiple
	// of lane.
	score func(dst, q, keys []float32, stride int)
	// blend sets dst to the sum of the values, weighted; values start stride apart. len(dst) is a multiple of lane.
	blend func(dst, weights, values []float32, stride int)
}

const (
	tile = 6  // the most rows that a kernel works on at once
	lane = 32 // values of a head are handled in groups of this size
)

// portable is the kernel for every processor, and what the others are tested against.
var portable = kernel{name: "go", multiply: multiply, score: score, blend: blend}

func multiply(dst, x []float32, rows int, w *modelfile.Matrix, bias []float32) {
	const tall, wide = 4, 2
	for col := 0; col < w.Out; col += wide {
		panel := w.Panels[col/modelfile.Panel*modelfile.Panel*w.In:][:modelfile.Panel*w.In]
		panel = panel[col%modelfile.Panel:]
		for row := 0; row < rows; row += tall {
			var sums [tall * wide]float32
			if rows-row >= tall {
				sums = dot4x2(x[row*w.In:], w.In, panel)
			} else {
				for r := range rows - row {
					sums[r*wide], sums[r*wide+1] = dot1x2(x[(row+r)*w.In:][:w.In], panel)
				}
			}
			for r := range min(tall, rows-row) {
				for c := range wide {
					dst[(row+r)*w.Out+col+c] = sums[r*wide+c]*w.Scales[col+c] + bias[col+c]
				}
			}
		}
	}
}

// dot4x2 multiplies four rows of n values with two neighbouring columns of a panel.
func dot4x2(x []float32, n int, panel []byte) [8]float32 {
	var a0, a1, b0, b1, c0, c1, d0, d1 float32
	xa, xb, xc, xd := x[:n], x[n:][:n], x[2*n:][:n], x[3*n:][:n]
	for i, va := range xa {
		w := panel[i*modelfile.Panel:][:2]
		w0, w1 := float32(int8(w[0])), float32(int8(w[1]))
		vb, vc, vd := xb[i], xc[i], xd[i]
		a0 += va * w0
		a1 += va * w1
		b0 += vb * w0
		b1 += vb * w1
		c0 += vc * w0
		c1 += vc * w1
		d0 += vd * w0
		d1 += vd * w1
	}
	return [8]float32{a0, a1, b0, b1, c0, c1, d0, d1}
}

func dot1x2(x []float32, panel []byte) (s0, s1 float32) {
	for i, v := range x {
		w := panel[i*modelfile.Panel:][:2]
		s0 += v * float32(int8(w[0]))
		s1 += v * float32(int8(w[1]))
	}
	return s0, s1
}

func score(dst, q, keys []float32, stride int) {
	for j := range dst {
		key := keys[j*stride:][:len(q)]
		var s0, s1, s2, s3 float32
		for i := 0; i+4 <= len(q); i += 4 {
			a, b := q[i:][:4], key[i:][:4]
			s0 += a[0] * b[0]
			s1 += a[1] * b[1]
			s2 += a[2] * b[2]
			s3 += a[3] * b[3]
		}
		dst[j] = s0 + s1 + s2 + s3
	}
}

func blend(dst, weights, values []float32, stride int) {
	clear(dst)
	for j, weight := range weights {
		for i, v := range values[j*stride:][:len(dst)] {
			dst[i] += weight * v
		}
	}
}
