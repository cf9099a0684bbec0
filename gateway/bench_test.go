package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/gateway"
	"remit/identity"
	"remit/internal/slowbody"
	"remit/internal/strictjson"
	"remit/internal/telemetry"
	"remit/persona"
	"remit/policy"
	"remit/upstream"
)

// still is everything around the gateway, in memory and without delay, so that a benchmark shows the gateway's own cost.
type still struct {
	audit.Log
	persona persona.Persona
	tools   map[catalog.ID]catalog.Tool
	result  strictjson.Value
}

func (s *still) Persona(context.Context, persona.ID) (persona.Persona, error) { return s.persona, nil }
func (s *still) Frozen(context.Context, persona.ID, int, persona.Pin) (time.Time, bool, error) {
	return time.Time{}, false, nil
}
func (s *still) Suspensions(context.Context) ([]persona.Suspension, error)     { return nil, nil }
func (s *still) Append(context.Context, audit.Entry) error                     { return nil }
func (s *still) Begin(context.Context, audit.Entry) (audit.Ticket, error)      { return 1, nil }
func (s *still) Finish(context.Context, audit.Ticket, audit.Entry) error       { return nil }
func (s *still) Server(string) (gateway.Caller, bool)                          { return s, true }
func (s *still) Call(context.Context, upstream.Call) (strictjson.Value, error) { return s.result, nil }
func (s *still) Watch(context.Context, string, func(), func()) error           { return nil }
func (s *still) current(id catalog.ID) (catalog.Tool, bool)                    { t, ok := s.tools[id]; return t, ok }
func (s *still) Authenticate(context.Context, string, netip.Addr) (identity.Principal, error) {
	return identity.Principal{Agent: "bot", User: "carol", Persona: "p", Key: "k"}, nil
}

// read is a result as an upstream gives it.
func read(b testing.TB, text string) strictjson.Value {
	v, ok := strictjson.Read([]byte(text), 1)
	if !ok {
		b.Fatalf("%s is not plain", text)
	}
	return v
}

func newStill(b testing.TB, tools, bytes int) (*gateway.Gateway, *still) {
	s := &still{tools: map[catalog.ID]catalog.Tool{}, result: read(b, `{"content":[{"type":"text","text":"`+strings.Repeat("x", bytes)+`"}]}`)}
	var grants []persona.Grant
	for i := range tools {
		tool, err := catalog.Parse("s", fmt.Appendf(nil, `{"name":"t%d","description":%q,"inputSchema":{"type":"object","properties":{"text":{"type":"string","maxLength":1000},"n":{"type":"integer"}},"required":["text"]}}`, i, strings.Repeat("word ", 150)))
		must(b, err)
		s.tools[tool.ID] = tool
		grants = append(grants, persona.Grant{Pin: persona.Pin{Tool: tool.ID, Digest: tool.Digest, Definition: tool.Definition}, Name: tool.Name})
	}
	s.persona = persona.Persona{ID: "p", Revisions: []persona.Revision{{Number: 1, State: persona.Live, Grants: grants}}}
	return gateway.New(gateway.Config{Personas: s, Keys: s, Current: s.current, Upstreams: s, Audit: s}), s
}

// discard is a response writer that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

func benchmark(b *testing.B, h http.Handler, id, key, body string) {
	check := httptest.NewRecorder()
	h.ServeHTTP(check, benchRequest(id, key, body))
	if !strings.Contains(check.Body.String(), `"result"`) {
		b.Fatalf("got %d %s", check.Code, check.Body)
	}
	b.ReportAllocs()
	b.SetBytes(int64(check.Body.Len()))
	for b.Loop() {
		h.ServeHTTP(&discard{http.Header{}}, benchRequest(id, key, body))
	}
}

func benchRequest(id, key, body string) *http.Request {
	var m struct {
		Method string
		Params struct{ Name string }
	}
	_ = json.Unmarshal([]byte(body), &m) // our own text
	r := httptest.NewRequest(http.MethodPost, "http://localhost/k/"+id+"/mcp", strings.NewReader(body))
	for name, value := range map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json",
		"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": m.Method, "Mcp-Name": m.Params.Name} {
		r.Header.Set(name, value)
	}
	return r
}

