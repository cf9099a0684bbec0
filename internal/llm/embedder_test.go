package llm_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"remit/catalog"
	"remit/internal/fakeopenai"
	"remit/internal/llm"
)

var (
	_ catalog.Embedder      = (*llm.Embedder)(nil)
	_ catalog.QueryEmbedder = (*llm.Embedder)(nil)
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

const key = "sk-canary-5d1f"

func start(t *testing.T, change func(*llm.Config)) (*fakeopenai.Server, *llm.Embedder) {
	t.Helper()
	server := fakeopenai.New(8)
	t.Cleanup(server.Close)
	config := llm.Config{URL: server.URL + "/", Model: "e5-tiny", Key: key, BatchSize: 3}
	if change != nil {
		change(&config)
	}
	e, err := llm.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return server, e
}

func TestEmbed(t *testing.T) {
	server, e := start(t, nil)
	if got := e.Dim(); got != 0 {
		t.Errorf("got dimension %d before the first answer, want 0", got)
	}
	server.Misbehave(fakeopenai.OutOfOrder, fakeopenai.OutOfOrder, fakeopenai.OutOfOrder)
	var texts []string
	for i := range 8 {
		texts = append(texts, fmt.Sprint("text ", i))
	}
	vectors, err := e.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	single, err := e.Embed(t.Context(), texts[4:5])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(single[0], vectors[4]); diff != "" {
		t.Errorf("the vectors are out of order: %s", diff)
	}
	for i, v := range vectors {
		sum := 0.0
		for _, x := range v {
			sum += float64(x * x)
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("vector %d has length %f, want 1", i, math.Sqrt(sum))
		}
	}
	if _, err := e.EmbedQueries(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for _, r := range server.Requests() {
		got = append(got, r.Input)
		if r.Model != "e5-tiny" || r.Authorization != "Bearer "+key {
			t.Errorf("got model %q, authorization %q", r.Model, r.Authorization)
		}
	}
	want := [][]string{{"passage: text 0", "passage: text 1", "passage: text 2"}, {"passage: text 3", "passage: text 4", "passage: text 5"},
		{"passage: text 6", "passage: text 7"}, {"passage: text 4"}, {"query: a"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := e.Dim(); got != 8 {
		t.Errorf("got dimension %d, want 8", got)
	}
}

func TestFaultsThatPass(t *testing.T) {
	for _, fault := range []fakeopenai.Fault{fakeopenai.TooManyRequests, fakeopenai.ServerError, fakeopenai.Broken} {
		server, e := start(t, nil)
		server.Misbehave(fault)
		began := time.Now()
		if _, err := e.Embed(t.Context(), []string{"a"}); err != nil {
			t.Errorf("%s: got %v", fault, err)
		}
		if took := time.Since(began); fault == fakeopenai.TooManyRequests && took < time.Second {
			t.Errorf("%s: asked again after %s, want after the second that Retry-After asks for", fault, took)
		}
		if got := len(server.Requests()); got != 2 {
			t.Errorf("%s: got %d requests, want 2", fault, got)
		}
	}
}

func TestFaultsThatStay(t *testing.T) {
	for _, tc := range []struct {
		fault fakeopenai.Fault
		tries int
		want  string // in the error
	}{
		{fakeopenai.Unauthorized, 1, "check the configured key"},
		{fakeopenai.NotFound, 1, `has the model "e5-tiny"`},
		{fakeopenai.Redirect, 1, "it redirects"},
		{fakeopenai.ServerError, 2, "look at its log"},
		{fakeopenai.Broken, 2, "check that it runs"},
		{fakeopenai.Hang, 2, "check that it runs"},
		{fakeopenai.SameIndex, 1, "index 0 twice"},
		{fakeopenai.TooFew, 1, "1 vectors for 2 texts"},
		{fakeopenai.WrongDimension, 1, "9 dimensions after some of 8"},
		{fakeopenai.ZeroVector, 1, "zero or not finite"},
		{fakeopenai.HugeBody, 1, "longer than 16 MiB"},
		{fakeopenai.Garbage, 1, "OpenAI-compatible"},
	} {
		t.Run(string(tc.fault), func(t *testing.T) {
			t.Parallel()
			server, e := start(t, func(c *llm.Config) {
				if c.MaxTries = 2; tc.fault == fakeopenai.Hang {
					c.Timeout = 2 * time.Second
				}
			})
			if _, err := e.Embed(t.Context(), []string{"first"}); err != nil {
				t.Fatal(err)
			}
			server.Misbehave(tc.fault, tc.fault, tc.fault)
			_, err := e.Embed(t.Context(), []string{"a", "b"})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), server.URL) {
				t.Errorf("got %v, want %q and the endpoint in it", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), key) {
				t.Errorf("the error holds the key: %v", err)
			}
			if got := len(server.Requests()) - 1; got != tc.tries {
				t.Errorf("got %d requests, want %d", got, tc.tries)
			}
		})
	}
}

func TestQueriesDoNotWaitLong(t *testing.T) {
	server, e := start(t, nil)
	server.Misbehave(fakeopenai.ServerError, fakeopenai.ServerError, fakeopenai.ServerError)
	if _, err := e.EmbedQueries(t.Context(), []string{"a"}); err == nil || len(server.Requests()) != 2 {
		t.Errorf("got %v after %d requests, want an error after 2", err, len(server.Requests()))
	}
}

func TestLongRetryAfterIsNotWaitedFor(t *testing.T) {
	server, e := start(t, nil)
	server.RetryAfter = "3600"
	server.Misbehave(fakeopenai.TooManyRequests)
	if _, err := e.Embed(t.Context(), []string{"a"}); err == nil || !strings.Contains(err.Error(), "wait 1h0m0s") {
		t.Errorf("got %v, want the time to wait", err)
	}
}

func TestCancelEndsTheWait(t *testing.T) {
	server, e := start(t, nil)
	server.RetryAfter = "50"
	server.Misbehave(fakeopenai.TooManyRequests)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := e.Embed(ctx, []string{"a"}); done <- err }()
	for len(server.Requests()) == 0 {
		select {
		case err := <-done:
			t.Fatalf("ended before it was cancelled: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	case <-time.After(time.Minute):
		t.Fatal("cancelling did not end the wait")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []llm.Config{
		{Model: "m"}, {URL: "localhost:1/v1", Model: "m"}, {URL: "ftp://h/v1", Model: "m"}, {URL: "http://h/v1"},
		{URL: "http://u:canary@h/v1", Model: "m"}, {URL: "http://h/v1?key=canary", Model: "m"}, {URL: "http://canary\x00/", Model: "m"},
	} {
		if _, err := llm.New(c); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %v, want an error without the secret", c.URL, err)
		}
	}
}

func TestModelNamesThePrompts(t *testing.T) {
	_, plain := start(t, func(c *llm.Config) { c.Model = "m" })
	_, e5 := start(t, nil)
	if p, q := strings.TrimPrefix(plain.Model(), "m"), strings.TrimPrefix(e5.Model(), "e5-tiny"); p == q || len(p) != 26 {
		t.Errorf("got prompt versions %q and %q, want two that differ", p, q)
	}
}
