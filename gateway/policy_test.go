package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/gateway"
	"remit/persona"
	"remit/policy"
)

const refundCall = `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"refund","arguments":{"cents":5},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`

func (w *world) rule(rules policy.Policy) {
	w.t.Helper()
	w.revise("clerk", persona.Grant{Pin: persona.Pin{Tool: catalog.ID("billing/refund")}, Policy: rules})
}

func (w *world) refund(id int) string {
	return w.text(w.post(context.Background(), "clerk", "", fmt.Sprintf(refundCall, id)))
}

// A thousand calls at once against a limit of ten: ten reach the server, and the others are told when to come back.
func TestLimitHoldsUnderManyCalls(t *testing.T) {
	w := newWorld(t, nil)
	w.rule(policy.Policy{Limits: []policy.Limit{{Calls: 10, Per: policy.Day}}})
	var allowed, refused atomic.Int64
	var wait sync.WaitGroup
	next := make(chan int)
	for range 32 {
		wait.Go(func() {
			for i := range next {
				switch text := w.refund(i); {
				case strings.Contains(text, "refunded"):
					allowed.Add(1)
				case strings.Contains(text, "at most 10 a day; try again in"):
					refused.Add(1)
				default:
					t.Errorf("got %s", text)
				}
			}
		})
	}
	for i := range 1000 {
		next <- i + 1
	}
	close(next)
	wait.Wait()
	if allowed.Load() != 10 || refused.Load() != 990 || w.calls() != 10 {
		t.Errorf("got %d allowed, %d refused and %d calls of the server, want 10, 990 and 10", allowed.Load(), refused.Load(), w.calls())
	}
}

// A restart and another revision forget no call.
func TestLimitOutlivesRestartAndRevision(t *testing.T) {
	w := newWorld(t, nil)
	w.rule(policy.Policy{Limits: []policy.Limit{{Calls: 2, Per: policy.Day}}})
	w.refund(1)
	w.refund(2)
	w.rule(policy.Policy{Limits: []policy.Limit{{Calls: 3, Per: policy.Day}}})
	if got := w.refund(3); !strings.Contains(got, "refunded") {
		t.Errorf("got %s", got)
	}
	if got := w.refund(4); !strings.Contains(got, "at most 3 a day") {
		t.Errorf("got %s", got)
	}
	c := gateway.Config{Personas: w.store, Keys: w.people, Current: w.current, Upstreams: gateway.Pool(w.pool), Audit: w.store, Limiter: policy.NewLimiter(w.store)}
	after := gateway.New(c)
	defer after.Close(context.Background())
	w.server.Config.Handler = after
	if got := w.refund(5); !strings.Contains(got, "at most 3 a day") {
		t.Errorf("after a restart: got %s", got)
	}
}

func TestHoursAndSize(t *testing.T) {
	var now atomic.Value
	now.Store(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	w := newWorld(t, func(c *gateway.Config) { c.Now = func() time.Time { return now.Load().(time.Time) } })
	w.rule(policy.Policy{Hours: []policy.Hours{{From: "08:00", To: "18:00"}}, MaxResultBytes: 1000})
	if got := w.refund(1); !strings.Contains(got, "refunded") {
		t.Errorf("got %s", got)
	}
	now.Store(time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC))
	if got := w.refund(2); !strings.Contains(got, "from 08:00 to 18:00 UTC only") {
		t.Errorf("got %s", got)
	}
	now.Store(time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC))
	w.rule(policy.Policy{MaxResultBytes: 20})
	if got := w.refund(3); strings.Contains(got, `"refunded"`) || !strings.Contains(got, "at most 20 are let through") {
		t.Errorf("got %s", got)
	}
	var decided []string
	for _, e := range w.entries() {
		if e.Kind == audit.ToolCall {
			decided = append(decided, string(e.Decision)+" "+e.Policy)
		}
	}
	if want := []string{"allowed ", "refused policy/hours", "failed forward/result size"}; !slices.Equal(decided, want) {
		t.Errorf("got %q in the record, want %q", decided, want)
	}
}

// lost is a record that cannot be read.
type lost struct{}

func (lost) Begun(context.Context, policy.Subject, time.Time, int) ([]time.Time, error) {
	return nil, errDisk
}

// What cannot be counted is not called; tools without a limit go on.
func TestUncountedCallsAreRefused(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Limiter = policy.NewLimiter(lost{}) })
	if got := w.refund(1); !strings.Contains(got, "refunded") {
		t.Errorf("without a limit: got %s", got)
	}
	w.rule(policy.Policy{Limits: []policy.Limit{{Calls: 10, Per: policy.Day}}})
	if got := w.refund(2); !strings.Contains(got, "cannot be checked now") || strings.Contains(got, "disk") || w.calls() != 1 {
		t.Errorf("got %s and %d calls", got, w.calls())
	}
}

// A stored policy that cannot be used, as an older or damaged one may be, takes its tool from the list and refuses its calls.
func TestPolicyThatCannotBeUsed(t *testing.T) {
	o := &outage{}
	w := newWorld(t, func(c *gateway.Config) { o.Personas, c.Personas = c.Personas, o })
	o.policy.Store(true)
	if got := w.text(w.post(t.Context(), "clerk", "", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+meta+`}}`)); strings.Contains(got, `"refund"`) {
		t.Errorf("got %s", got)
	}
	if got := w.refund(1); !strings.Contains(got, "isError") || w.calls() != 0 {
		t.Errorf("got %s and %d calls", got, w.calls())
	}
}
