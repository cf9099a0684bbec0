package composer

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"remit/catalog"
	"remit/composer/trees"
	"remit/persona"
)

// Models are the learned parts: which tool serves a need, which the job cannot do without, and which a careful person would
// let pass. Package fit trains them, on jobs that no result is reported on.
type Models struct {
	Pair, Need, Fine *trees.Model
	Balance          Balance
	Encoder          string // whose cosines they were trained on; empty for words only
}

//go:embed trained
var modelFiles embed.FS

// embedded reads the models that are built in: for a catalog with vectors, or for words only.
var embedded = [2]func() (Models, error){
	sync.OnceValues(func() (Models, error) { return readModels("words") }),
	sync.OnceValues(func() (Models, error) { return readModels("meaning") }),
}

func readModels(kind string) (Models, error) {
	var m Models
	raw, err := modelFiles.ReadFile("trained/" + kind + ".json")
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err == nil {
		err = m.Check()
	}
	return m, err
}

// Check says whether the models are of the features that this composer has.
func (m Models) Check() error {
	for name, c := range map[string]struct {
		model    *trees.Model
		features []string
	}{"Pair": {m.Pair, pairNames}, "Need": {m.Need, wholeNames}, "Fine": {m.Fine, wholeNames}} {
		if c.model == nil {
			return fmt.Errorf("the model %s is missing", name)
		}
		if err := c.model.Check(c.features); err != nil {
			return fmt.Errorf("model %s: %w", name, err)
		}
	}
	return nil
}

// Features are the names of the values of a [Pair]'s row and of a [Candidate]'s.
func Features() (pair, candidate []string) { return slices.Clone(pairNames), slices.Clone(wholeNames) }

// Study is a job with all that speaks for and against each tool. Compose makes a draft of it; a training takes examples.
type Study struct {
	c       *Composer
	x       *index
	reading reading
	ks      []constraint
	asks    []*ask
	scope   scope
	byAsk   [][]pair
	refused map[*tool]refusal // the best pair of each tool, once judged
	ruled   []refusal
	tooMany bool
}

// Pair is a tool for one need, as a training sees it.
type Pair struct {
	Tool  catalog.ID
	Words persona.Span // of the need
	Row   []float64
}

// Candidate is a tool for the job as a whole, as a training sees it.
type Candidate struct {
	Tool catalog.ID
	Row  []float64
}

// Study reads a job. Errors are those of [Composer.Compose].
func (c *Composer) Study(ctx context.Context, job string) (*Study, error) {
	if err := checkJob(job); err != nil {
		return nil, err
	}
	s := &Study{c: c, refused: map[*tool]refusal{}}
	for {
		s.x = c.current()
		s.reading = s.x.read(job)
		if len(s.reading.words) == 0 {
			return nil, fmt.Errorf("%w: it holds no words; say what the agent is to do", ErrJob)
		}
		s.ks = s.reading.scopeConstraints(forbid(s.reading.clauses))
		s.asks = s.x.asks(s.reading, maxNeeds)
		if s.tooMany = len(s.asks) > maxNeeds; s.tooMany {
			s.asks = s.asks[:maxNeeds]
		}
		near, err := c.measure(ctx, s.reading, s.asks, s.ks)
		if err != nil {
			return nil, err
		}
		if near.Model != c.config.Encoder { // cosines of another encoder mean something else
			if near.Cosine != nil {
				near.Degraded = "Drafted by words only: what judges the tools was trained with the encoder " + c.config.Encoder + " and cannot read the nearness of " + near.Model + "."
			}
			near.Cosine = nil
		}
		if near.Digest == s.x.digest { // the catalog did not change in between
			s.scope = scope{near: near, jobStems: map[string]bool{}, jobServers: map[string]bool{}}
			break
		}
	}
	for _, w := range s.reading.words {
		if !stop[w.text] {
			s.scope.jobStems[w.stem] = true
		}
	}
	for _, m := range s.reading.mentions {
		for server := range m.servers {
			s.scope.jobServers[server] = true
			s.scope.brands = s.scope.brands || s.reading.brand(m)
		}
	}
	s.pair()
	return s, nil
}

// pair finds the candidates of every need, without those that the job rules out.
func (s *Study) pair() {
	for i, n := range s.asks {
		var pairs []pair
		if n.missing == "" {
			pairs = s.x.pairs(n, i, s.scope)
		}
		pairs = slices.DeleteFunc(pairs, func(p pair) bool {
			k, no := forbiddenBy(s.ks, p.tool, n)
			if no {
				s.ruled = append(s.ruled, refusal{p, k})
			}
			return no
		})
		s.byAsk = append(s.byAsk, pairs)
	}
}

// Pairs lists the candidates of every need.
func (s *Study) Pairs() []Pair {
	var out []Pair
	for _, pairs := range s.byAsk {
		for _, p := range pairs {
			out = append(out, Pair{p.tool.id, p.ask.span, p.row})
		}
	}
	return out
}

// field judges the pairs and returns the candidates of the whole job.
func (s *Study) field(m *trees.Model) (*field, []*candidate) {
	for _, pairs := range s.byAsk {
		judge(pairs, m)
	}
	for _, r := range s.ruled {
		r.logit = m.Logit(r.row)
		if old, ok := s.refused[r.tool]; !ok || old.logit < r.logit {
			s.refused[r.tool] = r
		}
	}
	f := newField(s.x, s.scope, s.asks, s.byAsk, s.ks)
	return f, f.candidates(func(t *tool) bool {
		_, no := forbiddenBy(s.ks, t, nil)
		return no
	})
}

// Candidates lists the tools that a draft may grant, given a model of pairs.
func (s *Study) Candidates(m *trees.Model) []Candidate {
	_, all := s.field(m)
	out := make([]Candidate, len(all))
	for i, c := range all {
		out[i] = Candidate{c.tool.id, c.row}
	}
	return out
}

// models are the embedded ones that fit what the search could use.
func (s *Study) models() (Models, error) {
	if s.scope.near.Cosine == nil {
		return embedded[0]()
	}
	return embedded[1]()
}
