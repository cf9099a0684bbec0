package llm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	maxVectors = 16 << 20 // bytes of an answer; 256 vectors of 4,096 dimensions take about 14 MB
	maxMessage = 500      // bytes of an endpoint's own words that an error repeats
	maxPause   = time.Minute
)

// statusError is an answer that is no success.
type statusError struct {
	status  int
	after   time.Duration // of Retry-After; 0 if there was none
	message string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("status %d: %s", e.status, e.message)
}

// connectionError is a request without a whole answer.
type connectionError struct{ err error }

func (e *connectionError) Error() string { return e.err.Error() }
func (e *connectionError) Unwrap() error { return e.err }

// answerError is a success that cannot be used.
type answerError struct{ text string }

func (e *answerError) Error() string { return e.text }

// doer is go-openai's way to the network. It adds what that lacks: Retry-After in errors, a limit on answers, and the
// difference between a broken connection and a bad answer.
type doer struct {
	client    *http.Client
	key       string
	maxAnswer int // bytes
}

// secret takes the key out of a text of the endpoint.
func (d *doer) secret(text string) string {
	if d.key == "" {
		return text
	}
	return strings.ReplaceAll(text, d.key, "[key]")
}

// newDoer follows no redirect: the key would go to whoever is named there.
func newDoer(key string, timeout time.Duration, maxAnswer int, transport http.RoundTripper) *doer {
	return &doer{key: key, maxAnswer: maxAnswer, client: &http.Client{Timeout: timeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// checkURL says what is wrong with the address of an endpoint, without repeating what may be a secret. what names the setting.
func checkURL(what, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the %s URL must be like http://localhost:11434/v1", what)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the %s URL for %s must hold no credentials, query or fragment; configure the key apart from it", what, u.Host)
	}
	return u, nil
}

func (d *doer) Do(req *http.Request) (*http.Response, error) {
	res, err := d.client.Do(req)
	if err != nil {
		return nil, &connectionError{err}
	}
	if res.StatusCode < 300 {
		res.Body = &limitedBody{ReadCloser: res.Body, left: d.maxAnswer, most: d.maxAnswer}
		return res, nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxMessage))
	message := d.secret(strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "")), " "))
	return nil, &statusError{status: res.StatusCode, after: retryAfter(res.Header.Get("Retry-After")), message: message}
}

// retryAfter reads both forms of RFC 9110, section 10.2.3.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return max(0, time.Duration(min(seconds, 1<<20))*time.Second)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

type limitedBody struct {
	io.ReadCloser
	left, most int
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, &answerError{fmt.Sprintf("its answer is longer than %d MiB", b.most>>20)}
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	if err != nil && err != io.EOF {
		err = &connectionError{err}
	}
	return n, err
}

// retryable marks the errors that asking again cannot mend, and those that say when to ask again.
func retryable(err error) error {
	var status *statusError
	if errors.As(err, &status) {
		if status.status != http.StatusTooManyRequests && status.status < 500 || status.after > maxPause {
			return backoff.Permanent(err)
		}
		if status.after > 0 {
			return errors.Join(err, &backoff.RetryAfterError{Duration: status.after})
		}
		return err
	}
	if connection := (*connectionError)(nil); errors.As(err, &connection) {
		return err
	}
	return backoff.Permanent(err)
}

// endpoint is what errors say of an endpoint.
type endpoint struct {
	url, model string
	kind       string // "embeddings" or "model"
	does       string // what the model has to do: "embeds", "chats"
	is         string // what it has to be: "an embedding model"
}

// explain says for a person which endpoint failed, how, and what to do.
func (e endpoint) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("asking the %s endpoint %s was stopped: %w", e.kind, e.url, ctx.Err())
	}
	var status *statusError
	var connection *connectionError
	if errors.As(err, &status) {
		next := "look at its log"
		switch s := status.status; {
		case s == http.StatusUnauthorized || s == http.StatusForbidden:
			next = "check the configured key"
		case s == http.StatusNotFound:
			next = fmt.Sprintf("check the URL, which mostly ends in /v1, and that it has the model %q", e.model)
		case s == http.StatusTooManyRequests && status.after > 0:
			next = fmt.Sprintf("it asks to wait %s; try again then, or raise its limit", status.after.Round(time.Second))
		case s == http.StatusTooManyRequests:
			next = "try again later, or raise its limit"
		case s < 400:
			next = "it redirects; configure the URL that it redirects to"
		case s < 500:
			next = "check the model and that it " + e.does
		}
		return fmt.Errorf("the %s endpoint %s refused (%w); %s", e.kind, e.url, status, next)
	}
	if errors.As(err, &connection) {
		return fmt.Errorf("the %s endpoint %s cannot be reached (%w); check that it runs and that the URL is right", e.kind, e.url, connection)
	}
	return fmt.Errorf("the %s endpoint %s cannot be used: %w; check that the URL is that of an OpenAI-compatible API and that %q is %s",
		e.kind, e.url, err, e.model, e.is)
}
