package telemetry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"remit/audit"
	"remit/catalog/crawl"
	"remit/gateway"
	"remit/internal/strictjson"
	"remit/persona"
	"remit/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Nothing is traced, and nothing reaches the network, unless an endpoint is named.
func TestWanted(t *testing.T) {
	for _, tc := range []struct {
		endpoint string
		env      map[string]string
		traced   bool
		why      string
	}{
		{},
		{endpoint: "http://c:4318", traced: true},
		{env: map[string]string{"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}},
		{env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, traced: true},
		{env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, traced: true},
		{endpoint: "http://c:4318", env: map[string]string{"OTEL_SDK_DISABLED": "TRUE"}, why: "OTEL_SDK_DISABLED"},
		{endpoint: "http://c:4318", env: map[string]string{"OTEL_TRACES_EXPORTER": "none"}, why: "OTEL_TRACES_EXPORTER"},
		{env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, why: "http/protobuf"},
		{endpoint: "http://c:4318", env: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, traced: true},
		{env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, traced: true},
	} {
		traced, why := wanted(tc.endpoint, func(name string) string { return tc.env[name] })
		if traced != tc.traced || !strings.Contains(why, tc.why) || (why == "") != (tc.why == "") {
			t.Errorf("%q %v: got %v %q, want %v %q", tc.endpoint, tc.env, traced, why, tc.traced, tc.why)
		}
	}
}

// Telemetry that is off is nil, and everything of it can be used.
func TestOff(t *testing.T) {
	off, err := New(context.Background(), Config{})
	if err != nil || off != nil {
		t.Fatalf("got %v %v", off, err)
	}
	if off.Observer() != nil || off.Audit(nil) != nil || off.Upstreams(nil) != nil {
		t.Error("what is off wraps something")
	}
	off.Watch(State{})
	off.Crawled("crm", time.Second, nil)
	off.Close()
}

// everything has every metric counted once.
func everything(t *testing.T) *Telemetry {
	tel, err := New(context.Background(), Config{Metrics: true, Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	o := tel.Observer()
	seen := &gateway.Observation{Began: time.Now(), Method: "tools/call", Persona: "p", Tool: "crm/find", Decision: audit.Allowed, Masks: []string{"email"}}
	o.Step(o.Begin(context.Background(), seen), "pin", time.Now(), false)
	o.End(context.Background(), seen)
	tel.upstreamTime.WithLabelValues("crm", "ok").Observe(1)
	for _, err := range []error{errors.New("full"), nil, context.Canceled} {
		_ = tel.Audit(nil).(record).wrote("append", time.Now(), err)
	}
	tel.Crawled("crm", time.Second, errors.New("down"))
	tel.Watch(State{Gateway: func() gateway.Stats { return gateway.Stats{Requests: 3, Streams: 2, Sessions: 1} },
		Servers: func() []crawl.ServerStatus {
			return []crawl.ServerStatus{{Server: "crm", Tools: 4, LastCrawl: time.UnixMilli(1500), Health: upstream.Health{State: upstream.Ready, Restarts: 2, InFlight: 5}}, {Server: "erp"}}
		}, Tools: func() int { return 4 }, Limits: func() (int, int) { return 6, 60 },
		Frozen: func(context.Context) (int, error) { return 7, nil }, StoreBytes: func(context.Context) (int64, error) { return 8, nil },
		Suspensions: func(context.Context) ([]persona.Suspension, error) {
			return []persona.Suspension{{Target: persona.Target{Kind: persona.OneTool}}}, nil
		}})
	return tel
}

// Names, units and help are as Prometheus asks for.
func TestNamesOfMetrics(t *testing.T) {
	tel := everything(t)
	problems, err := testutil.GatherAndLint(tel.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// The documentation names every metric, and none that is not there.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	families, err := everything(t).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(remit_[a-z_]+)` \\| ([a-z_, ]*) ?\\|").FindAllStringSubmatch(string(text), -1) {
		got = append(got, m[1]+" "+strings.TrimSpace(m[2]))
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "remit_") {
			continue
		}
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		want = append(want, f.GetName()+" "+strings.Join(labels, ", "))
	}
	sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	if diff := cmp.Diff(sameLabels(want), sameLabels(got), sorted); diff != "" {
		t.Errorf("the documentation has other metrics than there are: %s", diff)
	}
}

// sameLabels sorts the labels of each.
func sameLabels(all []string) (out []string) {
	for _, one := range all {
		name, labels, _ := strings.Cut(one, " ")
		each := strings.Split(labels, ", ")
		slices.Sort(each)
		out = append(out, name+" "+strings.Join(each, ", "))
	}
	return out
}

func scrape(tel *Telemetry) (int, string) {
	r := httptest.NewRecorder()
	tel.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return r.Code, r.Body.String()
}

func TestState(t *testing.T) {
	_, text := scrape(everything(t))
	for _, want := range []string{"remit_requests_in_flight 1", "remit_streams_open 2", "remit_sessions_open 1", "remit_catalog_tools 4", "remit_limiter_counts 6", "remit_limiter_calls 60",
		"remit_frozen_grants 7", "remit_store_size_bytes 8", `remit_suspensions{kind="tool"} 1`, `remit_suspensions{kind="server"} 0`, `remit_upstream_up{server="crm"} 1`,
		`remit_upstream_up{server="erp"} 0`, `remit_upstream_restarts_total{server="crm"} 2`, `remit_upstream_calls_in_flight{server="crm"} 5`,
		`remit_upstream_tools{server="crm"} 4`, `remit_upstream_last_listed_timestamp_seconds{server="crm"} 1.5`, `remit_crawl_failures_total{server="crm"} 1`,
		`remit_audit_write_failures_total{operation="append"} 1`, "go_goroutines ", "process_cpu_seconds_total ", `remit_build_info{go_version=`} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// A database that cannot be read takes its own metrics away, and no others.
func TestScrapeOfABrokenStore(t *testing.T) {
	tel, err := New(context.Background(), Config{Metrics: true})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is gone")
	tel.Watch(State{Gateway: func() gateway.Stats { return gateway.Stats{} }, Servers: func() []crawl.ServerStatus { return nil }, Tools: func() int { return 4 },
		Limits: func() (int, int) { return 0, 0 }, Frozen: func(context.Context) (int, error) { return 0, broken },
		StoreBytes:  func(context.Context) (int64, error) { return 0, broken },
		Suspensions: func(context.Context) ([]persona.Suspension, error) { return nil, broken }})
	scrape(tel)
	code, text := scrape(tel)
	if code != http.StatusOK || !strings.Contains(text, "remit_catalog_tools 4") || strings.Contains(text, "remit_frozen_grants 0") ||
		!strings.Contains(text, `promhttp_metric_handler_errors_total{cause="gathering"} 1`) {
		t.Errorf("got %d %s", code, text)
	}
}

func TestOutcome(t *testing.T) {
	for _, tc := range []struct {
		result      string
		err         error
		class, kind string
	}{
		{`{"content":[]}`, nil, "", "ok"},
		{`{"content":[],"isError":true}`, nil, "tool_error", "tool_error"},
		{``, &upstream.RPCError{Code: -32001}, "-32001", "rpc_error"},
		{``, context.Canceled, "cancelled", "cancelled"},
		{``, upstream.ErrTimeout, "timeout", "timeout"},
		{``, errors.New("canary"), "_OTHER", "other"},
	} {
		if class, kind := outcome(strictjson.Unread(tc.result), tc.err); class != tc.class || kind != tc.kind {
			t.Errorf("%s %v: got %q %q, want %q %q", tc.result, tc.err, class, kind, tc.class, tc.kind)
		}
	}
}
