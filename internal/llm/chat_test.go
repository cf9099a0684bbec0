package llm_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/composer"
	"remit/internal/fakeopenai"
	"remit/internal/llm"
)

var _ composer.Model = (*llm.Chat)(nil)

func startChat(t *testing.T, change func(*llm.ChatConfig)) (*fakeopenai.Server, *llm.Chat) {
	t.Helper()
	server := fakeopenai.New(8)
	t.Cleanup(server.Close)
	server.Answer = func(fakeopenai.Request) string { return `{"ok":true}` }
	config := llm.ChatConfig{URL: server.URL, Model: "tiny", Key: key, PricePrompt: 2e6, PriceCompletion: 3e6}
	if change != nil {
		change(&config)
	}
	c, err := llm.NewChat(config)
	if err != nil {
		t.Fatal(err)
	}
	return server, c
}

var question = composer.Question{Task: "needs", System: "be brief", User: "job", Schema: json.RawMessage(`{"type":"object"}`),
	Check: func(raw []byte) error {
		if !strings.Contains(string(raw), "ok") {
			return errors.New("ok is missing")
		}
		return nil
	}}

// TestAsk: the request is strict and says the same each time; what it cost is told; the same question is answered from memory.
func TestAsk(t *testing.T) {
	server, c := startChat(t, func(c *llm.ChatConfig) { c.Tasks = map[string]llm.Task{"needs": {Model: "small", MaxTokens: 7}} })
	a, err := c.Ask(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	want := composer.Answer{JSON: []byte(`{"ok":true}`), Requests: 1, PromptTokens: 3, CompletionTokens: 1, Cost: 9, Took: a.Took}
	if diff := cmp.Diff(want, a); diff != "" || a.Took <= 0 {
		t.Errorf("took %s: %s", a.Took, diff)
	}
	if a, err = c.Ask(t.Context(), question); err != nil || a.Requests != 0 || string(a.JSON) != `{"ok":true}` {
		t.Errorf("got %+v, %v for the same question, want an answer without a request", a, err)
	}
	r := server.Requests()[0]
	if r.Model != "small" || r.MaxTokens != 7 || r.Temperature == nil || *r.Temperature > 1e-6 || r.Seed == nil || !r.ResponseFormat.JSONSchema.Strict ||
		r.ResponseFormat.Type != "json_schema" || r.Authorization != "Bearer "+key {
		t.Errorf("got the request %s", r.Body)
	}
	if r.Messages[0] != (fakeopenai.Message{Role: "system", Content: "be brief"}) || r.Messages[1] != (fakeopenai.Message{Role: "user", Content: "job"}) {
		t.Errorf("got the messages %v", r.Messages)
	}
	_, again := startChat(t, func(c *llm.ChatConfig) {
		c.URL, c.Tasks = server.URL, map[string]llm.Task{"needs": {Model: "small", MaxTokens: 7}}
	})
	if _, err := again.Ask(t.Context(), question); err != nil {
		t.Fatal(err)
	}
	if got := server.Requests(); len(got) != 2 || got[0].Body != got[1].Body {
		t.Errorf("got %d requests, want two that are the same", len(got))
	}
}

// TestChatFaults: faults that pass are tried again, endpoints that lack a form are asked in the next, a wrong answer is sent
// back once; what stays wrong is an error with the endpoint and the next step, without the key.
func TestChatFaults(t *testing.T) {
	const ok = ""
	for _, tc := range []struct {
		name   string
		faults []fakeopenai.Fault
		want   string // in the error; ok is none
		asked  int
	}{
		{"429 once", []fakeopenai.Fault{fakeopenai.TooManyRequests}, ok, 2},
		{"500 once", []fakeopenai.Fault{fakeopenai.ServerError}, ok, 2},
		{"500 always", []fakeopenai.Fault{fakeopenai.ServerError, fakeopenai.ServerError, fakeopenai.ServerError}, "look at its log", 3},
		{"cut once", []fakeopenai.Fault{fakeopenai.CutBody}, ok, 2},
		{"429 always", []fakeopenai.Fault{fakeopenai.TooManyRequests, fakeopenai.TooManyRequests, fakeopenai.TooManyRequests}, "it asks to wait 1s", 3},
		{"cut always", []fakeopenai.Fault{fakeopenai.CutBody, fakeopenai.CutBody, fakeopenai.CutBody}, "check that it runs", 3},
		{"connection closed", []fakeopenai.Fault{fakeopenai.Broken, fakeopenai.Broken, fakeopenai.Broken}, "check that it runs", 3},
		{"no schema", []fakeopenai.Fault{fakeopenai.NoSchema}, ok, 2},
		{"no form", []fakeopenai.Fault{fakeopenai.NoForm, fakeopenai.NoForm}, ok, 3},
		{"newer limit", []fakeopenai.Fault{fakeopenai.NewerLimit}, ok, 2},
		{"bad JSON once", []fakeopenai.Fault{fakeopenai.BadJSON}, ok, 2},
		{"bad JSON twice", []fakeopenai.Fault{fakeopenai.BadJSON, fakeopenai.BadJSON}, "cannot be used, twice", 2},
		{"refusal", []fakeopenai.Fault{fakeopenai.Refusal}, "word the job otherwise", 1},
		{"cut by length", []fakeopenai.Fault{fakeopenai.CutLength}, "raise the model's max-tokens", 1},
		{"no choices", []fakeopenai.Fault{fakeopenai.NoChoices}, "no choices", 1},
		{"401", []fakeopenai.Fault{fakeopenai.Unauthorized}, "check the configured key", 1},
		{"404", []fakeopenai.Fault{fakeopenai.NotFound}, `has the model "tiny"`, 1},
		{"redirect", []fakeopenai.Fault{fakeopenai.Redirect}, "it redirects", 1},
		{"endless", []fakeopenai.Fault{fakeopenai.HugeBody}, "longer than 1 MiB", 1},
		{"a web page", []fakeopenai.Fault{fakeopenai.Garbage}, "OpenAI-compatible", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server, c := startChat(t, nil)
			server.Misbehave(tc.faults...)
			_, err := c.Ask(t.Context(), question)
			switch {
			case tc.want == ok && err != nil:
				t.Errorf("got %v", err)
			case tc.want != ok && (err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), server.URL) || strings.Contains(err.Error(), key)):
				t.Errorf("got %v, want %q and the endpoint in it, and no key", err, tc.want)
			}
			if got := len(server.Requests()); got != tc.asked {
				t.Errorf("got %d requests, want %d", got, tc.asked)
			}
		})
	}
}

