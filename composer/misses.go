package composer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"remit/composer/trees"
	"remit/persona"
)

const (
	maxOutlawed      = 6
	maxMissesPerNeed = 2
	maxMisses        = 20
	tempting         = 0.1 // probability of serving a need from which on a tool that was left out is listed
)

// nearMisses lists what was tempting: tools that a prohibition keeps out, then the runners-up of each need.
func (s *Study) nearMisses(out *selection) []Miss {
	var list []Miss
	seen := map[*tool]bool{}
	miss := func(t *tool, score float64, words persona.Span, reason string) {
		seen[t] = true
		list = append(list, Miss{Tool: t.id, Effect: t.effect, Words: []persona.Span{words}, Score: round(score), Reason: reason})
	}
	for _, t := range s.outlawed(out) {
		k, _ := forbiddenBy(s.ks, t, nil)
		miss(t, tempting, k.span, "the job says "+quoteWords(s.reading.job, k.span))
	}
	for t, r := range s.refused {
		if p := trees.Probability(r.logit); out.chosen[t] == nil && !seen[t] && p >= tempting {
			miss(t, p, r.by.span, "the job says "+quoteWords(s.reading.job, r.by.span))
		}
	}
	for i, n := range s.asks {
		kept := 0
		for _, p := range s.byAsk[i] {
			if kept == maxMissesPerNeed || trees.Probability(p.logit) < tempting {
				break
			}
			if out.chosen[p.tool] == nil && !seen[p.tool] {
				kept++
				miss(p.tool, trees.Probability(p.logit), n.span, s.whyNot(out, p))
			}
		}
	}
	slices.SortFunc(list, func(a, b Miss) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(string(a.Tool), string(b.Tool)))
	})
	return list[:min(len(list), maxMisses)]
}

// outlawed lists tools that a prohibition names outright, by its verb or by what must not be changed, on the servers whose
// tools are granted.
func (s *Study) outlawed(out *selection) []*tool {
	servers := map[string]bool{}
	for _, p := range out.order {
		servers[p.tool.server] = true
	}
	var list []*tool
	for _, t := range s.x.tools {
		if !servers[t.server] || !t.changes() || out.chosen[t] != nil || len(list) == maxOutlawed {
			continue
		}
		for _, k := range s.ks {
			named := slices.Contains(k.verbs, t.verbStem) || k.anything && len(k.objects) > 0
			if named && k.covers(t, nil) {
				list = append(list, t)
				break
			}
		}
	}
	return list
}

func (s *Study) whyNot(out *selection, p pair) string {
	if twin := out.twins[p.tool]; twin != nil {
		return fmt.Sprintf("does the same as %s, which fits better", twin.id)
	}
	for _, o := range out.order {
		if !slices.Contains(o.asks, p.ask) {
			continue
		}
		mine, theirs := s.x.fits(p.ask, p.tool, s.scope.jobStems), s.x.fits(p.ask, o.tool, s.scope.jobStems)
		switch {
		case o.tool.server != p.tool.server:
			return fmt.Sprintf("on another server than %s, which fits better", o.tool.id)
		case mine.kin < theirs.kin:
			return fmt.Sprintf("does something else than “%s”; %s does that", p.ask.act, o.tool.id)
		case mine.fit < theirs.fit:
			return fmt.Sprintf("about something more special than was asked for; %s fits better", o.tool.id)
		}
		return fmt.Sprintf("%s covers these words better", o.tool.id)
	}
	return "too far from what was asked for"
}
