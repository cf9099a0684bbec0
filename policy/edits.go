package policy

import (
	"cmp"
	"slices"
	"strings"
)

// edit puts text in the place of a stretch of another text.
type edit struct {
	start, end int
	text       string
	keep       bool  // the stretch stays: the finding is only reported
	found      []int // the masks that found something in it
}

// settle sorts edits and makes them disjoint: of two where one holds the other the outer stays, and what overlaps otherwise
// becomes one, with the text of the mask that comes first in the policy.
func settle(edits []edit) []edit {
	slices.SortStableFunc(edits, func(a, b edit) int {
		return cmp.Or(a.start-b.start, b.end-a.end)
	})
	var out []edit
	for _, e := range edits {
		if e.keep {
			continue
		}
		last := len(out) - 1
		switch {
		case last < 0 || e.start >= out[last].end:
			out = append(out, e)
		case e.end > out[last].end:
			out[last].end = e.end
			if first(e) < first(out[last]) {
				out[last].text = e.text
			}
		case e.start == out[last].start && e.end == out[last].end && first(e) < first(out[last]):
			out[last].text = e.text
		}
	}
	return out
}

func first(e edit) int {
	if len(e.found) == 0 {
		return maxRules
	}
	return slices.Min(e.found)
}

// apply makes the edits. changed is false where they leave the text as it is.
func apply(text string, edits []edit) (edited string, changed bool) {
	edits = settle(edits)
	if len(edits) == 0 {
		return text, false
	}
	var b strings.Builder
	at := 0
	for _, e := range edits {
		b.WriteString(text[at:e.start])
		b.WriteString(e.text)
		at = e.end
	}
	b.WriteString(text[at:])
	return b.String(), true
}

// count adds what was found. A value that was found in several readings of a text counts once. In a later pass, what is only
// reported was counted before.
func (m *masker) count(found Findings, edits []edit, later bool) Findings {
	if len(edits) == 0 {
		return found
	}
	if found == nil {
		found = Findings{}
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Or(a.start-b.start, b.end-a.end) })
	until := make([]int, len(m.masks)) // where the last finding of each mask ends
	for _, e := range edits {
		for _, i := range e.found {
			if e.start >= until[i] && !(later && m.masks[i].Mode == Report) {
				found[m.masks[i].name]++
			}
		}
		for _, i := range e.found {
			until[i] = max(until[i], e.end)
		}
	}
	return found
}
