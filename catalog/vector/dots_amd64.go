package vector

import "golang.org/x/sys/cpu"

// fastest returns the AVX2 kernel where the processor has AVX2 and FMA.
func fastest() func(dst, rows, query []float32) {
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		return dotsAVX2
	}
	return dots
}

// dotRows is dots for count rows of width values, a multiple of lane.
//
//go:noescape
func dotRows(dst, rows, query *float32, count, width int)

func dotsAVX2(dst, rows, query []float32) {
	if len(dst) == 0 || len(query) == 0 {
		return
	}
	_ = rows[len(dst)*len(query)-1]
	dotRows(&dst[0], &rows[0], &query[0], len(dst), len(query)/lane*lane)
}
