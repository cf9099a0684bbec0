package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"remit/audit"
	"remit/internal/strictjson"
	"remit/internal/visible"
	"remit/policy"
	"remit/upstream"
)

// A server may ask the client for something while it answers a call, where the grant's policy says so: a form, a page, an answer
// of the client's model. Whatever it asks for is a stranger's text. It is read here before a client sees it, and what the client
// answers is read before the server does. Nothing is asked of Remit itself, and no files are ever shown (roots).

// can is what a client can be asked for.
type can uint8

const (
	canForm can = 1 << iota
	canPage
	canModel
)

var asksOf = map[can]policy.Ask{canForm: policy.AskForm, canPage: policy.AskPage, canModel: policy.AskModel}

// canBeAsked reads a client's capabilities. An elicitation without a mode is by form (2025-11-25, elicitation).
func canBeAsked(capabilities members) (out can) {
	if elicitation, ok := capabilities.object("elicitation"); ok {
		_, form := elicitation.object("form")
		_, page := elicitation.object("url")
		if form || !page {
			out |= canForm
		}
		if page {
			out |= canPage
		}
	}
	if _, ok := capabilities.object("sampling"); ok {
		out |= canModel
	}
	return out
}

// askable are what the call's server may ask this client for; nil for nothing.
func (c *call) askable() (asks []string) {
	if len(c.grant.rules.Asks) == 0 || !c.modern && !acceptsStream(c.r) { // a client of the older era is asked on the call's stream
		return nil
	}
	can := c.can()
	for bit := canForm; bit <= canModel; bit <<= 1 {
		if can&bit != 0 && slices.Contains(c.grant.rules.Asks, asksOf[bit]) {
			asks = append(asks, string(asksOf[bit]))
		}
	}
	return asks
}

func (x *exchange) can() can {
	if x.session != nil {
		return x.session.can
	}
	capabilities, _ := x.meta.object(metaCapabilities)
	return canBeAsked(capabilities)
}

// Bounds of what is asked, and of what is answered, in bytes.
const (
	maxQuestion = 32 << 10 // a form or a page
	maxPrompt   = 1 << 20  // for a model
	maxWords    = 4 << 10  // of a message to a person
	maxPage     = 2 << 10  // of an address
	maxAnswer   = 1 << 20
	maxFields   = 64 // of a form
)

var askNames = []string{"mode", "message", "requestedSchema", "url", "elicitationId", "task", "messages", "maxTokens", "systemPrompt", "includeContext",
	"tools", "toolChoice", "modelPreferences", "temperature", "stopSequences", "metadata"}

// kindOfAsk is what a server's request asks for.
func kindOfAsk(method string, params members) (policy.Ask, error) {
	switch mode, given := params.text("mode"); {
	case method == upstream.Sample:
		return policy.AskModel, nil
	case method == upstream.Elicit && (given && mode == "form" || params.at("mode") == nil):
		return policy.AskForm, nil
	case method == upstream.Elicit && given && mode == "url":
		return policy.AskPage, nil
	}
	return "", fmt.Errorf("it asked for %q, which no persona lets a server ask for", clean(method, 64))
}

// question reads what the server asks, and returns it as the client may see it: after the masks, with the server's name before
// what it says to a person, and with what a person cannot see in it spelt out.
func (c *call) question(method string, params jsontext.Value) (policy.Ask, []byte, error) {
	if len(params) == 0 {
		params = jsontext.Value("{}")
	}
	in, ok := membersOf(params)
	if !ok || in.onlyExact(askNames...) != nil {
		return "", nil, errors.New("what it asked for cannot be read by every reader alike")
	}
	kind, err := kindOfAsk(method, in)
	if err != nil {
		return "", nil, err
	}
	switch {
	case !slices.Contains(c.grant.rules.Asks, kind):
		return kind, nil, fmt.Errorf("it asked for %s, which this persona does not let it ask for; a reviewer can change that", kind)
	case !slices.Contains(c.askable(), string(kind)):
		return kind, nil, fmt.Errorf("it asked for %s, which this client cannot be asked for", kind)
	case in.at("task") != nil:
		return kind, nil, errors.New("it asked for an answer as a task, which is not relayed")
	}
	limit, check := maxQuestion, form
	switch kind {
	case policy.AskPage:
		check = page
	case policy.AskModel:
		limit, check = maxPrompt, prompt
	}
	if most := c.grant.rules.MaxResultBytes; most > 0 {
		limit = min(limit, most)
	}
	if len(params) > limit {
		return kind, nil, fmt.Errorf("it asked with %d bytes, and at most %d are let through", len(params), limit)
	}
	if err := check(in); err != nil {
		return kind, nil, err
	}
	if c.grant.rules.Tasks {
		params = related(params, c.taskID())
	}
	masked, _, err := c.grant.rules.MaskArguments(json.RawMessage(params))
	if err != nil {
		return kind, nil, fmt.Errorf("what it asked for is withheld: %s", clean(err.Error(), 300))
	}
	out, err := c.worded(kind, masked)
	return kind, out, err
}

