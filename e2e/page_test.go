package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"remit/internal/demo"
	"remit/internal/fakeopenai"
)

// held is a language model that answers each question when it is let, names tools by what it is shown, and can be made to refuse.
type held struct {
	*fakeopenai.Server
	control *httptest.Server
	mux     *http.ServeMux
}

func newHeld(t *testing.T, needs map[string]string, choose []string) *held {
	h := &held{Server: fakeopenai.New(8)}
	let, over := make(chan struct{}, 100), make(chan struct{})
	h.Answer = func(r fakeopenai.Request) string {
		select {
		case <-let:
		case <-over:
		}
		return answerOf(r, needs, choose)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /let", func(http.ResponseWriter, *http.Request) { let <- struct{}{} })
	mux.HandleFunc("POST /dead", func(http.ResponseWriter, *http.Request) {
		h.Misbehave(slices.Repeat([]fakeopenai.Fault{fakeopenai.Unauthorized}, 50)...)
	})
	mux.HandleFunc("DELETE /dead", func(http.ResponseWriter, *http.Request) { h.Misbehave() })
	h.mux, h.control = mux, httptest.NewServer(mux)
	t.Cleanup(func() { close(over); h.control.Close(); h.Close() })
	return h
}

// cuttable is another address of a server, until somebody asks the control to cut all its connections.
func (h *held) cuttable(t *testing.T, to string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var mu sync.Mutex
	var open []net.Conn
	h.mux.HandleFunc("POST /cut", func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			c.Close()
		}
		open = nil
	})
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", strings.TrimPrefix(to, "http://"))
			if err != nil {
				in.Close()
				continue
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			go func() { _, _ = io.Copy(out, in); out.Close() }()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
		}
	}()
	return "http://" + l.Addr().String()
}

