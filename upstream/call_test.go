package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/internal/fakemcp"
	"remit/internal/strictjson"
)

// odd is what a round trip through Go structs would change.
const odd = `{"z":1,"content":[{"type":"hologram","data":"x","n":12345678901234567890},{"type":"text","text":"<b>&amp;\u2028é"}],"structuredContent":[1.0,1e3,-0.0,null],"_meta":{"b":1,"a":2},"isError":false,"vendor/x":{"$schema":"y"}}`

func TestListGivesTheDefinitionsAsReceived(t *testing.T) {
	tools := []json.RawMessage{
		json.RawMessage(`{"name":"b","x-unknown":{"n":12345678901234567890},"inputSchema":{"type":"object","$schema":"s","if":{},"then":{},"unevaluatedProperties":false,"minimum":1.0}}`),
		json.RawMessage(`{"name":"a","description":"<i>\u0041 é","icons":[{"src":"data:,"}],"execution":{"taskSupport":"optional"},"inputSchema":{}}`),
		json.RawMessage(`{"name":"a"}`),
	}
	eachKind(t, func(t *testing.T, k kind) {
		for _, size := range []int{0, 1, 2} {
			c := k.reach(t, fakemcp.Config{Tools: tools, PageSize: size})
			got, err := one(t, c).List(within(t))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tools, got.Tools); diff != "" {
				t.Errorf("page size %d (-want +got):\n%s", size, diff)
			}
			if want := map[int]int{0: 1, 1: 3, 2: 2}[size]; got.Pages != want {
				t.Errorf("page size %d: got %d pages, want %d", size, got.Pages, want)
			}
		}
	})
}

func TestCallGivesTheResultAsReceived(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		s := one(t, k.reach(t, fakemcp.Config{Results: map[string]json.RawMessage{"odd": json.RawMessage(odd)}}))
		got, err := s.Call(within(t), Call{Tool: "odd", Arguments: strictjson.Unread(`{"n":12345678901234567890}`)})
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != odd {
			t.Errorf("got  %s\nwant %s", got, odd)
		}
	})
}

func TestCallSendsArgumentsAndMeta(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		s := one(t, k.reach(t, fakemcp.Config{}))
		raw, err := s.Call(within(t), Call{Tool: "echo", Arguments: strictjson.Unread(`{"n":12345678901234567890,"f":1.0}`),
			Meta: map[string]json.RawMessage{"traceparent": json.RawMessage(`"00-ab"`), "progressToken": json.RawMessage(`9`)}})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			StructuredContent struct {
				Arguments json.RawMessage
				Meta      map[string]json.RawMessage
			}
		}
		if err := json.Unmarshal(raw.Text, &got); err != nil {
			t.Fatal(err)
		}
		if got, want := string(got.StructuredContent.Arguments), `{"n":12345678901234567890,"f":1.0}`; got != want {
			t.Errorf("arguments: got %s, want %s", got, want)
		}
		meta := got.StructuredContent.Meta
		if string(meta["traceparent"]) != `"00-ab"` || meta["progressToken"] != nil {
			t.Errorf("got meta %s, want the traceparent and no token that nobody asked for", meta)
		}
		if _, modern := meta["io.modelcontextprotocol/protocolVersion"]; modern != (k.era != fakemcp.Legacy && k.era != "2025-03-26") {
			t.Errorf("got meta %s in era %s", meta, k.era)
		}
	})
}

func TestProgressReachesItsCall(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		s := one(t, k.reach(t, fakemcp.Config{}))
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				var got []string
				_, err := s.Call(within(t), Call{Tool: "progress", Progress: func(params json.RawMessage) {
					var p struct {
						Message string
						Total   json.RawMessage
					}
					if json.Unmarshal(params, &p) == nil {
						got = append(got, p.Message+" "+string(p.Total))
					}
				}})
				if err != nil {
					t.Error(err)
				}
				want := []string{"step 1 12345678901234567890", "step 2 12345678901234567890", "step 3 12345678901234567890"}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
		group.Wait()
	})
}

