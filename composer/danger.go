package composer

import (
	"fmt"
	"strings"

	"remit/catalog"
)

// untrusted are stems of what strangers write: an agent that reads it can be told things by them.
var untrusted = stems(`web page url website internet scrape crawl fetch browser navigate email inbox message comment issue ticket
	review feed post thread conversation chat pull request sms attachment`)

// warnings is what a reviewer should weigh in the selection as a whole.
func warnings(s *selection, job string, ks []constraint, config Config) []Warning {
	var out []Warning
	for _, k := range ks {
		if w, ok := contradiction(s, job, k); ok {
			out = append(out, w)
		}
	}
	var risk Risk
	for _, p := range s.order {
		risk.add(p.tool)
	}
	out = append(out, risk.Warnings()...)
	if n := len(s.order); n > config.WarnTools {
		out = append(out, Warning{Kind: "size", Text: fmt.Sprintf("%d tools: agents choose worse among more than about %d; "+
			"consider two personas with half of the job each", n, config.WarnTools)})
	}
	return out
}

// contradiction finds the tools that change something although the job says in general that nothing is changed.
func contradiction(s *selection, job string, k constraint) (Warning, bool) {
	if !k.anything || len(k.objects) > 0 {
		return Warning{}, false
	}
	w := Warning{Kind: "job"}
	for _, p := range s.order {
		if p.tool.changes() && (len(k.servers) == 0 || k.servers[p.tool.server]) {
			w.Tools = append(w.Tools, p.tool.id)
		}
	}
	w.Text = fmt.Sprintf("The job says %s and also asks for changes in its own words: check that %s should be granted.", quoteWords(job, k.span), names(w.Tools))
	return w, len(w.Tools) > 0
}

func readsForeign(t *tool) bool {
	for w := range t.nameStems {
		if untrusted[w] {
			return true
		}
	}
	return false
}

func names(ids []catalog.ID) string {
	s := make([]string, 0, 3)
	for _, id := range ids[:min(3, len(ids))] {
		s = append(s, string(id))
	}
	if len(ids) > 3 {
		s = append(s, fmt.Sprintf("%d more", len(ids)-3))
	}
	return strings.Join(s, ", ")
}

// english says whether text looks like English: the share of its words that are usual English ones, over 5 words.
func english(ws []word) bool {
	if len(ws) < 6 {
		for _, w := range ws {
			for _, r := range w.text {
				if r > 0x24F {
					return false
				}
			}
		}
		return true
	}
	n := 0
	for _, w := range ws {
		if stop[w.text] || determiners[w.text] || actions[w.stem] != "" {
			n++
		}
	}
	return n*100 >= len(ws)*25
}
