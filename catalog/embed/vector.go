package embed

import (
	"math"
	"sync"
)

// apply normalises each row of x to mean 0 and variance 1, then scales and shifts it.
func (l *layerNorm) apply(x []float32, rows int) {
	const epsilon = 1e-12
	width := len(l.scale)
	for r := range rows {
		row := x[r*width:][:width]
		mean := sum(row) / float32(width)
		for i := range row {
			row[i] -= mean
		}
		f := 1 / float32(math.Sqrt(float64(squares(row)/float32(width)+epsilon)))
		for i, v := range row {
			row[i] = v*f*l.scale[i] + l.bias[i]
		}
	}
}

const (
	geluRange = 6   // beyond it the function is 0 or x to within 1e-8
	geluSteps = 512 // table entries per unit; linear interpolation is then right to 1e-6
)

var geluTable = sync.OnceValue(func() []float32 {
	t := make([]float32, 2*geluRange*geluSteps+2)
	for i := range t {
		x := float64(i)/geluSteps - geluRange
		t[i] = float32(0.5 * x * (1 + math.Erf(x/math.Sqrt2)))
	}
	return t
})

// gelu is x·Φ(x) of each value (Hendrycks and Gimpel, 2016), from a table: erf would take a quarter of the whole time.
func gelu(x []float32) {
	table := geluTable()
	for i, v := range x {
		switch at := (v + geluRange) * geluSteps; {
		case v >= geluRange:
		case !(v > -geluRange):
			x[i] = 0
		default:
			k := int(at)
			a, b := table[k], table[k+1]
			x[i] = a + (b-a)*(at-float32(k))
		}
	}
}

// softmax turns scores into weights that add up to 1.
func softmax(x []float32, scale float32) {
	top := x[0]
	for _, v := range x {
		top = max(top, v)
	}
	var total float32
	for i, v := range x {
		x[i] = exp((v - top) * scale)
		total += x[i]
	}
	f := 1 / total
	for i := range x {
		x[i] *= f
	}
}

// exp is e to the power of x for x <= 0, right to about 2e-7; below -87 it is 0. It takes a fifth of math.Exp's time.
func exp(x float32) float32 {
	const (
		log2e  = 1.44269504
		ln2Hi  = 0.693359375
		ln2Lo  = -2.12194440e-4
		lowest = -87
	)
	if !(x > lowest) {
		return 0
	}
	n := int32(x*log2e - 0.5)
	k := float32(n)
	x = x - k*ln2Hi - k*ln2Lo
	p := float32(1.9875691500e-4)
	p = p*x + 1.3981999507e-3
	p = p*x + 8.3334519073e-3
	p = p*x + 4.1665795894e-2
	p = p*x + 1.6666665459e-1
	p = p*x + 5.0000001201e-1
	return (p*x*x + x + 1) * math.Float32frombits(uint32(n+127)<<23)
}

// unit scales a vector to length 1.
func unit(v []float32) {
	var length float64
	for _, x := range v {
		length += float64(x) * float64(x)
	}
	f := float32(1 / math.Sqrt(max(length, 1e-12)))
	for i := range v {
		v[i] *= f
	}
}

// add adds x to dst.
func add(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] += v
	}
}

func sum(x []float32) float32 {
	var a, b, c, d float32
	for ; len(x) >= 4; x = x[4:] {
		a += x[0]
		b += x[1]
		c += x[2]
		d += x[3]
	}
	return a + b + c + d
}

func squares(x []float32) float32 {
	var a, b, c, d float32
	for ; len(x) >= 4; x = x[4:] {
		a += x[0] * x[0]
		b += x[1] * x[1]
		c += x[2] * x[2]
		d += x[3] * x[3]
	}
	return a + b + c + d
}
