package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/gateway"
	"remit/identity"
	"remit/persona"
	"remit/upstream"
)

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// post sends a request of the stateless era, or of a session.
func (w *world) post(ctx context.Context, id, session, body string, header ...string) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.server.URL+w.door+id+"/mcp", strings.NewReader(body))
	must(w.t, err)
	r.Header.Set("Authorization", "Bearer "+w.keys[id])
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if session != "" {
		r.Header.Set("Mcp-Session-Id", session)
	} else {
		var m struct {
			Method string
			Params struct{ Name string }
		}
		_ = json.Unmarshal([]byte(body), &m) // what is no JSON has no headers
		r.Header.Set("MCP-Protocol-Version", "2026-07-28")
		r.Header.Set("Mcp-Method", m.Method)
		r.Header.Set("Mcp-Name", m.Params.Name)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := client.Do(r)
	if err != nil {
		if ctx.Err() == nil {
			w.t.Fatal(err)
		}
		return nil
	}
	return answer
}

func (w *world) text(r *http.Response) string {
	w.t.Helper()
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	must(w.t, err)
	return string(body)
}

func call(name, arguments string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s,%s}}`, name, arguments, meta)
}

func (w *world) session(id string) string {
	w.t.Helper()
	r := w.post(w.t.Context(), id, "", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","clientInfo":{"name":"test","version":"1"}}}`)
	defer r.Body.Close()
	return r.Header.Get("Mcp-Session-Id")
}

func (w *world) cancelled() int { return w.fakes["crm"].Stats().Cancelled }

func lastEntry(w *world) string {
	all := w.entries()
	if len(all) == 0 {
		return ""
	}
	e := all[len(all)-1]
	return fmt.Sprintf("%s %s: %s", e.Decision, e.Tool, e.Reason)
}

func TestLeavingCancelsTheCall(t *testing.T) {
	w := newWorld(t, nil)
	ctx, leave := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { w.post(ctx, "support", "", call("slow", "{}")) })
	eventually(t, "the call reaches the server", func() bool { return w.calls() == 1 })
	leave()
	done.Wait()
	eventually(t, "the server hears of it", func() bool { return w.cancelled() == 1 })
	eventually(t, "the record", func() bool { return lastEntry(w) == "failed crm/slow: the client closed the connection" })
}

func TestCancelledNotificationCancelsTheCall(t *testing.T) {
	w := newWorld(t, nil)
	session := w.session("support")
	var done sync.WaitGroup
	var body string
	done.Go(func() {
		body = w.text(w.post(t.Context(), "support", session, `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"slow"}}`))
	})
	eventually(t, "the call reaches the server", func() bool { return w.calls() == 1 })

	again := w.text(w.post(t.Context(), "support", session, `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"slow"}}`))
	if !strings.Contains(again, "in flight") {
		t.Errorf("the same id again: got %s", again)
	}
	other := w.session("support")
	cancel := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}`
	w.text(w.post(t.Context(), "support", other, cancel))
	if got := w.cancelled(); got != 0 {
		t.Errorf("another session's notification: got %d calls cancelled, want 0", got)
	}
	w.text(w.post(t.Context(), "support", session, cancel))
	done.Wait()
	if body != "" {
		t.Errorf("got the response %q to a cancelled request, want none", body)
	}
	eventually(t, "the server hears of it", func() bool { return w.cancelled() == 1 })
	if got, want := lastEntry(w), "failed crm/slow: the client cancelled the call"; got != want {
		t.Errorf("got entry %q, want %q", got, want)
	}
}

func TestLostConnectionOfASessionIsNoCancellation(t *testing.T) {
	w := newWorld(t, nil)
	session := w.session("support")
	ctx, leave := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		w.post(ctx, "support", session, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{"ms":300}}}`)
	})
	eventually(t, "the call reaches the server", func() bool { return w.calls() == 1 })
	leave()
	done.Wait()
	eventually(t, "the record", func() bool { return lastEntry(w) == "allowed crm/slow: " })
}

