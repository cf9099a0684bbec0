package composer

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"remit/catalog"
	"remit/internal/visible"
)

// What a model is shown is bounded whatever the catalog and the job hold, in bytes of JSON; a token is at least one byte, and
// four on average. MaxPrompt follows from the parts.
const (
	maxShown      = 96     // tools
	maxShownTools = 32_000 // bytes of all tools
	maxShownJob   = 16_000 // bytes of the job; what stands behind them is not shown
	maxShownNeeds = 8_000  // bytes of the needs; those that stand behind are not asked for
	maxShownWhys  = 8_000  // bytes of a model's own reasons, when it looks at its choice again
	maxShownText  = 240    // bytes of one text of a tool
	maxTakes      = 12     // parameters of a tool
	maxWanted     = 40     // needs

	// MaxPrompt is the most bytes that the texts and the schema of one question have.
	MaxPrompt = 72_000
)

// shownTool is what a model reads of a tool: its core, as the embedded composer does. What else its server writes is not shown.
type shownTool struct {
	ID     string         `json:"id"`
	Server string         `json:"server"`
	Name   string         `json:"name"`
	Title  string         `json:"title,omitempty"`
	Effect catalog.Effect `json:"effect"`
	Does   string         `json:"does,omitempty"`
	Takes  []string       `json:"takes,omitempty"`
	Chosen string         `json:"chosen_because,omitempty"`
}

type shownNeed struct {
	ID      string         `json:"id"`
	Words   string         `json:"words"`
	Search  string         `json:"search"`
	Effect  catalog.Effect `json:"effect"`
	Product string         `json:"product,omitempty"`
}

func toolID(place int) string { return "t" + strconv.Itoa(place+1) }

func show(id string, t *tool) shownTool {
	server, name := t.id.Split()
	out := shownTool{ID: id, Server: shorten(server, maxShownText), Name: shorten(name, maxShownText), Title: shorten(t.title, catalog.MaxTitle),
		Effect: t.effect, Does: shorten(t.gist, maxShownText)}
	for _, p := range t.takes[:min(len(t.takes), maxTakes)] {
		out.Takes = append(out.Takes, shorten(p, 60))
	}
	return out
}

// shorten spells out what cannot be seen and cuts the text after limit bytes.
func shorten(text string, limit int) string {
	text = strings.Join(strings.Fields(visible.Text(text[:min(len(text), limit)])), " ")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

// asData is a text as one JSON string of at most limit bytes. JSON as Go writes it has no "<", so that no text can end the part
// of a prompt that it stands in.
func asData(text string, limit int) string {
	text = visible.Text(text)
	out := compactJSON(text)
	for len(out) > limit { // cut in proportion: some characters are six bytes of JSON
		text = strings.ToValidUTF8(text[:len(text)*limit/(len(out)+8)], "")
		out = compactJSON(text + "…")
	}
	return out
}

func compactJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // of texts and numbers
	}
	return string(raw)
}

// shortlist fills the closed list: what the embedded composer chose, then by turns the next best tool of each source, which are
// the embedded composer's candidates for the job and for each of its needs, and the search for each need of the model.
func (k *consult) shortlist(ctx context.Context) error {
	sources, err := k.sources(ctx)
	if err != nil {
		return err
	}
	k.by = map[string]*tool{}
	seen, size := map[*tool]bool{}, 0
	take := func(t *tool) {
		seen[t] = true
		cost := len(compactJSON(show("t00", t))) + 1
		if len(k.shown) < maxShown && size+cost <= maxShownTools {
			size += cost
			k.by[toolID(len(k.shown))] = t
			k.shown = append(k.shown, t)
		}
	}
	for _, p := range k.out.order {
		take(p.tool)
	}
	for open := true; open && len(k.shown) < maxShown; {
		open = false
		for i := range sources {
			for len(sources[i]) > 0 {
				t := sources[i][0]
				sources[i] = sources[i][1:]
				if !seen[t] && k.permitted(t) {
					take(t)
					open = true
					break
				}
				seen[t] = true
			}
		}
	}
	k.use.Shown = len(k.shown)
	return nil
}

func (k *consult) sources(ctx context.Context) ([][]*tool, error) {
	byWorth := slices.Clone(k.all)
	slices.SortStableFunc(byWorth, func(a, b *candidate) int { return cmp.Compare(b.need, a.need) })
	var whole []*tool
	for _, c := range byWorth {
		whole = append(whole, c.tool)
	}
	sources := [][]*tool{whole}
	for _, pairs := range k.study.byAsk {
		var list []*tool
		for _, p := range pairs {
			list = append(list, p.tool)
		}
		sources = append(sources, list)
	}
	texts := make([]string, len(k.needs))
	for i, n := range k.needs {
		texts[i] = strings.TrimSpace(n.product + " " + n.Text)
	}
	found, err := k.study.c.config.Finder.Score(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("searching the catalog: %w", err)
	}
	if found.Digest != k.study.x.digest {
		return nil, fmt.Errorf("the catalog changed meanwhile")
	}
	for i := range texts {
		sources = append(sources, k.study.x.nearest(found, i))
	}
	return sources, nil
}

// nearest are the tools that score best for the i-th text.
func (x *index) nearest(s catalog.Scores, i int) []*tool {
	most := float32(0.001)
	for _, v := range s.Words[i] {
		most = max(most, v)
	}
	score := make([]float32, len(x.tools))
	places := make([]int, len(x.tools))
	for place := range x.tools {
		places[place] = place
		score[place] = s.Words[i][place] / most
		if s.Cosine != nil {
			score[place] += 2 * max(s.Cosine[i][place], 0)
		}
	}
	slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(score[b], score[a]) })
	out := make([]*tool, min(maxShown, len(places)))
	for n := range out {
		out[n] = x.tools[places[n]]
	}
	return out
}

// permitted says that the model may choose a tool that the embedded composer did not: the job does not rule it out, as the
// embedded rules read the job, and its definition says nothing that a definition should not: what a scan finds, or the job itself.
// Where the rules could not read the job, only what reads may be chosen.
func (k *consult) permitted(t *tool) bool {
	if k.out.chosen[t] != nil {
		return true
	}
	if len(catalog.Scan(t.definition)) > 0 || k.quoted.in(t.definition) {
		return false
	}
	if !english(k.study.reading.words) && t.changes() {
		return false
	}
	if _, no := forbiddenBy(k.study.ks, t, nil); !no {
		return true
	}
	for _, pairs := range k.study.byAsk { // what is left there is asked for in words that go before a general prohibition
		if slices.ContainsFunc(pairs, func(p pair) bool { return p.tool == t }) {
			return true
		}
	}
	return false
}