func TestErrorsComeCleanAndWhole(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		s := one(t, k.reach(t, fakemcp.Config{}))
		_, err := s.Call(within(t), Call{Tool: "error"})
		var got *RPCError
		if !errors.As(err, &got) {
			t.Fatalf("got %v, want an RPCError", err)
		}
		if got.Code != -32050 || string(got.Data) != `{"big":12345678901234567890}` {
			t.Errorf("got %d with %s", got.Code, got.Data)
		}
		if !strings.HasPrefix(got.Message, "it broke badly yyy") || len(got.Message) > 500 {
			t.Errorf("got %d bytes: %q", len(got.Message), got.Message)
		}
		if want := `"it \u001b[31mbroke\u001b[0m\u0000 badly ` + strings.Repeat("y", 2000) + `"`; string(got.Text) != want {
			t.Errorf("got %d bytes of text: %s", len(got.Text), got.Text)
		}
		if _, err := s.Call(within(t), Call{Tool: "no such tool é"}); !errors.As(err, &got) || got.Code != -32602 {
			t.Errorf("got %v, want error -32602", err)
		}
	})
}

func TestCancelReachesTheServer(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		s := one(t, k.reach(t, fakemcp.Config{}))
		until(t, s, "ready", isReady)
		ctx, cancel := context.WithCancel(within(t))
		done := make(chan error, 1)
		go func() {
			_, err := s.Call(ctx, Call{Tool: "slow"})
			done <- err
		}()
		waitFor(t, "the call arrives", func() bool { return statsOf(t, s).ByTool["slow"] == 1 })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want cancelled", err)
		}
		waitFor(t, "the server hears of it", func() bool { return statsOf(t, s).Cancelled == 1 })
	})
}

func TestCallTimesOut(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := k.reach(t, fakemcp.Config{})
		c.CallTimeout = 300 * time.Millisecond
		s := one(t, c)
		until(t, s, "ready", isReady)
		if _, err := s.Call(within(t), Call{Tool: "slow"}); !errors.Is(err, ErrTimeout) {
			t.Errorf("got %v, want a time-out", err)
		}
		waitFor(t, "the server hears of it", func() bool { return statsOf(t, s).Cancelled == 1 })
		ctx, cancel := context.WithTimeout(within(t), 50*time.Millisecond)
		defer cancel()
		if _, err := s.Call(ctx, Call{Tool: "slow"}); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the caller's deadline", err)
		}
	})
}

func TestCallsInFlightAreLimited(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := k.reach(t, fakemcp.Config{})
		c.Concurrency = 2
		s := one(t, c)
		until(t, s, "ready", isReady)
		ctx, cancel := context.WithCancel(within(t))
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() { _, _ = s.Call(ctx, Call{Tool: "slow"}) })
		}
		waitFor(t, "two calls in flight", func() bool { return s.Health().InFlight == 2 })
		short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
		defer stop()
		if _, err := s.Call(short, Call{Tool: "echo"}); !errors.Is(err, ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want busy", err)
		}
		cancel()
		group.Wait()
		if _, err := s.Call(within(t), Call{Tool: "echo"}); err != nil {
			t.Error(err)
		}
	})
}

func TestAnswerOverTheLimitFailsThatCallOnly(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := k.reach(t, fakemcp.Config{})
		c.MaxMessage = 100_000
		s := one(t, c)
		_, err := s.Call(within(t), Call{Tool: "big", Arguments: strictjson.Unread(`{"bytes":3000000}`)})
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v, want too large", err)
		}
		raw, err := s.Call(within(t), Call{Tool: "big", Arguments: strictjson.Unread(`{"bytes":90000}`)})
		if err != nil || !bytes.Contains(raw.Text, []byte("xxx")) {
			t.Errorf("got %v after it, want an answer", err)
		}
		if got := s.Health(); got.Restarts != 0 {
			t.Errorf("got %d restarts, want none", got.Restarts)
		}
	})
}

func TestServersRequestsAreRefused(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		raw, err := one(t, k.reach(t, fakemcp.Config{})).Call(within(t), Call{Tool: "ask"})
		if err != nil {
			t.Fatal(err)
		}
		got := textOf(t, raw)
		if got == "asked" {
			return // the newer era: nobody replies
		}
		if !strings.Contains(got, `"id":"ask-1","result":{}`) || !strings.Contains(got, `"id":7000,"error":{"code":-32601`) {
			t.Errorf("got the replies %s, want a result for the ping and a refusal for sampling", got)
		}
	})
}

