package gateway_test

import (
	"bufio"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/gateway"
	"remit/persona"
)

// events reads the data of a stream's messages.
func events(r *http.Response) <-chan string {
	out := make(chan string, 16)
	go func() {
		defer close(out)
		defer r.Body.Close()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				out <- data
			}
		}
	}()
	return out
}

func (w *world) get(id, session string) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.server.URL+w.door+id+"/mcp", nil)
	must(w.t, err)
	r.Header.Set("Authorization", "Bearer "+w.keys[id])
	r.Header.Set("Mcp-Session-Id", session)
	answer, err := client.Do(r)
	must(w.t, err)
	return answer
}

func TestListChanged(t *testing.T) {
	w := newWorld(t, nil)
	listen := `{"jsonrpc":"2.0","id":"s","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"promptsListChanged":true},` + meta + `}}`
	streams := map[string]<-chan string{
		"stateless":   events(w.post(t.Context(), "support", "", listen)),
		"session":     events(w.get("support", w.session("support"))),
		"other agent": events(w.post(t.Context(), "clerk", "", listen)),
		"nothing":     events(w.post(t.Context(), "support", "", strings.ReplaceAll(listen, "true", "false"))),
	}
	eventually(t, "streams", func() bool { return w.gateway.Streams() == 4 })
	w.revise("support", grant("crm/echo")...)
	const subscribed = `"_meta":{"io.modelcontextprotocol/subscriptionId":"s"}`
	ack := func(n string) string {
		return `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{` + subscribed + `,"notifications":{` + n + `}}}`
	}
	changed := `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{` + subscribed + `}}`
	want := func(name string, messages ...string) {
		t.Helper()
		for _, m := range messages {
			if got := <-streams[name]; got != m {
				t.Errorf("%s: got %q, want %q", name, got, m)
			}
		}
	}
	want("stateless", ack(`"toolsListChanged":true`), changed)
	want("session", `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
	want("nothing", ack(""))
	want("other agent", ack(`"toolsListChanged":true`))

	w.revoke("support")
	for _, name := range []string{"stateless", "session", "nothing"} {
		for m := range streams[name] { // ends with the key
			if m != changed && !strings.HasSuffix(m, `list_changed"}`) {
				t.Errorf("%s: got %q after the key was revoked", name, m)
			}
		}
	}
	must(t, w.gateway.Close(t.Context()))
	want("other agent", `{"jsonrpc":"2.0","id":"s","result":{"resultType":"complete",`+subscribed+`}}`)
	if m, open := <-streams["other agent"]; open {
		t.Errorf("got %q after the end", m)
	}
	r := w.post(t.Context(), "clerk", "", listen)
	w.text(r)
	if r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after Close: got %d, want 503", r.StatusCode)
	}
}

// A retired persona's streams end at once, after the notification that the list changed; those of a revoked key without one.
// Nothing waits for the next check of the key.
func TestStreamsEndAtOnce(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Recheck = time.Hour })
	listen := `{"jsonrpc":"2.0","id":"s","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + meta + `}}`
	open := func(id string) map[string]<-chan string {
		streams := map[string]<-chan string{"stateless": events(w.post(t.Context(), id, "", listen)), "session": events(w.get(id, w.session(id)))}
		<-streams["stateless"] // acknowledged
		return streams
	}
	retired, revoked := open("clerk"), open("support")
	eventually(t, "streams", func() bool { return w.gateway.Streams() == 4 })
	must(t, w.persona.Retire(t.Context(), bob, "clerk"))
	w.revoke("support")
	const subscribed = `"_meta":{"io.modelcontextprotocol/subscriptionId":"s"}`
	want := map[string][]string{
		"stateless": {`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{` + subscribed + `}}`,
			`{"jsonrpc":"2.0","id":"s","result":{"resultType":"complete",` + subscribed + `}}`},
		"session": {`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`},
	}
	for name, stream := range retired {
		var got []string
		for m := range stream {
			got = append(got, m)
		}
		if diff := cmp.Diff(want[name], got); diff != "" {
			t.Errorf("retired, %s (-want +got):\n%s", name, diff)
		}
	}
	for name, stream := range revoked {
		for m := range stream {
			t.Errorf("revoked, %s: got %q", name, m)
		}
	}
	eventually(t, "no streams", func() bool { return w.gateway.Streams() == 0 })
}

// A suspension and its end are announced at once to the clients of every persona that it concerns. A suspended persona's
// streams then end, as those of a retired one.
func TestSuspensionIsAnnounced(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Recheck = time.Hour })
	listen := `{"jsonrpc":"2.0","id":"s","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + meta + `}}`
	streams := map[string]<-chan string{"stateless": events(w.post(t.Context(), "support", "", listen)), "session": events(w.get("support", w.session("support")))}
	other := events(w.post(t.Context(), "clerk", "", listen))
	<-streams["stateless"] // acknowledged
	<-other
	eventually(t, "streams", func() bool { return w.gateway.Streams() == 3 })
	changes := []func() error{
		func() error {
			return w.persona.Suspend(t.Context(), bob, persona.Target{Kind: persona.OneTool, Name: "crm/echo"}, "r")
		},
		func() error {
			return w.persona.Resume(t.Context(), bob, persona.Target{Kind: persona.OneTool, Name: "crm/echo"})
		},
		func() error {
			return w.persona.Suspend(t.Context(), bob, persona.Target{Kind: persona.OneServer, Name: "crm"}, "r")
		},
		func() error {
			return w.persona.Suspend(t.Context(), bob, persona.Target{Kind: persona.OnePersona, Name: "support"}, "r")
		},
	}
	for i, change := range changes {
		must(t, change())
		for name, stream := range streams {
			if got := <-stream; !strings.Contains(got, "notifications/tools/list_changed") {
				t.Errorf("change %d, %s: got %q, want list_changed", i+1, name, got)
			}
		}
	}
	if got := <-streams["stateless"]; !strings.Contains(got, `"resultType":"complete"`) {
		t.Errorf("got %q, want the end of the stream", got)
	}
	for name, stream := range streams {
		if m, open := <-stream; open {
			t.Errorf("%s: got %q of a suspended persona", name, m)
		}
	}
	must(t, w.gateway.Close(t.Context()))
	if got := <-other; !strings.Contains(got, `"resultType":"complete"`) {
		t.Errorf("another persona's stream: got %q, want its end alone", got)
	}
}

