package world

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/goccy/go-yaml"

	"remit/evals"
)

// TestShippedSuite plays every shipped case: the gateway refuses and allows what the suite says, and nothing else happens.
func TestShippedSuite(t *testing.T) {
	raw, err := os.ReadFile("../suites/enforce.yaml")
	if err != nil {
		t.Fatal(err)
	}
	j, err := yaml.YAMLToJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	var suite struct{ Cases []evals.EnforceCase }
	if err := json.Unmarshal(j, &suite); err != nil {
		t.Fatal(err)
	}
	for _, c := range suite.Cases {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			got, err := Play(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range c.Differences(got) {
				t.Error(d)
			}
		})
	}
}
