package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What can go wrong, for errors.Is. The error returned wraps one of these
// with the server's name, the cause in words and what to do next.
var (
	// ErrUnavailable: the server is not connected, died, or broke the connection.
	// The call may or may not have been carried out.
	ErrUnavailable = errors.New("server unavailable")
	// ErrTimeout: the server did not answer in time. The call may have been carried out.
	ErrTimeout = errors.New("server did not answer in time")
	// ErrBusy: no place became free among the calls in flight. The call was not sent.
	ErrBusy = errors.New("server busy")
	// ErrTooLarge: the answer is over MaxMessage.
	ErrTooLarge = errors.New("answer too large")
	// ErrEndless: a list repeats a cursor or goes over MaxTools or MaxPages.
	ErrEndless = errors.New("list does not end")
	// ErrInvalid: the server's answer is not what the protocol says.
	ErrInvalid = errors.New("invalid answer")
	// ErrUnauthorized: the server refused our credentials (HTTP 401 or 403).
	ErrUnauthorized = errors.New("server refused our credentials")
	// ErrNotConnected: calls carry the user's own token, and the user has not
	// connected an account, or does not let this client use it. The call was not sent.
	ErrNotConnected = errors.New("no account for the call")
	// ErrNoToken: there is no token for the call now. The call was not carried out.
	ErrNoToken = errors.New("no token")
	// ErrNoTasks: the server takes no calls as tasks. The call was not sent.
	ErrNoTasks = errors.New("no tasks")
	// ErrClosed: the pool was closed or not yet started.
	ErrClosed = errors.New("pool not running")
)

// RPCError is a JSON-RPC error that the server answered. Message is fit to be
// shown: cleaned of control characters and cut at 500 bytes. Text is the same,
// a JSON string, as received, and Data is, too. Configured secrets are removed
// from all three.
type RPCError struct {
	Code    int
	Message string
	Text    json.RawMessage
	Data    json.RawMessage
}

func (e *RPCError) Error() string {
	return fmt.Sprintf("the server answered error %d: %s", e.Code, e.Message)
}

// fault is an error in words that is also one of the kinds above.
type fault struct {
	kind error
	text string
	more error // a second error to be found by errors.Is; may be nil
}

func (f *fault) Error() string { return f.text }

func (f *fault) Unwrap() []error {
	if f.more == nil {
		return []error{f.kind}
	}
	return []error{f.kind, f.more}
}

func faultf(kind error, format string, args ...any) *fault {
	return &fault{kind: kind, text: fmt.Sprintf(format, args...)}
}

// maxErrorText is the most bytes of a server's words in an error.
const maxErrorText = 500

// clean makes text from outside fit for an error, a log or a page: terminal
// sequences, control characters, invisible and direction-changing characters
// go, every run of white space becomes one space, and at most limit bytes stay.
func clean(text string, limit int) string {
	if len(text) > 4*limit {
		text = text[:4*limit]
	}
	var b strings.Builder
	space := false
	for i := 0; i < len(text) && b.Len() < limit; {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == 0x1b || r == 0x9b {
			i += escapeLength(text[i:], size)
			continue
		}
		i += size
		switch {
		case r == utf8.RuneError && size == 1:
			r = '?'
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r):
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return cut(b.String(), limit)
}

// escapeLength is the length of the terminal sequence that text begins with.
func escapeLength(text string, first int) int {
	i := first
	if i < len(text) && text[0] == 0x1b {
		switch text[i] {
		case ']': // an operating system command ends with BEL or ESC \
			if end := strings.IndexAny(text[i:], "\a\x1b"); end >= 0 {
				return i + end + 1
			}
			return len(text)
		case '[':
			i++
		default:
			return i + 1
		}
	}
	for i < len(text) && (text[i] < 0x40 || text[i] > 0x7e) {
		i++
	}
	return min(i+1, len(text))
}

// cut shortens text to at most limit bytes without splitting a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// AccountRule is what the record calls the rule that refuses a call for want of its user's account.
const AccountRule = "account"