// answerOf takes the needs whose words the job has, and of the tools that it is shown those that it is to choose.
func answerOf(r fakeopenai.Request, needs map[string]string, choose []string) string {
	text := r.Messages[1].Content
	part := func(name string) string {
		_, after, _ := strings.Cut(text, "<"+name+">\n")
		before, _, _ := strings.Cut(after, "\n</"+name+">")
		return before
	}
	type object = map[string]any
	out := object{"remove": []object{}}
	switch r.ResponseFormat.JSONSchema.Name {
	case "needs":
		list := []object{}
		for words, search := range needs {
			if strings.Contains(part("job"), words) {
				list = append(list, object{"words": words, "search": search, "effect": "read", "object": "", "product": ""})
			}
		}
		out = object{"needs": list, "prohibitions": []object{}}
	case "choose":
		list := []object{}
		for line := range strings.Lines(part("tools")) {
			var tool struct{ ID, Server, Name string }
			if json.Unmarshal([]byte(line), &tool) != nil || !slices.Contains(choose, tool.Server+"/"+tool.Name) {
				continue
			}
			for need := range strings.Lines(part("needs")) {
				var n struct{ ID, Search string }
				if json.Unmarshal([]byte(need), &n) == nil && strings.Contains(n.Search, tool.Name) {
					list = append(list, object{"tool": tool.ID, "needs": []string{n.ID}, "why": "It does this <b>and</b> no more.", "limits": []object{}, "arguments": []object{}})
					break
				}
			}
		}
		out = object{"choices": list, "near_misses": []object{}, "gaps": []object{}}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// TestPage: a draft arrives in steps, is refined, reviewed by keyboard, commented on and approved; what the reviewer saw is what the
// agent gets, byte for byte.
func TestPage(t *testing.T) {
	choose := []string{"helpdesk/list_tickets", "crm/search_customers", "billing/list_invoices", "helpdesk/reply_to_ticket", "calendar/find_free_slots", "chat/post_message", "crm/add_note"}
	model := newHeld(t, map[string]string{"Read new helpdesk tickets": "list_tickets", "look up the customer": "search_customers", "their invoices": "list_invoices",
		"answer the ticket": "reply_to_ticket", "find a free slot": "find_free_slots", "Post a short summary": "post_message", "add a note": "add_note"}, choose)
	in := install(t, demoUpstreams()+fmt.Sprintf("model: {url: %q, name: held, wait: 2m, requests-per-minute: 1000}\n", model.URL))
	in.crawled("search_customers", "post_message", "list_invoices", "find_free_slots", "reply_to_ticket")
	through := model.cuttable(t, in.url)
	var got struct {
		URL, Refined, Explained, Dead, Cut, AfterCut, Badge, Read, ReadAll, Said, All, Live, PlainUndone string
		Steps, First, Modelled, Columns, Submitted, DeadTools, CutTools, Served                          []string
		Focus                                                                                            []bool
		Plain                                                                                            int
		Shift                                                                                            map[string]float64
	}
	browse(t, &got, "page.mjs", map[string]any{"url": in.url, "author": in.person("ada", "author"), "reviewer": in.person("ravi", "reviewer"), "title": "Support agent",
		"job": demo.Job, "change": "Also let it add a note to the customer's record. It should not book anything in the calendar.", "near": "crm/get_customer",
		"let": model.control.URL + "/let", "dead": model.control.URL + "/dead", "through": through, "cut": model.control.URL + "/cut"})

	has := func(what, text string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s: got %q, want %q in it", what, text, part)
			}
		}
	}
	has("the steps", strings.Join(got.Steps, "\n"), " needs", " tools", "what the job needs")
	if len(got.First) == 0 || !slices.Contains(got.First, "crm/search_customers") {
		t.Errorf("the draft before the model: got %v", got.First)
	}
	if !slices.Contains(got.Modelled, "helpdesk/list_tickets") || slices.Contains(got.Modelled, "crm/add_note") {
		t.Errorf("the model's draft: got %v", got.Modelled)
	}
	has("the difference", got.Refined, "Also let it add a note", "added", "crm/add_note")
	if len(got.Columns) < 2 {
		t.Errorf("side by side: got %q", got.Columns)
	}
	has("the explanation", got.Explained, "does not grant it")
	if !slices.Contains(got.Submitted, "crm/get_customer") || !slices.Contains(got.Submitted, "crm/add_note") {
		t.Errorf("submitted: got %v", got.Submitted)
	}
	has("with a dead model", got.Dead, "Drafted without the language model", "status 401")
	has("the cut stream", got.Cut, "cut", "is saved")
	has("after it", got.AfterCut, "Drafted without the language model", "not waited for")
	for what, tools := range map[string][]string{"with a dead model": got.DeadTools, "after a cut stream": got.CutTools} {
		if !slices.Contains(tools, "crm/search_customers") {
			t.Errorf("%s: got the tools %v", what, tools)
		}
	}
	if !strings.HasPrefix(got.Badge, "1") || slices.Contains(got.Focus, false) || len(got.Focus) != 4 {
		t.Errorf("the review: badge %q, keys %v", got.Badge, got.Focus)
	}
	has("the comment", got.Said, "ravi", "<img src=x onerror=alert(1)> j k a")
	has("what is read", got.Read, "1 of ")
	if n := len(got.Submitted); got.ReadAll != fmt.Sprintf("%d of %d read", n, n) || got.Live != "live" {
		t.Errorf("at the end: %q, %s", got.ReadAll, got.Live)
	}
	if got.Plain == 0 || !strings.Contains(got.PlainUndone, "This draft is taken") {
		t.Errorf("without scripts: %d tools, %q", got.Plain, got.PlainUndone)
	}
	for page, shift := range got.Shift {
		if shift > 0.02 {
			t.Errorf("the page %s jumps: its layout shifts by %.3f", page, shift)
		}
	}

	id := got.URL[strings.LastIndex(got.URL, "/")+1:]
	if list := in.listed(id); list != got.All || list != "["+strings.Join(got.Served, ",")+"]" {
		t.Errorf("the agent gets\n%s\nthe page said\n%s\nand\n%s", list, got.All, strings.Join(got.Served, ","))
	}
	has("the record", in.cli("audit", "--kind", "persona.comment", "--json"), `"tool":`, `"text":"sha256:`, `"ravi"`)
	in.cli("audit", "verify")
}

