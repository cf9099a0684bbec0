package composer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"remit/catalog"
	"remit/persona"
	"remit/prompts"
)

// Model is a language model that can improve a draft. It only ever answers a question with JSON: nothing that it says is
// carried out, and what it may choose from is in the question's schema.
type Model interface {
	Name() string
	// Ask returns an answer that the question's Check accepts. What was spent is in the answer, also beside an error.
	Ask(ctx context.Context, q Question) (Answer, error)
}

// Question is one request to a model. The same job over the same catalog gives the same questions, byte for byte, as long as
// the model answers the same.
type Question struct {
	Task   string             // "needs", "choose" or "critique"
	System string             // ours alone
	User   string             // what strangers wrote, as data
	Schema json.RawMessage    // of the answer, in the strict subset of JSON Schema that endpoints enforce
	Check  func([]byte) error // says for the model what cannot be used in an answer
}

// Answer to a question.
type Answer struct {
	JSON                           []byte
	Requests                       int // 0 when it was known already
	PromptTokens, CompletionTokens int // as the endpoint counts them
	Cost                           float64
	Took                           time.Duration // that the endpoint was waited for
}

// ErrUnusable is what a model's error wraps when the endpoint is well and its answer cannot be used.
var ErrUnusable = errors.New("the model's answer cannot be used")

// ModelUse says what a language model had to do with a draft.
type ModelUse struct {
	Name             string
	Failed           string       // why the draft is the embedded composer's alone; empty when the model's choice is in it
	Notes            []string     // what of its answers was not taken, and why
	Added            []catalog.ID // that it chose and the embedded composer did not
	Left             []catalog.ID // that the embedded composer chose and it did not
	Shown            int          // tools that it could choose from
	Prompts          []string     // that were used, as task@version
	Catalog          string       // digest of the catalog
	Requests         int
	PromptTokens     int
	CompletionTokens int
	Cost             float64       // in the currency of the configured prices; 0 without prices
	Waited           time.Duration // for the endpoint
	Took             time.Duration // all that was done for the model
}

// wanted is a need as the model read it.
type wanted struct {
	Need
	id              string
	object, product string
}

// drafted is the embedded composer's draft, and what it was made of.
type drafted struct {
	Draft
	study *Study
	all   []*candidate
	out   *selection
	alike func(a, b *tool) bool
}

// consult is one draft while the model is asked.
type consult struct {
	*drafted
	prompts prompts.Set
	quoted  jobRuns // of the job, that no definition may have
	told    func(Step) error
	use     ModelUse
	needs   []wanted
	shown   []*tool          // the closed list; a tool's id is its place
	by      map[string]*tool // by id
}

// improve asks the model for its choice and merges it with the embedded draft. Whatever goes wrong, the embedded draft is
// the answer, and says what happened; only the end of ctx is an error.
func (c *Composer) improve(ctx context.Context, base *drafted, told func(Step) error) (Draft, error) {
	start := c.config.Now()
	k := &consult{drafted: base, prompts: c.config.Prompts, quoted: runsOf(base.study.reading.job), told: told,
		use: ModelUse{Name: c.config.Model.Name(), Catalog: base.study.x.digest}}
	bound, cancel := context.WithTimeout(ctx, c.config.ModelTime)
	defer cancel()
	merged, err := k.run(bound, c.config.Model)
	if ctx.Err() != nil {
		return Draft{}, ctx.Err()
	}
	d := base.Draft
	switch {
	case err == nil:
		d = merged
	case bound.Err() != nil:
		k.use.Failed = fmt.Sprintf("it had not answered after %s", c.config.ModelTime)
	default:
		k.use.Failed = err.Error()
	}
	k.use.Took = c.config.Now().Sub(start)
	d.Model = &k.use
	return d, nil
}

// run asks for needs, for a choice, and for a second look at the choice.
func (k *consult) run(ctx context.Context, m Model) (Draft, error) {
	if err := k.askNeeds(ctx, m); err != nil {
		return Draft{}, err
	}
	if err := k.shortlist(ctx); err != nil {
		return Draft{}, err
	}
	if len(k.shown) == 0 {
		return Draft{}, errors.New("no tool of the catalog could be shown to it")
	}
	choice, err := k.askChoice(ctx, m)
	if err != nil {
		return Draft{}, err
	}
	if len(choice.Choices) > 0 {
		removed, err := k.askCritique(ctx, m, choice)
		switch {
		case err != nil && ctx.Err() != nil:
			k.note("The second look at its choice did not come in time.")
		case err != nil:
			k.note("The second look at its choice failed: " + err.Error())
		}
		choice.remove(removed)
	}
	return k.merge(choice), nil
}

const maxNotes = 20

func (k *consult) note(text string) {
	if len(k.use.Notes) < maxNotes && !slices.Contains(k.use.Notes, text) {
		k.use.Notes = append(k.use.Notes, text)
	}
}

