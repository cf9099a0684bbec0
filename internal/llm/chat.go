package llm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sashabaranov/go-openai"
	"golang.org/x/time/rate"

	"remit/composer"
)

// ChatConfig says which endpoint answers questions.
type ChatConfig struct {
	URL       string // base, mostly ending in /v1
	Model     string
	Key       string            // sent as bearer token; may be empty
	Transport http.RoundTripper // nil means the default one

	// Temperature of 0 gives the same answer to the same question where the endpoint can; below 0 none is sent.
	Temperature float64
	MaxTokens   int             // of one answer; 0 means 4,000
	Tasks       map[string]Task // what is otherwise for a task

	Timeout   time.Duration // of one request; 0 means 60 s
	MaxTries  int           // of one request; 0 means 3
	PerMinute int           // requests that are begun; 0 means 60
	// Prices of a million tokens, in any currency.
	PricePrompt, PriceCompletion float64
}

// Task overrides the settings for one task; zero values do not.
type Task struct {
	Model       string
	Temperature *float64
	MaxTokens   int
}

const (
	maxChat    = 1 << 20 // bytes of an answer
	maxKept    = 256     // answers that are remembered
	maxWrong   = 2000    // bytes of a wrong answer that are shown to the model again
	chatSeed   = 1
	chatRepair = "This answer cannot be used: %s. Answer again, with the corrected JSON object and nothing else."
)

// Chat is a composer.Model at an endpoint. It is safe for concurrent use.
type Chat struct {
	config  ChatConfig
	client  *openai.Client
	doer    *doer
	limiter *rate.Limiter

	mu    sync.Mutex
	forms map[string]form // the best form of answer that a model's endpoint knows
	newer map[string]bool // models that want max_completion_tokens, and no temperature
	kept  map[[sha256.Size]byte][]byte
	order [][sha256.Size]byte // of kept, oldest first
}

// NewChat checks the configuration; the endpoint is first asked when a question is.
func NewChat(c ChatConfig) (*Chat, error) {
	u, err := checkURL("model", c.URL)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(c.Model) == "" {
		return nil, fmt.Errorf("name the model that %s should answer with", u.Host)
	}
	c.URL = strings.TrimRight(c.URL, "/")
	c.MaxTokens, c.MaxTries, c.PerMinute = orDefault(c.MaxTokens, 4000), orDefault(c.MaxTries, 3), orDefault(c.PerMinute, 60)
	c.Timeout = orDefault(c.Timeout, time.Minute)
	api := openai.DefaultConfig(c.Key)
	api.BaseURL = c.URL
	d := newDoer(c.Key, c.Timeout, maxChat, c.Transport)
	api.HTTPClient = d
	return &Chat{config: c, client: openai.NewClientWithConfig(api), doer: d, limiter: rate.NewLimiter(rate.Limit(float64(c.PerMinute)/60), c.PerMinute),
		forms: map[string]form{}, newer: map[string]bool{}, kept: map[[sha256.Size]byte][]byte{}}, nil
}

// Name is the configured model's.
func (c *Chat) Name() string { return c.config.Model }

// asked is what one question is asked with.
type asked struct {
	composer.Question
	model       string
	temperature float64
	maxTokens   int
}

func (a asked) messages() []openai.ChatCompletionMessage {
	return []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleSystem, Content: a.System}, {Role: openai.ChatMessageRoleUser, Content: a.User}}
}

// ask takes the settings of the question's task.
func (c *Chat) ask(q composer.Question) asked {
	a := asked{q, c.config.Model, c.config.Temperature, c.config.MaxTokens}
	t := c.config.Tasks[q.Task]
	if t.Model != "" {
		a.model = t.Model
	}
	if t.Temperature != nil {
		a.temperature = *t.Temperature
	}
	a.maxTokens = orDefault(t.MaxTokens, a.maxTokens)
	return a
}

