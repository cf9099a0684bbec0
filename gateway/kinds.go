package gateway

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/yosida95/uritemplate/v3"

	"remit/catalog"
	"remit/internal/strictjson"
	"remit/persona"
	"remit/upstream"
)

// Prompts and resources are granted, pinned, called and recorded as tools are: a prompts/get or resources/read passes the same
// steps as a tools/call. What differs is here: how a client names what it asks for, how it is told that there is none, and
// what a persona lists.

// kindOf is what a method asks for; asks says that it is one that passes the steps.
func kindOf(method string) (kind catalog.Kind, asks bool) {
	switch method {
	case "tools/call", upstream.GetTask, upstream.UpdateTask, upstream.CancelTask, upstream.TaskResult:
		return catalog.ATool, true
	case upstream.GetPrompt:
		return catalog.APrompt, true
	case upstream.ReadResource, subscribe:
		return catalog.AResource, true
	case upstream.Complete:
		return "", true
	}
	return "", false
}

// listed are the lists by method: of what kind, and the result's member.
var listed = map[string]struct {
	kind   catalog.Kind
	member string
}{
	"tools/list":               {catalog.ATool, "tools"},
	"prompts/list":             {catalog.APrompt, "prompts"},
	"resources/list":           {catalog.AResource, "resources"},
	"resources/templates/list": {catalog.ATemplate, "resourceTemplates"},
}

// key is under what a view has a grant: a tool under its name, and what is no tool under that and its kind, which no tool's
// name can say. Resources are known by their URI.
func (t *grant) key() string { return keyFor(t.Tool.Of(), t.Called()) }

func keyFor(kind catalog.Kind, name string) string {
	if kind == catalog.ATool {
		return name
	}
	return "@" + string(kind) + "/" + name
}

// is says that what a client asks for as of the kind can be the grant.
func (t *grant) is(kind catalog.Kind) bool {
	return t.Tool.Of() == catalog.ATool == (kind == catalog.ATool)
}

// templateOf compiles what a granted resource template stands for.
func templateOf(g persona.Grant) (*regexp.Regexp, error) {
	if g.Tool.Of() != catalog.ATemplate {
		return nil, nil
	}
	parsed, err := uritemplate.New(g.Tool.Own())
	if err != nil {
		return nil, fmt.Errorf("the template of %s cannot be read: %w", g.Tool, err)
	}
	return regexp.Compile("^(?:" + parsed.Regexp().String() + ")$")
}

