package evals

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"remit/composer"
)

// Asker is a language model whose questions have digests: of all the bytes that the first request of a question consists of.
type Asker interface {
	composer.Model
	Digest(composer.Question) (string, error)
}

// Answers keeps what models answered in a file, so that a run can be repeated without them. What an answer cost and how long
// it took is kept too, so the repeated run says the same. An answer belongs to the very bytes of its request.
//
// The file has one object a line, see [Recorded]. It is safe for concurrent use.
type Answers struct {
	path    string
	offline bool

	mu    sync.Mutex
	file  *os.File // nil without a path and offline
	known map[string]Recorded
	err   error // the first that has to end the run
}

// Recorded is one line of the file.
type Recorded struct {
	Request          string          `json:"request"` // SHA-256 of the request's bytes, in hex
	Model            string          `json:"model"`
	Task             string          `json:"task"`
	Answer           json.RawMessage `json:"answer,omitempty"`
	Failed           string          `json:"failed,omitempty"` // why there is no answer: refused, cut, nonsense, late
	Requests         int             `json:"requests"`
	PromptTokens     int             `json:"prompt_tokens"`
	CompletionTokens int             `json:"completion_tokens"`
	Cost             float64         `json:"cost"`
	TookMS           float64         `json:"took_ms"`
}

// NewAnswers takes the answers of the file. Offline nothing else is known, and an answer that the file lacks is an error; otherwise
// models are asked, and the file grows. Without a path answers are kept in memory.
func NewAnswers(path string, offline bool) (*Answers, error) {
	a := &Answers{path: path, offline: offline, known: map[string]Recorded{}}
	if path == "" {
		return a, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil && (offline || !errors.Is(err, os.ErrNotExist)) {
		return nil, fmt.Errorf("the recorded answers cannot be read: %w", err)
	}
	number := 0
	for line := range bytes.Lines(raw) {
		number++
		var r Recorded
		if err := json.Unmarshal(line, &r); err != nil {
			if !bytes.HasSuffix(line, []byte("\n")) {
				break // it was being written when a run was stopped
			}
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if r.Request == "" || (len(r.Answer) == 0) == (r.Failed == "") {
			return nil, fmt.Errorf("%s:%d: a recorded answer has a request, and an answer or why there is none", path, number)
		}
		a.known[r.Request] = r
	}
	if offline {
		return a, nil
	}
	if a.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600); err == nil { // jobs and definitions are in the answers
		whole := int64(bytes.LastIndexByte(raw, '\n') + 1)
		if err = a.file.Truncate(whole); err == nil {
			_, err = a.file.Seek(whole, 0)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the answers cannot be recorded: %w", err)
	}
	return a, nil
}

// Close closes the file.
func (a *Answers) Close() error {
	if a == nil || a.file == nil {
		return nil
	}
	return a.file.Close()
}

// Err is why a draft of the run cannot count: the endpoint failed, or an answer is not recorded. What was answered is kept.
func (a *Answers) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Of is the model, answered from what is recorded where that has the answer.
func (a *Answers) Of(model Asker) composer.Model { return &recorder{Asker: model, answers: a} }

type recorder struct {
	Asker
	answers *Answers
}

// Ask answers as the model did. A model's own failure is an outcome and recorded; an endpoint's is none.
func (r *recorder) Ask(ctx context.Context, q composer.Question) (composer.Answer, error) {
	key, err := r.Digest(q)
	if err != nil {
		return composer.Answer{}, r.answers.fail(err)
	}
	known, ok, err := r.answers.get(key)
	switch {
	case err != nil:
		return composer.Answer{}, err
	case ok:
		return known.answer()
	case r.answers.offline:
		return composer.Answer{}, r.answers.fail(fmt.Errorf("%s has no answer of %s to its question %q with the digest %s: the suite, the catalog, the prompts, the model's settings or remit are others than when it was recorded; run without --offline to record what is missing",
			r.answers.path, r.Name(), q.Task, key))
	}
	got, err := r.Asker.Ask(ctx, q)
	record := Recorded{Request: key, Model: r.Name(), Task: q.Task, Answer: got.JSON, Requests: got.Requests, PromptTokens: got.PromptTokens,
		CompletionTokens: got.CompletionTokens, Cost: got.Cost, TookMS: milliseconds(got.Took)}
	late := errors.Is(ctx.Err(), context.DeadlineExceeded) // of the draft; the run has none
	switch {
	case err == nil:
	case late:
		record.Answer, record.Failed = nil, "it had not answered in time"
	case errors.Is(err, composer.ErrUnusable):
		record.Answer, record.Failed = nil, err.Error()
	case ctx.Err() != nil:
		return got, err // the run is stopped
	default:
		return got, r.answers.fail(err)
	}
	if record, err = r.answers.put(record); err != nil {
		return got, err
	}
	return record.answer()
}

// answer is what the composer gets. The answer of a model that has to be paid for costs what it did.
func (r Recorded) answer() (composer.Answer, error) {
	a := composer.Answer{JSON: r.Answer, Requests: r.Requests, PromptTokens: r.PromptTokens, CompletionTokens: r.CompletionTokens, Cost: r.Cost,
		Took: time.Duration(r.TookMS * float64(time.Millisecond))}
	if r.Failed != "" {
		return a, errors.New(r.Failed)
	}
	return a, nil
}

func (a *Answers) get(key string) (Recorded, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.known[key]
	return known, ok, a.err
}

// put records the answer and returns the one that counts.
func (a *Answers) put(r Recorded) (Recorded, error) {
	var compact bytes.Buffer // an answer may have lines
	if r.Failed == "" {
		if err := json.Compact(&compact, r.Answer); err != nil {
			return r, a.fail(fmt.Errorf("the answer to %q cannot be recorded: %w", r.Task, err))
		}
		r.Answer = compact.Bytes()
	}
	line, err := json.Marshal(r)
	if err != nil {
		return r, a.fail(err)
	}
	a.mu.Lock()
	first, twice := a.known[r.Request] // when two cases asked it at a time
	if !twice {
		first, a.known[r.Request] = r, r
		if a.file != nil {
			_, err = a.file.Write(append(line, '\n'))
		}
	}
	a.mu.Unlock()
	if err != nil {
		return r, a.fail(fmt.Errorf("the answers cannot be recorded: %w", err))
	}
	return first, nil
}

func (a *Answers) fail(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = err
	}
	return a.err
}

// modelDrafter drafts with a model. A draft that lacks the model for another reason than the model itself does not count.
type modelDrafter struct {
	Drafter
	answers *Answers
}

func (d modelDrafter) Compose(ctx context.Context, job string) (composer.Draft, error) {
	draft, err := d.Drafter.Compose(ctx, job)
	if broken := d.answers.Err(); broken != nil {
		return draft, broken
	}
	return draft, err
}
