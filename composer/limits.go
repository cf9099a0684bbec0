package composer

import (
	"strconv"
	"strings"

	"remit/persona"
	"remit/policy"
)

// spoken is a limit that the job states ("at most 20 mails a day").
type spoken struct {
	policy.Limit
	sentence int
	span     persona.Span
}

var (
	atMost  = []string{"at most", "no more than", "not more than", "never more than", "maximum of", "a maximum of", "maximum", "max", "up to", "limited to"}
	numbers = map[string]int{"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12,
		"fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50, "hundred": 100}
	pers    = set(`a an per each every`)
	periods = map[string]policy.Period{"second": policy.Second, "minute": policy.Minute, "hour": policy.Hour, "hourly": policy.Hour, "day": policy.Day, "daily": policy.Day}
)

const reach = 6 // words between the number and the period

// limits finds what the job says of how often something may happen.
func (r reading) limits() []spoken {
	var out []spoken
	all := clause{words: r.words}
	for i := range r.words {
		phrase := all.at(i, atMost...)
		if phrase == "" {
			continue
		}
		at := i + len(wordsOf(phrase, 0))
		if at >= len(r.words) || r.sentence[at] != r.sentence[i] {
			continue
		}
		calls, err := strconv.Atoi(r.words[at].text)
		if err != nil {
			calls = numbers[r.words[at].text]
		}
		if per, end := r.periodAfter(at); calls > 0 && per != "" && !r.ofMoney(at) {
			out = append(out, spoken{policy.Limit{Calls: calls, Per: per}, r.sentence[i], persona.Span{Start: r.words[i].span.Start, End: r.words[end].span.End}})
		}
	}
	return out
}

// ofMoney says that the number at a word is an amount ("$100", "100 euros").
func (r reading) ofMoney(at int) bool {
	return strings.ContainsAny(r.words[at].gap, "$€£") || strings.ContainsAny(r.words[at].after, "$€£") || at+1 < len(r.words) && currencies[r.words[at+1].text] != ""
}

// periodAfter is the period that follows the number at a word ("20 mails a day", "5 an hour", "10 daily"), and its last word.
func (r reading) periodAfter(at int) (policy.Period, int) {
	for k := at + 1; k < min(at+1+reach, len(r.words)) && r.sentence[k] == r.sentence[at]; k++ {
		if per := periods[r.words[k].text]; per != "" && (pers[r.words[k-1].text] || r.words[k].text == "daily" || r.words[k].text == "hourly") {
			return per, k
		}
	}
	return "", 0
}
