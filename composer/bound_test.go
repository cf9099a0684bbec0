package composer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"remit/catalog"
	"remit/composer"
)

// wordy is a model that answers each question with as much as it may, and keeps what it is asked.
type wordy struct {
	words string // of the job
	asked []composer.Question
}

func (*wordy) Name() string { return "wordy" }

func (w *wordy) Ask(_ context.Context, q composer.Question) (composer.Answer, error) {
	w.asked = append(w.asked, q)
	long := strings.Repeat("<why>", 60)
	answer := map[string]any{"remove": []any{}}
	switch q.Task {
	case "needs":
		var needs []any
		for range 60 {
			needs = append(needs, map[string]string{"words": w.words, "search": long, "effect": "read", "object": long, "product": long})
		}
		answer = map[string]any{"needs": needs, "prohibitions": []any{}}
	case "choose":
		var choices []any
		for _, line := range strings.Split(strings.TrimSpace(between(q.User, "<tools>", "</tools>")), "\n") {
			var tool struct{ ID string }
			if err := json.Unmarshal([]byte(line), &tool); err != nil {
				return composer.Answer{}, err
			}
			choices = append(choices, map[string]any{"tool": tool.ID, "needs": []string{"n1"}, "why": long, "limits": []any{}, "arguments": []any{}})
		}
		answer = map[string]any{"choices": choices, "near_misses": []any{}, "gaps": []any{}}
	}
	raw, err := json.Marshal(answer)
	return composer.Answer{JSON: raw}, err
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

// TestPromptIsBounded: whatever the job, the catalog and the model's own answers hold, no question is larger than it may be. The
// texts are made of characters that JSON spells with six bytes, and there are more tools than may be shown.
func TestPromptIsBounded(t *testing.T) {
	mean := strings.Repeat("<&>", 40)
	for _, size := range []int{10, 100, 3000} {
		var tools []catalog.Tool
		for i := range size {
			var params []string
			for p := range 30 {
				params = append(params, fmt.Sprintf(`"p%d %s":{"type":"string","description":"ticket"}`, p, mean))
			}
			tools = append(tools, parsed(t, fmt.Sprintf("server%d", i%40), fmt.Sprintf(`{"name":"get_ticket_%d","title":"Get tickets %s","description":"Gets a ticket %[2]s of a customer.","inputSchema":{"type":"object","properties":{%s}}}`,
				i, mean, strings.Join(params, ","))))
		}
		c := catalog.New(catalog.Config{})
		if err := c.Replace(tools, nil); err != nil {
			t.Fatal(err)
		}
		first := "get tickets " + mean[:80]
		w := &wordy{words: first}
		job := first + ". " + strings.Repeat("Get tickets <of> \"customers\" & close them. ", 430)
		d, err := composer.New(composer.Config{Finder: c, Model: w}).Compose(t.Context(), job)
		if err != nil || d.Model.Failed != "" || len(w.asked) != 3 {
			t.Fatalf("%d tools: got %v, %+v after %d questions", size, err, d.Model, len(w.asked))
		}
		for _, q := range w.asked {
			got := len(q.System) + len(q.User) + len(q.Schema)
			t.Logf("%d tools, %s: %d bytes", size, q.Task, got)
			if got > composer.MaxPrompt {
				t.Errorf("%d tools, %s: got %d bytes, want at most %d", size, q.Task, got, composer.MaxPrompt)
			}
		}
	}
}
