package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/gateway"
	"remit/internal/telemetry"
	"remit/policy"
)

const traceID, parentID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

// From the client's _meta through our spans to the server's _meta it is one trace, and the record names it.
func TestTraceEndToEnd(t *testing.T) {
	w := newWatched(t, nil)
	answer := w.text(w.post(context.Background(), "support", "", traced("echo", `{"text":"hi"}`, `,"traceparent":"`+traceparent+`","tracestate":"a=1,b=2","baggage":"user=eve"`)))
	sent := echoed(t, answer)
	entry := w.entries()[0]
	w.end()
	server, client, record := w.receiver.named("tools/call echo"), []span(nil), w.receiver.named("audit finish")
	if len(server) != 2 || len(record) != 1 {
		t.Fatalf("got %d spans of the call and %d of the record: %v", len(server), len(record), server)
	}
	if server[0].Kind == "SERVER" {
		server[0], server[1] = server[1], server[0]
	}
	client, server = server[:1], server[1:]
	if sent["traceparent"] != "00-"+traceID+"-"+client[0].ID+"-01" || sent["tracestate"] != "a=1,b=2" || sent["baggage"] != "" {
		t.Errorf("the server got %v, want our span %s as the parent, the caller's state, and no baggage", sent, client[0].ID)
	}
	if entry.Trace != traceID || server[0].Parent != parentID || client[0].Parent != server[0].ID || record[0].Parent != server[0].ID {
		t.Errorf("got the trace %s in the record, and spans %v, %v, %v", entry.Trace, server[0], client[0], record[0])
	}
	want := []span{
		{ID: server[0].ID, Trace: traceID, Parent: parentID, State: "a=1,b=2", Kind: "SERVER", Attributes: map[string]string{"mcp.method.name": "tools/call", "network.transport": "tcp",
			"mcp.protocol.version": "2026-07-28", "jsonrpc.request.id": "7", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "echo",
			"remit.tool": "crm/echo", "remit.persona": "support", "remit.revision": "1", "remit.decision": "allowed"}},
		{ID: client[0].ID, Trace: traceID, Parent: server[0].ID, State: "a=1,b=2", Kind: "CLIENT", Attributes: map[string]string{"mcp.method.name": "tools/call",
			"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "echo", "remit.server": "crm"}},
	}
	if diff := cmp.Diff(want, []span{server[0], client[0]}); diff != "" {
		t.Errorf("got other than want: %s", diff)
	}
}

// The parent is the message's, else that of the HTTP request; with neither the request begins a trace.
func TestWhereATraceComesFrom(t *testing.T) {
	const other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, tc := range map[string]struct {
		meta, header string
		want         string // trace id; empty is a new one
		links        int
	}{
		"none":                    {},
		"header":                  {header: other, want: "0af7651916cd43dd8448eb211c80319c"},
		"message":                 {meta: traceparent, want: traceID},
		"both":                    {meta: traceparent, header: other, want: traceID, links: 1},
		"not sampled":             {meta: strings.TrimSuffix(traceparent, "1") + "0", want: traceID},
		"a malformed one":         {meta: "00-" + traceID + "-" + parentID + "-01; drop table"},
		"malformed, and a header": {meta: "4bf9", header: other, want: "0af7651916cd43dd8448eb211c80319c"},
		"a malformed header":      {header: "00-x"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched(t, nil)
			members := ""
			if tc.meta != "" {
				members = `,"traceparent":"` + tc.meta + `"`
			}
			var header []string
			if tc.header != "" {
				header = []string{"Traceparent", tc.header, "Tracestate", "x=1"}
			}
			sent := echoed(t, w.text(w.post(context.Background(), "support", "", traced("echo", `{}`, members), header...)))["traceparent"]
			entry := w.entries()[0]
			w.end()
			if len(entry.Trace) != 32 || tc.want != "" && entry.Trace != tc.want || !strings.HasPrefix(sent, "00-"+entry.Trace+"-") {
				t.Errorf("got %q in the record and %q at the server, want %q", entry.Trace, sent, tc.want)
			}
			spans := w.receiver.named("tools/call echo")
			if name == "not sampled" {
				if len(spans) != 0 || !strings.HasSuffix(sent, "-00") {
					t.Errorf("got %d spans, and %s at the server", len(spans), sent)
				}
				return
			}
			for _, s := range spans {
				if s.Trace != entry.Trace || s.Kind == "SERVER" && s.Links != tc.links {
					t.Errorf("got %v, want the trace %s and %d links", s, entry.Trace, tc.links)
				}
			}
			if len(spans) != 2 {
				t.Errorf("got %d spans", len(spans))
			}
		})
	}
}

// Sessions, streams, refusals and requests that cannot be read have a span each; strangers have none.
func TestOtherRequestsAreTraced(t *testing.T) {
	w := newWatched(t, nil)
	session := w.session("support")
	w.text(w.post(context.Background(), "support", session, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`))
	w.text(w.post(context.Background(), "support", session, `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"none"}}`))
	w.text(w.post(context.Background(), "support", session, `{"jsonrpc`))
	stream := w.get("support", session)
	eventually(t, "a stream", func() bool { return strings.Contains(w.metrics(), "remit_streams_open 1\n") })
	stream.Body.Close()
	eventually(t, "its end", func() bool { return strings.Contains(w.metrics(), `method="GET"`) })
	w.keys["clerk"] = "wrong"
	w.text(w.post(context.Background(), "clerk", "", call("refund", `{}`)))
	metrics := w.metrics()
	w.end()
	for name, want := range map[string]map[string]string{
		"initialize": {"mcp.method.name": "initialize", "remit.decision": "allowed"},
		"tools/list": {"mcp.method.name": "tools/list", "remit.decision": "allowed", "mcp.session.id": session, "mcp.protocol.version": "2025-11-25", "jsonrpc.request.id": "2"},
		"tools/call": {"mcp.method.name": "tools/call", "remit.decision": "refused", "remit.rule": "find", "mcp.session.id": session, "mcp.protocol.version": "2025-11-25",
			"jsonrpc.request.id": "3", "gen_ai.operation.name": "execute_tool", "remit.revision": "1", "error.type": "-32602", "rpc.response.status_code": "-32602"},
		"unknown": {"mcp.method.name": "unknown", "remit.decision": "refused", "remit.rule": "request", "error.type": "-32700", "rpc.response.status_code": "-32700"},
		"GET":     {"mcp.method.name": "GET", "remit.decision": "allowed", "mcp.session.id": session, "mcp.protocol.version": "2025-11-25"},
	} {
		want["remit.persona"], want["network.transport"] = "support", "tcp"
		if want["mcp.method.name"] == "initialize" {
			want["jsonrpc.request.id"] = "1"
		}
		spans := w.receiver.named(name)
		if len(spans) != 1 {
			t.Errorf("%s: got %d spans", name, len(spans))
			continue
		}
		if diff := cmp.Diff(want, spans[0].Attributes); diff != "" || spans[0].Failed != (want["error.type"] != "") {
			t.Errorf("%s: got other than want: %s (failed: %v)", name, diff, spans[0].Failed)
		}
	}
	if strings.Contains(w.receiver.all, "clerk") || !strings.Contains(metrics, `remit_requests_total{decision="refused",method="unknown",persona="unknown",rule="request"} 1`) {
		t.Errorf("a stranger has a span, or is not counted")
	}
}

// Without telemetry the caller's context goes on as it came, if it is valid; baggage only where that is configured.
func TestTraceContextWithoutTelemetry(t *testing.T) {
	for _, forward := range []bool{false, true} {
		w := newWorld(t, func(c *gateway.Config) { c.ForwardBaggage = forward })
		for members, want := range map[string]map[string]string{
			`,"traceparent":"` + traceparent + `","tracestate":"a=1","baggage":"k=v"`: {"traceparent": traceparent, "tracestate": "a=1", "baggage": "k=v"},
			`,"traceparent":"` + traceparent + `","tracestate":"a=1,a=2"`:             {"traceparent": traceparent},
			`,"traceparent":"` + traceparent + `","tracestate":"send this secret"`:    {"traceparent": traceparent},
			`,"traceparent":"00-0","tracestate":"a=1"`:                                {},
			`,"traceparent":7,"baggage":["x"]`:                                        {},
		} {
			if !forward {
				delete(want, "baggage")
			}
			got := echoed(t, w.text(w.post(context.Background(), "support", "", traced("echo", `{}`, members))))
			delete(got, "io.modelcontextprotocol/protocolVersion")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: got other than want: %s", members, diff)
			}
		}
	}
}

// A call that a rule refuses, limits or masks says which in its span and in the metrics, and no more.
func TestRulesAreToldByName(t *testing.T) {
	w := newWatched(t, nil)
	masked := grant("crm/echo")
	masked[0].Policy = policy.Policy{Mask: []policy.Mask{{Detector: "email", Mode: policy.Redact}, {Path: "/tool", Mode: policy.Redact}}}
	limited := grant("billing/echo")
	limited[0].Policy = policy.Policy{Limits: []policy.Limit{{Calls: 1, Per: policy.Day}}}
	w.revise("support", append(masked, limited...)...)
	w.text(w.post(context.Background(), "support", "", call("echo", `{"text":"ada@example.com"}`)))
	for range 2 {
		w.text(w.post(context.Background(), "support", "", call("billing__echo", `{}`)))
	}
	metrics := w.metrics()
	w.end()
	masks, rules := "", ""
	for _, s := range append(w.receiver.named("tools/call echo"), w.receiver.named("tools/call billing__echo")...) {
		masks += s.Attributes["remit.masks"]
		rules += s.Attributes["remit.rule"]
	}
	if masks != "email;path /tool;" || rules != "limit/limits" {
		t.Errorf("got masks %q and rules %q", masks, rules)
	}
	if steps := w.receiver.named("limit"); len(steps) == 0 || steps[len(steps)-1].Attributes["remit.decision"] != "refused" {
		t.Errorf("got the steps %v, want one that refused", steps)
	}
	for _, want := range []string{
		`remit_calls_total{decision="refused",persona="support",rule="limit/limits",tool="billing/echo"} 1`,
		`remit_calls_total{decision="allowed",persona="support",rule="none",tool="crm/echo"} 1`,
		`remit_masked_calls_total{mask="email",tool="crm/echo"} 1`,
		`remit_limiter_counts 1`, `remit_limiter_calls 1`,
		`remit_upstream_calls_in_flight{server="crm"} 0`,
		`remit_upstream_call_duration_seconds_count{outcome="ok",server="crm"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// An agent that puts a canary everywhere it can finds it in no span and no metric: not in arguments, results, errors, keys, ids,
// names of tools, methods, clients or baggage.
func TestNothingOfACallIsInTelemetry(t *testing.T) {
	w := newWatched(t, nil)
	denied := grant("crm/find_customer", "crm/echo", "crm/leaks", "crm/denies", "crm/error", "crm/die")
	denied[1].Policy = policy.Policy{Mask: []policy.Mask{{Pattern: "canary-[a-z]+", Mode: policy.Hash}}}
	w.revise("support", denied...)
	const c = "canary-bird"
	bodies := []string{
		traced("echo", `{"text":"`+c+`","`+c+`":1}`, `,"baggage":"x=`+c+`","tracestate":"`+c+`","traceparent":"`+c+`","`+c+`":1,"io.modelcontextprotocol/clientInfo":{"name":"`+c+`","version":"`+c+`"}`),
		traced("find_customer", `{"email":"`+c+`"}`, ""),
		traced("find_customer", `{"`+c+`":"`+c+`"}`, ""), // refused, and says where
		traced(c, `{}`, ""),
		traced("leaks", `{}`, ""), traced("denies", `{}`, ""), traced("error", `{"text":"`+c+`"}`, ""), traced("die", `{"text":"`+c+`"}`, ""),
		strings.Replace(traced("echo", `{}`, ""), `"id":7`, `"id":"`+c+`"`, 1),
		strings.Replace(traced("echo", `{}`, ""), `"id":7`, `"id":4111111111111111`, 1),
		strings.Replace(traced("echo", `{}`, ""), `tools/call`, c, 1),
		`{"` + c, `{"jsonrpc":"2.0","method":"notifications/` + c + `"}`,
	}
	for _, body := range bodies {
		w.text(w.post(context.Background(), "support", "", body))
	}
	w.keys["stranger"] = c
	w.text(w.post(context.Background(), "stranger", "", bodies[0]))
	w.keys[c] = w.keys["support"]
	w.text(w.post(context.Background(), c, "", bodies[0]))
	metrics := w.metrics()
	w.end()
	if len(w.receiver.named("tools/call echo")) == 0 || !strings.Contains(metrics, `tool="unknown"`) {
		t.Fatal("nothing was watched: the test shows nothing")
	}
	key := w.keys["support"]
	for _, secret := range []string{c, key, key[len(key)-20:], "of-the-upstream", "Ada", "4111111111111111", "9007199254740993"} {
		for where, text := range map[string]string{"spans": w.receiver.all, "metrics": metrics} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("the %s hold %q: …%s…", where, secret, text[max(0, i-200):min(len(text), i+100)])
			}
		}
	}
}

