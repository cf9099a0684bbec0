// Package llm owns every call of a model over the network, through any endpoint with OpenAI's API: OpenAI, Ollama, vLLM,
// llama.cpp and others.
package llm

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sashabaranov/go-openai"

	"remit/prompts"
)

// Config says which endpoint embeds.
type Config struct {
	URL   string // base, mostly ending in /v1
	Model string
	Key   string // sent as bearer token; may be empty

	BatchSize int           // texts a request; 0 means 64
	Timeout   time.Duration // of one request; 0 means 30 s
	MaxTries  int           // of one request; 0 means 5
	// Patience bounds one request with all its repetitions; 0 means 2 minutes.
	Patience time.Duration
}

// Embedder is a catalog.Embedder and catalog.QueryEmbedder. It is safe for concurrent use.
type Embedder struct {
	config         Config
	client         *openai.Client
	passage, query prompts.Prompt
	dim            atomic.Int64
}

// New checks the configuration; the endpoint is first asked when something is embedded.
func New(c Config) (*Embedder, error) {
	u, err := checkURL("embeddings", c.URL)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(c.Model) == "" {
		return nil, fmt.Errorf("name the model that %s should embed with", u.Host)
	}
	c.URL = strings.TrimRight(c.URL, "/")
	c.BatchSize, c.MaxTries = orDefault(c.BatchSize, 64), orDefault(c.MaxTries, 5)
	c.Timeout, c.Patience = orDefault(c.Timeout, 30*time.Second), orDefault(c.Patience, 2*time.Minute)
	api := openai.DefaultConfig(c.Key)
	api.BaseURL = c.URL
	api.HTTPClient = newDoer(c.Key, c.Timeout, maxVectors, nil)
	e := &Embedder{config: c, client: openai.NewClientWithConfig(api)}
	e.passage, e.query = prompts.Embedding(c.Model)
	return e, nil
}

func orDefault[T int | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// Model names the model and the versions of the prompts, so that vectors are rebuilt when either changes.
func (e *Embedder) Model() string {
	return fmt.Sprintf("%s+%s+%s", e.config.Model, e.passage.Version(), e.query.Version())
}

// Dim is the length of a vector; 0 until the endpoint first answered.
func (e *Embedder) Dim() int { return int(e.dim.Load()) }

// Embed returns one unit vector a text, in order. Errors name the endpoint and what to do, never the key.
func (e *Embedder) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	return e.embed(ctx, e.passage, texts, e.config.MaxTries)
}

// EmbedQueries is Embed for texts that are searched for. Somebody waits for it and search can do without, so a request is
// made twice at most.
func (e *Embedder) EmbedQueries(ctx context.Context, texts []string) ([][]float32, error) {
	return e.embed(ctx, e.query, texts, min(2, e.config.MaxTries))
}

func (e *Embedder) embed(ctx context.Context, prompt prompts.Prompt, texts []string, tries int) ([][]float32, error) {
	filled := make([]string, len(texts))
	for i, text := range texts {
		var err error
		if filled[i], err = prompt.Fill(text); err != nil {
			return nil, err
		}
	}
	out := make([][]float32, 0, len(texts))
	for start := 0; start < len(filled); start += e.config.BatchSize {
		vectors, err := e.batch(ctx, filled[start:min(start+e.config.BatchSize, len(filled))], tries)
		if err != nil {
			return nil, endpoint{url: e.config.URL, model: e.config.Model, kind: "embeddings", does: "embeds", is: "an embedding model"}.explain(ctx, err)
		}
		out = append(out, vectors...)
	}
	return out, nil
}

// batch asks once, and again with growing pauses where that can help.
func (e *Embedder) batch(ctx context.Context, texts []string, tries int) ([][]float32, error) {
	return backoff.Retry(ctx, func() ([][]float32, error) {
		res, err := e.client.CreateEmbeddings(ctx, openai.EmbeddingRequestStrings{
			Input: texts, Model: openai.EmbeddingModel(e.config.Model), EncodingFormat: openai.EmbeddingEncodingFormatFloat,
		})
		if err != nil {
			return nil, retryable(err)
		}
		vectors, err := e.ordered(res.Data, len(texts))
		if err != nil {
			return nil, backoff.Permanent(err)
		}
		return vectors, nil
	}, backoff.WithMaxTries(uint(tries)), backoff.WithMaxElapsedTime(e.config.Patience))
}

// ordered puts the vectors where their index says, and checks that there is exactly one good vector a text.
func (e *Embedder) ordered(data []openai.Embedding, count int) ([][]float32, error) {
	if len(data) != count {
		return nil, &answerError{fmt.Sprintf("it answered %d vectors for %d texts", len(data), count)}
	}
	out := make([][]float32, count)
	for _, d := range data {
		if d.Index < 0 || d.Index >= count || out[d.Index] != nil {
			return nil, &answerError{fmt.Sprintf("it answered index %d twice or beyond the %d texts", d.Index, count)}
		}
		if len(d.Embedding) == 0 {
			return nil, &answerError{"it answered an empty vector"}
		}
		if e.dim.CompareAndSwap(0, int64(len(d.Embedding))); len(d.Embedding) != e.Dim() {
			return nil, &answerError{fmt.Sprintf("it answered a vector of %d dimensions after some of %d", len(d.Embedding), e.Dim())}
		}
		if !unit(d.Embedding) {
			return nil, &answerError{"it answered a vector that is zero or not finite"}
		}
		out[d.Index] = d.Embedding
	}
	return out, nil
}

// unit scales v to length 1; false when it has no direction.
func unit(v []float32) bool {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	length := math.Sqrt(sum)
	if math.IsNaN(length) || math.IsInf(length, 0) || length < 1e-12 {
		return false
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / length)
	}
	return true
}
