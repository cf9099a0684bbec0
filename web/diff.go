package web

import "strings"

// line of a difference between two texts.
type line struct {
	Mark string // "+", "-" or " "
	Text string
}

const maxDiff = 1500 // lines of either text; beyond it all lines are shown as replaced, which is true if less helpful

// difference is the longest common subsequence's, with unchanged stretches cut to three lines around each change.
func difference(before, after string) []line {
	if before == after {
		return nil
	}
	a, b := lines(before), lines(after)
	var all []line
	i, j := 0, 0
	if len(a) <= maxDiff && len(b) <= maxDiff {
		common := lengths(a, b)
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				all = append(all, line{" ", a[i]})
				i, j = i+1, j+1
			case common[i+1][j] >= common[i][j+1]:
				all = append(all, line{"-", a[i]})
				i++
			default:
				all = append(all, line{"+", b[j]})
				j++
			}
		}
	}
	for ; i < len(a); i++ {
		all = append(all, line{"-", a[i]})
	}
	for ; j < len(b); j++ {
		all = append(all, line{"+", b[j]})
	}
	return near(all, 3)
}

// lines of a text; an empty one has none.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// lengths holds, at i and j, the length of the longest common subsequence of a[i:] and b[j:].
func lengths(a, b []string) [][]int16 {
	table := make([][]int16, len(a)+1)
	for i := range table {
		table[i] = make([]int16, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				table[i][j] = table[i+1][j+1] + 1
			} else {
				table[i][j] = max(table[i+1][j], table[i][j+1])
			}
		}
	}
	return table
}

// near keeps the changes and n lines around them; a line "…" stands for what was left out.
func near(all []line, n int) []line {
	keep := make([]bool, len(all))
	for i, l := range all {
		if l.Mark != " " {
			for k := max(0, i-n); k < min(len(all), i+n+1); k++ {
				keep[k] = true
			}
		}
	}
	var out []line
	for i, l := range all {
		switch {
		case keep[i]:
			out = append(out, l)
		case i == 0 || keep[i-1]:
			out = append(out, line{" ", "…"})
		}
	}
	return out
}