// listed is the tools of an agent's tools/list, as they come.
func (in *installation) listed(id string) string {
	t := in.t
	t.Helper()
	key := regexp.MustCompile(`remit_\S+`).FindString(in.cli("key", "create", "--agent", "bot", "--user", "zoe@example.com", "--persona", id))
	session := ""
	post := func(body string) string {
		req, err := http.NewRequestWithContext(t.Context(), "POST", in.url+"/k/"+id+"/mcp", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"} {
			req.Header.Set(name, value)
		}
		if session != "" {
			req.Header.Set("Mcp-Session-Id", session)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if s := res.Header.Get("Mcp-Session-Id"); s != "" {
			session = s
		}
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode/100 != 2 {
			t.Fatalf("%s: %s %v", body, text, err)
		}
		return string(text)
	}
	post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`)
	answer := post(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
	var list struct {
		Result struct{ Tools json.RawMessage }
	}
	if err := json.Unmarshal([]byte(answer), &list); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return string(list.Result.Tools)
}

// TestAccessibility: axe-core finds nothing on any page, in light and dark, on a phone and a desk.
func TestAccessibility(t *testing.T) {
	in := install(t, demoUpstreams())
	in.crawled("search_customers", "post_message", "list_invoices", "find_free_slots", "reply_to_ticket")
	author, reviewer := in.browser(in.person("ada", "author")), in.browser(in.person("ravi", "reviewer"))
	send := func(c *http.Client, path string, form url.Values) string {
		t.Helper()
		res, err := c.PostForm(in.url+path, form)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode >= 400 {
			t.Fatalf("%s: %s %s", path, res.Status, body)
		}
		return string(body)
	}
	field := func(page, name string) (values []string) {
		for _, m := range regexp.MustCompile(`name="`+name+`" value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			values = append(values, m[1])
		}
		return values
	}
	page := func(c *http.Client, path string) string {
		t.Helper()
		res, err := c.Get(in.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	// One that is live and revised, one that waits, one that is a refined draft, one without tools.
	for _, id := range []string{"live", "waits", "drafted"} {
		send(author, "/new", url.Values{"title": {"Support " + id}, "id": {id}, "job": {demo.Job}})
	}
	send(author, "/new", url.Values{"title": {"Nothing fits"}, "id": {"empty"}, "job": {"Bitte falte Papierkraniche und verschenke sie an alle, die vorbeikommen."}})
	for _, id := range []string{"live", "waits"} {
		send(author, "/personas/"+id, url.Values{"base": field(page(author, "/personas/"+id), "base")[:1], "move": {"submit"}})
	}
	review := page(reviewer, "/personas/live/review")
	send(reviewer, "/personas/live/approve", url.Values{"revision": {"1"}, "seen": field(review, "seen")})
	send(reviewer, "/personas/live/keys", url.Values{"agent": {"claude"}, "user": {"zoe"}, "expires": {"90"}})
	send(author, "/personas/live/revise", nil)
	send(author, "/personas/drafted/refine", url.Values{"base": field(page(author, "/personas/drafted"), "base")[:1], "change": {"Also let it add a note to the customer's record."}})
	send(reviewer, "/personas/waits/comments", url.Values{"revision": {"1"}, "tool": {"crm/search_customers"}, "text": {"Why?"}})
	in.cli("suspend", "tool", "chat/post_message", "--reason", "a test")

	pages := []string{"/", "/new", "/new?from=live", "/personas/drafted", "/personas/drafted?group=effect&q=refund", "/personas/drafted/drafts", "/personas/drafted/explain?tool=crm/search_customers&q=refund",
		"/personas/drafted/explain", "/personas/drafted/review", "/personas/empty", "/personas/waits/review", "/personas/waits/review?group=server", "/personas/live", "/personas/live/live",
		"/personas/live/diff?from=1&to=2", "/personas/live/shadow", "/personas/live/unused", "/catalog", "/catalog?q=customer", "/catalog/duplicates", "/tool?id=crm/search_customers", "/tool?id=chat/post_message",
		"/approvals", "/reach", "/servers", "/evals", "/audit", "/people", "/account", "/account/tokens", "/nothing"}
	looked, batches := 0, 0
	strangers := []string{"/sign-in", "/link/none"}
	for batch := range slices.Chunk(pages, 3) { // a script has its time, which a slow machine needs for a few pages
		var out struct{ Looked int }
		batches++
		browse(t, &out, "a11y.mjs", map[string]any{"link": in.person(fmt.Sprintf("all%d", batches), "admin,author,reviewer"), "url": in.url, "pages": batch, "strangers": strangers,
			"dialogs": map[string]string{"/new": "#progress", "/personas/waits/review": "#keys"}})
		looked, strangers = looked+out.Looked, []string{}
	}
	if want := 4 * (len(pages) + 4); looked != want {
		t.Errorf("looked %d times, want %d", looked, want)
	}
}