func TestChangesAreAnnounced(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		s := one(t, k.reach(t, fakemcp.Config{}))
		heard := make(chan struct{}, 100)
		s.OnListChanged(func() { heard <- struct{}{} })
		before, err := s.List(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if k.http || k.era != fakemcp.Legacy { // there the stream opens after the connect
			waitFor(t, "the stream is open", func() bool { return statsOf(t, s).Listeners == 1 })
		}
		for len(heard) > 0 {
			<-heard
		}
		if _, err := s.Call(within(t), Call{Tool: "change"}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-heard:
		case <-within(t).Done():
			t.Fatal("not announced")
		}
		after, err := s.List(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(after.Tools), len(before.Tools)+1; got != want {
			t.Errorf("got %d tools, want %d", got, want)
		}
	})
}

func TestPingAndHealth(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		s := one(t, k.reach(t, fakemcp.Config{Name: "evil\x1b[31m\u202ename", Instructions: "be\x00 \x1b]0;title\x07nice"}))
		h := until(t, s, "ready", isReady)
		if err := s.Ping(within(t)); err != nil {
			t.Error(err)
		}
		want := Health{State: Ready, Since: h.Since, ServerName: "evilname", ServerVersion: "1.2.3", Instructions: "be nice", Protocol: k.era, PID: h.PID, LastStderr: h.LastStderr}
		if k.era == fakemcp.Both {
			want.Protocol = fakemcp.Modern
		}
		if diff := cmp.Diff(want, h); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if (h.PID == 0) != k.http {
			t.Errorf("got process %d", h.PID)
		}
	})
}

