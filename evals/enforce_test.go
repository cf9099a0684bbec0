package evals

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"remit/catalog"
)

func TestEnforceCaseValidate(t *testing.T) {
	good := func() EnforceCase {
		return EnforceCase{ID: "a", Why: "It must.", Grants: []catalog.ID{"crm/find"}, Expect: EnforceOutcome{Status: 200, Answer: "result"},
			Offers: []EnforceTool{{Server: "crm", Definition: json.RawMessage(`{"name":"find"}`)}}}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*EnforceCase){
		"needs an id and a why":        func(c *EnforceCase) { c.Why = " " },
		"at least one tool in offers":  func(c *EnforceCase) { c.Offers = nil },
		"which no server offers":       func(c *EnforceCase) { c.Grants = []catalog.ID{"crm/other"} },
		"case a offers: the tool":      func(c *EnforceCase) { c.Offers[0].Definition = json.RawMessage(`{}`) },
		`caller "king" is none of`:     func(c *EnforceCase) { c.Caller = "king" },
		"session_owner is":             func(c *EnforceCase) { c.Owner = "king" },
		"expect needs a status":        func(c *EnforceCase) { c.Expect.Status = 0 },
		"nothing may be expected":      func(c *EnforceCase) { c.Expect.Leaks = []string{"x"} },
		"pad is 0 to":                  func(c *EnforceCase) { c.Pad = -1 },
		`nobody can do "wish"`:         func(c *EnforceCase) { c.Before = []EnforceMove{{Do: "wish"}} },
		"needs a tool that is offered": func(c *EnforceCase) { c.Before = []EnforceMove{{Do: "remove", Tool: "crm/x"}} },
		"narrow needs grants":          func(c *EnforceCase) { c.Before = []EnforceMove{{Do: "narrow"}} },
		"change needs a definition":    func(c *EnforceCase) { c.Before = []EnforceMove{{Do: "change", Tool: "crm/find"}} },
		"not written as Name: value":   func(c *EnforceCase) { c.Headers = []string{"X"} },
	} {
		c := good()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
}

// TestEnforceSuite: mistakes in a suite are found before any case is played, with their line.
func TestEnforceSuite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "suite.jsonl")
	for _, tc := range []struct{ line, want string }{
		{`{"id":"a","why":"It must.","offers":[{"server":"s","definition":{"name":"t"}}],"grants":["s/t"],"caller":"king","expect":{"status":200,"answer":"result"}}`, `suite.jsonl:2: case a: caller "king"`},
		{`{"id":"a","why":"It must.","wish":1}`, `suite.jsonl:2: there is no member "wish"`},
	} {
		if err := os.WriteFile(path, []byte(`{"suite":"x","kind":"enforce"}`+"\n"+tc.line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadSuite(path); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want an error that says %q", err, tc.want)
		}
	}
}
