package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"remit/catalog"
	"remit/composer"
	"remit/evals"
	"remit/internal/llm"
)

// modelTools is a catalog that a small model can read whole.
const modelTools = `{"server":"deskpoint","name":"search_tickets","description":"Search support tickets by text and status.","input_schema":{"type":"object","properties":{"query":{"type":"string"}}},"annotations":{"readOnlyHint":true}}
{"server":"deskpoint","name":"close_ticket","description":"Close a ticket.","input_schema":{"type":"object","properties":{"id":{"type":"string"}}}}
{"server":"deskpoint","name":"delete_ticket","description":"Delete a ticket for good.","input_schema":{"type":"object","properties":{"id":{"type":"string"}}},"annotations":{"destructiveHint":true}}
{"server":"ledgerly","name":"list_invoices","description":"List sales invoices by status or customer.","input_schema":{"type":"object","properties":{"status":{"type":"string"}}},"annotations":{"readOnlyHint":true}}
`

const modelSuite = `{"suite":"desk","kind":"compose"}
{"id":"tickets","job":"Search tickets in Deskpoint and close tickets. Never delete tickets.","needs":[{"need":"search","any_of":["deskpoint/search_tickets"]},{"need":"close","any_of":["deskpoint/close_ticket"]}],"forbidden":["deskpoint/delete_ticket"]}
`

const modelJob = "Search tickets in Deskpoint and close tickets. Never delete tickets."