// Ask answers a question, from memory if the very same was answered before. An answer that cannot be used is sent back once.
// Errors name the endpoint and what to do, never the key.
func (c *Chat) Ask(ctx context.Context, q composer.Question) (composer.Answer, error) {
	a := c.ask(q)
	key, err := c.digest(a)
	if err != nil {
		return composer.Answer{}, err
	}
	if raw, ok := c.remembered(key); ok && (q.Check == nil || q.Check(raw) == nil) {
		return composer.Answer{JSON: raw}, nil
	}
	var out composer.Answer
	start := time.Now()
	err = c.converse(ctx, a, &out)
	out.Took = time.Since(start)
	out.Cost = (float64(out.PromptTokens)*c.config.PricePrompt + float64(out.CompletionTokens)*c.config.PriceCompletion) / 1e6
	if err != nil {
		e := endpoint{url: c.config.URL, model: a.model, kind: "model", does: "chats", is: "a chat model"}
		if busy := (*limitError)(nil); errors.As(err, &busy) && ctx.Err() == nil {
			return out, fmt.Errorf("the model %s at %s %w", a.model, c.config.URL, busy)
		}
		if wrong := (*unusableError)(nil); errors.As(err, &wrong) && ctx.Err() == nil {
			return out, &unusableError{fmt.Sprintf("the model %s at %s %s", a.model, c.config.URL, c.doer.secret(wrong.text))}
		}
		return out, e.explain(ctx, err)
	}
	c.remember(key, out.JSON)
	return out, nil
}

// unusableError is an answer of the model that cannot be used; the endpoint is well.
type unusableError struct{ text string }

func (e *unusableError) Error() string        { return e.text }
func (e *unusableError) Is(target error) bool { return target == composer.ErrUnusable }

// limitError is our own limit: nothing was asked.
type limitError struct{ perMinute int }

func (e *limitError) Error() string {
	return fmt.Sprintf("was asked %d times within a minute, which is the configured limit; try again later, or raise model.requests-per-minute", e.perMinute)
}

// converse asks, and once more when the answer cannot be used.
func (c *Chat) converse(ctx context.Context, a asked, out *composer.Answer) error {
	messages := a.messages()
	for try := 0; ; try++ {
		text, err := c.complete(ctx, a, messages, out)
		if err != nil {
			return err
		}
		raw, problem := object(text)
		if problem == nil && a.Check != nil {
			problem = a.Check(raw)
		}
		if problem == nil {
			out.JSON = raw
			return nil
		}
		if try > 0 {
			return &unusableError{fmt.Sprintf("gave an answer that cannot be used, twice (%v); try again, or configure a larger model", problem)}
		}
		messages = append(messages, openai.ChatCompletionMessage{Role: openai.ChatMessageRoleAssistant, Content: strings.ToValidUTF8(text[:min(len(text), maxWrong)], "")},
			openai.ChatCompletionMessage{Role: openai.ChatMessageRoleUser, Content: fmt.Sprintf(chatRepair, problem)})
	}
}

// object finds the JSON object in an answer: alone, in a code fence, or after a model's thoughts.
func object(text string) ([]byte, error) {
	if _, after, ok := strings.Cut(text, "</think>"); ok {
		text = after
	}
	start, end := strings.IndexByte(text, '{'), strings.LastIndexByte(text, '}')
	if start < 0 || end < start || !json.Valid([]byte(text[start:end+1])) {
		return nil, errors.New("it is not one JSON object")
	}
	return []byte(text[start : end+1]), nil
}

// complete sends the messages in the best form that the endpoint takes, again where that can help, and counts what it cost.
func (c *Chat) complete(ctx context.Context, a asked, messages []openai.ChatCompletionMessage, out *composer.Answer) (string, error) {
	for {
		f, newer := c.way(a.model)
		req, err := c.request(a, messages, f, newer)
		if err != nil {
			return "", err
		}
		res, err := c.send(ctx, req, out)
		if err != nil && c.otherWay(a.model, f, newer, err) {
			continue
		}
		if err != nil {
			c.forget(a.model)
			return "", err
		}
		return readChoice(res, a.maxTokens)
	}
}

