package composer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"remit/catalog"
	"remit/internal/visible"
	"remit/persona"
	"remit/policy"
)

// The answers of a model. Their schemas are made of these structs.
type (
	needsAnswer struct {
		Needs        []needAnswer  `json:"needs"`
		Prohibitions []quoteAnswer `json:"prohibitions"`
	}
	needAnswer struct {
		Words   string         `json:"words"`
		Search  string         `json:"search"`
		Effect  catalog.Effect `json:"effect" jsonschema:"enum=read,enum=write,enum=external,enum=destructive"`
		Object  string         `json:"object"`
		Product string         `json:"product"`
	}
	quoteAnswer struct {
		Words string `json:"words"`
	}
	choiceAnswer struct {
		Choices    []chosenAnswer `json:"choices"`
		NearMisses []toolAnswer   `json:"near_misses"`
		Gaps       []gapAnswer    `json:"gaps"`
	}
	chosenAnswer struct {
		Tool      string           `json:"tool"`
		Needs     []string         `json:"needs"`
		Why       string           `json:"why"`
		Limits    []limitAnswer    `json:"limits"`
		Arguments []argumentAnswer `json:"arguments"`
	}
	limitAnswer struct {
		Calls int           `json:"calls"`
		Per   policy.Period `json:"per" jsonschema:"enum=second,enum=minute,enum=hour,enum=day"`
		Words string        `json:"words"`
	}
	argumentAnswer struct {
		Parameter string   `json:"parameter"`
		Values    []string `json:"values"`
		Words     string   `json:"words"`
	}
	toolAnswer struct {
		Tool string `json:"tool"`
		Why  string `json:"why"`
	}
	gapAnswer struct {
		Need string `json:"need"`
		Why  string `json:"why"`
	}
	critiqueAnswer struct {
		Remove []toolAnswer `json:"remove"`
	}
)

const maxAnswered = 200 // entries of one list

// decodeAnswer reads one JSON object into an answer, which is emptied first.
func decodeAnswer(raw []byte, into any) error {
	switch a := into.(type) {
	case *needsAnswer:
		*a = needsAnswer{}
	case *choiceAnswer:
		*a = choiceAnswer{}
	case *critiqueAnswer:
		*a = critiqueAnswer{}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the answer is not the JSON that was asked for: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON object: answer with one object only")
	}
	return nil
}

// wanted are the needs whose words are in the job, in its order.
func (a needsAnswer) wanted(job string) []wanted {
	var out []wanted
	for _, n := range a.Needs {
		span, ok := find(job, n.Words)
		if !ok || len(out) == maxWanted {
			continue
		}
		w := wanted{Need: Need{Words: span, Text: shorten(n.Search, maxShownText), Effect: n.Effect}, object: shorten(n.Object, 80), product: shorten(n.Product, 80)}
		if w.Text == "" {
			w.Text = shorten(n.Words, maxShownText)
		}
		if !slices.Contains(catalog.Effects, n.Effect) {
			w.Effect = catalog.Read
		}
		out = append(out, w)
	}
	slices.SortStableFunc(out, func(a, b wanted) int { return a.Words.Start - b.Words.Start })
	for i := range out {
		out[i].id = fmt.Sprintf("n%d", i+1)
	}
	return out
}

// find is where the job has the words: exactly, or else in other case. Words of which the job shows more than it has, such
// as spelt-out characters, are not found.
func find(job, words string) (persona.Span, bool) {
	words = strings.TrimSpace(words)
	if words == "" {
		return persona.Span{}, false
	}
	at := strings.Index(job, words)
	if lower := strings.ToLower(job); at < 0 && len(lower) == len(job) {
		words = strings.ToLower(words)
		at = strings.Index(lower, words)
	}
	return persona.Span{Start: at, End: at + len(words)}, at >= 0
}

// check says what of a choice is not in the closed lists.
func (a *choiceAnswer) check(k *consult) error {
	needs := k.needIDs()
	if max(len(a.Choices), len(a.NearMisses), len(a.Gaps)) > maxAnswered {
		return fmt.Errorf("a list has more than %d entries", maxAnswered)
	}
	seen := map[string]bool{}
	kept := a.Choices[:0]
	for _, c := range a.Choices {
		if k.by[c.Tool] == nil {
			return fmt.Errorf("choices name %q, which is no id of tools", shorten(c.Tool, 40))
		}
		for _, n := range c.Needs {
			if !slices.Contains(needs, n) {
				return fmt.Errorf("choices name the need %q, which is no id of needs", shorten(n, 40))
			}
		}
		if !seen[c.Tool] { // the same tool twice is one
			seen[c.Tool] = true
			kept = append(kept, c)
		}
	}
	a.Choices = kept
	for _, m := range a.NearMisses {
		if k.by[m.Tool] == nil {
			return fmt.Errorf("near_misses name %q, which is no id of tools", shorten(m.Tool, 40))
		}
	}
	for _, g := range a.Gaps {
		if !slices.Contains(needs, g.Need) {
			return fmt.Errorf("gaps name %q, which is no id of needs", shorten(g.Need, 40))
		}
	}
	return nil
}

// remove takes away what the second look objects to; it becomes a near miss.
func (a *choiceAnswer) remove(why map[string]string) {
	a.Choices = slices.DeleteFunc(a.Choices, func(c chosenAnswer) bool {
		reason, gone := why[c.Tool]
		if gone {
			a.NearMisses = append([]toolAnswer{{Tool: c.Tool, Why: reason}}, a.NearMisses...)
		}
		return gone
	})
}

func (a *critiqueAnswer) check(ids []string) error {
	for _, r := range a.Remove {
		if !slices.Contains(ids, r.Tool) {
			return fmt.Errorf("remove names %q, which is no id of tools", shorten(r.Tool, 40))
		}
	}
	return nil
}

// said is a sentence of a model as a draft keeps it.
func said(text string) string {
	if text = shorten(visible.Text(text), maxShownText); text == "" {
		return "it gives no reason"
	}
	return strings.TrimRight(text, ".")
}