// Ten thousand invented names, of tools, methods, personas and sessions, make as many series as one of each.
func TestInventedNamesMakeNoSeries(t *testing.T) {
	const names = 10_000
	collector := newReceiver(t)
	tel, err := telemetry.New(context.Background(), telemetry.Config{Metrics: true, TracesEndpoint: collector.URL})
	must(t, err)
	defer tel.Close()
	_, s := newStill(t, 1, 100)
	g := gateway.New(gateway.Config{Personas: s, Keys: s, Current: s.current, Upstreams: tel.Upstreams(s), Audit: tel.Audit(s), Observer: tel.Observer()})
	attack := func(i int) {
		name := fmt.Sprintf("made-up-%d", i)
		body := traced(name, `{}`, "")
		if i%3 == 1 {
			body = strings.Replace(traced("t0", `{}`, ""), "tools/call", name, 1)
		}
		r := benchRequest("p", "k", body)
		if i%3 == 2 {
			r = benchRequest(name, "k", body)
		}
		r.Header.Set("Mcp-Session-Id", name)
		g.ServeHTTP(&discard{http.Header{}}, r)
	}
	for i := range 3 {
		attack(i)
	}
	series := regexp.MustCompile(`(?m)^remit_`)
	before := len(series.FindAllString(scrape(t, tel), -1))
	for i := range names {
		attack(i)
	}
	after := scrape(t, tel)
	if got := len(series.FindAllString(after, -1)); got > before {
		t.Errorf("got %d series, before the attack there were %d", got, before)
	}
	if !strings.Contains(after, `tool="unknown"`) || strings.Contains(after, "made-up") {
		t.Error("the unknown tools are not counted as such")
	}
	tel.Close()
	if sent := collector.all; sent == "" || strings.Contains(sent, "made-up") {
		t.Error("a span has an invented name, or there is none")
	}
}