func TestBodyLimit(t *testing.T) {
	w := newWorld(t, nil)
	for name, body := range map[string]io.Reader{
		"with a length": strings.NewReader(strings.Repeat(" ", 1<<20+1)),
		"chunked":       io.MultiReader(strings.NewReader(strings.Repeat("[", 1<<20)), strings.NewReader("[")),
	} {
		r, err := http.NewRequest(http.MethodPost, w.server.URL+"/k/support/mcp", body)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+w.keys["support"])
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		must(t, err)
		if w.text(answer); answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: got %d, want 413", name, answer.StatusCode)
		}
	}
}

// Nothing of the client's headers reaches a server: neither its key nor its cookies, only the server's own credential.
func TestInboundCredentialsStay(t *testing.T) {
	w := newWorld(t, nil)
	got := w.text(w.post(t.Context(), "support", "", call("echo", "{}"), "Cookie", "canary=1", "X-Canary", "canary", "Proxy-Authorization", "canary"))
	if !strings.Contains(got, `"result"`) {
		t.Fatalf("got %s", got)
	}
	header := fmt.Sprint(w.fakes["crm"].Stats().CallHeader)
	if strings.Contains(header, "canary") || strings.Contains(header, w.keys["support"]) || !strings.Contains(header, "Bearer of-the-upstream") {
		t.Errorf("got headers %s", header)
	}
	for _, e := range w.entries() {
		if text := fmt.Sprint(e); strings.Contains(text, w.keys["support"]) || strings.Contains(text, "of-the-upstream") {
			t.Errorf("got a secret in the record: %s", text)
		}
	}
}

// outage is the world's store while parts of it fail.
type outage struct {
	audit.Log
	gateway.Personas
	gateway.Keys
	begin, finish, add, persona, key, frozen, stopped atomic.Bool
	damage, policy                                    atomic.Bool // of the stored definitions and policies
}

var errDisk = errors.New("the disk is full")

func (o *outage) Begin(ctx context.Context, e audit.Entry) (audit.Ticket, error) {
	if o.begin.Load() {
		return 0, errDisk
	}
	return o.Log.Begin(ctx, e)
}

func (o *outage) Finish(ctx context.Context, t audit.Ticket, e audit.Entry) error {
	if o.finish.Load() {
		return errDisk
	}
	return o.Log.Finish(ctx, t, e)
}

func (o *outage) Append(ctx context.Context, e audit.Entry) error {
	if o.add.Load() {
		return errDisk
	}
	return o.Log.Append(ctx, e)
}

func (o *outage) Persona(ctx context.Context, id persona.ID) (persona.Persona, error) {
	if o.persona.Load() {
		return persona.Persona{}, errDisk
	}
	p, err := o.Personas.Persona(ctx, id)
	p.Revisions = slices.Clone(p.Revisions)
	for i := range p.Revisions {
		p.Revisions[i].Grants = slices.Clone(p.Revisions[i].Grants)
	}
	if o.damage.Load() {
		for _, r := range p.Revisions {
			r.Grants[0].Definition = bytes.Replace(r.Grants[0].Definition, []byte("Finds"), []byte("Steals"), 1)
		}
	}
	if o.policy.Load() {
		for _, r := range p.Revisions {
			r.Grants[0].Policy.Concurrent = -1
		}
	}
	return p, err
}

func (o *outage) Frozen(ctx context.Context, id persona.ID, revision int, pin persona.Pin) (time.Time, bool, error) {
	if o.frozen.Load() {
		return time.Time{}, false, errDisk
	}
	return o.Personas.Frozen(ctx, id, revision, pin)
}

func (o *outage) Suspensions(ctx context.Context) ([]persona.Suspension, error) {
	if o.stopped.Load() {
		return nil, errDisk
	}
	return o.Personas.Suspensions(ctx)
}

func (o *outage) Authenticate(ctx context.Context, secret string, from netip.Addr) (identity.Principal, error) {
	if o.key.Load() {
		return identity.Principal{}, errDisk
	}
	return o.Keys.Authenticate(ctx, secret, from)
}

