package composer

import (
	"slices"
	"strconv"

	"remit/policy"
)

// spoken is a limit that the job states ("at most 20 mails a day").
type spoken struct {
	policy.Limit
	sentence int
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
		if per := r.periodAfter(at); calls > 0 && per != "" {
			out = append(out, spoken{policy.Limit{Calls: calls, Per: per}, r.sentence[i]})
		}
	}
	return out
}

// periodAfter is the period that follows the number at a word: "20 mails a day", "5 an hour", "10 daily".
func (r reading) periodAfter(at int) policy.Period {
	for k := at + 1; k < min(at+1+reach, len(r.words)) && r.sentence[k] == r.sentence[at]; k++ {
		if per := periods[r.words[k].text]; per != "" && (pers[r.words[k-1].text] || r.words[k].text == "daily" || r.words[k].text == "hourly") {
			return per
		}
	}
	return ""
}

// policyOf is what the job says of how the tool may be used: a limit holds for what the sentence that states it, or else the
// one before, asks to be changed or sent.
func policyOf(p *picked, order []*picked, stated []spoken) policy.Policy {
	var out policy.Policy
	for _, l := range stated {
		sentence := l.sentence
		asked := func(o *picked) bool {
			return o.tool.changes() && slices.ContainsFunc(o.asks, func(n *ask) bool { return n.sentence == sentence })
		}
		if !slices.ContainsFunc(order, asked) {
			sentence--
		}
		if asked(p) {
			out.Limits = append(out.Limits, l.Limit)
		}
	}
	return out
}
