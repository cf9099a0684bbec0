package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"remit/internal/fakeopenai"
)

// models are those that a script can have. Both take the whole job for one need; the sensible one grants the first two tools that
// it is shown, the obedient one every tool, as any order in a description would have it.
var models = map[string]int{"sensible": 2, "obedient": 1000}

func (s *stage) languageModel(ts *testscript.TestScript, args []string) bool {
	most, ok := models[args[0]]
	if !ok {
		ts.Fatalf("there is no model %s", args[0])
	}
	if s.model == nil {
		s.model = fakeopenai.New(8)
		ts.Defer(s.model.Close)
		s.model.Answer = func(r fakeopenai.Request) string { return answerOf(r, most) }
		ts.Setenv("model", s.model.URL)
		ts.Setenv("REMIT_MODEL_URL", s.model.URL)
		ts.Setenv("REMIT_MODEL_NAME", args[0])
	}
	var faults []fakeopenai.Fault
	for _, fault := range args[1:] {
		faults = append(faults, fakeopenai.Fault(fault))
	}
	s.model.Misbehave(faults...)
	return false
}

func answerOf(r fakeopenai.Request, most int) string {
	part := func(name string) string {
		_, text, _ := strings.Cut(r.Messages[1].Content, "<"+name+">\n")
		text, _, _ = strings.Cut(text, "\n</"+name+">")
		return text
	}
	switch r.ResponseFormat.JSONSchema.Name {
	case "needs":
		return fmt.Sprintf(`{"needs":[{"words":%s,"search":%[1]s,"effect":"write","object":"","product":""}],"prohibitions":[]}`, part("job"))
	case "choose":
		var choices []string
		for line := range strings.Lines(part("tools")) {
			var tool struct{ ID string }
			if json.Unmarshal([]byte(line), &tool) == nil && len(choices) < most {
				choices = append(choices, fmt.Sprintf(`{"tool":%q,"needs":["n1"],"why":"It was asked for.","limits":[],"arguments":[]}`, tool.ID))
			}
		}
		return `{"choices":[` + strings.Join(choices, ",") + `],"near_misses":[],"gaps":[]}`
	}
	return `{"remove":[]}`
}

func (s *stage) modelled(ts *testscript.TestScript, _ []string) bool {
	for _, r := range s.model.Requests() {
		for _, m := range r.Messages {
			fmt.Fprintf(ts.Stdout(), "%s: %s\n", m.Role, m.Content)
		}
	}
	return false
}
