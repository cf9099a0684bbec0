package web

import (
	"slices"
	"unicode/utf8"

	"remit/persona"
)

// piece is a stretch of the job and the numbers of the tools that it asks for.
type piece struct {
	Text  string
	Tools []int // from 1, as the cards are numbered
	Gap   bool  // nothing in the catalog does this
	At    int   // number of the stretch, from 1
}

// Marked says that the stretch asks for something.
func (p piece) Marked() bool { return len(p.Tools) > 0 }

// allOf says that a span is a long job from end to end: marking all of it would hide what other spans say.
func allOf(job string, w persona.Span) bool { return len(job) > 200 && w.End-w.Start > len(job)*9/10 }

// pieces cuts the job where spans begin and end. Spans may overlap; ones outside the job, and of the whole job, are left out.
func pieces(job string, grants []persona.Grant, gaps []persona.Span) []piece {
	cuts := []int{0, len(job)}
	fits := func(w persona.Span) bool {
		return !allOf(job, w) && w.Start >= 0 && w.Start < w.End && w.End <= len(job) &&
			utf8.RuneStart(job[w.Start]) && (w.End == len(job) || utf8.RuneStart(job[w.End]))
	}
	for _, g := range grants {
		for _, w := range g.Words {
			if fits(w) {
				cuts = append(cuts, w.Start, w.End)
			}
		}
	}
	for _, w := range gaps {
		if fits(w) {
			cuts = append(cuts, w.Start, w.End)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var out []piece
	for i := 0; i+1 < len(cuts); i++ {
		p := piece{Text: job[cuts[i]:cuts[i+1]], At: i + 1}
		in := func(w persona.Span) bool { return fits(w) && w.Start <= cuts[i] && cuts[i+1] <= w.End }
		for n, g := range grants {
			if slices.ContainsFunc(g.Words, in) {
				p.Tools = append(p.Tools, n+1)
			}
		}
		p.Gap = slices.ContainsFunc(gaps, in)
		out = append(out, p)
	}
	return out
}

// quoted is the words of the job that spans cover.
func quoted(job string, words []persona.Span) []string {
	return persona.Revision{Job: job}.Cited(words)
}

// link turns where the quotes of cards begin in the job into the numbers of the stretches that begin there.
func link(cards []card, job []piece) {
	at, starts := 0, map[int]int{}
	for _, p := range job {
		if p.Marked() {
			starts[at] = p.At
		}
		at += len(p.Text)
	}
	for i := range cards {
		for k, q := range cards[i].Quotes {
			cards[i].Quotes[k].At = starts[q.At]
		}
	}
}
