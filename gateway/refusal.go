package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"remit/audit"
)

// refuse records a request that is refused before a tool was called, and answers it. The record comes first; when it
// cannot be written the request stays refused, and the log says so.
func (g *Gateway) refuse(x *exchange, f *fault) {
	e := audit.Entry{Time: g.c.Now(), Kind: audit.RequestRefused, Actor: x.who.Actor(), Persona: x.who.Persona,
		Tool: clean(x.tool(), maxNameInRecord), Decision: audit.Refused, Reason: f.why(), Policy: "request"}
	if x.persona != "" {
		if err := g.c.Audit.Append(context.WithoutCancel(x.r.Context()), e); err != nil {
			g.complain("a refusal could not be recorded", err)
		}
	} else {
		g.refusals.record(e)
	}
	if f.status == http.StatusUnauthorized {
		x.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	x.fail(f)
}

// Whoever has no valid key may cause at most strangersPerSecond entries a second, so that a flood of them cannot fill the
// disk. Those beyond are counted, and one entry with the count is written when the second is over.
const strangersPerSecond = 10

// refusals records the refusals of requests without a valid key.
type refusals struct {
	log      audit.Log
	now      func() time.Time
	complain func(string, error)

	mu         sync.Mutex
	second     time.Time
	written    int
	suppressed int
	last       audit.Entry // of the suppressed
	timer      *time.Timer
}

func (s *refusals) record(e audit.Entry) {
	s.mu.Lock()
	if now := s.now(); now.Sub(s.second) >= time.Second || now.Before(s.second) {
		s.second, s.written = now, 0
	}
	if s.written >= strangersPerSecond {
		s.suppressed++
		s.last = e
		if s.timer == nil {
			s.timer = time.AfterFunc(time.Second, s.flush)
		}
		s.mu.Unlock()
		return
	}
	s.written++
	s.mu.Unlock()
	s.append(e)
}

// flush writes one entry for the refusals that were only counted.
func (s *refusals) flush() {
	s.mu.Lock()
	n, e := s.suppressed, s.last
	if s.timer != nil {
		s.timer.Stop()
	}
	s.suppressed, s.timer = 0, nil
	s.mu.Unlock()
	if n > 0 {
		e.Time = s.now()
		e.Reason = fmt.Sprintf("%d more requests without a valid key were refused; the last: %s", n, e.Reason)
		e.Actor, e.Persona = audit.Actor{}, ""
		e.Detail = map[string]string{"suppressed": fmt.Sprint(n)}
		s.append(e)
	}
}

func (s *refusals) append(e audit.Entry) {
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	if err := s.log.Append(ctx, e); err != nil {
		s.complain("a refusal could not be recorded", err)
	}
}

// Bounds on the record.
const (
	maxNameInRecord = 128 // bytes of a name that a caller made up
	maxReason       = 500 // bytes
	recordTimeout   = 20 * time.Second
)

// clean makes a caller's text fit for a record, an error or a page: no control or invisible characters, at most limit
// bytes.
func clean(text string, limit int) string {
	var b strings.Builder
	for _, r := range text {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r) > limit-len("…") {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