// TestFailureRefuses is the matrix: whatever fails, nothing is let through that is not decided and recorded.
func TestFailureRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		fail   func(*outage)
		status int
		want   string
		calls  int // that reached the server
	}{
		"intent not recorded":  {func(o *outage) { o.begin.Store(true) }, 200, "could not be recorded, so it was not made", 0},
		"outcome not recorded": {func(o *outage) { o.finish.Store(true) }, 200, "its answer is withheld. It may have taken effect", 1},
		"persona not readable": {func(o *outage) { o.persona.Store(true) }, 200, "cannot be read now, so nothing is allowed", 0},
		"freeze not readable":  {func(o *outage) { o.frozen.Store(true) }, 200, "cannot be read now, so it is not called", 0},
		"stop not readable":    {func(o *outage) { o.stopped.Store(true) }, 200, "suspended cannot be read now, so nothing is allowed", 0},
		"key not checkable":    {func(o *outage) { o.key.Store(true) }, 503, "cannot be checked now", 0},
		"pin damaged":          {func(o *outage) { o.damage.Store(true) }, 200, "stored definition of this tool is damaged", 0},
		"nothing recorded":     {func(o *outage) { o.add.Store(true); o.begin.Store(true) }, 200, "could not be recorded", 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := &outage{}
			w := newWorld(t, func(c *gateway.Config) {
				o.Log, o.Personas, o.Keys = c.Audit, c.Personas, c.Keys
				c.Audit, c.Personas, c.Keys = o, o, o
			})
			tc.fail(o)
			r := w.post(t.Context(), "support", "", call("find_customer", `{"email":"a"}`))
			got := w.text(r)
			if r.StatusCode != tc.status || !strings.Contains(got, tc.want) || strings.Contains(got, "Ada") || strings.Contains(got, "disk") {
				t.Errorf("got %d %s, want %d with %q", r.StatusCode, got, tc.status, tc.want)
			}
			if w.calls() != tc.calls {
				t.Errorf("got %d calls at the server, want %d", w.calls(), tc.calls)
			}
		})
	}
}

// late takes a while to record what begins.
type late struct {
	audit.Log
	begun func()
}

func (l *late) Begin(ctx context.Context, e audit.Entry) (audit.Ticket, error) {
	defer l.begun()
	return l.Log.Begin(ctx, e)
}

// A call whose intent took so long to record that its key may have been revoked meanwhile is not forwarded, and the record says so.
func TestLateRecordRefuses(t *testing.T) {
	l := &late{}
	var w *world
	account := time.Duration(0)
	w = newWorld(t, func(c *gateway.Config) {
		l.Log, c.Audit = c.Audit, l
		c.Account = func(context.Context, string, upstream.Subject) error { w.ahead.Add(int64(account)); return nil }
	})
	for _, tc := range []struct {
		before, takes time.Duration // until it is recorded, and to record it
		want          string
		calls         int // that reached the server until then
		as            audit.Decision
	}{{0, 19 * time.Second, "Ada", 1, audit.Allowed}, {0, 21 * time.Second, "took so long to record", 1, audit.Refused},
		{19 * time.Second, 0, "Ada", 2, audit.Allowed}, {21 * time.Second, 0, "took so long to find out whether the call may be made", 2, audit.Refused}} {
		account = tc.before
		l.begun = func() { w.ahead.Add(int64(tc.takes)) }
		got := w.text(w.post(t.Context(), "support", "", call("find_customer", `{"email":"a"}`)))
		entries := w.entries()
		if last := entries[len(entries)-1]; !strings.Contains(got, tc.want) || w.calls() != tc.calls || last.Decision != tc.as {
			t.Errorf("recorded after %v and %v: got %s and %d calls, recorded as %s", tc.before, tc.takes, got, w.calls(), last.Decision)
		}
	}
}

