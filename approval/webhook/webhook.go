// Package webhook owns how people hear that a call, or a revision, waits for them: one signed message
// (https://www.standardwebhooks.com) for each, tried again for a while. Nothing waits for it, and nothing is decided by it.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"remit/approval"
)

// Config of a Sender.
type Config struct {
	URL    string
	Secret string // "whsec_" and base64 of 24 to 64 bytes, or a text of at least 24
	Page   func(id string) string
	First  time.Duration // pause before the second try; default 1 second, doubled for each further one
	Log    *slog.Logger
}

// Bounds.
const (
	maxWaiting = 256              // messages that are not sent yet; further ones are dropped
	workers    = 4                // messages that are sent at a time
	maxTries   = 8                // of one message
	oneTry     = 10 * time.Second // of waiting for an answer
)

// Sender sends what it is told while Run runs.
type Sender struct {
	Config
	key    []byte
	queue  chan outgoing
	client *http.Client
}

// New checks the secret.
func New(c Config) (*Sender, error) {
	s := &Sender{Config: c, queue: make(chan outgoing, maxWaiting), client: &http.Client{Timeout: oneTry,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}} // the address is the operator's, nobody else's
	s.key = []byte(c.Secret)
	if encoded, ok := strings.CutPrefix(c.Secret, "whsec_"); ok {
		var err error
		if s.key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, errors.New("the webhook's secret begins with whsec_ and is no base64 after that")
		}
	}
	if len(s.key) < 24 {
		return nil, errors.New("the webhook's secret has fewer than 24 bytes: make one with openssl rand -base64 32")
	}
	if s.First == 0 {
		s.First = time.Second
	}
	return s, nil
}

// outgoing is a message on its way.
type outgoing struct {
	message
	id    string
	until time.Time // after which it is of no use
}

// message of either type.
type message struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

// asked names who wants what, and never with which arguments: those are on the page, for people who may decide.
type asked struct {
	ID       string    `json:"id"`
	Persona  string    `json:"persona"`
	Revision int       `json:"revision"`
	Tool     string    `json:"tool"`
	Agent    string    `json:"agent"`
	User     string    `json:"user"`
	Expires  time.Time `json:"expires"`
	URL      string    `json:"url"`
}

// Submission is a revision that waits for its review.
type Submission struct {
	Persona  string    `json:"persona"`
	Title    string    `json:"title"`
	Revision int       `json:"revision"`
	By       string    `json:"by"`
	Tools    int       `json:"tools"`
	URL      string    `json:"url"`
	At       time.Time `json:"-"`
}

// Asked tells of a request. It never blocks; a message that finds no place is dropped and logged.
func (s *Sender) Asked(r approval.Request) {
	s.tell(outgoing{message{"approval.requested", r.Created, asked{r.ID, r.Persona, r.Revision, r.Tool, r.Agent, r.User, r.Expires, s.Page(r.ID)}}, "msg_" + r.ID, r.Expires})
}

// Submitted tells of a revision that waits for its review, as Asked does, and tries for a day.
func (s *Sender) Submitted(of Submission) {
	id := fmt.Sprintf("msg_%s_%d_%d", of.Persona, of.Revision, of.At.UnixMicro())
	s.tell(outgoing{message{"persona.submitted", of.At, of}, id, of.At.Add(24 * time.Hour)})
}

func (s *Sender) tell(m outgoing) {
	select {
	case s.queue <- m:
	default:
		s.Log.Error("the webhook is too slow: a message about what waits for a person was dropped", "type", m.Type, "id", m.id)
	}
}

// Run sends until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	var busy sync.WaitGroup
	for range workers {
		busy.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-s.queue:
					if err := s.send(ctx, m); err != nil && ctx.Err() == nil {
						s.Log.Error("the webhook could not be told what waits for a person", "type", m.Type, "id", m.id, "err", err)
					}
				}
			}
		})
	}
	busy.Wait()
	return nil
}

// send tries until the receiver takes the message, the tries are used up, or it is of no use any more.
func (s *Sender) send(ctx context.Context, m outgoing) error {
	body, err := json.Marshal(m.message)
	if err != nil {
		return err
	}
	left := time.Until(m.until)
	if left <= 0 {
		return nil
	}
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval, pauses.Multiplier = s.First, time.Minute, 2
	_, err = backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, s.try(ctx, m.id, body) },
		backoff.WithBackOff(pauses), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(left))
	return err
}

func (s *Sender) try(ctx context.Context, id string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(err)
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "remit")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", "v1,"+sign(s.key, id, at, body))
	res, err := s.client.Do(req)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err // without the address, which is a secret of some receivers
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode/100 == 5, res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("its receiver answered %s", res.Status)
	}
	return backoff.Permanent(fmt.Errorf("its receiver answered %s", res.Status))
}

// sign is the Standard Webhooks signature.
func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
