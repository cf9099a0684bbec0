package composer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"remit/catalog"
	"remit/persona"
)

// Version names this procedure; it changes with every change of what a draft can hold.
const Version = "words-3"

// MaxJob is the largest job that is read, in bytes.
const MaxJob = persona.MaxJob

// ErrJob means that the job itself cannot be composed; the text says what to change.
var ErrJob = errors.New("the job cannot be read")

// Finder is the catalog as the composer needs it.
type Finder interface {
	Search(ctx context.Context, query string, k int) (catalog.Results, error)
	Tools() []catalog.Tool
	Tokens() int
	Digest() string // of the catalog: differs when a tool comes, goes or changes
}

// Config of a [Composer].
type Config struct {
	Finder    Finder
	WarnTools int              // more tools than this give a warning; 0 means 40
	MaxTools  int              // more are never chosen: the least sure are left out; 0 means 100
	Now       func() time.Time // nil means time.Now
}

// Composer turns jobs into drafts. It is safe for concurrent use, and the same job over the same catalog gives the same draft.
type Composer struct {
	config Config
	mu     sync.Mutex
	index  *index
}

// New returns a composer.
func New(config Config) *Composer {
	if config.WarnTools == 0 {
		config.WarnTools = 40
	}
	if config.MaxTools == 0 {
		config.MaxTools = 100
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Composer{config: config}
}

const (
	searchDepth = 200 // matches that are looked at per need
	maxNeeds    = 120 // of one job; a job of 20,000 bytes of single words has more
)

// Compose drafts the tools for a job. Errors wrap [ErrJob] when the job has to change, else they are the search's.
func (c *Composer) Compose(ctx context.Context, job string) (Draft, error) {
	start := c.config.Now()
	if err := checkJob(job); err != nil {
		return Draft{}, err
	}
	x := c.current()
	r := x.read(job)
	if len(r.words) == 0 {
		return Draft{}, fmt.Errorf("%w: it holds no words; say what the agent is to do", ErrJob)
	}
	d := Draft{Job: job, CatalogTools: len(x.tools), CatalogTokens: c.config.Finder.Tokens(), Composer: Version}
	ks := r.scopeConstraints(forbid(r.clauses))
	asks := x.asks(r, maxNeeds)
	if len(asks) > maxNeeds {
		d.Warnings = append(d.Warnings, Warning{Kind: "job", Text: fmt.Sprintf("The job asks for more than %d things; the rest was not read. Split it.", maxNeeds)})
		asks = asks[:maxNeeds]
	}
	if err := c.search(ctx, x, asks, &d); err != nil {
		return Draft{}, err
	}
	x.rankAll(asks, r)
	s := x.pick(job, asks, ks)
	s.lookUps(x, ks)
	s.limit(c.config.MaxTools, &d)
	c.describe(&d, x, s, asks, ks, r.words)
	d.Took = c.config.Now().Sub(start)
	return d, nil
}

func checkJob(job string) error {
	switch {
	case strings.TrimSpace(job) == "":
		return fmt.Errorf("%w: it is empty; say in plain words what the agent is to do", ErrJob)
	case len(job) > MaxJob:
		return fmt.Errorf("%w: it has %d bytes and at most %d are read; shorten it or split it", ErrJob, len(job), MaxJob)
	case !utf8.ValidString(job):
		return fmt.Errorf("%w: it is not valid UTF-8 text; paste it again as plain text", ErrJob)
	}
	return nil
}

// current returns the index of the catalog as it is now, made anew only when a tool came, went or changed.
func (c *Composer) current() *index {
	digest := c.config.Finder.Digest() // before the tools: if they change in between, the next draft builds the index anew
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index == nil || c.index.digest != digest {
		c.index = newIndex(digest, c.config.Finder.Tools())
	}
	return c.index
}

// search finds tools for every need by its words, and once more with the product nearby where the need names none.
func (c *Composer) search(ctx context.Context, x *index, asks []*ask, d *Draft) error {
	for _, n := range asks {
		n.found = map[*tool]float64{}
		queries := []string{n.text}
		for _, m := range n.nearby {
			queries = append(queries, n.text+" in "+m.text)
		}
		for i, q := range queries {
			r, err := c.config.Finder.Search(ctx, q, searchDepth)
			if err != nil {
				return fmt.Errorf("searching the catalog for %q: %w", q, err)
			}
			if r.Degraded != "" {
				d.Degraded = r.Degraded
			}
			for _, m := range r.Matches {
				t := x.byID[m.Tool.ID]
				if t == nil || r.Matches[0].Score <= 0 || i > 0 && !n.nearby[i-1].servers[t.server] {
					continue
				}
				n.found[t] = max(n.found[t], m.Score/r.Matches[0].Score)
			}
		}
		n.scaleFound()
	}
	return nil
}

// scaleFound makes the best tool of the products that the need names the measure, since no other can be chosen.
func (n *ask) scaleFound() {
	best := 0.0
	for t, f := range n.found {
		if n.scope[t.server] {
			best = max(best, f)
		}
	}
	for t := range n.found {
		if best > 0 {
			n.found[t] /= best
		}
	}
}

func (x *index) rankAll(asks []*ask, r reading) {
	jobStems := map[string]bool{}
	for _, w := range r.words {
		if !stop[w.text] {
			jobStems[w.stem] = true
		}
	}
	jobServers := map[string]bool{}
	for _, m := range r.mentions {
		for s := range m.servers {
			jobServers[s] = true
		}
	}
	for _, n := range asks {
		x.rank(n, jobStems, jobServers)
	}
	settle(asks)
}

// limit leaves out the tools that are least sure when there are more than maximum.
func (s *selection) limit(maximum int, d *Draft) {
	if len(s.order) <= maximum {
		return
	}
	byScore := slices.Clone(s.order)
	slices.SortStableFunc(byScore, func(a, b *picked) int {
		if a.score > b.score {
			return -1
		}
		if a.score < b.score {
			return 1
		}
		return strings.Compare(string(a.tool.id), string(b.tool.id))
	})
	for _, p := range byScore[maximum:] {
		delete(s.chosen, p.tool)
	}
	s.order = slices.DeleteFunc(s.order, func(p *picked) bool { return s.chosen[p.tool] == nil })
	d.Warnings = append(d.Warnings, Warning{Kind: "size", Text: fmt.Sprintf("The job asks for %d tools and at most %d are granted: the least sure were left out.", len(byScore), maximum)})
}

func (c *Composer) describe(d *Draft, x *index, s *selection, asks []*ask, ks []constraint, words []word) {
	for _, n := range asks {
		d.Needs = append(d.Needs, Need{Words: n.span, Text: n.label(), Effect: effectOf(n.act)})
	}
	for _, p := range s.order {
		choice := Choice{Tool: p.tool.id, Effect: p.tool.effect, Score: round(p.score), Confidence: p.confidence(), Tokens: p.tool.tokens, Reason: p.reason()}
		for _, n := range p.asks {
			choice.Words = append(choice.Words, n.span)
		}
		d.Choices = append(d.Choices, choice)
		d.Tokens += p.tool.tokens
	}
	slices.SortStableFunc(d.Choices, func(a, b Choice) int { return a.Words[0].Start - b.Words[0].Start })
	d.NearMisses = s.nearMisses(x, d.Job, asks, ks)
	d.Gaps = s.gaps
	d.Warnings = append(d.Warnings, warnings(s, d.Job, ks, c.config)...)
	if !english(words) {
		d.Warnings = append(d.Warnings, Warning{Kind: "job", Text: "The composer reads English. This job seems to be in another language, so prohibitions in it may not have been understood: check every tool, or describe the job in English."})
	}
	if len(asks) == 0 {
		d.Warnings = append(d.Warnings, Warning{Kind: "job", Text: "The job does not say what the agent is to do, so no tool was chosen."})
	}
}

// confidence is by a little more than half how well the tool fits, and for the rest how far it is from the next candidate. It is
// a measure to sort by, not a probability.
func (p *picked) confidence() float64 {
	if p.lookup != nil {
		return round(0.4 * p.score)
	}
	clear := min(1, max(0, (p.score-floor)/(1.2-floor)))
	return round(0.05 + 0.55*clear + 0.4*min(1, p.margin/0.25))
}

func round(f float64) float64 { return math.Round(f*1000) / 1000 }

// reason says in words why the tool was chosen.
func (p *picked) reason() string {
	if p.lookup != nil {
		return fmt.Sprintf("finds the record that %s needs", p.lookup.id)
	}
	n := p.asks[0]
	var parts []string
	var shared []string
	for o := range n.objects {
		if p.tool.nameStems[o] {
			shared = append(shared, o)
		}
	}
	if words := n.asWritten(shared); len(words) > 0 {
		parts = append(parts, "its name says “"+strings.Join(words, " ")+"”")
	}
	if p.kin == 1 {
		parts = append(parts, fmt.Sprintf("it does what is asked for (%s)", n.act))
	}
	if n.scope[p.tool.server] {
		parts = append(parts, "the job names "+n.named[0].text)
	}
	if len(parts) == 0 {
		parts = append(parts, "its description is nearest to these words")
	}
	return strings.Join(parts, "; ")
}

// asWritten returns the words of the need that have one of the stems, in its order.
func (n *ask) asWritten(stems []string) []string {
	var out []string
	for _, w := range wordsOf(n.text, 0) {
		if slices.Contains(stems, w.stem) && !slices.Contains(out, w.text) {
			out = append(out, w.text)
		}
	}
	return out
}
