package gateway_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
	"remit/persona"
)

// Billing offers what is alike. Two granted templates that stand for one URI: nobody can tell by whose rules it is to be read, so it is not. So it is with
// two servers' resources of one URI.
func TestTwoTemplates(t *testing.T) {
	w := newWorld(t, nil)
	read := func(uri string) string {
		return w.text(w.post(t.Context(), "writer", "", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"`+uri+`",`+meta+`}}`, "Mcp-Name", uri))
	}
	grants := grants["writer"]
	w.revise("writer", append(grants[:len(grants):len(grants)], grant("billing/@resourceTemplate/crm://{kind}/{id}")...)...)
	if got := read("crm://customers/7"); !strings.Contains(got, "Resource not found") {
		t.Errorf("of two templates: got %s", got)
	}
	for _, uri := range []string{"crm://notes/today", "crm://orders/7"} {
		if got := read(uri); !strings.Contains(got, "what is at "+uri) {
			t.Errorf("%s: got %s, want it read", uri, got)
		}
	}
	w.revise("writer", append(grants[:len(grants):len(grants)], grant("billing/@resource/crm://notes/today")...)...)
	if got := read("crm://notes/today"); !strings.Contains(got, "is damaged") {
		t.Errorf("of two servers: got %s", got)
	}
}

// What a template is filled with cannot lead elsewhere.
func TestTemplatesDoNotClimb(t *testing.T) {
	w := newWorld(t, nil)
	calls := w.calls()
	for _, uri := range []string{"crm://customers/..", "crm://customers/..%2fnotes", "crm://customers/%2e%2e%2Fnotes", "crm://customers/a%2f..%2fb", "crm://customers/..%5cnotes",
		"crm://customers/%252e%252e%252fnotes", "crm://customers/../notes", "crm://customers/..%3b%2fnotes", "crm://customers/%252e%252e%252Fnotes%25zz",
		"crm://customers/a%3D..%2Fnotes", "crm://customers/%76ip", "crm://customers/7%0a"} {
		got := w.text(w.post(t.Context(), "writer", "", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"`+uri+`",`+meta+`}}`, "Mcp-Name", uri))
		if refused := strings.Contains(got, "Resource not found"); refused == strings.HasSuffix(uri, "%0a") {
			t.Errorf("%s: got %s", uri, got)
		}
	}
	if got := w.calls() - calls; got != 1 {
		t.Errorf("%d reads reached the server, want the one that stays", got)
	}
}

// Clients of either era hear that the lists changed of which the persona grants something, and of no others.
func TestOtherListsChanged(t *testing.T) {
	w := newWorld(t, nil)
	listen := `{"jsonrpc":"2.0","id":"s","method":"subscriptions/listen","params":{"notifications":{"promptsListChanged":true,"resourcesListChanged":true,"toolsListChanged":false},` + meta + `}}`
	streams := map[string]<-chan string{
		"stateless": events(w.post(t.Context(), "writer", "", listen)),
		"session":   events(w.get("writer", w.session("writer"))),
		"without":   events(w.post(t.Context(), "support", "", listen)),
	}
	eventually(t, "streams", func() bool { return w.gateway.Streams() == 3 })
	w.revise("writer", grant("crm/@prompt/welcome", "crm/@resource/crm://notes/today")...)
	const subscribed = `"_meta":{"io.modelcontextprotocol/subscriptionId":"s"}`
	want := map[string][]string{
		"stateless": {`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{` + subscribed + `,"notifications":{"promptsListChanged":true,"resourcesListChanged":true}}}`,
			`{"jsonrpc":"2.0","method":"notifications/prompts/list_changed","params":{` + subscribed + `}}`,
			`{"jsonrpc":"2.0","method":"notifications/resources/list_changed","params":{` + subscribed + `}}`},
		"session": {`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`, `{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}`,
			`{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}`},
		"without": {`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{` + subscribed + `,"notifications":{}}}`},
	}
	for name, messages := range want {
		var got []string
		for range messages {
			got = append(got, <-streams[name])
		}
		if diff := cmp.Diff(messages, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A change that a server announces of its prompts is seen, and freezes what was pinned.
func TestPromptChangeIsSeen(t *testing.T) {
	w := newWorld(t, nil)
	w.fakes["crm"].SetPrompts(raw(strings.Replace(string(prompts[0]), "Welcomes", "Insults", 1)))
	get := `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"welcome","arguments":{"customer":"Ada"},` + meta + `}}`
	eventually(t, "the refusal", func() bool {
		return strings.Contains(w.text(w.post(t.Context(), "writer", "", get, "Mcp-Name", "welcome")), "changed since it was approved")
	})
	now, _ := w.current("crm/@prompt/welcome")
	if changes := catalog.Changes("crm", pinned(t, w, "crm/@prompt/welcome").Definition, now.Definition); len(changes) != 1 || !strings.Contains(changes[0].Text, "description") {
		t.Errorf("got %v, want the change of the description in words", changes)
	}
}

func pinned(t *testing.T, w *world, id catalog.ID) persona.Grant {
	t.Helper()
	p, err := w.store.Persona(t.Context(), "writer")
	must(t, err)
	for _, g := range p.Latest().Grants {
		if g.Tool == id {
			return g
		}
	}
	t.Fatalf("%s is not pinned", id)
	return persona.Grant{}
}
