package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"remit/persona"
	"remit/web/api"
)

// clients call without pause until the context ends: official ones, whose process lives all the time, and those that count exactly.
func (c *chaos) clients(ctx context.Context, busy *sync.WaitGroup) {
	for _, sdk := range [][3]string{{"v1", "", "look"}, {"v2", "2025-11-25", "note"}, {"v2", "2026-07-28", "look"}} {
		name := "sdk" + sdk[0] + strings.ReplaceAll(sdk[1], "-", "")
		key := c.key(ctx, "steady").Secret
		busy.Go(func() { c.sdk(ctx, name, sdk[0], sdk[1], sdk[2], key) })
	}
	for i := range 4 {
		modern := i%2 == 0
		for _, one := range []struct {
			name    string
			persona persona.ID
			tools   []string
			every   time.Duration
			under   map[string][]string
		}{
			{"steady", "steady", []string{"look", "note"}, 80 * time.Millisecond, nil},
			{"moving", "moving", []string{"look", "extra"}, 120 * time.Millisecond, map[string][]string{"look": {"moving suspended"}, "extra": {"moving suspended", "moving without extra"}}},
			{"scarce", "scarce", []string{"scarce"}, 300 * time.Millisecond, nil},
		} {
			a := c.agent(fmt.Sprintf("%s%d", one.name, i), one.persona, modern)
			busy.Go(func() {
				a.secret = c.key(ctx, one.persona).Secret
				every(ctx, one.every, func(n int) {
					tool := one.tools[n%len(one.tools)]
					a.call(tool, a.name+fmt.Sprintf("x%d", n), one.under[tool]...)
				})
			})
		}
		if i < 2 {
			busy.Go(func() { c.revoked(ctx, c.agent(fmt.Sprintf("revoked%d", i), "steady", modern)) })
			busy.Go(func() { c.asking(ctx, c.agent(fmt.Sprintf("asking%d", i), "asking", modern)) })
		}
	}
}

func every(ctx context.Context, d time.Duration, do func(n int)) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(n)
		}
	}
}

// revoked is an agent that does not stop when its key was revoked.
func (c *chaos) revoked(ctx context.Context, a *agent) {
	n := 0
	for ctx.Err() == nil {
		key := c.key(ctx, a.persona)
		a.secret, a.session = key.Secret, ""
		own, end := context.WithCancel(ctx)
		var busy sync.WaitGroup
		busy.Go(func() {
			every(own, 60*time.Millisecond, func(int) { n++; a.call("note", fmt.Sprintf("%sx%d", a.name, n), "key "+key.ID) })
		})
		pause(ctx, time.Second)
		if acknowledged(ctx, func() error { return c.ravi.Delete(ctx, "/keys/"+key.ID, &api.Done{}) }, func() bool { return c.state(ctx, key.ID) == "revoked" }) {
			c.banned("key " + key.ID) // for ever
			c.keys.Store(key.ID, true)
			c.revocations.Add(1)
		}
		pause(ctx, 3*time.Second)
		end()
		busy.Wait()
	}
}

// state is that of a key; empty when nobody knows.
func (c *chaos) state(ctx context.Context, id string) string {
	var all api.List[api.Key]
	if c.ravi.Get(ctx, "/keys", url.Values{"persona": {"steady"}}, &all) != nil {
		return ""
	}
	for _, k := range all.Items {
		if k.ID == id {
			return string(k.State)
		}
	}
	return ""
}

// asking is an agent whose calls wait for a person, and which repeats each until it is made or denied.
func (c *chaos) asking(ctx context.Context, a *agent) {
	a.secret = c.key(ctx, a.persona).Secret
	for n := 0; ctx.Err() == nil; n++ {
		for ctx.Err() == nil {
			got := a.call("refund", fmt.Sprintf("%sx%d", a.name, n))
			if got.outcome == answered || strings.Contains(got.text, "Denied") {
				break
			}
			pause(ctx, 50*time.Millisecond)
		}
		pause(ctx, 300*time.Millisecond)
	}
}

// agent is a client of one era, written here so that every answer is counted.
type agent struct {
	*chaos
	name            string
	persona         persona.ID
	modern          bool
	secret, session string
	http            *http.Client
}

func (c *chaos) agent(name string, id persona.ID, modern bool) *agent {
	return &agent{chaos: c, name: name, persona: id, modern: modern, http: &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{}}}
}

// call makes one, and tells the witness.
func (a *agent) call(tool, n string, under ...string) *asked {
	c := &asked{n: n, client: a.name, tool: tool, under: under}
	headers := map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool}
	meta := `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	if !a.modern {
		if a.session == "" {
			_, header, _ := a.post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"chaos","version":"1"}}}`, nil)
			a.session = header.Get("Mcp-Session-Id")
		}
		meta, headers = "", map[string]string{"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": a.session}
	}
	c.sent = time.Now()
	status, _, text := a.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":"tools/call","params":{"name":%q,"arguments":{"n":%q}%s}}`, fmt.Sprint(n, " ", c.sent.UnixNano()), tool, n, meta), headers)
	c.ended, c.text = time.Now(), fmt.Sprint(status, " ", text)
	if c.outcome = outcomeOf(text); status == http.StatusUnauthorized {
		c.outcome = turnedAway
	}
	if status == http.StatusNotFound {
		a.session = ""
	}
	a.called(c)
	return c
}

// outcomeOf reads an answer, which may be an event stream.
func outcomeOf(text string) outcome {
	if data := strings.LastIndex(text, "data: {"); data >= 0 {
		text = strings.TrimSpace(text[data+len("data: "):])
	}
	var m struct {
		Result *struct{ IsError bool }
		Error  *struct{ Code int }
	}
	switch err := json.Unmarshal([]byte(text), &m); {
	case err == nil && m.Result != nil && !m.Result.IsError:
		return answered
	case err == nil && (m.Result != nil || m.Error != nil && (m.Error.Code == -32602 || m.Error.Code == http.StatusForbidden)):
		return refused
	}
	return failed
}

func (a *agent) post(body string, headers map[string]string) (status int, header http.Header, text string) {
	req, err := http.NewRequest(http.MethodPost, a.url+"/k/"+string(a.persona)+"/mcp", bytes.NewReader([]byte(body)))
	if err != nil {
		a.t.Error(err)
		return 0, nil, ""
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", "Bearer "+a.secret)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := a.http.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, res.Header, fmt.Sprintf("%s… %v", answer, err)
	}
	return res.StatusCode, res.Header, string(answer)
}

// sdk runs an official client until the context ends, and tells the witness what it says.
func (c *chaos) sdk(ctx context.Context, name, sdk, version, tool, key string) {
	cmd := exec.Command(node, "chaos.mjs", sdk, c.url+"/k/steady/mcp", key, tool, version, name)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		c.t.Error(err)
		return
	}
	output, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.t.Error(err)
		return
	}
	defer context.AfterFunc(ctx, func() { input.Close() })()
	for lines := bufio.NewScanner(output); lines.Scan(); {
		var said struct {
			N, Text, Error string
			Sent, Ended    int64
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			c.t.Errorf("%s said %s: %v", name, lines.Text(), err)
			continue
		}
		outcome := failed
		if said.Error == "" {
			outcome = outcomeOf(`{"result":` + said.Text + `}`)
		}
		c.called(&asked{n: said.N, client: name, tool: tool, sent: time.UnixMilli(said.Sent), ended: time.UnixMilli(said.Ended), outcome: outcome, text: said.Text + said.Error})
	}
	if err := cmd.Wait(); err != nil {
		c.t.Errorf("%s: %v", name, err)
	}
}
