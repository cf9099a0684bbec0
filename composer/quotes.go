package composer

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// How many words of the job in a row a definition may not have. No server knows the job, so one that quotes it was written to be
// chosen for it.
const (
	quoted      = 8
	quotedLeast = 5 // where the whole job is shorter
)

// jobRuns are runs of words of the job.
type jobRuns struct {
	words int // of each
	of    map[string]bool
}

// runsOf the job; none of a job of a few words.
func runsOf(job string) jobRuns {
	words := bareWords(job)
	r := jobRuns{min(quoted, len(words)), map[string]bool{}}
	for i := 0; r.words >= quotedLeast && i+r.words <= len(words); i++ {
		r.of[strings.Join(words[i:i+r.words], " ")] = true
	}
	return r
}

// in says that a text of the definition has one of the runs.
func (r jobRuns) in(definition json.RawMessage) bool {
	if len(r.of) == 0 {
		return false
	}
	var value any
	return json.Unmarshal(definition, &value) != nil || r.within(value)
}

func (r jobRuns) within(value any) bool {
	switch v := value.(type) {
	case string:
		words := bareWords(v)
		for i := 0; i+r.words <= len(words); i++ {
			if r.of[strings.Join(words[i:i+r.words], " ")] {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, r.within)
	case map[string]any:
		for name, one := range v {
			if r.within(name) || r.within(one) {
				return true
			}
		}
	}
	return false
}

func bareWords(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
