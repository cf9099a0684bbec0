package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// lines reads lines of at most limit bytes. A longer line is read to its end
// without being kept.
type lines struct {
	br    *bufio.Reader
	limit int
	buf   []byte
}

func newLines(r io.Reader, limit int) *lines {
	return &lines{br: bufio.NewReaderSize(r, 64<<10), limit: limit}
}

// next returns the next line without its end; it is valid until the next
// call. If the line was over the limit, line is nil and over has seen all of
// it. The error is the reader's; a last line without an end is dropped, as a
// message cut off is not a message.
func (l *lines) next() (line []byte, over *idScanner, err error) {
	if cap(l.buf) > 1<<20 {
		l.buf = nil // do not keep the memory of one large message
	}
	l.buf = l.buf[:0]
	for {
		chunk, err := l.br.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, over, err
		}
		switch {
		case over != nil:
			over.feed(chunk)
		case len(l.buf)+len(chunk) > l.limit+2: // two for the line's end
			over = &idScanner{}
			over.feed(l.buf)
			over.feed(chunk)
			l.buf = nil
		default:
			l.buf = append(l.buf, chunk...)
		}
		if err == nil {
			return bytes.TrimRight(l.buf, "\r\n"), over, nil
		}
	}
}

// idScanner finds the "id" member of a JSON object that is too large to be
// kept, so that the one call it answers can be told.
type idScanner struct {
	depth    int
	inString bool
	escaped  bool
	text     []byte // the current string at depth 1
	key      []byte // the member whose value is being read, at depth 1
	value    []byte // its value, if the key is "id"
	id       []byte
}

// maxIDBytes is the longest id that is looked at.
const maxIDBytes = 64

func (s *idScanner) feed(chunk []byte) {
	for _, c := range chunk {
		if s.id != nil {
			return
		}
		s.step(c)
	}
}

func (s *idScanner) step(c byte) {
	if s.inString {
		switch {
		case s.escaped:
			s.escaped = false
		case c == '\\':
			s.escaped = true
		case c == '"':
			s.inString = false
		}
		if s.inString && s.depth == 1 && len(s.text) < maxIDBytes {
			s.text = append(s.text, c)
		}
		return
	}
	switch c {
	case '"':
		s.inString = true
		s.text = s.text[:0]
	case '{', '[':
		s.depth++
	case '}', ']':
		s.endValue()
		s.depth--
	case ',':
		s.endValue()
	case ':':
		if s.depth == 1 {
			s.key = append(s.key[:0], s.text...)
			s.value = s.value[:0]
		}
	default:
		if s.depth == 1 && string(s.key) == "id" && len(s.value) < maxIDBytes && c > ' ' {
			s.value = append(s.value, c)
		}
	}
}

func (s *idScanner) endValue() {
	if s.depth == 1 && string(s.key) == "id" && len(s.value) > 0 {
		s.id = bytes.Clone(s.value)
	}
	if s.depth == 1 {
		s.key = s.key[:0]
	}
}