// worded says to a person which server asks, and keeps a prompt from taking along what other servers said.
func (c *call) worded(kind policy.Ask, params []byte) ([]byte, error) {
	member, other := "message", func(value []byte) []byte {
		var text string
		if json.Unmarshal(value, &text) != nil {
			return value
		}
		server, _ := c.grant.Tool.Split()
		return []byte(quote("The server " + server + " asks: " + visible.Text(text)))
	}
	if kind == policy.AskModel {
		member, other = "includeContext", func([]byte) []byte { return []byte(`"none"`) }
	}
	out, _, err := splice(params, member, other)
	return out, err
}

func saidToPerson(in members) error {
	text, ok := in.text("message")
	if !ok || text == "" || len(text) > maxWords {
		return fmt.Errorf("its message is no text of 1 to %d bytes", maxWords)
	}
	return nil
}

// form takes the flat forms that the protocol has (2025-11-25, elicitation, requested schema): whatever nests, refers elsewhere or
// hides a character is none.
func form(in members) error {
	if err := saidToPerson(in); err != nil {
		return err
	}
	schema, ok := in.object("requestedSchema")
	kind, _ := schema.text("type")
	fields, given := schema.object("properties")
	if !ok || kind != "object" || !given || len(fields) > maxFields {
		return fmt.Errorf("its form is no object of at most %d fields", maxFields)
	}
	if hides(in.at("requestedSchema")) {
		return errors.New("its form has characters that nobody sees")
	}
	if in.at("url") != nil {
		return errors.New("its form names a page")
	}
	for _, m := range schema {
		if refers(m.Name) || m.Name != "properties" && !scalar(m.Text) && !scalars(m.Text) {
			return fmt.Errorf("its form has %q, which no form may", clean(m.Name, 64))
		}
	}
	for _, m := range fields {
		field, ok := fields.object(m.Name)
		if !ok {
			return fmt.Errorf("the field %q of its form cannot be read", clean(m.Name, 64))
		}
		if err := flat(field); err != nil {
			return fmt.Errorf("the field %q of its form %w", clean(m.Name, 64), err)
		}
	}
	return nil
}

// flat takes a field of one value, or of several that are chosen from a list.
func flat(field members) error {
	kind, _ := field.text("type")
	if !slices.Contains([]string{"string", "number", "integer", "boolean", "array"}, kind) {
		return errors.New("is no text, number, yes or no, or choice")
	}
	items, chooses := field.object("items")
	if chooses {
		if of, _ := items.text("type"); of != "string" && of != "" || items.at("enum") == nil && items.at("anyOf") == nil && items.at("oneOf") == nil {
			return errors.New("is no choice from a list")
		}
	}
	if (kind == "array") != chooses {
		return errors.New("is no choice from a list")
	}
	for i, all := range []members{field, items} {
		for _, m := range all {
			switch {
			case refers(m.Name):
				return fmt.Errorf("has %q, which no form may", clean(m.Name, 64))
			case m.Name == "items" && chooses && i == 0 || scalar(m.Text) || scalars(m.Text):
			case (m.Name == "oneOf" || m.Name == "anyOf") && titled(m.Text):
			default:
				return fmt.Errorf("has %q, which no form may", clean(m.Name, 64))
			}
		}
	}
	return nil
}

// refers says that a keyword makes something of its reader beyond the form: $ref, $dynamicRef, $id, $anchor.
func refers(keyword string) bool { return strings.HasPrefix(keyword, "$") && keyword != "$schema" }

func scalar(raw jsontext.Value) bool { return raw.Kind() != '{' && raw.Kind() != '[' }

// scalars says that a value is a list of texts and numbers.
func scalars(raw jsontext.Value) bool {
	list, ok := elements(raw)
	return ok && !slices.ContainsFunc(list, func(v jsontext.Value) bool { return !scalar(v) })
}

// titled says that a value is a list of constants with their titles.
func titled(raw jsontext.Value) bool {
	list, ok := elements(raw)
	return ok && !slices.ContainsFunc(list, func(v jsontext.Value) bool {
		option, ok := membersOf(v)
		if !ok || v.Kind() != '{' || option.at("const") == nil {
			return true
		}
		return slices.ContainsFunc(option, func(m strictjson.Member) bool { return !scalar(m.Text) })
	})
}

