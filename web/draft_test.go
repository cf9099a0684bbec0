package web_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"remit/catalog"
)

// postChat is the shop with a channel to post to.
func postChat() map[string][]string {
	tools := shop()
	tools["chat"] = []string{`{"name":"post_message","description":"Post a message to a chat channel.","inputSchema":{"type":"object","properties":{"channel":{"type":"string"},"text":{"type":"string"}},"required":["channel"]}}`}
	return tools
}

const chatTool = "chat/post_message"

func (w *world) policyOf(t *testing.T, tool catalog.ID) string {
	t.Helper()
	p, err := w.store.Persona(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range p.Latest().Grants {
		if g.Tool == tool {
			raw, err := json.Marshal(g.Policy)
			if err != nil {
				t.Fatal(err)
			}
			return string(raw)
		}
	}
	t.Fatalf("%s is not granted", tool)
	return ""
}

// A rule that the job's words make is on the page with those words, for the author and for the reviewer; what no rule says is there
// too. The author changes one rule in the form and takes another away.
func TestDraftedRules(t *testing.T) {
	w := newWorld(t, postChat())
	ann := w.as(t, "ann")
	ann.post("/new", url.Values{"title": {"P"}, "id": {"p"}, "job": {"Look up the customer in #crm. Post a message to #ops, at most 20 a day. Delete customers in #crm."}})
	ann.wants(200, `/channel is &#34;#ops&#34;`, "from the words <q>#ops</q>", "at most 20 a day", "from the words <q>at most 20 a day</q>", `data-testid="open-points"`, "<q>#crm</q>")
	if got, want := w.policyOf(t, chatTool), `{"limits":[{"calls":20,"per":"day"}],"arguments":[{"path":"/channel","const":"#ops"}]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	ann.post("/personas/p", url.Values{"base": {ann.value("base")}, "form:" + chatTool: {"1"}, "arguments:0:was:" + chatTool: {"0"}, "arguments:0:path:" + chatTool: {"/channel"},
		"arguments:0:values:" + chatTool: {"#ops\r\n#dev"}, "timeout_seconds:" + chatTool: {"9"}, "move": {"submit"}})
	ann.wants(200, "Submitted", "/channel is one of")
	if got, want := w.policyOf(t, chatTool), `{"arguments":[{"path":"/channel","enum":["#ops","#dev"]}],"timeout_seconds":9}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	ann.lacks("from the words <q>#ops</q>") // it is no longer what was drafted
	rob := w.as(t, "rob")
	rob.get("/personas/p/review")
	rob.wants(200, "/channel is one of", `data-testid="open-points"`)
}

// Without scripts the form asks the server for rows; what is typed and cannot be saved comes back, and nothing is saved.
func TestPolicyFormWithoutScripts(t *testing.T) {
	w := newWorld(t, postChat())
	ann := w.as(t, "ann")
	ann.post("/new", url.Values{"title": {"P"}, "id": {"p"}, "job": {"Post a message to the team. Look up the customer."}})
	before := w.policyOf(t, chatTool)
	typed := url.Values{"base": {ann.value("base")}, "form:" + chatTool: {"1"}, "conditions:0:cel:" + chatTool: {`args.text <"><script>`}, "conditions:0:message:" + chatTool: {"unfinished"},
		"remove": {"crm/get_customer"}}
	with := func(name, value string) url.Values {
		out := url.Values{name: {value}}
		for k, v := range typed {
			out[k] = v
		}
		return out
	}
	ann.post("/personas/p", with("row", "add limits "+chatTool))
	ann.wants(200, "unfinished", `name="limits:0:calls:`+chatTool+`"`, `value="crm/get_customer" checked`)
	ann.lacks("The draft is saved")
	ann.lacks("<script>&")
	ann.post("/personas/p", with("move", "save"))
	ann.wants(422, "Nothing was saved", "unfinished", "args.text &lt;&#34;&gt;&lt;script&gt;", `aria-invalid="true" aria-describedby="problem-conditions-`, `value="crm/get_customer" checked`)
	ann.lacks(`<"><script>`)
	if got := w.policyOf(t, chatTool); got != before {
		t.Errorf("saved %s over %s", got, before)
	}
	ann.post("/personas/p", with("row", "drop conditions 0 "+chatTool))
	ann.wants(200)
	ann.lacks("unfinished")
	for _, order := range []string{"", " ", "add", "add nothing " + chatTool, "drop limits x", "drop limits 99 " + chatTool, "add limits other/tool"} {
		ann.post("/personas/p", with("row", order+" "))
		ann.wants(200)
	}
	ann.get("/personas/p")
	if _, form, _ := strings.Cut(ann.body, `id="draft"`); strings.Index(form, `value="save"`) > strings.Index(form, `value="submit"`) {
		t.Error("the Enter key submits for review, want that it saves")
	}
}
