package composer_test

import (
	"strings"
	"testing"

	"remit/catalog"
	"remit/composer"
	"remit/policy"
)

// TestRiskOfAsking: what a server may ask of the client weighs beside what its tools do. A server that may prompt the agent's model is a
// way in and a way out for what other servers' tools read, and one that may ask the person is to be weighed for itself.
func TestRiskOfAsking(t *testing.T) {
	for _, tc := range []struct {
		name  string
		asks  map[catalog.ID][]policy.Ask
		leaks bool
		want  []string // kinds of warnings
		words string   // in the last
	}{
		{"nothing", nil, false, nil, ""},
		{"a form", map[catalog.ID][]policy.Ask{"crm/get_customer": {policy.AskForm}}, false, []string{"asks"}, "reads what they fill in"},
		{"a page", map[catalog.ID][]policy.Ask{"chat/post_message": {policy.AskPage}}, false, []string{"asks"}, "chat/post_message"},
		{"a prompt of the server that has the data", map[catalog.ID][]policy.Ask{"crm/get_customer": {policy.AskModel}}, false, nil, ""},
		{"a prompt of another server", map[catalog.ID][]policy.Ask{"chat/post_message": {policy.AskModel}}, true, []string{"combination"},
			"crm/get_customer read what is yours, and the server of chat/post_message may prompt the agent's model"},
		{"all", map[catalog.ID][]policy.Ask{"chat/post_message": policy.Asks, "crm/get_customer": policy.Asks}, true, []string{"combination", "asks"}, "chat/post_message, crm/get_customer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tools []catalog.Tool
			for _, d := range [][2]string{{"chat", `{"name":"post_message","description":"Post a message to a channel.","inputSchema":{"type":"object"}}`},
				{"crm", `{"name":"get_customer","description":"Get a customer by id.","inputSchema":{"type":"object"}}`}} {
				tool, err := catalog.Parse(d[0], []byte(d[1]))
				if err != nil {
					t.Fatal(err)
				}
				tools = append(tools, tool)
			}
			risk := composer.RiskOf(tools)
			for _, tool := range tools {
				risk.Lets(tool.ID, policy.Policy{Asks: tc.asks[tool.ID]})
			}
			var got []string
			last := ""
			for _, w := range risk.Warnings() {
				got, last = append(got, w.Kind), w.Text
			}
			if strings.Join(got, " ") != strings.Join(tc.want, " ") || risk.Leaks() != tc.leaks || !strings.Contains(last, tc.words) {
				t.Errorf("got warnings %q, the last %q, leaks %v; want %q with %q, leaks %v", got, last, risk.Leaks(), tc.want, tc.words, tc.leaks)
			}
		})
	}
}
