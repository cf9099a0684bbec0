package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"remit/gateway"
	"remit/internal/telemetry"
	"remit/policy"
)

// receiver is a collector that takes OTLP over HTTP and keeps every span.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*wire.Span
	all   string // of every request, as text
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		var m collector.ExportTraceServiceRequest
		if err != nil || q.URL.Path != "/v1/traces" || proto.Unmarshal(body, &m) != nil {
			t.Errorf("got %s of %d bytes, which is no OTLP: %v", q.URL, len(body), err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all += prototext.Format(&m)
		for _, of := range m.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(r.Close)
	t.Cleanup(r.CloseClientConnections)
	return r
}

// span is one as a test reads it.
type span struct {
	ID, Parent, Trace, State string
	Kind                     string
	Links                    int
	Attributes               map[string]string
	Failed                   bool
}

// named returns the spans of a name, oldest first.
func (r *receiver) named(name string) (out []span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.Name != name {
			continue
		}
		found := span{ID: fmt.Sprintf("%x", s.SpanId), Parent: fmt.Sprintf("%x", s.ParentSpanId), Trace: fmt.Sprintf("%x", s.TraceId), State: s.TraceState,
			Kind: strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"), Links: len(s.Links), Attributes: map[string]string{},
			Failed: s.Status.GetCode() == wire.Status_STATUS_CODE_ERROR}
		for _, a := range s.Attributes {
			switch v := a.Value; {
			case v.GetArrayValue() != nil:
				for _, one := range v.GetArrayValue().Values {
					found.Attributes[a.Key] += one.GetStringValue() + ";"
				}
			case v.GetStringValue() != "":
				found.Attributes[a.Key] = v.GetStringValue()
			default:
				found.Attributes[a.Key] = fmt.Sprint(v.GetIntValue())
			}
		}
		out = append(out, found)
	}
	return out
}

// watched is a world whose requests are counted and traced to a receiver. Its spans are there after end.
type watched struct {
	*world
	receiver  *receiver
	telemetry *telemetry.Telemetry
	limiter   *policy.Limiter
}

func newWatched(t *testing.T, change func(*gateway.Config)) *watched {
	t.Helper()
	w := &watched{receiver: newReceiver(t)}
	var err error
	w.telemetry, err = telemetry.New(context.Background(), telemetry.Config{Metrics: true, TracesEndpoint: w.receiver.URL, Version: "1"})
	must(t, err)
	t.Cleanup(w.telemetry.Close)
	w.limiter = policy.NewLimiter(nil)
	w.world = newWorld(t, func(c *gateway.Config) {
		c.Limiter = w.limiter
		c.Observer, c.Upstreams, c.Audit = w.telemetry.Observer(), w.telemetry.Upstreams(c.Upstreams), w.telemetry.Audit(c.Audit)
		if change != nil {
			change(c)
		}
	})
	w.telemetry.Watch(telemetry.State{Gateway: w.gateway.Stats, Servers: w.crawler.Status, Tools: func() int { return len(w.catalog.Tools()) },
		Limits: w.limiter.Kept, Frozen: func(context.Context) (int, error) { return 0, nil }, Suspensions: w.store.Suspensions, StoreBytes: w.store.Size})
	return w
}

// end sends what was traced, and fails unless it was sent soon.
func (w *watched) end() {
	w.t.Helper()
	w.server.Close() // no handler runs any more
	began := time.Now()
	if w.telemetry.Close(); time.Since(began) > 4*time.Second {
		w.t.Errorf("the traces were flushed in %s", time.Since(began))
	}
}

func (w *watched) metrics() string { w.t.Helper(); return scrape(w.t, w.telemetry) }

func scrape(t testing.TB, of *telemetry.Telemetry) string {
	t.Helper()
	r := httptest.NewRecorder()
	of.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if r.Code != http.StatusOK {
		t.Fatalf("got %d %s", r.Code, r.Body)
	}
	return r.Body.String()
}

// traced is a modern call whose _meta has further members.
func traced(name, arguments, members string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + name + `","arguments":` + arguments + `,` +
		strings.TrimSuffix(meta, "}") + members + `}}}`
}

// echoed is the _meta that the server crm was sent, as its tool echo repeats it.
func echoed(t *testing.T, answer string) (meta map[string]string) {
	t.Helper()
	var a struct {
		Result struct {
			StructuredContent struct{ Meta map[string]json.RawMessage }
		}
	}
	must(t, json.Unmarshal([]byte(answer), &a))
	meta = map[string]string{}
	for name, raw := range a.Result.StructuredContent.Meta {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			meta[name] = text
		}
	}
	return meta
}