// Log messages come to the call on whose stream they were sent, and to no other. A server of the older era is asked for the
// most that any call wanted, once. Over stdio nothing says whose they are.
func TestLogs(t *testing.T) {
	before := map[string][]string{"echo": {`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"n":1.50}}}`,
		`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"Bearer canary-5f2c9a71"}}`}}
	eachKind(t, func(t *testing.T, k kind) {
		fake, err := fakemcp.New(fakemcp.Config{Era: k.era, SSE: k.sse, Before: before})
		if err != nil {
			t.Fatal(err)
		}
		c := k.reach(t, fakemcp.Config{Before: before})
		if k.http {
			server := httptest.NewServer(fake)
			t.Cleanup(server.Close)
			t.Cleanup(server.CloseClientConnections)
			c.URL = server.URL
		}
		c.Secrets = []string{"Bearer canary-5f2c9a71"}
		s := one(t, c)
		var want []string
		if k.http {
			want = []string{`{"level":"info","data":{"n":1.50}}`, `{"level":"error","data":"[redacted]"}`}
		}
		for _, level := range []string{"error", "info", "info", "error"} {
			var got []string
			if _, err := s.Call(within(t), Call{Tool: "echo", LogLevel: level, Log: func(params json.RawMessage) { got = append(got, string(params)) }}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		if _, err := s.Call(within(t), Call{Tool: "echo"}); err != nil { // which asked for none
			t.Fatal(err)
		}
		asked := []string(nil)
		if k.http && k.era != fakemcp.Modern {
			asked = []string{"error", "info"}
		}
		if got := fake.Stats().LogLevels; k.http && !slices.Equal(got, asked) {
			t.Errorf("the server was asked for %v, want %v", got, asked)
		}
	})
}

// A server may ask the client of a call for what both the call and the configuration let it, and is told of nothing else. In the older
// era only HTTP says to whose call a question belongs.
func TestServerAsks(t *testing.T) {
	form := json.RawMessage(`{"method":"elicitation/create","params":{"message":"secret-of-ours?"}}`)
	eachKind(t, func(t *testing.T, k kind) {
		c := k.reach(t, fakemcp.Config{Asks: map[string][]json.RawMessage{"asker": {form}}, Tools: []json.RawMessage{
			json.RawMessage(`{"name":"asker","inputSchema":{}}`), json.RawMessage(`{"name":"stats","inputSchema":{}}`)}})
		c.Asks, c.Secrets = []string{Form}, []string{"secret-of-ours"}
		s := one(t, c)
		call := Call{Tool: "asker", Asks: []string{Form, Model}, Answer: func(_ context.Context, a Asked) (json.RawMessage, error) {
			if a.Method != Elicit || string(a.Params) != `{"message":"[redacted]?"}` {
				t.Errorf("got asked %s %s", a.Method, a.Params)
			}
			return json.RawMessage(`{"action":"accept","n":1.0}`), nil
		}}
		heard := func(call Call) (text, can string) {
			t.Helper()
			result, err := s.Call(within(t), call)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := s.Call(within(t), Call{Tool: "stats"})
			if err != nil {
				t.Fatal(err)
			}
			var seen struct{ StructuredContent struct{ Can json.RawMessage } }
			if err := json.Unmarshal(raw.Text, &seen); err != nil {
				t.Fatal(err)
			}
			return result.String(), string(seen.StructuredContent.Can)
		}
		modern := k.era == fakemcp.Modern || k.era == fakemcp.Both
		want, can := `heard {\"action\":\"accept\",\"n\":1.0}`, `{"elicitation":{"form":{}}}`
		switch {
		case modern:
			want = `{"method":"elicitation/create","params":{"message":"[redacted]?"}}`
		case !k.http:
			want, can = "Remit offers servers no sampling", "{}"
		}
		if text, told := heard(call); !strings.Contains(text, want) || told != can {
			t.Errorf("got %s told %s, want %s told %s", text, told, want, can)
		}
		call.Asks = nil
		if want = "Remit offers servers no sampling"; modern {
			want, can = "input_required", "{}"
		}
		if text, told := heard(call); !strings.Contains(text, want) || told != can {
			t.Errorf("a call that may not be asked: got %s told %s, want %s told %s", text, told, want, can)
		}
	})
}

// Who watches a resource hears of its changes, also after the connection was lost; when they stop, the server is told.
func TestWatch(t *testing.T) {
	for _, era := range []string{fakemcp.Modern, fakemcp.Legacy} {
		t.Run(era, func(t *testing.T) {
			fake, err := fakemcp.New(fakemcp.Config{Era: era, Resources: []json.RawMessage{json.RawMessage(`{"uri":"r://a","name":"a"}`)}})
			if err != nil {
				t.Fatal(err)
			}
			at := httptest.NewServer(fake)
			t.Cleanup(at.Close)
			t.Cleanup(at.CloseClientConnections)
			s := one(t, Config{Name: "fake", URL: at.URL, Lists: []string{Resources}})
			ctx, stop := context.WithCancel(within(t))
			ready, updated, over := make(chan struct{}), make(chan struct{}, 100), make(chan error, 1)
			go func() {
				over <- s.Watch(ctx, "r://a", func() { close(ready) }, func() {
					select {
					case updated <- struct{}{}:
					default:
					}
				})
			}()
			select {
			case <-ready:
			case err := <-over:
				t.Fatalf("it ended: %v", err)
			}
			waitFor(t, "the stream", func() bool { return fake.Stats().Listeners > 0 && fake.Stats().Watched["r://a"] > 0 })
			fake.Update("r://a")
			<-updated
			at.CloseClientConnections()
			waitFor(t, "the stream once more", func() bool { fake.Update("r://a"); return len(updated) > 0 })
			stop()
			if err := <-over; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			waitFor(t, "the end of the subscription", func() bool { return fake.Stats().Watched["r://a"] == 0 })
		})
	}
}

// One stops watching a resource in the moment in which another begins: the server goes on telling. Here it takes its time with the first, so that
// the second would overtake it.
func TestWatchersInTurn(t *testing.T) {
	fake, err := fakemcp.New(fakemcp.Config{Era: fakemcp.Legacy, Resources: []json.RawMessage{json.RawMessage(`{"uri":"r://a","name":"a"}`)}})
	if err != nil {
		t.Fatal(err)
	}
	var subscribes atomic.Int64
	leaving, overtaken := make(chan struct{}, 1), make(chan struct{}, 1)
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body []byte
		if r.Method == http.MethodPost {
			body, _ = io.ReadAll(r.Body) // what is cut is no request
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		if bytes.Contains(body, []byte(`"resources/unsubscribe"`)) {
			leaving <- struct{}{}
			select {
			case <-overtaken:
			case <-time.After(300 * time.Millisecond): // nobody overtook it
			}
		}
		fake.ServeHTTP(w, r)
		if bytes.Contains(body, []byte(`"resources/subscribe"`)) && subscribes.Add(1) == 2 {
			overtaken <- struct{}{}
		}
	}))
	t.Cleanup(at.Close)
	t.Cleanup(at.CloseClientConnections)
	s := one(t, Config{Name: "fake", URL: at.URL, Lists: []string{Resources}})
	watch := func() (ready chan struct{}, stop func(), over chan error) {
		ctx, stop := context.WithCancel(within(t))
		ready, over = make(chan struct{}), make(chan error, 1)
		go func() { over <- s.Watch(ctx, "r://a", func() { close(ready) }, func() {}) }()
		return ready, stop, over
	}
	ready, stop, firstOver := watch()
	<-ready
	stop()
	<-leaving
	ready, stop, over := watch()
	<-ready
	<-firstOver
	if got := fake.Stats().Watched["r://a"]; got != 1 {
		t.Errorf("the server takes the resource to be watched by %d, want 1", got)
	}
	stop()
	<-over
	waitFor(t, "the end of the subscription", func() bool { return fake.Stats().Watched["r://a"] == 0 })
}