func elements(raw jsontext.Value) (list []jsontext.Value, ok bool) {
	return list, raw.Kind() == '[' && json.Unmarshal(raw, &list) == nil
}

// hides says that some text in a value has a character that a page would not show.
func hides(raw jsontext.Value) bool {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return false // the end
		}
		if token.Kind() == '"' && strings.ContainsFunc(token.String(), visible.Hidden) {
			return true
		}
	}
}

// page takes an address that a person can be sent to.
func page(in members) error {
	if err := saidToPerson(in); err != nil {
		return err
	}
	if id := in.at("elicitationId"); in.at("requestedSchema") != nil || id != nil && (id.Kind() != '"' || hides(id)) {
		return errors.New("its page comes with a form, or an id that is no text")
	}
	at, _ := in.text("url")
	u, err := url.Parse(at)
	if err != nil || len(at) > maxPage || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.ContainsFunc(at, visible.Hidden) {
		return errors.New("the page that it named is no http or https address without a user name")
	}
	return nil
}

// prompt takes what goes to a model: messages, and nothing that has the model call tools.
func prompt(in members) error {
	messages, ok := elements(in.at("messages"))
	if !ok || len(messages) == 0 || in.at("maxTokens").Kind() != '0' {
		return errors.New("its prompt is no list of messages with a number of tokens")
	}
	if in.at("tools") != nil || in.at("toolChoice") != nil {
		return errors.New("it asked the model to call tools of its own, which no persona lets a server ask for")
	}
	return nil
}

// answered reads what the client answered to a question of the kind, before the server does.
func answered(kind policy.Ask, raw jsontext.Value) error {
	in, ok := membersOf(raw)
	if !ok || raw.Kind() != '{' || len(raw) > maxAnswer {
		return fmt.Errorf("the answer to the %s is no object of at most %d bytes", kind, maxAnswer)
	}
	if f := in.onlyExact("action", "content", "role", "model", "stopReason"); f != nil {
		return errors.New(f.message)
	}
	if kind == policy.AskModel {
		role, _ := in.text("role")
		_, model := in.text("model")
		if content := in.at("content").Kind(); role == "" || !model || content != '{' && content != '[' {
			return errors.New("the answer to the sampling lacks a role, a content or a model")
		}
		return nil
	}
	action, _ := in.text("action")
	if !slices.Contains([]string{"accept", "decline", "cancel"}, action) {
		return fmt.Errorf("the answer to the %s has no action accept, decline or cancel", kind)
	}
	if in.at("content") == nil || in.at("content").Kind() == 'n' {
		return nil
	}
	content, ok := in.object("content")
	if !ok || kind == policy.AskPage && len(content) > 0 {
		return fmt.Errorf("the answer to the %s has a content that it cannot have", kind)
	}
	for _, m := range content {
		if !scalar(m.Text) && !scalars(m.Text) {
			return fmt.Errorf("the answer to the %s has a field %q that is no single value or list of such", kind, clean(m.Name, 64))
		}
	}
	return nil
}

// pages reads a server's error that says which pages the client's user has to open first (2025-11-25, elicitation). It is asked as
// any other question is, and clients of the stateless era do not know it.
func (c *call) pages(rpc *upstream.RPCError) *fault {
	data, _ := membersOf(rpc.Data)
	list, ok := elements(data.at("elicitations"))
	if !ok || len(list) == 0 || len(list) > maxQuestions || c.modern {
		return askFault(c, errors.New("it asked for pages to be opened in a way that this client does not know"))
	}
	var shown [][]byte
	for _, params := range list {
		kind, seen, err := c.question(upstream.Elicit, params)
		if err == nil && kind != policy.AskPage {
			err = errors.New("it asked for something else than pages to be opened")
		}
		if c.recordAsked(kind, err); err != nil {
			return askFault(c, err)
		}
		shown = append(shown, seen)
	}
	c.entry.Decision = audit.Allowed
	f := &fault{code: rpc.Code, message: c.grant.rules.MaskText(rpc.Message), reason: "it asked for pages to be opened first"}
	f.data = slices.Concat([]byte(`{"elicitations":[`), bytes.Join(shown, []byte(",")), []byte("]}"))
	return f
}

// keptFrom is what a server says that it has to ask for, and that this client could be asked for if the persona let it.
func (c *call) keptFrom(rpc *upstream.RPCError) policy.Ask {
	if rpc.Code != codeCapability {
		return ""
	}
	data, _ := membersOf(rpc.Data)
	required, _ := data.object("requiredCapabilities")
	for bit := canForm; bit <= canModel; bit <<= 1 {
		if canBeAsked(required)&c.can()&bit != 0 && !slices.Contains(c.grant.rules.Asks, asksOf[bit]) {
			return asksOf[bit]
		}
	}
	return ""
}