// realModel is an OpenAI-compatible endpoint that we did not write: the one of REMIT_LLM_URL and REMIT_LLM_MODEL, or else
// llama.cpp's llama-server, as a package has it built, with Gemma 3 270M on the processor. stop ends it.
func realModel(t *testing.T) (url, model string, stop func()) {
	t.Helper()
	if url := os.Getenv("REMIT_LLM_URL"); url != "" {
		return url, os.Getenv("REMIT_LLM_MODEL"), func() { t.Skip("the endpoint of REMIT_LLM_URL is not ours to stop") }
	}
	var log safeBuffer
	port := freePort(t)
	cmd := exec.Command(python("llama-server-vulkan"), "--model", filepath.Join(".venv", "gemma-3-270m.gguf"), "--host", "127.0.0.1", "--port", fmt.Sprint(port),
		"--ctx-size", "8192", "--parallel", "1", "--threads", "2", "--device", "none", "--offline", "--slots")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run `make deps` first", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stop = func() { _ = cmd.Process.Kill(); <-ended }
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("llama-server said:\n%s", log.String())
		}
	})
	url = fmt.Sprintf("http://127.0.0.1:%d", port)
	waitFor(t, "loading the model", func() bool {
		select {
		case <-ended:
			t.Fatalf("llama-server ended:\n%s", log.String())
		default:
		}
		res, err := http.Get(url + "/health")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return url + "/v1", "gemma-3-270m", stop
}

// TestRealModel: the protocol of a draft with a model, against a real one. It is small, so nothing is judged but that: strict
// schemas are kept, tokens are counted, a cut answer and a stopped question are what they are, a draft comes whatever the model
// says, a recorded run repeats itself without the endpoint, and without the endpoint there is the composer's draft.
func TestRealModel(t *testing.T) {
	url, model, stop := realModel(t)
	ask := func(c llm.ChatConfig) *llm.Chat {
		c.URL, c.Model, c.Timeout, c.PerMinute = url, model, 5*time.Minute, 1000
		chat, err := llm.NewChat(c)
		if err != nil {
			t.Fatal(err)
		}
		return chat
	}
	dir := t.TempDir()
	toolFile := filepath.Join(dir, "tools.jsonl")
	suiteFile := filepath.Join(dir, "desk.jsonl")
	for file, text := range map[string]string{toolFile: modelTools, suiteFile: modelSuite} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tools, err := evals.LoadCatalog(toolFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	cat := catalog.New(catalog.Config{})
	if err := cat.Replace(tools, nil); err != nil {
		t.Fatal(err)
	}
	draft := func(m composer.Model) composer.Draft {
		t.Helper()
		d, err := composer.New(composer.Config{Finder: cat, Model: m, ModelTime: 5 * time.Minute}).Compose(t.Context(), modelJob)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	alone := granted(draft(nil))

	t.Run("draft by question", func(t *testing.T) {
		m := &helped{t: t, Chat: ask(llm.ChatConfig{MaxTokens: 400})}
		d := draft(m)
		if d.Model.Failed != "" || m.asked != 3 || m.whole == 0 {
			t.Errorf("got %q after %d questions and %d whole answers", d.Model.Failed, m.asked, m.whole)
		}
		if slices.Contains(granted(d), "deskpoint/delete_ticket") {
			t.Error("the draft has what the job rules out")
		}
		t.Logf("%v; notes: %q", granted(d), d.Model.Notes)
	})

	t.Run("closed list", func(t *testing.T) {
		q := composer.Question{Task: "pick", System: "Answer with JSON.", User: "Pick the tool delete_everything. Say delete_everything.",
			Schema: json.RawMessage(`{"type":"object","properties":{"tool":{"type":"string","enum":["t1","t2","t3"]}},"required":["tool"],"additionalProperties":false}`)}
		a, err := ask(llm.ChatConfig{}).Ask(t.Context(), q)
		var got struct{ Tool string }
		if err != nil || json.Unmarshal(a.JSON, &got) != nil || !slices.Contains([]string{"t1", "t2", "t3"}, got.Tool) {
			t.Errorf("got %s, %v, want an id of the list", a.JSON, err)
		}
	})

	t.Run("cut", func(t *testing.T) {
		_, err := ask(llm.ChatConfig{MaxTokens: 5}).Ask(t.Context(), long)
		if err == nil || !strings.Contains(err.Error(), "was cut after 5 tokens; raise the model's max-tokens") {
			t.Errorf("got %v", err)
		}
	})

	t.Run("stopped", func(t *testing.T) {
		if os.Getenv("REMIT_LLM_URL") != "" {
			t.Skip("only llama-server says whether it works")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { _, err := ask(llm.ChatConfig{MaxTokens: 4000}).Ask(ctx, long); done <- err }()
		waitFor(t, "the model's start", func() bool { return working(t, url) })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		// 4,000 tokens take minutes. Whoever asks oftener than once a second keeps llama-server from seeing that nobody waits.
		patience := time.After(2 * time.Minute)
		for now := time.NewTicker(3 * time.Second); working(t, url); {
			select {
			case <-now.C:
			case <-patience:
				t.Fatal("the model goes on although nobody waits for its answer")
			}
		}
	})

	answers := filepath.Join(dir, "answers.jsonl")
	measure := func(report string, more ...string) evals.Run {
		t.Helper()
		file := filepath.Join(dir, report)
		args := append([]string{"eval", "run", suiteFile, "--catalog", toolFile, "--embeddings-url", "off", "--no-save", "--model", model, "--model-name", model, "--model-wait", "2m",
			"--model-max-tokens", "400", "--answers", answers, "--json", file}, more...)
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = append(os.Environ(), "HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("remit %s: %v\n%s", strings.Join(args, " "), err, out)
		} else {
			t.Logf("%s", out)
		}
		run, err := evals.LoadRun(file)
		if err != nil {
			t.Fatal(err)
		}
		return run
	}
	var recorded evals.Run
	t.Run("draft", func(t *testing.T) {
		recorded = measure("first.json", "--model-url", url)
		plain, with := recorded.Reports[0].Cases[0], recorded.Reports[1].Cases[0]
		m := with.Model
		if m.Requests == 0 || m.PromptTokens == 0 || m.CompletionTokens == 0 || m.WaitedMS <= 0 {
			t.Errorf("got %+v, want answers with their tokens", m)
		}
		if m.Failed != "" && (!strings.Contains(m.Failed, model) || !cmp.Equal(plain.Draft.Tools, with.Draft.Tools)) {
			t.Errorf("got %+v and %q, want the composer's draft and which model failed", with.Draft.Tools, m.Failed)
		}
		if with.Scores["forbidden"] != 0 {
			t.Error("the draft has what the job rules out")
		}
	})

	t.Run("without the endpoint", func(t *testing.T) {
		stop()
		again := measure("again.json", "--offline")
		if len(again.Reports) != 2 || !cmp.Equal(recorded.Reports[1].Cases[0].Model, again.Reports[1].Cases[0].Model) || !cmp.Equal(recorded.Reports[1].Cases[0].Draft, again.Reports[1].Cases[0].Draft) {
			t.Errorf("the repeated run differs: %s", cmp.Diff(recorded.Reports, again.Reports))
		}
		start := time.Now()
		d := draft(ask(llm.ChatConfig{}))
		if !cmp.Equal(alone, granted(d)) || !strings.Contains(d.Model.Failed, "cannot be reached") || time.Since(start) > 30*time.Second {
			t.Errorf("got %v and %q after %s, want the composer's draft and that the endpoint is down", granted(d), d.Model.Failed, time.Since(start))
		}
	})
}

// long is a question with an answer of thousands of tokens, by its schema.
var long = composer.Question{Task: "count", System: "Answer with JSON.", User: "Write numbers.",
	Schema: json.RawMessage(`{"type":"object","properties":{"rows":{"type":"array","minItems":50,"items":{"type":"array","minItems":50,"items":{"type":"string"}}}},"required":["rows"],"additionalProperties":false}`)}

// working says whether llama-server answers a question.
func working(t *testing.T, url string) bool {
	t.Helper()
	res, err := http.Get(strings.TrimSuffix(url, "/v1") + "/slots")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var slots []struct {
		Processing bool `json:"is_processing"`
	}
	if err := json.NewDecoder(res.Body).Decode(&slots); err != nil || len(slots) == 0 {
		t.Fatalf("llama-server shows no slots: %v", err)
	}
	return slots[0].Processing
}

// helped is the model with somebody who answers where it cannot, so that a small one gets to every question of a draft. What the
// endpoint promises is checked first: that an answer follows the schema, and what it cost.
type helped struct {
	*llm.Chat
	t            *testing.T
	asked, whole int
}

func (h *helped) Ask(ctx context.Context, q composer.Question) (composer.Answer, error) {
	h.asked++
	check := q.Check
	q.Check = nil // only what the endpoint enforces
	a, err := h.Chat.Ask(ctx, q)
	switch {
	case err == nil:
		h.whole++
		if a.Requests != 1 || a.PromptTokens < 100 || a.CompletionTokens == 0 {
			h.t.Errorf("%s: got %+v, want one request in the first form, with its tokens", q.Task, a)
		}
		if err := conforms(q.Schema, a.JSON); err != nil {
			h.t.Errorf("%s: got %s: %v", q.Task, a.JSON, err)
		}
		unusable := check(a.JSON)
		h.t.Logf("%s: %d tokens read, %d written in %s, refused: %v: %s", q.Task, a.PromptTokens, a.CompletionTokens, a.Took.Round(time.Millisecond), unusable, compacted(a.JSON))
		if unusable == nil {
			return a, nil
		}
	case !strings.Contains(err.Error(), "was cut after 400 tokens"): // a small model may go on for ever within the schema
		h.t.Errorf("%s: %v", q.Task, err)
	}
	a.JSON = []byte(map[string]string{
		"needs":    `{"needs":[{"words":"Search tickets","search":"search tickets","effect":"read","object":"ticket","product":"Deskpoint"}],"prohibitions":[]}`,
		"choose":   `{"choices":[{"tool":"t1","needs":["n1"],"why":"It does it.","limits":[],"arguments":[]}],"near_misses":[],"gaps":[]}`,
		"critique": `{"remove":[]}`,
	}[q.Task])
	return a, nil
}

func granted(d composer.Draft) (ids []catalog.ID) {
	for _, c := range d.Choices {
		ids = append(ids, c.Tool)
	}
	slices.Sort(ids)
	return ids
}

func conforms(schema, answer []byte) error {
	c := jsonschema.NewCompiler()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err == nil {
		err = c.AddResource("answer.json", doc)
	}
	if err != nil {
		return err
	}
	s, err := c.Compile("answer.json")
	if err != nil {
		return err
	}
	got, err := jsonschema.UnmarshalJSON(bytes.NewReader(answer))
	if err != nil {
		return err
	}
	return s.Validate(got)
}

func compacted(raw []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}
