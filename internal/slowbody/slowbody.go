// Package slowbody owns the defence against requests whose body never ends: it would hold its connection for ever, also
// when it is refused, because net/http reads what is left of a body before it answers.
package slowbody

import (
	"io"
	"net/http"
	"time"
)

// Limit gives a client so long to send a request's body. The deadline is lifted at the body's end: what the handler does
// then, such as a call or a stream of events, may take as long as it likes.
func Limit(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit)); err == nil { // a recorder in a test has none
				r.Body = &body{r.Body, w}
			}
		}
		next.ServeHTTP(w, r)
	})
}

type body struct {
	io.ReadCloser
	w http.ResponseWriter
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = http.NewResponseController(b.w).SetReadDeadline(time.Time{}) // fails only where the connection is gone
	}
	return n, err
}
