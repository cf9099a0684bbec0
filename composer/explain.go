package composer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"remit/catalog"
	"remit/composer/trees"
	"remit/persona"
)

// ErrUnknownTool means that the catalog has no such tool.
var ErrUnknownTool = errors.New("the catalog has no such tool")

// Explanation is why the embedded composer takes a tool for a job, or does not. It speaks of the catalog as it is now.
type Explanation struct {
	Tool    catalog.ID
	Chosen  bool
	Reason  string         // in words
	Words   []persona.Span // of the job, that ask for the tool or rule it out
	Need    int            // per cent: how likely the job needs it, or something of its kind
	Fine    int            // per cent: how likely a careful person would let it pass
	Nearest *Nearest       // what it comes nearest to; nil where no words of the job come near it
	Notes   []string       // what else counts
}

// Nearest is the need that a tool suits best, and which tools suit that, best first.
type Nearest struct {
	Words persona.Span
	Field []Rival
}

// Rival is a tool that may serve the same need.
type Rival struct {
	Tool    catalog.ID
	Percent int // how likely it serves the need
	Chosen  bool
}

const maxRivals = 6

// Explain says why a tool is, or is not, in the embedded draft of a job. ErrUnknownTool, and the errors of [Composer.Compose].
func (c *Composer) Explain(ctx context.Context, job string, id catalog.ID) (Explanation, error) {
	s, err := c.Study(ctx, job)
	if err != nil {
		return Explanation{}, err
	}
	t := s.x.byID[id]
	if t == nil {
		return Explanation{}, fmt.Errorf("%w: %s", ErrUnknownTool, id)
	}
	models, err := s.models()
	if err != nil {
		return Explanation{}, err
	}
	base, err := s.draft(ctx, models)
	if err != nil {
		return Explanation{}, err
	}
	return base.explain(t, models.Balance), nil
}

func (d *drafted) explain(t *tool, b Balance) Explanation {
	s, p := d.study, d.out.chosen[t]
	e := Explanation{Tool: t.id, Chosen: p != nil, Nearest: d.nearest(t)}
	var c *candidate
	if i := slices.IndexFunc(d.all, func(c *candidate) bool { return c.tool == t }); i >= 0 {
		c = d.all[i]
		e.Need, e.Fine = percent(c.need), percent(c.fine)
	}
	if n := len(catalog.Scan(t.definition)); n > 0 {
		e.Notes = append(e.Notes, "A scan of its definition found something that does not belong there; a language model is never shown it.")
	}
	if t.effect == catalog.Destructive {
		e.Notes = append(e.Notes, "It deletes, overwrites or runs code: it is not granted on a language model's word alone.")
	}
	if p != nil {
		e.Reason = s.reason(p)
		for _, n := range p.asks {
			e.Words = append(e.Words, n.span)
		}
		if len(e.Words) == 0 {
			e.Words = s.wordsFor(d.out, p)
		}
		return e
	}
	e.Reason, e.Words = d.omitted(t, c, b)
	return e
}

// omitted is why t is not chosen, and the words that say so.
func (d *drafted) omitted(t *tool, c *candidate, b Balance) (string, []persona.Span) {
	s := d.study
	if k, no := forbiddenBy(s.ks, t, nil); no {
		return "the job says " + quoteWords(s.reading.job, k.span), []persona.Span{k.span}
	}
	if r, ok := s.refused[t]; ok {
		return "the job says " + quoteWords(s.reading.job, r.by.span), []persona.Span{r.by.span}
	}
	switch {
	case !english(s.reading.words):
		return "the rules read English, and the job seems to be in another language", nil
	case d.out.twins[t] != nil:
		return fmt.Sprintf("it does the same as %s, which was taken", d.out.twins[t].id), nil
	case c == nil || len(c.pairs) == 0:
		return "no words of the job come near what it does", nil
	}
	words := []persona.Span{c.pairs[0].ask.span}
	switch {
	case t.changes() && !c.changeAsked():
		return fmt.Sprintf("it changes something (%s), and these words ask for no such change", orNot(t.act, "it is not known what")), words
	case c.fine < b.LeastFine || t.changes() && c.fine < b.LeastSafe:
		return "it does more than these words ask for", words
	}
	return s.whyNot(d.out, c.pairs[0]), words
}

func orNot(a action, other string) string {
	if a == "" {
		return other
	}
	return string(a)
}

// nearest is the need that t suits best; the likeliest tools for it, and t wherever it stands.
func (d *drafted) nearest(t *tool) *Nearest {
	best, at := -1, math.Inf(-1)
	for i, pairs := range d.study.byAsk {
		for _, p := range pairs {
			if p.tool == t && p.logit > at {
				best, at = i, p.logit
			}
		}
	}
	if best < 0 {
		return nil
	}
	out := &Nearest{Words: d.study.asks[best].span}
	for place, p := range d.study.byAsk[best] {
		if place < maxRivals-1 || p.tool == t {
			out.Field = append(out.Field, Rival{p.tool.id, percent(trees.Probability(p.logit)), d.out.chosen[p.tool] != nil})
		}
	}
	return out
}

func percent(f float64) int { return int(math.Round(100 * f)) }