func TestSuspensionByAnotherProcessEndsStreams(t *testing.T) {
	w := newWorld(t, nil)
	stream := events(w.get("support", w.session("support")))
	eventually(t, "a stream", func() bool { return w.gateway.Streams() == 1 })
	elsewhere := persona.Registry{Store: w.store} // tells nobody here
	must(t, elsewhere.Suspend(t.Context(), bob, persona.Target{Kind: persona.OnePersona, Name: "support"}, "r"))
	if got := <-stream; !strings.Contains(got, "list_changed") {
		t.Errorf("got %q, want list_changed", got)
	}
	if m, open := <-stream; open {
		t.Errorf("got %q of a suspended persona", m)
	}
}

// The streams of a key end at once, without a word, when its user is disabled and when it is rotated without an overlap.
func TestStreamsOfAStoppedKeyEnd(t *testing.T) {
	for name, stop := range map[string]func(*world) error{
		"user disabled": func(w *world) error { return w.people.SetDisabled(w.t.Context(), bob, "carol", true) },
		"rotated": func(w *world) error {
			_, _, err := w.people.RotateKey(w.t.Context(), bob, w.ids["support"], 0, nil)
			return err
		},
	} {
		w := newWorld(t, func(c *gateway.Config) { c.Recheck = time.Hour })
		must(t, w.people.AddPerson(t.Context(), bob, "carol", nil, ""))
		stream := events(w.get("support", w.session("support")))
		eventually(t, "a stream", func() bool { return w.gateway.Streams() == 1 })
		must(t, stop(w))
		for m := range stream {
			t.Errorf("%s: got %q", name, m)
		}
	}
}

// A persona expires while its agents only wait: they are told and their streams end, though nobody did anything.
func TestExpiryEndsStreams(t *testing.T) {
	w := newWorld(t, nil)
	must(t, w.persona.SetTerm(t.Context(), ann, "support", persona.Shown{Revision: 1}, persona.Dates{Expires: w.now().Add(time.Hour)}))
	stream := events(w.get("support", w.session("support")))
	eventually(t, "a stream", func() bool { return w.gateway.Streams() == 1 })
	w.ahead.Store(int64(time.Hour))
	if got := <-stream; !strings.Contains(got, "list_changed") {
		t.Errorf("got %q, want list_changed", got)
	}
	if m, open := <-stream; open {
		t.Errorf("got %q of an expired persona", m)
	}
}

func TestASessionHasOneStream(t *testing.T) {
	w := newWorld(t, nil)
	session := w.session("support")
	first := events(w.get("support", session))
	eventually(t, "a stream", func() bool { return w.gateway.Streams() == 1 })
	second := events(w.get("support", session))
	for m := range first { // it ends: the second took its place
		t.Errorf("got %q on the first stream", m)
	}
	w.revise("support", grant("crm/echo")...)
	if got := <-second; !strings.Contains(got, "list_changed") {
		t.Errorf("got %q on the second stream, want list_changed", got)
	}
}

func TestStreamsOfAKeyAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	listen := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{},` + meta + `}}`
	for i := range 33 {
		r := w.post(t.Context(), "support", "", listen)
		defer r.Body.Close()
		if want := map[bool]int{true: 200, false: 429}[i < 32]; r.StatusCode != want {
			t.Errorf("stream %d: got %d, want %d", i+1, r.StatusCode, want)
		}
	}
	if got, want := lastEntry(w), "refused : The key has 32 open streams, which is the limit; close one."; got != want {
		t.Errorf("got entry %q, want %q", got, want)
	}
}

// A server that announces changes of a resource without end has its watchers told of them once a second.
func TestUpdatesAreTakenSlowly(t *testing.T) {
	w := newWorld(t, nil)
	session := w.session("writer")
	stream := events(w.get("writer", session))
	if got := w.text(w.post(t.Context(), "writer", session, `{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"crm://notes/today"}}`)); !strings.Contains(got, `"result":{}`) {
		t.Fatalf("got %s", got)
	}
	eventually(t, "the server tells of it", func() bool { return w.fakes["crm"].Stats().Watched["crm://notes/today"] > 0 })
	began, told, stop := time.Now(), 0, make(chan struct{})
	var flood sync.WaitGroup
	flood.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				w.fakes["crm"].Update("crm://notes/today")
			}
		}
	})
	for ; told < 3; told++ {
		if got := <-stream; !strings.Contains(got, "notifications/resources/updated") {
			t.Fatalf("got %s", got)
		}
	}
	took := time.Since(began)
	close(stop)
	flood.Wait()
	if took < 2*time.Second {
		t.Errorf("it was told %d times within %v, want once a second", told, took)
	}
}