func (c *Chat) send(ctx context.Context, req openai.ChatCompletionRequest, out *composer.Answer) (openai.ChatCompletionResponse, error) {
	options := []backoff.RetryOption{backoff.WithMaxTries(uint(c.config.MaxTries))}
	if until, ok := ctx.Deadline(); ok { // a pause that goes beyond it is not begun
		options = append(options, backoff.WithMaxElapsedTime(time.Until(until)))
	}
	return backoff.Retry(ctx, func() (openai.ChatCompletionResponse, error) {
		if err := c.limiter.Wait(ctx); err != nil {
			return openai.ChatCompletionResponse{}, backoff.Permanent(&limitError{c.config.PerMinute})
		}
		out.Requests++
		res, err := c.client.CreateChatCompletion(ctx, req)
		if err != nil {
			return res, retryable(err)
		}
		out.PromptTokens += max(0, res.Usage.PromptTokens)
		out.CompletionTokens += max(0, res.Usage.CompletionTokens)
		return res, nil
	}, options...)
}

func readChoice(res openai.ChatCompletionResponse, maxTokens int) (string, error) {
	if len(res.Choices) == 0 {
		return "", &answerError{"its answer has no choices"}
	}
	switch choice := res.Choices[0]; {
	case choice.Message.Refusal != "":
		return "", &unusableError{fmt.Sprintf("refused to answer (%.200q); word the job otherwise, or configure another model", choice.Message.Refusal)}
	case choice.FinishReason == openai.FinishReasonContentFilter:
		return "", &unusableError{"was stopped by its content filter; word the job otherwise, or configure another model"}
	case choice.FinishReason == openai.FinishReasonLength:
		return "", &unusableError{fmt.Sprintf("was cut after %d tokens; raise the model's max-tokens", maxTokens)}
	default:
		return choice.Message.Content, nil
	}
}

// request is the body for a way of asking. All of it follows from the question and the configuration.
func (c *Chat) request(a asked, messages []openai.ChatCompletionMessage, f form, newer bool) (openai.ChatCompletionRequest, error) {
	seed := chatSeed
	req := openai.ChatCompletionRequest{Model: a.model, Messages: messages, Seed: &seed}
	if newer {
		req.MaxCompletionTokens = a.maxTokens
	} else {
		//lint:ignore SA1019 endpoints other than OpenAI's know only this name
		req.MaxTokens = a.maxTokens
		if a.temperature >= 0 { // 0 would be left out of the JSON
			req.Temperature = max(float32(a.temperature), math.SmallestNonzeroFloat32)
		}
	}
	return req, f.apply(&req, a.Question)
}

// Digest is the SHA-256 of the question's first request, of all its bytes, in the best form and with the older name of its limit.
// Questions with one digest have one answer.
func (c *Chat) Digest(q composer.Question) (string, error) {
	sum, err := c.digest(c.ask(q))
	return hex.EncodeToString(sum[:]), err
}

func (c *Chat) digest(a asked) (sum [sha256.Size]byte, err error) {
	req, err := c.request(a, a.messages(), bySchema, false)
	if err != nil {
		return sum, err
	}
	raw, err := json.Marshal(req)
	if err != nil {
		return sum, fmt.Errorf("the question %q cannot be sent: %w", a.Task, err)
	}
	return sha256.Sum256(raw), nil
}

func (c *Chat) remembered(key [sha256.Size]byte) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	raw, ok := c.kept[key]
	return raw, ok
}

func (c *Chat) remember(key [sha256.Size]byte, raw []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.kept[key]; !ok {
		c.order = append(c.order, key)
	}
	c.kept[key] = raw
	if len(c.order) > maxKept {
		delete(c.kept, c.order[0])
		c.order = c.order[1:]
	}
}
