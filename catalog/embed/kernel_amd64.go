package embed

import (
	"golang.org/x/sys/cpu"

	"remit/catalog/embed/modelfile"
)

// fastest returns the AVX2 kernel where the processor has AVX2 and FMA.
func fastest() kernel {
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		return kernel{name: "avx2", multiply: multiplyAVX2, score: scoreAVX2, blend: blendAVX2}
	}
	return portable
}

// tile6 and tile4 multiply that many rows of n values with one panel of 16 outputs, then scale and add the bias.
// Rows of x start xStride bytes apart, rows of dst dstStride bytes.
//
//go:noescape
func tile6(dst, x *float32, panel *byte, scales, bias *float32, n, xStride, dstStride int)

//go:noescape
func tile4(dst, x *float32, panel *byte, scales, bias *float32, n, xStride, dstStride int)

// scoreRows and blendRows are kernel.score and kernel.blend; stride is in bytes, width a multiple of lane.
//
//go:noescape
func scoreRows(dst, q, keys *float32, rows, width, stride int)

//go:noescape
func blendRows(dst, weights, values *float32, rows, width, stride int)

func multiplyAVX2(dst, x []float32, rows int, w *modelfile.Matrix, bias []float32) {
	padded := (rows + tile - 1) / tile * tile
	x, dst, bias = x[:padded*w.In], dst[:padded*w.Out], bias[:w.Out]
	for col := 0; col < w.Out; col += modelfile.Panel {
		panel, scale, b := &w.Panels[col*w.In], &w.Scales[col], &bias[col]
		for row := 0; row < rows; {
			// Six rows at a time is fastest; the last seven or eight go as two times four.
			if left := rows - row; left <= 4 || left == 7 || left == 8 {
				tile4(&dst[row*w.Out+col], &x[row*w.In], panel, scale, b, w.In, 4*w.In, 4*w.Out)
				row += 4
				continue
			}
			tile6(&dst[row*w.Out+col], &x[row*w.In], panel, scale, b, w.In, 4*w.In, 4*w.Out)
			row += 6
		}
	}
}

func scoreAVX2(dst, q, keys []float32, stride int) {
	if len(dst) == 0 {
		return
	}
	_ = keys[(len(dst)-1)*stride+len(q)-1]
	scoreRows(&dst[0], &q[0], &keys[0], len(dst), len(q), 4*stride)
}

func blendAVX2(dst, weights, values []float32, stride int) {
	if len(weights) == 0 {
		clear(dst)
		return
	}
	_ = values[(len(weights)-1)*stride+len(dst)-1]
	blendRows(&dst[0], &weights[0], &values[0], len(weights), len(dst), 4*stride)
}
