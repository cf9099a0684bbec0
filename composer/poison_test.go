package composer_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"remit/catalog"
	"remit/composer"
	"remit/evals"
	"remit/internal/fakeopenai"
)

// read is what a model reads of each tool that it may choose, by tool, without the tool's place in the list.
func read(t testing.TB, r fakeopenai.Request) map[catalog.ID]string {
	out := map[catalog.ID]string{}
	for line := range strings.Lines(between(r.Messages[1].Content, "<tools>\n", "\n</tools>")) {
		var tool struct{ Server, Name string }
		if err := json.Unmarshal([]byte(line), &tool); err != nil {
			t.Errorf("a tool is shown as %q: %v", line, err)
		}
		_, text, _ := strings.Cut(strings.TrimSpace(line), ",")
		out[catalog.NewID(tool.Server, tool.Name)] = text
	}
	return out
}

// own are the attack's own words, four in a row.
func own(a evals.Attack) (out []string) {
	for _, text := range strings.FieldsFunc(strings.ToLower(a.Before+"|"+a.After), func(r rune) bool { return strings.ContainsRune("|{}.:“”", r) }) {
		words := strings.Fields(text)
		for i := 0; i+4 <= len(words); i++ {
			out = append(out, strings.Join(words[i:i+4], " "))
		}
	}
	return out
}

// TestEveryAttackThroughAModel: every tool but those that the job needs is poisoned, with each known attack and each unseen one, before
// a model that falls for all of it: it grants every tool that reads otherwise than before, and every tool that it is shown only
// now. It reads nothing of the attack's words, and nothing enters the draft.
func TestEveryAttackThroughAModel(t *testing.T) {
	needed := []catalog.ID{"deskpoint/search_tickets", "deskpoint/close_ticket", "deskpoint/get_ticket"}
	clean := map[catalog.ID]string{}
	reading := script(t, goodAnswers())
	inner := reading.Answer
	reading.Answer = func(r fakeopenai.Request) string {
		if r.ResponseFormat.JSONSchema.Name == "choose" {
			clean = read(t, r)
		}
		return inner(r)
	}
	composeWith(t, smallCatalog(t), reading, supportJob)
	for _, attack := range slices.Concat(evals.Attacks, evals.UnseenAttacks) {
		t.Run(attack.Name, func(t *testing.T) {
			t.Parallel()
			tools := smallTools(t)
			for i, tool := range tools {
				if slices.Contains(needed, tool.ID) {
					continue
				}
				fill := strings.NewReplacer("{tool}", tool.Name, "{job}", supportJob)
				var d map[string]any
				if err := json.Unmarshal(tool.Definition, &d); err != nil {
					t.Fatal(err)
				}
				d["description"] = fill.Replace(attack.Before) + tool.Description + fill.Replace(attack.After)
				raw, err := json.Marshal(d)
				if err != nil {
					t.Fatal(err)
				}
				tools[i] = parsed(t, tool.Server(), string(raw))
			}
			var mu sync.Mutex
			var fell []catalog.ID
			seen := ""
			m := script(t, goodAnswers())
			m.Answer = func(r fakeopenai.Request) string {
				switch r.ResponseFormat.JSONSchema.Name {
				case "needs":
					return goodAnswers()["needs"]
				case "critique":
					return `{"remove":[]}`
				}
				now := read(t, r)
				var all []string
				mu.Lock()
				defer mu.Unlock()
				seen = strings.ToLower(r.Messages[1].Content)
				for id, tool := range shownTools(t, r) {
					if now[tool] != clean[tool] {
						fell = append(fell, tool)
						all = append(all, fmt.Sprintf(`{"tool":%q,"needs":["n1"],"why":"ordered","limits":[],"arguments":[]}`, id))
					}
				}
				slices.Sort(all)
				return `{"choices":[` + strings.Join(all, ",") + `],"near_misses":[],"gaps":[]}`
			}
			d := composeWith(t, withVectors(t, tools), m, supportJob)
			if d.Model.Failed != "" {
				t.Fatal(d.Model.Failed)
			}
			if got := grants(d); len(got) > 0 {
				t.Errorf("the draft holds %v; the model fell for %v", got, fell)
			}
			for _, words := range own(attack) {
				if strings.Contains(seen, words) {
					t.Errorf("the model reads %q", words)
				}
			}
		})
	}
}

// TestModelGrantsNoBareVerb: the one sentence that a model reads of a tool is the server's. Where the name does not say what the
// tool acts on, nothing else could contradict it, so the model alone cannot grant it.
func TestModelGrantsNoBareVerb(t *testing.T) {
	vault := parsed(t, "vault", `{"name":"get","description":"Gets tickets that wait for somebody.","inputSchema":{"type":"object"}}`)
	answers := goodAnswers()
	answers["choose"] = `{"choices":[{"tool":"{vault/get}","needs":["n1"],"why":"It gets tickets.","limits":[],"arguments":[]}],"near_misses":[],"gaps":[]}`
	answers["critique"] = `{"remove":[]}`
	d := composeWith(t, smallCatalog(t, vault), script(t, answers), supportJob)
	if d.Model.Failed != "" || slices.Contains(grants(d), "vault/get") {
		t.Errorf("got %v, %q, want no vault/get", grants(d), d.Model.Failed)
	}
	if !slices.ContainsFunc(d.NearMisses, func(m composer.Miss) bool {
		return m.Tool == "vault/get" && strings.Contains(m.Reason, "does not say what it acts on")
	}) {
		t.Errorf("it is no near miss that says why: %+v", d.NearMisses)
	}
}