func TestDamagedPinIsNotListed(t *testing.T) {
	o := &outage{}
	w := newWorld(t, func(c *gateway.Config) { o.Personas, c.Personas = c.Personas, o })
	o.damage.Store(true)
	got := w.text(w.post(t.Context(), "support", "", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+meta+`}}`))
	if strings.Contains(got, "find_customer") || !strings.Contains(got, `{"tools":[{"name":"echo"`) {
		t.Errorf("got %s", got)
	}
}

// A flood without a key writes ten entries a second and one that counts the rest.
func TestFloodOfStrangers(t *testing.T) {
	w := newWorld(t, nil)
	for range 300 {
		r, err := http.Post(w.server.URL+"/k/support/mcp", "application/json", strings.NewReader("{}"))
		must(t, err)
		w.text(r)
	}
	client.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	must(t, w.gateway.Close(t.Context()))
	entries, counted := w.entries(), 0
	for _, e := range entries {
		var n int
		if _, err := fmt.Sscan(e.Detail["suppressed"], &n); err == nil {
			counted += n - 1
		}
	}
	if got := len(entries) + counted; got != 300 {
		t.Errorf("got %d refusals recorded, want 300", got)
	}
	if len(entries) > 120 {
		t.Errorf("got %d entries", len(entries))
	}
}

// A flood with a valid key writes a hundred entries a minute, in its name, and one that counts the rest.
func TestFloodWithAKey(t *testing.T) {
	w := newWorld(t, nil)
	for range 300 {
		w.text(w.post(t.Context(), "support", "", `{"jsonrpc":"2.0","id":1,"method":"prompts/list","params":{`+meta+`}}`))
	}
	w.text(w.post(t.Context(), "clerk", "", `{"jsonrpc":"2.0","id":1,"method":"prompts/list","params":{`+meta+`}}`)) // is not drowned
	must(t, w.gateway.Close(t.Context()))
	got := map[string]int{}
	for _, e := range w.entries() {
		got[e.Persona+" "+e.Key+" "+e.Detail["suppressed"]]++
	}
	want := map[string]int{"support " + w.ids["support"] + " ": 100, "support " + w.ids["support"] + " 200": 1, "clerk " + w.ids["clerk"] + " ": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestSessionsOfAKeyAreBounded(t *testing.T) {
	var now atomic.Int64
	w := newWorld(t, func(c *gateway.Config) {
		c.Now = func() time.Time { return time.Unix(1_800_000_000+now.Load(), 0) }
		c.SessionIdle = time.Minute
	})
	first := w.session("clerk")
	for range 1000 {
		w.session("support")
	}
	if got := w.gateway.Sessions(); got != 65 {
		t.Errorf("got %d sessions after 1,001 handshakes, want 64 and 1", got)
	}
	now.Add(61)
	r := w.post(t.Context(), "clerk", first, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if w.text(r); r.StatusCode != http.StatusNotFound {
		t.Errorf("an idle session: got %d, want 404", r.StatusCode)
	}
	w.session("clerk")
	if got := w.gateway.Sessions(); got != 1 {
		t.Errorf("got %d sessions after all were idle, want 1", got)
	}
}

func TestCloseEndsCallsThatHang(t *testing.T) {
	w := newWorld(t, nil)
	session := w.session("support")
	var done sync.WaitGroup
	var got string
	done.Go(func() {
		got = w.text(w.post(context.Background(), "support", session, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}`))
	})
	eventually(t, "the call reaches the server", func() bool { return w.calls() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := w.gateway.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
	done.Wait()
	if !strings.Contains(got, "shut down") {
		t.Errorf("got %s", got)
	}
}

func TestCallTimeout(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.CallTimeout = time.Second })
	got := w.text(w.post(t.Context(), "support", "", call("slow", "{}")))
	if !strings.Contains(got, "did not answer in time") {
		t.Errorf("got %s", got)
	}
	if !strings.HasPrefix(lastEntry(w), "failed crm/slow: ") {
		t.Errorf("got entry %s", lastEntry(w))
	}
}