func BenchmarkList(b *testing.B) {
	for _, tools := range []int{10, 40} {
		b.Run(fmt.Sprintf("tools=%d", tools), func(b *testing.B) {
			g, _ := newStill(b, tools, 0)
			benchmark(b, g, "p", "k", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+meta+`}}`)
		})
	}
}

func BenchmarkCall(b *testing.B) {
	for _, bytes := range []int{100, 10_000, 200_000} {
		b.Run(fmt.Sprintf("result=%d", bytes), func(b *testing.B) {
			g, _ := newStill(b, 40, bytes)
			benchmark(b, g, "p", "k", call("t7", `{"text":"hello","n":3}`))
		})
	}
}

// BenchmarkPolicies is a call of a 1 KB result with each part of a policy, and with all of it. The difference to "none" is what the
// part costs.
func BenchmarkPolicies(b *testing.B) {
	var all []policy.Mask
	for _, d := range policy.Detectors {
		all = append(all, policy.Mask{Detector: d.Name, Mode: policy.Redact})
	}
	limits := policy.Policy{Limits: []policy.Limit{{Calls: 10_000, Per: policy.Second}, {Calls: 10_000, Per: policy.Second, By: policy.ByKey}}, Concurrent: 100}
	arguments := policy.Policy{Arguments: []policy.Constraint{{Path: "/text", Pattern: "[a-z]+"}, {Path: "/n", Maximum: json.RawMessage("10")}}}
	condition := policy.Policy{Conditions: []policy.Condition{{CEL: `args.n < 10 && args.text != "no"`}}}
	most := policy.Policy{Limits: limits.Limits, Concurrent: 100, Arguments: arguments.Arguments, Hours: []policy.Hours{{From: "00:00", To: "24:00"}}}
	everything := most
	everything.Mask, everything.Conditions = all, condition.Conditions
	for _, c := range []struct {
		name  string
		rules policy.Policy
	}{{"none", policy.Policy{}}, {"limits", limits}, {"arguments", arguments}, {"condition", condition}, {"mask", policy.Policy{Mask: all}},
		{"limits+arguments+hours", most}, {"everything", everything}} {
		b.Run(c.name, func(b *testing.B) {
			g, s := newStill(b, 40, 0)
			s.result = read(b, `{"content":[{"type":"text","text":"`+strings.Repeat("The order 4711 was sent on 2026-11-23 to depot 12. ", 20)+`"}]}`)
			s.persona.Revisions[0].Grants[7].Policy = c.rules
			benchmark(b, g, "p", "k", call("t7", `{"text":"hello","n":3}`))
		})
	}
}

// BenchmarkTelemetry is a call of a 1 KB result without telemetry, with metrics, and with traces too, which nobody takes.
func BenchmarkTelemetry(b *testing.B) {
	nobody := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer nobody.Close()
	for _, c := range []struct {
		name   string
		config telemetry.Config
	}{{"off", telemetry.Config{}}, {"metrics", telemetry.Config{Metrics: true}}, {"metrics+traces", telemetry.Config{Metrics: true, TracesEndpoint: nobody.URL}}} {
		b.Run(c.name, func(b *testing.B) {
			t, err := telemetry.New(b.Context(), c.config)
			must(b, err)
			defer t.Close()
			_, s := newStill(b, 40, 1000)
			g := gateway.New(gateway.Config{Personas: s, Keys: s, Current: s.current, Upstreams: t.Upstreams(s), Audit: t.Audit(s), Observer: t.Observer()})
			benchmark(b, g, "p", "k", call("t7", `{"text":"hello","n":3}`))
		})
	}
}

// BenchmarkShadow is the same call without a revision beside the live one, and with one of the same rules.
func BenchmarkShadow(b *testing.B) {
	rules := policy.Policy{Concurrent: 100, Hours: []policy.Hours{{From: "00:00", To: "24:00"}},
		Arguments:  []policy.Constraint{{Path: "/text", Pattern: "[a-z]+"}, {Path: "/n", Maximum: json.RawMessage("10")}},
		Conditions: []policy.Condition{{CEL: `args.n < 10 && args.text != "no"`}}}
	for _, c := range []struct {
		name   string
		rules  policy.Policy
		beside int
	}{{"no rules/alone", policy.Policy{}, 0}, {"no rules/beside", policy.Policy{}, 2}, {"all rules/alone", rules, 0}, {"all rules/beside", rules, 2}} {
		b.Run(c.name, func(b *testing.B) {
			g, s := newStill(b, 40, 1000)
			s.persona.Revisions[0].Grants[7].Policy = c.rules
			s.persona.Revisions = append(s.persona.Revisions, persona.Revision{Number: 2, State: persona.Submitted, Grants: s.persona.Revisions[0].Grants})
			s.persona.Shadow = persona.Shadow{Revision: c.beside}
			benchmark(b, g, "p", "k", call("t7", `{"text":"hello","n":3}`))
		})
	}
}

