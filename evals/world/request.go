package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"remit/approval"
	"remit/audit"
	"remit/evals"
)

const (
	stateless = "2026-07-28"
	meta      = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
)

// prepare opens the session and makes the moves.
func (w *world) prepare(ctx context.Context, c evals.EnforceCase) error {
	if c.Session != "" {
		if err := w.open(ctx, c); err != nil {
			return err
		}
	}
	for _, m := range c.Before {
		if err := w.move(ctx, c, m); err != nil {
			return fmt.Errorf("move %s: %w", m.Do, err)
		}
	}
	if w.down {
		return nil // the record of a store that fails has one mark: its beginning
	}
	last, err := w.store.Entries(ctx, audit.Query{Limit: 1})
	if err == nil && len(last) > 0 {
		w.mark = last[0].Seq
	}
	return err
}

func (w *world) move(ctx context.Context, c evals.EnforceCase, m evals.EnforceMove) error {
	switch m.Do {
	case "revoke":
		return w.people.RevokeKey(ctx, reviewer, w.deskKey)
	case "retire":
		return w.registry.Retire(ctx, reviewer, desk)
	case "narrow":
		if err := w.registry.Revise(ctx, author, desk, proposal(m.Grants, nil)); err != nil {
			return err
		}
		return w.approve(ctx, desk)
	case "draft":
		return w.registry.Revise(ctx, author, desk, proposal(m.Grants, nil))
	case "change":
		return w.replace(ctx, m.Tool, m.Definition)
	case "remove":
		return w.replace(ctx, m.Tool, nil)
	case "stop":
		name, _ := m.Tool.Split()
		return w.servers[name].close()
	case "call":
		_, err := w.ask(ctx, c)
		return err
	case "approve", "deny":
		return w.decide(ctx, m.Do == "approve")
	case "close-store":
		w.down = true
		return w.store.Close()
	}
	return fmt.Errorf("nobody can do %q", m.Do)
}

// decide has the reviewer decide on all calls that wait.
func (w *world) decide(ctx context.Context, approve bool) error {
	waiting, err := w.store.Approvals(ctx, []approval.State{approval.Pending}, 100, nil)
	if err == nil && len(waiting) == 0 {
		err = errors.New("no call waits for a person")
	}
	for _, r := range waiting {
		if err == nil {
			err = w.desk.Decide(ctx, reviewer, r.ID, r.Arguments, approve, "")
		}
	}
	return err
}

// open sends initialize as the session's owner.
func (w *world) open(ctx context.Context, c evals.EnforceCase) error {
	id, key := desk, w.keys["key"]
	if c.Owner == "other" {
		id, key = other, w.keys["other"]
	}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"eval","version":"1"}}}`, c.Session)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.address+"/k/"+string(id)+"/mcp", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if w.session = answer.Header.Get("Mcp-Session-Id"); w.session == "" {
		return fmt.Errorf("initialize was answered with status %d and no session", answer.StatusCode)
	}
	return nil
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (w *world) callerKey(c evals.EnforceCase) string {
	if c.Caller == "" {
		return w.keys["key"]
	}
	return w.keys[c.Caller]
}

// secrets are what must stay between the caller and the gateway.
func (w *world) secrets(c evals.EnforceCase) []string {
	if key := w.callerKey(c); key != "" {
		return []string{key, w.keys["other"]}
	}
	return []string{w.keys["key"], w.keys["other"]}
}

// ask sends the case's request.
func (w *world) ask(ctx context.Context, c evals.EnforceCase) (out evals.EnforceOutcome, err error) {
	r, err := w.request(ctx, c)
	if err != nil {
		return out, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return out, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	if err != nil {
		return out, err
	}
	out.Status = answer.StatusCode
	out.Answer, out.Tools = read(answer.Header.Get("Content-Type"), body)
	return out, nil
}

func (w *world) request(ctx context.Context, c evals.EnforceCase) (*http.Request, error) {
	fill := func(text string) string {
		return os.Expand(text, func(name string) string {
			switch name {
			case "KEY":
				return w.callerKey(c)
			case "OTHER_KEY":
				return w.keys["other"]
			case "SESSION":
				return w.session
			case "META":
				return meta
			}
			return "$" + name
		})
	}
	method, path := c.Method, c.Path
	if method == "" {
		method = http.MethodPost
	}
	if path == "" {
		path = "/k/" + string(desk) + "/mcp"
	}
	body := fill(c.Body)
	body += strings.Repeat(" ", max(0, c.Pad-len(body)))
	var content io.Reader = strings.NewReader(body)
	if c.Chunked {
		content = io.MultiReader(content) // of a length that net/http cannot know
	}
	r, err := http.NewRequestWithContext(ctx, method, w.address+fill(path), content)
	if err != nil {
		return nil, err
	}
	if key := w.callerKey(c); key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
	}
	if what, name, _ := strings.Cut(c.Stateless, " "); what != "" {
		r.Header.Set("MCP-Protocol-Version", stateless)
		r.Header.Set("Mcp-Method", what)
		if name != "" {
			r.Header.Set("Mcp-Name", name)
		}
	}
	var headers []string
	for _, h := range c.Headers {
		headers = append(headers, fill(h))
	}
	setHeaders(r, headers)
	return r, nil
}

// setHeaders sets what the case writes. A credential and a mirrored name stand beside what is there: two are an attack.
func setHeaders(r *http.Request, headers []string) {
	given := map[string]bool{}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		name = http.CanonicalHeaderKey(name)
		switch {
		case name == "Host":
			r.Host = value
		case given[name] || name == "Mcp-Name" || name == "Authorization":
			r.Header.Add(name, value)
		default:
			r.Header.Set(name, value)
		}
		given[name] = true
	}
}

// read says in one word what kind of answer the body is, and which tools it lists.
func read(contentType string, body []byte) (answer string, tools []string) {
	if len(strings.TrimSpace(string(body))) == 0 {
		return "none", nil
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	if kind == "text/event-stream" { // the answer is the last event
		for line := range strings.Lines(string(body)) {
			if data, ok := strings.CutPrefix(line, "data:"); ok {
				body = []byte(data)
			}
		}
	}
	var m struct {
		Result *struct {
			IsError bool                    `json:"isError"`
			Tools   []struct{ Name string } `json:"tools"`
		} `json:"result"`
		Error *struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	switch err := json.Unmarshal(body, &m); {
	case err != nil || m.Result == nil && m.Error == nil:
		return "text", nil
	case m.Error != nil:
		return fmt.Sprintf("error %d", m.Error.Code), nil
	case m.Result.IsError:
		return "tool_error", nil
	}
	for _, t := range m.Result.Tools {
		tools = append(tools, t.Name)
	}
	return "result", tools
}

// leaks says in which of the places, by name, the secret is.
func leaks(secret string, places map[string]string) (found []string) {
	for place, text := range places {
		if secret != "" && strings.Contains(text, secret) {
			found = append(found, fmt.Sprintf("a hidden text of %d bytes reached %s", len(secret), place))
		}
	}
	return found
}
