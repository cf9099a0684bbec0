// Package fakeopenai owns a stand-in for an OpenAI-compatible endpoint: a real server on loopback that answers
// requests for embeddings and chat completions, and misbehaves as it is told. It is for tests.
package fakeopenai

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
)

// Fault is how one request is answered wrongly.
type Fault string

const (
	None            Fault = ""
	TooManyRequests Fault = "429 with Retry-After"
	ServerError     Fault = "500"
	Unauthorized    Fault = "401 that repeats the key"
	NotFound        Fault = "404"
	Redirect        Fault = "redirect"
	OutOfOrder      Fault = "vectors in reverse order"
	SameIndex       Fault = "every vector has index 0"
	TooFew          Fault = "one vector is missing"
	WrongDimension  Fault = "vectors one longer"
	ZeroVector      Fault = "vectors of zeros"
	Hang            Fault = "no answer until the client gives up"
	HugeBody        Fault = "an endless body"
	Garbage         Fault = "no JSON"
	Broken          Fault = "connection closed"

	// Of chat completions.
	Refusal    Fault = "the model refuses"
	CutLength  Fault = "the answer is cut at the limit of tokens"
	CutBody    Fault = "the connection ends within the answer"
	BadJSON    Fault = "an answer that is no JSON"
	NoChoices  Fault = "an answer without choices"
	NoSchema   Fault = "400 for json_schema"
	NoForm     Fault = "400 for any response_format"
	NewerLimit Fault = "400 for max_tokens"
)

// Request is what a client sent.
type Request struct {
	Model         string
	Input         []string
	Authorization string

	Messages       []Message // of a chat completion; the rest too
	MaxTokens      int       `json:"max_tokens"`
	NewerMaxTokens int       `json:"max_completion_tokens"`
	Temperature    *float64
	Seed           *int
	ResponseFormat struct {
		Type       string
		JSONSchema struct {
			Name   string
			Schema json.RawMessage
			Strict bool
		} `json:"json_schema"`
	} `json:"response_format"`
	Body string `json:"-"` // as it was sent
}

// Message of a chat.
type Message struct{ Role, Content string }

// Server answers /v1/embeddings. A vector counts words, so texts that share words are near; it is not of unit length.
type Server struct {
	URL        string // ends in /v1
	RetryAfter string // of a 429; "1" if empty
	// Answer is what the model says to a chat; nil says {}. Set it before the first request.
	Answer func(Request) string

	dim  int
	http *httptest.Server

	mu       sync.Mutex
	faults   []Fault
	requests []Request
}

// New starts a server whose vectors have dim dimensions.
func New(dim int) *Server {
	s := &Server{dim: dim}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/embeddings", s.embeddings)
	mux.HandleFunc("POST /v1/chat/completions", s.chat)
	s.http = httptest.NewServer(mux)
	s.URL = s.http.URL + "/v1"
	return s
}

// Close ends the server and waits for its requests.
func (s *Server) Close() { s.http.CloseClientConnections(); s.http.Close() }

// Misbehave answers the next requests with the faults, one each, and the ones after them rightly.
func (s *Server) Misbehave(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults
}

// Requests returns what was asked so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// read notes a request and takes the fault that it is answered with.
func (s *Server) read(r *http.Request) (in Request, fault Fault, err error) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	in.Authorization, in.Body = r.Header.Get("Authorization"), string(body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, in)
	if len(s.faults) > 0 {
		fault, s.faults = s.faults[0], s.faults[1:]
	}
	return in, fault, err
}

func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) {
	in, fault, err := s.read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if s.refuse(w, r, fault) {
		return
	}
	type item struct {
		Object    string    `json:"object"`
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	}
	data := make([]item, len(in.Input))
	for i, text := range in.Input {
		data[i] = item{"embedding", i, s.vector(text)}
		switch fault {
		case SameIndex:
			data[i].Index = 0
		case WrongDimension:
			data[i].Embedding = append(data[i].Embedding, 1)
		case ZeroVector:
			clear(data[i].Embedding)
		}
	}
	switch fault {
	case OutOfOrder:
		slices.Reverse(data)
	case TooFew:
		data = data[1:]
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "model": in.Model, "data": data})
}

// refuse answers the faults that have no vectors.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, fault Fault) bool {
	fail := func(status int, message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message, "type": "fake"}})
	}
	switch fault {
	case TooManyRequests:
		after := s.RetryAfter
		if after == "" {
			after = "1"
		}
		w.Header().Set("Retry-After", after)
		fail(http.StatusTooManyRequests, "slow down")
	case ServerError:
		fail(http.StatusInternalServerError, "out of order")
	case Unauthorized:
		fail(http.StatusUnauthorized, "bad credential "+r.Header.Get("Authorization"))
	case NotFound:
		fail(http.StatusNotFound, "no such model")
	case Redirect:
		http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect)
	case Hang:
		<-r.Context().Done()
	case HugeBody:
		_, _ = io.WriteString(w, `{"data":[{"embedding":[`)
		for blank := strings.Repeat(" ", 1<<16); ; {
			if _, err := io.WriteString(w, blank); err != nil {
				return true
			}
		}
	case Garbage:
		_, _ = fmt.Fprint(w, "<html>welcome</html>")
	case Broken:
		panic(http.ErrAbortHandler)
	default:
		return false
	}
	return true
}

func (s *Server) vector(text string) []float32 {
	v := make([]float32, s.dim)
	v[0] = 1
	for _, word := range strings.Fields(strings.ToLower(text)) {
		h := fnv.New32a()
		_, _ = h.Write([]byte(strings.Trim(word, ".,;:!?")))
		v[1+h.Sum32()%uint32(s.dim-1)] += 3
	}
	return v
}
