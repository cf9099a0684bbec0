package composer

import (
	"context"
	"slices"
	"unicode/utf8"

	"remit/catalog"
	"remit/persona"
)

// Refinement is what a change of the job asks of the tools that are granted: what else a new draft would choose otherwise stays as
// it is, so that a person's edits are kept and the difference is what was asked for.
type Refinement struct {
	Change  persona.Span // the words of the new job that the old one does not have; empty if words were only taken away
	Added   []Choice     // of the new draft, that the change asks for
	Removed []Miss       // of what is granted, with why
	Others  []Choice     // of the new draft, that nothing in the change asks for
}

// Refine compares two drafts: was, of the job before, and now, of the changed one, for the tools that are granted. Those in byHand
// were added by a person: they go only where the change rules them out.
func (c *Composer) Refine(ctx context.Context, was, now Draft, granted, byHand []catalog.ID) (Refinement, error) {
	s, err := c.Study(ctx, now.Job)
	if err != nil {
		return Refinement{}, err
	}
	removed, change := changed(was.Job, now.Job)
	out := Refinement{Change: change}
	chosen := map[catalog.ID]Choice{}
	for _, ch := range now.Choices {
		chosen[ch.Tool] = ch
	}
	before := map[catalog.ID]Choice{}
	for _, ch := range was.Choices {
		before[ch.Tool] = ch
	}
	asks := func(ch Choice) bool {
		return slices.ContainsFunc(ch.Words, func(w persona.Span) bool { return overlap(w, change) })
	}
	for _, id := range granted {
		t := s.x.byID[id]
		if t == nil {
			continue // what is not offered is the registry's to refuse
		}
		ch, still := chosen[id]
		old, known := before[id]
		k, no := s.ruledOut(t, change)
		switch {
		case still && asks(ch):
		case no:
			out.Removed = append(out.Removed, Miss{Tool: id, Effect: t.effect, Words: []persona.Span{k}, Reason: "the job now says " + quoteWords(now.Job, k)})
		case still || slices.Contains(byHand, id):
		case known && slices.ContainsFunc(old.Words, func(w persona.Span) bool { return overlap(w, removed) }):
			out.Removed = append(out.Removed, Miss{Tool: id, Effect: t.effect, Reason: "the words that asked for it are gone"})
		case known && chose(was.Model) && chose(now.Model):
			out.Removed = append(out.Removed, Miss{Tool: id, Effect: t.effect, Reason: "the model left it out of the changed job"})
		}
	}
	for _, ch := range now.Choices {
		if slices.Contains(granted, ch.Tool) {
			continue
		}
		if asks(ch) {
			out.Added = append(out.Added, ch)
		} else {
			out.Others = append(out.Others, ch)
		}
	}
	return out, nil
}

// chose says that a model's choice is in the draft.
func chose(m *ModelUse) bool { return m != nil && m.Failed == "" }

// changed are the words that only the old text has, and those that only the new one has, between what both begin and end with.
func changed(before, after string) (removed, added persona.Span) {
	shorter := min(len(before), len(after))
	start := 0
	for start < shorter && before[start] == after[start] {
		start++
	}
	end := 0
	for end < shorter-start && before[len(before)-1-end] == after[len(after)-1-end] {
		end++
	}
	return wholeWords(before, start, len(before)-end), wholeWords(after, start, len(after)-end)
}

// wholeWords widens a stretch of the text to the words that it cuts and leaves out the spaces around it.
func wholeWords(text string, start, end int) persona.Span {
	if start >= end {
		return persona.Span{Start: start, End: start}
	}
	letter := func(i int) bool { return i >= 0 && i < len(text) && text[i] > ' ' }
	if letter(start) {
		for letter(start-1) || start > 0 && !utf8.RuneStart(text[start]) {
			start--
		}
	}
	if letter(end - 1) {
		for letter(end) || end < len(text) && !utf8.RuneStart(text[end]) {
			end++
		}
	}
	for start < end && text[start] <= ' ' {
		start++
	}
	for start < end && text[end-1] <= ' ' {
		end--
	}
	return persona.Span{Start: start, End: end}
}

// ruledOut says which words of the change take t away. Beside what rules a tool out anywhere, that is what the change says is not
// to be looked at or used: in a job such words tell what the agent has no need of; said of a draft they mean its tools.
func (s *Study) ruledOut(t *tool, change persona.Span) (persona.Span, bool) {
	for _, k := range s.ks {
		if overlap(k.span, change) && k.covers(t, nil) {
			return k.span, true
		}
	}
	for _, c := range s.reading.clauses {
		if c.forbids && overlap(c.span(), change) && s.denied(c, t) {
			return c.span(), true
		}
	}
	return persona.Span{}, false
}

// denied says that a negative clause about looking at or using something is about t.
func (s *Study) denied(c clause, t *tool) bool {
	servers, product := map[string]bool{}, map[int]bool{}
	for _, m := range s.reading.mentions {
		if first := s.reading.words[m.first].span; first.Start >= c.span().Start && first.End <= c.span().End {
			for server := range m.servers {
				servers[server] = true
			}
			for i := m.first; i <= m.last; i++ {
				product[s.reading.words[i].span.Start] = true
			}
		}
	}
	objects := map[string]bool{}
	for i, w := range c.words {
		a := actions[w.stem]
		noun := nounVerbs[w.stem] && thingHere(c.words, i)
		switch {
		case a != "" && a != reads && !noun && !(stop[w.text] && w.text != "put"):
			return false // it rules out a change, which is judged with the others
		case !stop[w.text] && !indefinite[w.text] && !product[w.span.Start] && (a == "" || noun) && len(w.text) > 2 && !reaching[w.stem]:
			objects[w.stem] = true
		}
	}
	if len(servers) == 0 && len(objects) == 0 {
		return false
	}
	return (len(servers) == 0 || servers[t.server]) && (len(objects) == 0 || t.about(objects))
}

// reaching are verbs of having to do with something at all.
var reaching = stems(`use access touch reach see have need get know tool allow able permit dont let`)