// An endpoint that hangs and one that is not there change and delay nothing: the calls are answered, what waits is bounded, what
// is lost is counted, and the end is bounded, too.
func TestTracesThatGoNowhere(t *testing.T) {
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hanging.Close()
	defer close(release)
	dead := httptest.NewServer(nil)
	dead.Close()
	for name, url := range map[string]string{"hanging": hanging.URL, "dead": dead.URL} {
		t.Run(name, func(t *testing.T) {
			tel, err := telemetry.New(context.Background(), telemetry.Config{Metrics: true, TracesEndpoint: url})
			must(t, err)
			_, s := newStill(t, 1, 100)
			g := gateway.New(gateway.Config{Personas: s, Keys: s, Current: s.current, Upstreams: tel.Upstreams(s), Audit: tel.Audit(s), Observer: tel.Observer()})
			const calls = 3000 // three spans each: more than may wait
			slowest := time.Duration(0)
			for range calls {
				r := httptest.NewRecorder()
				began := time.Now()
				g.ServeHTTP(r, benchRequest("p", "k", call("t0", `{"text":"hello"}`)))
				if slowest = max(slowest, time.Since(began)); !strings.Contains(r.Body.String(), `"result":{"resultType":"complete"`) {
					t.Fatalf("got %s", r.Body)
				}
			}
			if slowest > 2*time.Second {
				t.Errorf("a call took %s", slowest)
			}
			began := time.Now()
			if tel.Close(); time.Since(began) > 8*time.Second {
				t.Errorf("the end took %s", time.Since(began))
			}
			metrics, lost := scrape(t, tel), 0
			for _, kind := range []string{"failed", "dropped"} {
				var n float64
				if m := regexp.MustCompile(`remit_trace_spans_total\{result="` + kind + `"\} (\S+)`).FindStringSubmatch(metrics); m != nil {
					fmt.Sscan(m[1], &n)
				}
				lost += int(n)
			}
			if lost < 2*calls || !strings.Contains(metrics, `remit_trace_spans_total{result="sent"} 0`) {
				t.Errorf("got %d spans lost of at least %d, or some that were sent", lost, 2*calls)
			}
		})
	}
}
