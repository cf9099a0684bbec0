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
	"remit/prompts"
)

// Version names this procedure; it changes with every change of what a draft can hold.
const Version = "trees-2"

// MaxJob is the largest job that is read, in bytes.
const MaxJob = persona.MaxJob

// ErrJob means that the job itself cannot be composed; the text says what to change.
var ErrJob = errors.New("the job cannot be read")

// Finder is the catalog as the composer needs it.
type Finder interface {
	Score(ctx context.Context, texts []string) (catalog.Scores, error)
	Duplicates(ctx context.Context, least float64) (catalog.Groups, error)
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
	Encoder   string           // whose cosines count; empty means the one that the embedded models were trained with
	Model     Model            // a language model that improves drafts; nil means none
	Prompts   prompts.Set      // that the model is asked with; the zero Set is the one in the binary
	ModelTime time.Duration    // how long a draft waits for the model, all questions together; 0 means 30 s
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
	if config.Encoder == "" {
		if m, err := embedded[1](); err == nil { // an error is told by Compose
			config.Encoder = m.Encoder
		}
	}
	if config.ModelTime == 0 {
		config.ModelTime = 30 * time.Second
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	config.Finder = onlyTools{config.Finder}
	return &Composer{config: config}
}

const maxNeeds = 120 // of one job; a job of 20,000 bytes of single words has more

// Step is how far a draft has come. Steps come in the order of the fields, Asking once for each question.
type Step struct {
	Needs      []Need // what the job asks for, as the rules read it
	Candidates int    // tools that may serve them
	Draft      *Draft // the embedded composer's; its Model says that no answer was waited for, if one will be asked
	Asking     string // what a language model is asked now: "needs", "choose" or "critique"
}

// Compose drafts the tools for a job. Errors wrap [ErrJob] when the job has to change, else they are the search's.
func (c *Composer) Compose(ctx context.Context, job string) (Draft, error) {
	return c.Follow(ctx, job, func(Step) error { return nil })
}

// Follow is Compose that tells how far it is. An error of told ends it.
func (c *Composer) Follow(ctx context.Context, job string, told func(Step) error) (Draft, error) {
	start := c.config.Now()
	s, err := c.Study(ctx, job)
	if err != nil {
		return Draft{}, err
	}
	if err := told(s.step()); err != nil {
		return Draft{}, err
	}
	models, err := s.models()
	if err != nil {
		return Draft{}, err
	}
	base, err := s.draft(ctx, models)
	if err != nil {
		return Draft{}, err
	}
	embedded := base.Draft
	embedded.Took = c.config.Now().Sub(start)
	if c.config.Model != nil {
		embedded.Model = &ModelUse{Name: c.config.Model.Name(), Failed: notWaitedFor}
	}
	if err := told(Step{Draft: &embedded}); err != nil || c.config.Model == nil {
		return embedded, err
	}
	d, err := c.improve(ctx, base, told)
	if err != nil {
		return Draft{}, err
	}
	d.Took = c.config.Now().Sub(start)
	return d, nil
}

// notWaitedFor is why a draft that was told before a model answered is without its choice.
const notWaitedFor = "its answer was not waited for: the page was closed, somebody chose not to wait, or the connection was cut"

// step is what is known when the job is read.
func (s *Study) step() Step {
	var out Step
	tools := map[*tool]bool{}
	for i, n := range s.asks {
		if !n.context {
			out.Needs = append(out.Needs, Need{Words: n.span, Text: n.label(), Effect: effectOf(n.act)})
		}
		for _, p := range s.byAsk[i] {
			tools[p.tool] = true
		}
	}
	out.Candidates = len(tools)
	return out
}

// Draft chooses the tools and says why, without a language model.
func (s *Study) Draft(ctx context.Context, models Models) (Draft, error) {
	base, err := s.draft(ctx, models)
	if err != nil {
		return Draft{}, err
	}
	return base.Draft, nil
}

func (s *Study) draft(ctx context.Context, models Models) (*drafted, error) {
	alike, err := s.c.twins(ctx)
	if err != nil {
		return nil, err
	}
	d := Draft{Job: s.reading.job, CatalogTools: len(s.x.tools), CatalogTokens: s.c.config.Finder.Tokens(), Composer: Version, Degraded: s.scope.near.Degraded}
	_, all := s.field(models.Pair)
	if !english(s.reading.words) {
		all = nil // a prohibition that was not understood must not be granted against
	}
	out := s.pick(all, models, alike)
	out.limit(s.c.config.MaxTools, &d)
	s.findGaps(out)
	s.describe(&d, out)
	return &drafted{Draft: d, study: s, all: all, out: out, alike: alike}, nil
}

// twins says which tools of different servers do the same, so that a draft grants one of them.
func (c *Composer) twins(ctx context.Context) (func(a, b *tool) bool, error) {
	groups, err := c.config.Finder.Duplicates(ctx, catalog.DefaultLikeness)
	if err != nil {
		return nil, fmt.Errorf("comparing the tools of the catalog: %w", err)
	}
	return func(a, b *tool) bool {
		if a.server == b.server {
			return false
		}
		group, ok := groups.Of(a.id)
		return ok && slices.ContainsFunc(group.Tools, func(t catalog.Tool) bool { return t.ID == b.id })
	}, nil
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

// limit leaves out the tools that are least sure when there are more than maximum.
func (s *selection) limit(maximum int, d *Draft) {
	if len(s.order) <= maximum {
		return
	}
	byScore := slices.Clone(s.order) // best first, as they were chosen
	for _, p := range byScore[maximum:] {
		delete(s.chosen, p.tool)
	}
	s.order = slices.DeleteFunc(s.order, func(p *picked) bool { return s.chosen[p.tool] == nil })
	d.Warnings = append(d.Warnings, Warning{Kind: "size", Text: fmt.Sprintf("The job asks for %d tools and at most %d are granted: the least sure were left out.", len(byScore), maximum)})
}

func (s *Study) describe(d *Draft, out *selection) {
	if s.tooMany {
		d.Warnings = append(d.Warnings, Warning{Kind: "job", Text: fmt.Sprintf("The job asks for more than %d things; the rest was not read. Split it.", maxNeeds)})
	}
	for _, n := range s.asks {
		if !n.context || slices.ContainsFunc(out.order, func(p *picked) bool { return slices.Contains(p.asks, n) }) {
			d.Needs = append(d.Needs, Need{Words: n.span, Text: n.label(), Effect: effectOf(n.act)})
		}
	}
	drafted := s.draftPolicies(out.order)
	for _, p := range out.order {
		if w, ok := out.proposed[p.tool]; ok {
			out.dropped = append(out.dropped, drafted.propose(p, w)...)
		}
		choice := Choice{Tool: p.tool.id, Effect: p.tool.effect, Score: round(p.value), Confidence: round(p.fine), Tokens: p.tool.tokens, Reason: s.reasons(p, out), Policy: drafted.policies[p], Rules: drafted.rules[p]}
		for _, n := range p.asks {
			choice.Words = append(choice.Words, n.span)
		}
		if len(choice.Words) == 0 {
			choice.Words = out.proposed[p.tool].words
		}
		if len(choice.Words) == 0 { // a look-up: the words that ask for what needs it
			choice.Words = s.wordsFor(out, p)
		}
		d.Choices = append(d.Choices, choice)
		d.Tokens += p.tool.tokens
	}
	slices.SortStableFunc(d.Choices, func(a, b Choice) int { return a.Words[0].Start - b.Words[0].Start })
	d.NearMisses = s.nearMisses(out)
	d.Gaps, d.Open = out.gaps, drafted.open
	d.Warnings = append(d.Warnings, warnings(out, s.reading.job, s.ks, s.c.config)...)
	switch {
	case english(s.reading.words):
	case out.proposed != nil:
		d.Warnings = append(d.Warnings, Warning{Kind: "job", Text: "The composer's rules read English. This job seems to be in another language, so what it rules out was read by the model alone, which could choose tools that only read. Check what the job forbids."})
	default:
		d.Warnings = append(d.Warnings, Warning{Kind: "job", Text: "The composer reads English. This job seems to be in another language, so no tool was chosen: describe it in English, or add the tools by hand."})
	}
	if len(d.Needs) == 0 && out.proposed == nil {
		d.Warnings = append(d.Warnings, Warning{Kind: "job", Text: "The job does not say what the agent is to do, so no tool was chosen."})
	}
}

// wordsFor are the words that ask for the tool which p finds records for, or else for any tool of its server.
func (s *Study) wordsFor(out *selection, p *picked) []persona.Span {
	for _, o := range out.order {
		if len(o.asks) > 0 && o.tool == p.lookup {
			return []persona.Span{o.asks[0].span}
		}
	}
	for _, o := range out.order {
		if len(o.asks) > 0 && o.tool.server == p.tool.server {
			return []persona.Span{o.asks[0].span}
		}
	}
	return []persona.Span{{Start: s.reading.words[0].span.Start, End: s.reading.words[len(s.reading.words)-1].span.End}}
}

func round(f float64) float64 { return math.Round(f*1000) / 1000 }

// reason says in words why the tool was chosen.
func (s *Study) reason(p *picked) string {
	if len(p.asks) == 0 {
		if p.lookup != nil {
			return fmt.Sprintf("finds the record that %s needs", p.lookup.id)
		}
		return fmt.Sprintf("reads what the other tools of %s work on", p.tool.server)
	}
	n := p.asks[0]
	var parts, shared []string
	for o := range n.objects {
		if p.tool.nameStems[o] {
			shared = append(shared, o)
		}
	}
	if words := n.asWritten(shared); len(words) > 0 {
		parts = append(parts, "its name says “"+strings.Join(words, " ")+"”")
	}
	if kin(n.act, p.tool.act) == 1 {
		parts = append(parts, fmt.Sprintf("it does what is asked for (%s)", n.act))
	}
	if n.scope[p.tool.server] {
		parts = append(parts, "the job names "+n.named[0].text)
	}
	if p.lookup != nil {
		parts = append(parts, fmt.Sprintf("it finds the record that %s needs", p.lookup.id))
	}
	if len(parts) == 0 {
		parts = append(parts, "its description is nearest to these words")
	}
	return strings.Join(parts, "; ")
}

// reasons are the model's, if one chose, and the rules' where they would have chosen the tool too.
func (s *Study) reasons(p *picked, out *selection) string {
	w, ok := out.proposed[p.tool]
	switch {
	case !ok:
		return s.reason(p)
	case !w.agreed:
		return w.why
	}
	return w.why + "; the composer: " + s.reason(p)
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