// resolve finds under which key the revision has what the client asks for. A resource that is granted by its own URI is that;
// otherwise exactly one granted template has to stand for it. A key that is narrowed changes nothing of it: what it may not have is
// not found by another grant.
func (v *view) resolve(kind catalog.Kind, name string) string {
	own, whole := keyFor(kind, name), v.whole()
	if _, ok := whole.grants[own]; ok || kind != catalog.AResource || climbs(name) || respelt.MatchString(name) {
		return own
	}
	var found []string
	for _, t := range whole.templates {
		if t.template.MatchString(name) {
			found = append(found, t.key())
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return own
}

// respelt finds characters that need no encoding and have one (RFC 3986, section 2.3): another spelling of a URI that may be granted,
// frozen or suspended by itself.
var respelt = regexp.MustCompile(`(?i)%(2[de]|3[0-9]|[46][1-9a-f]|[57][0-9a]|5f|7e)`)

var encoded = regexp.MustCompile("%[0-9A-Fa-f]{2}")

// climbs says that a URI has a segment "..", in whatever encoding: what a template is filled with is to stay where it stands.
func climbs(uri string) bool {
	for {
		if slices.Contains(strings.FieldsFunc(uri, func(r rune) bool { return strings.ContainsRune(`/\?#;:=&,@`, r) }), "..") {
			return true
		}
		plain := encoded.ReplaceAllStringFunc(uri, func(one string) string {
			b, _ := hex.DecodeString(one[1:]) // of two hex digits
			return string(b)
		})
		if plain == uri {
			return false
		}
		uri = plain
	}
}

// readOther takes out of the parameters what is asked for, where it is no tool.
func (c *call) readOther() *fault {
	c.arguments = strictjson.Unread("{}")
	member, limit := "name", 256
	from := c.params
	switch c.method {
	case upstream.ReadResource, subscribe:
		member, limit = "uri", 2048
	case upstream.Complete:
		ref, _ := c.params.object("ref")
		kind, _ := ref.text("type")
		argument, ok := c.params.object("argument")
		if _, named := argument.text("name"); !ok || !named {
			return rpcFault(codeInvalidParams, `The member "argument" of params must be an object with a name.`)
		}
		switch from = ref; kind {
		case "ref/prompt":
			c.kind = catalog.APrompt
		case "ref/resource":
			c.kind, member, limit = catalog.ATemplate, "uri", 2048
		default:
			return rpcFault(codeInvalidParams, `The member "ref" of params must be an object of type ref/prompt or ref/resource.`)
		}
		c.arguments = strictjson.Unread(`{"argument":` + string(c.params.at("argument")) + `}`)
		if given := c.params.at("context"); given != nil {
			c.arguments = strictjson.Unread(`{"argument":` + string(c.params.at("argument")) + `,"context":` + string(given) + `}`)
		}
	}
	name, ok := from.text(member)
	if !ok || name == "" || len(name) > limit {
		return rpcFault(codeInvalidParams, `The member %q of what is asked for must be a string of 1 to %d bytes.`, member, limit)
	}
	c.name = name
	if member == "uri" && c.method != upstream.Complete {
		c.arguments = strictjson.Unread(`{"uri":` + string(c.params.at("uri")) + `}`)
	}
	if c.passed.Text != nil && c.method == upstream.GetPrompt {
		if c.passed.Text[0] != '{' {
			return rpcFault(codeInvalidParams, `The member "arguments" of params must be an object.`)
		}
		c.arguments = c.passed
	}
	return nil
}

// unknown answers alike for what is not granted, what the key is not for, and what does not exist.
func (c *call) unknown() *fault {
	name := clean(c.name, 256)
	switch {
	case c.kind == catalog.APrompt:
		return rpcFault(codeInvalidParams, "Unknown prompt: %s", name)
	case c.kind == catalog.ATool:
		return rpcFault(codeInvalidParams, "Unknown tool: %s", name)
	}
	f := rpcFault(codeInvalidParams, "Resource not found: %s", name)
	f.data = []byte(`{"uri":` + quote(c.name) + `}`)
	if !c.modern {
		f.code = codeNoResource
	}
	return f
}

// completes refuses to complete arguments that a rule looks at: a part of one is not what the rule is about.
func (c *call) completes() *fault {
	p := c.grant.Policy
	if c.method != upstream.Complete || len(p.Arguments)+len(p.Conditions) == 0 && p.Approval == nil {
		return nil
	}
	f := rpcFault(codeInvalidParams, "Arguments of %s are not completed: a rule of this persona looks at them.", clean(c.name, 256))
	f.policy = "policy/completion"
	return f
}

// outgoing is the call as the server gets it.
func (c *call) outgoing() upstream.Call {
	_, own := c.grant.Tool.Split()
	if c.grant.Tool.Of() != catalog.ATool {
		own = c.grant.Tool.Own()
	}
	out := upstream.Call{Tool: own, For: c.subject(), Arguments: c.arguments}
	switch c.method {
	case upstream.GetPrompt:
		out.Method = c.method
	case upstream.ReadResource:
		out.Method, out.Tool, out.Arguments = c.method, c.name, strictjson.Value{}
	case upstream.Complete:
		ref := `{"type":"ref/resource","uri":` + quote(own) + `}`
		if c.kind == catalog.APrompt {
			ref = `{"type":"ref/prompt","name":` + quote(own) + `}`
		}
		out.Method, out.Arguments = c.method, strictjson.Value{}
		out.More = map[string]json.RawMessage{"ref": json.RawMessage(ref), "argument": json.RawMessage(c.params.at("argument"))}
		if given := c.params.at("context"); given != nil {
			out.More["context"] = json.RawMessage(given)
		}
	}
	return out
}

// grantsKind says that the view grants something of the kind, whatever its state.
func (v *view) grantsKind(kinds ...catalog.Kind) bool {
	return slices.ContainsFunc(v.inOrder, func(t *grant) bool { return slices.Contains(kinds, t.Tool.Of()) })
}

// capabilities are what the view's clients are told that there is.
func (v *view) capabilities(modern bool) string {
	out := `"capabilities":{`
	if v.grantsKind(catalog.APrompt, catalog.ATemplate) {
		out += `"completions":{},`
	}
	tasks := v.grantsTasks(modern)
	if tasks && modern {
		out += `"extensions":{"` + extensionTasks + `":{}},`
	}
	out += `"logging":{},`
	if v.grantsKind(catalog.APrompt) {
		out += `"prompts":{"listChanged":true},`
	}
	if v.grantsKind(catalog.AResource, catalog.ATemplate) {
		out += `"resources":{"listChanged":true,"subscribe":true},`
	}
	if tasks && !modern { // without list: see tasks.go
		out += `"tasks":{"cancel":{},"requests":{"tools":{"call":{}}}},`
	}
	return out + `"tools":{"listChanged":true}}`
}

// offers says whether the view answers a list: one of something that it grants nothing of is no method of it.
func (v *view) offers(method string) bool {
	switch kind := listed[method].kind; kind {
	case catalog.AResource, catalog.ATemplate:
		return v.grantsKind(catalog.AResource, catalog.ATemplate)
	default:
		return kind == catalog.ATool || v.grantsKind(kind)
	}
}

// announced are the lists whose changes clients may hear of, by the name of the notification's filter.
var announced = []struct{ filter, method, list string }{
	{"toolsListChanged", "notifications/tools/list_changed", "tools/list"},
	{"promptsListChanged", "notifications/prompts/list_changed", "prompts/list"},
	{"resourcesListChanged", "notifications/resources/list_changed", "resources/list"},
}

// cacheable adds to what was read of a resource what the stateless era asks for, and keeps it to this client: the next one
// may have other rules.
func (c *call) cacheable(result []byte) []byte {
	if !c.modern || c.method != upstream.ReadResource {
		return result
	}
	for _, m := range []struct{ name, value string }{{"ttlMs", "0"}, {"cacheScope", `"private"`}} {
		spliced, found, err := splice(result, m.name, func(value []byte) []byte {
			if m.name == "cacheScope" {
				return []byte(m.value)
			}
			return value
		})
		if err != nil {
			return result
		}
		if result = spliced; !found {
			result = withMember(result, m.name, m.value)
		}
	}
	return result
}

// withMember adds a member at the start of an object.
func withMember(object []byte, name, value string) []byte {
	rest := bytes.TrimLeft(object[1:], " \t\r\n")
	start := `{"` + name + `":` + value
	if len(rest) > 0 && rest[0] != '}' {
		start += ","
	}
	return append([]byte(start), rest...)
}

// getOther serves the other methods that pass the steps, where the view offers such.
func (g *Gateway) getOther(x *exchange) {
	v, f := g.view(x)
	if f != nil {
		g.refuse(x, f)
		return
	}
	kinds := map[string][]catalog.Kind{upstream.GetPrompt: {catalog.APrompt}, upstream.ReadResource: {catalog.AResource, catalog.ATemplate}, subscribe: {catalog.AResource, catalog.ATemplate},
		upstream.Complete: {catalog.APrompt, catalog.ATemplate}}[x.method]
	if !v.whole().grantsKind(kinds...) {
		g.refuse(x, x.noMethod())
		return
	}
	g.call(x)
}