// A server that does not answer about one resource keeps nobody from watching another.
func TestWatchersDoNotWaitForAnother(t *testing.T) {
	fake, err := fakemcp.New(fakemcp.Config{Era: fakemcp.Legacy, Resources: []json.RawMessage{json.RawMessage(`{"uri":"r://a","name":"a"}`), json.RawMessage(`{"uri":"r://b","name":"b"}`)}})
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 1)
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body []byte
		if r.Method == http.MethodPost {
			body, _ = io.ReadAll(r.Body) // what is cut is no request
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		if bytes.Contains(body, []byte(`"resources/subscribe"`)) && bytes.Contains(body, []byte("r://a")) {
			asked <- struct{}{}
			<-r.Context().Done()
			return
		}
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(at.Close)
	t.Cleanup(at.CloseClientConnections)
	s := one(t, Config{Name: "fake", URL: at.URL, Lists: []string{Resources}})
	ctx, stop := context.WithCancel(within(t))
	var done sync.WaitGroup
	done.Go(func() { _ = s.Watch(ctx, "r://a", func() { t.Error("it agreed") }, func() {}) })
	<-asked
	ready := make(chan struct{})
	done.Go(func() { _ = s.Watch(ctx, "r://b", func() { close(ready) }, func() {}) })
	select {
	case <-ready:
	case <-ctx.Done():
		t.Error("the other is not watched")
	}
	stop()
	done.Wait()
}

// What a server asks for in the middle of a call waits in memory until it is answered, and no more than two megabytes of it.
func TestQuestionsThatWaitAreBounded(t *testing.T) {
	fake, err := fakemcp.New(fakemcp.Config{Era: fakemcp.Legacy, Tools: []json.RawMessage{json.RawMessage(`{"name":"asker","inputSchema":{}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	replies, refused := make(chan string, 10), make(chan struct{})
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is cut is no request
		r.Body = io.NopCloser(bytes.NewReader(body))
		var m struct {
			ID, Error json.RawMessage
			Method    string
		}
		switch _ = json.Unmarshal(body, &m); {
		case r.Method == http.MethodPost && m.Method == "tools/call":
			w.Header().Set("Content-Type", "text/event-stream")
			send := func(message string) {
				fmt.Fprintf(w, "data: %s\n\n", message)
				_ = http.NewResponseController(w).Flush()
			}
			ask := func(id int) {
				send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"sampling/createMessage","params":{"text":%q}}`, id, strings.Repeat("x", 900<<10)))
			}
			var heard []string
			hear := func(n int) {
				for range n {
					select {
					case reply := <-replies:
						heard = append(heard, reply)
					case <-r.Context().Done():
						return
					}
				}
			}
			ask(1)
			ask(2)
			ask(3)
			hear(3)
			ask(4)
			hear(1)
			slices.Sort(heard)
			send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%q}]}}`, m.ID, strings.Join(heard, " ")))
		case r.Method == http.MethodPost && m.Method == "":
			what := string(m.ID) + " answered"
			if m.Error != nil {
				what = string(m.ID) + " refused"
				close(refused)
			}
			replies <- what
			w.WriteHeader(http.StatusAccepted)
		default:
			fake.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(at.Close)
	t.Cleanup(at.CloseClientConnections)
	s := one(t, Config{Name: "fake", URL: at.URL, Asks: []string{Model}})
	result, err := s.Call(within(t), Call{Tool: "asker", Asks: []string{Model}, Answer: func(ctx context.Context, _ Asked) (json.RawMessage, error) {
		select {
		case <-refused: // the third
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return json.RawMessage(`{}`), nil
	}})
	if want := "1 answered 2 answered 3 refused 4 answered"; err != nil || !strings.Contains(result.String(), want) {
		t.Errorf("got %s, %v, want %s", result, err, want)
	}
}