// TestFormIsRemembered: an endpoint without schemas is told the schema in our own words, from its first refusal on.
func TestFormIsRemembered(t *testing.T) {
	server, c := startChat(t, nil)
	server.Misbehave(fakeopenai.NoSchema)
	other := question
	other.User = "another job"
	for _, q := range []composer.Question{question, other} {
		if _, err := c.Ask(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, r := range server.Requests() {
		got = append(got, r.ResponseFormat.Type)
	}
	if diff := cmp.Diff([]string{"json_schema", "json_object", "json_object"}, got); diff != "" {
		t.Error(diff)
	}
	if last := server.Requests()[2]; !strings.Contains(last.Messages[0].Content, `{"type":"object"}`) || strings.Contains(last.Messages[1].Content, "type") {
		t.Errorf("got the messages %v, want the schema in the first", last.Messages)
	}
}

// TestRequest: the bytes that endpoints get, in each form that they may need. A change here is a change of what is recorded.
func TestRequest(t *testing.T) {
	const words = `{"role":"system","content":"be brief\nThe JSON Schema of the answer:\n{\"type\":\"object\"}\n"},{"role":"user","content":"job"}`
	for _, tc := range []struct {
		name   string
		faults []fakeopenai.Fault
		want   string
	}{
		{"strict schema", nil, `{"model":"tiny","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"job"}],"max_tokens":4000,"temperature":1e-45,"stream":false,"response_format":{"type":"json_schema","json_schema":{"name":"needs","schema":{"type":"object"},"strict":true}},"seed":1}`},
		{"JSON mode", []fakeopenai.Fault{fakeopenai.NoSchema}, `{"model":"tiny","messages":[` + words + `],"max_tokens":4000,"temperature":1e-45,"stream":false,"response_format":{"type":"json_object"},"seed":1}`},
		{"in words", []fakeopenai.Fault{fakeopenai.NoForm, fakeopenai.NoForm}, `{"model":"tiny","messages":[` + words + `],"max_tokens":4000,"temperature":1e-45,"stream":false,"seed":1}`},
		{"newer limit", []fakeopenai.Fault{fakeopenai.NewerLimit}, `{"model":"tiny","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"job"}],"max_completion_tokens":4000,"stream":false,"response_format":{"type":"json_schema","json_schema":{"name":"needs","schema":{"type":"object"},"strict":true}},"seed":1}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server, c := startChat(t, nil)
			server.Misbehave(tc.faults...)
			if _, err := c.Ask(t.Context(), question); err != nil {
				t.Fatal(err)
			}
			sent := server.Requests()
			if diff := cmp.Diff(tc.want, sent[len(sent)-1].Body); diff != "" {
				t.Error(diff)
			}
			digest, err := c.Digest(question)
			if want := fmt.Sprintf("%x", sha256.Sum256([]byte(sent[0].Body))); err != nil || digest != want {
				t.Errorf("got the digest %s, %v, want that of the first request, %s", digest, err, want)
			}
		})
	}
}

// TestCost: what every request of a question cost is added up, also those whose answer could not be used.
func TestCost(t *testing.T) {
	server, c := startChat(t, nil)
	server.Misbehave(fakeopenai.ServerError, fakeopenai.BadJSON, fakeopenai.BadJSON)
	a, err := c.Ask(t.Context(), question)
	if err == nil || a.Requests != 3 || a.PromptTokens <= 3 || a.CompletionTokens < 2 || a.Cost != float64(2*a.PromptTokens+3*a.CompletionTokens) {
		t.Errorf("got %+v, %v, want the tokens of two answers and their price", a, err)
	}
}

// TestRepair: the model is told what is wrong with its answer.
func TestRepair(t *testing.T) {
	server, c := startChat(t, nil)
	server.Answer = func(r fakeopenai.Request) string {
		if len(r.Messages) == 2 {
			return "Sure: {\"no\":1}"
		}
		return "```json\n{\"ok\":2}\n```"
	}
	a, err := c.Ask(t.Context(), question)
	if err != nil || string(a.JSON) != `{"ok":2}` || a.Requests != 2 {
		t.Fatalf("got %s, %v after %d requests", a.JSON, err, a.Requests)
	}
	if got := server.Requests()[1].Messages[3].Content; !strings.Contains(got, "ok is missing") {
		t.Errorf("got the request for repair %q", got)
	}
}

// TestAskIsBounded: a slow endpoint, one that asks to wait longer than there is time, and our own limit end at once or in time.
func TestAskIsBounded(t *testing.T) {
	t.Run("slow", func(t *testing.T) {
		server, c := startChat(t, nil)
		server.Misbehave(fakeopenai.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.Ask(ctx, question); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
	})
	t.Run("Retry-After beyond the time", func(t *testing.T) {
		server, c := startChat(t, nil)
		server.RetryAfter = "50"
		server.Misbehave(fakeopenai.TooManyRequests)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := c.Ask(ctx, question); err == nil || !strings.Contains(err.Error(), "wait 50s") || time.Since(start) > 10*time.Second {
			t.Errorf("got %v after %s, want the time to wait, at once", err, time.Since(start))
		}
	})
	t.Run("our own limit", func(t *testing.T) {
		server, c := startChat(t, func(c *llm.ChatConfig) { c.PerMinute = 1 })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		other := question
		other.User = "another job"
		_, err := c.Ask(ctx, question)
		if err == nil {
			_, err = c.Ask(ctx, other)
		}
		if err == nil || !strings.Contains(err.Error(), "configured limit") || len(server.Requests()) != 1 {
			t.Errorf("got %v after %d requests, want the limit after 1", err, len(server.Requests()))
		}
	})
}

func TestNewChatRefuses(t *testing.T) {
	for _, c := range []llm.ChatConfig{{Model: "m"}, {URL: "ftp://h/v1", Model: "m"}, {URL: "http://h/v1"}, {URL: "http://u:canary@h/v1", Model: "m"}, {URL: "http://h/v1?key=canary", Model: "m"}} {
		if _, err := llm.NewChat(c); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %v, want an error without the secret", c.URL, err)
		}
	}
}