// BenchmarkArguments is the same call without and with its arguments in the record.
func BenchmarkArguments(b *testing.B) {
	for _, keep := range []bool{false, true} {
		b.Run(fmt.Sprintf("kept=%v", keep), func(b *testing.B) {
			_, s := newStill(b, 40, 1000)
			g := gateway.New(gateway.Config{Personas: s, Keys: s, Current: s.current, Upstreams: s, Audit: s, KeepArguments: keep})
			benchmark(b, g, "p", "k", call("t7", `{"text":"`+strings.Repeat("The order 4711 was sent on 2026-11-23. ", 25)+`","n":3}`))
		})
	}
}

// With the store on disk: the key, the persona and the two writes of the record for each call.
func BenchmarkStored(b *testing.B) {
	for name, body := range map[string]string{
		"list": `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + meta + `}}`,
		"call": call("find_customer", `{"email":"ada@example.com"}`),
	} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, func(c *gateway.Config) {
				c.Upstreams = &still{result: strictjson.Unread(results["find_customer"])}
				c.AllowedHosts = []string{"localhost", "127.0.0.1"}
			})
			benchmark(b, w.gateway, "support", w.keys["support"], body)
		})
	}
}

// BenchmarkServed is a call on a connection that stays, as remit serve takes it, in either era: what decides is in the store, and there
// are a rule on an argument and on how many run at once. The server answers and the record is written without delay.
func BenchmarkServed(b *testing.B) {
	s := &still{result: read(b, `{"content":[{"type":"text","text":"`+strings.Repeat("x", 100)+`"}]}`)}
	w := newWorld(b, func(c *gateway.Config) { c.Upstreams, c.Audit, c.Proxies, c.Now = s, s, nil, nil })
	w.revise("support", persona.Grant{Pin: persona.Pin{Tool: "crm/find_customer"}, Policy: policy.Policy{Concurrent: 100,
		Arguments: []policy.Constraint{{Path: "/email", MaxLength: 30}}}})
	server := httptest.NewServer(slowbody.Limit(w.gateway, time.Minute))
	b.Cleanup(server.Close)
	body := call("find_customer", `{"email":"ada@example.com"}`)
	for _, era := range []struct{ version, more, body, result string }{
		{"2025-06-18", "Mcp-Session-Id: " + w.session("support"), strings.Replace(body, ","+meta, "", 1), s.result.String()},
		{"2026-07-28", "Mcp-Method: tools/call\r\nMcp-Name: find_customer", body, `{"resultType":"complete",` + s.result.String()[1:]},
	} {
		want := `{"jsonrpc":"2.0","id":1,"result":` + era.result + "}"
		request := fmt.Appendf(nil, "POST /k/support/mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
			"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: %s\r\n%s\r\nContent-Length: %d\r\n\r\n%s", w.keys["support"], era.version, era.more, len(era.body), era.body)
		b.Run(era.version, func(b *testing.B) {
			c, err := net.Dial("tcp", server.Listener.Addr().String())
			must(b, err)
			defer c.Close()
			in := bufio.NewReader(c)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = c.Write(request) // what is read says whether it was
				length, line := 0, []byte("headers")
				for err == nil && len(line) > len("\r\n") {
					if line, err = in.ReadSlice('\n'); bytes.HasPrefix(line, []byte("Content-Length: ")) {
						length, err = strconv.Atoi(string(bytes.TrimSpace(line[len("Content-Length: "):])))
					}
				}
				if n, _ := in.Discard(length); n != len(want) {
					b.Fatalf("got %d bytes, %v", n, err)
				}
			}
		})
	}
}