// question renders the prompts of a task and adds up what its answer costs.
func (k *consult) question(ctx context.Context, m Model, task string, parts map[string]string, schema json.RawMessage, into any, check func() error) error {
	system, user := k.prompts.Composing(task)
	q := Question{Task: task, Schema: schema, Check: func(raw []byte) error {
		if err := decodeAnswer(raw, into); err != nil {
			return err
		}
		return check()
	}}
	var err error
	if q.System, err = system.Render(nil); err == nil {
		q.User, err = user.Render(parts)
	}
	if err != nil {
		return err
	}
	if err := k.told(Step{Asking: task}); err != nil {
		return err
	}
	k.use.Prompts = append(k.use.Prompts, fmt.Sprintf("%s@%s+%s", task, system.Version(), user.Version()))
	a, err := m.Ask(ctx, q)
	k.use.Requests += a.Requests
	k.use.PromptTokens += a.PromptTokens
	k.use.CompletionTokens += a.CompletionTokens
	k.use.Cost += a.Cost
	k.use.Waited += a.Took
	if err != nil {
		return err
	}
	return q.Check(a.JSON) // also of a model that does not check
}

func (k *consult) askNeeds(ctx context.Context, m Model) error {
	schema, err := schemaOf(needsAnswer{}, nil)
	if err != nil {
		return err
	}
	var answer needsAnswer
	job := k.study.reading.job
	err = k.question(ctx, m, "needs", map[string]string{"Job": asData(job, maxShownJob)}, schema, &answer, func() error {
		k.needs = answer.wanted(job)
		size := 0
		for i, n := range k.needs {
			if size += len(k.showNeed(n)) + 1; size > maxShownNeeds {
				k.needs = k.needs[:i]
				break
			}
		}
		if len(k.needs) == 0 {
			return errors.New("no entry of needs has words that are copied from the job: copy them exactly")
		}
		return nil
	})
	if err == nil && len(k.needs) < len(answer.Needs) {
		k.note(fmt.Sprintf("%d of the needs that it named are in words that the job does not have, or are too many.", len(answer.Needs)-len(k.needs)))
	}
	return err
}

func (k *consult) showNeed(n wanted) string {
	return compactJSON(shownNeed{ID: n.id, Words: shorten(k.study.reading.job[n.Words.Start:n.Words.End], maxShownText), Search: n.Text, Effect: n.Effect, Product: n.product})
}

// parts are what both later questions show: the job, its needs, and some tools.
func (k *consult) parts(tools []shownTool) map[string]string {
	lines := make([]string, len(k.needs))
	for i, n := range k.needs {
		lines[i] = k.showNeed(n)
	}
	shown := make([]string, len(tools))
	for i, t := range tools {
		shown[i] = compactJSON(t)
	}
	return map[string]string{"Job": asData(k.study.reading.job, maxShownJob), "Needs": strings.Join(lines, "\n"), "Tools": strings.Join(shown, "\n")}
}

func (k *consult) askChoice(ctx context.Context, m Model) (*choiceAnswer, error) {
	ids := make([]string, len(k.shown))
	tools := make([]shownTool, len(k.shown))
	for i, t := range k.shown {
		tools[i] = show(toolID(i), t)
		ids[i] = tools[i].ID
	}
	schema, err := schemaOf(choiceAnswer{}, map[string][]string{"tool": ids, "needs": k.needIDs(), "need": k.needIDs()})
	if err != nil {
		return nil, err
	}
	var answer choiceAnswer
	err = k.question(ctx, m, "choose", k.parts(tools), schema, &answer, func() error { return answer.check(k) })
	return &answer, err
}

// askCritique returns why tools of the choice should go, by id. It can only take tools away.
func (k *consult) askCritique(ctx context.Context, m Model, choice *choiceAnswer) (map[string]string, error) {
	var ids []string
	var tools []shownTool
	room := maxShownWhys
	for _, c := range choice.Choices {
		t := show(c.Tool, k.by[c.Tool])
		why := shorten(c.Why, maxShownText)
		if cost := len(compactJSON(why)) + 20; cost <= room {
			t.Chosen = why
			room -= cost
		}
		ids, tools = append(ids, c.Tool), append(tools, t)
	}
	schema, err := schemaOf(critiqueAnswer{}, map[string][]string{"tool": ids})
	if err != nil {
		return nil, err
	}
	var answer critiqueAnswer
	err = k.question(ctx, m, "critique", k.parts(tools), schema, &answer, func() error { return answer.check(ids) })
	removed := map[string]string{}
	if err == nil {
		for _, r := range answer.Remove {
			removed[r.Tool] = r.Why
		}
	}
	return removed, err
}

func (k *consult) needIDs() []string {
	ids := make([]string, len(k.needs))
	for i, n := range k.needs {
		ids[i] = n.id
	}
	return ids
}

// spans are the words of the needs with the ids.
func (k *consult) spans(ids []string) []persona.Span {
	var out []persona.Span
	for _, n := range k.needs {
		if slices.Contains(ids, n.id) && !slices.Contains(out, n.Words) {
			out = append(out, n.Words)
		}
	}
	return out
}
