package upstream

import (
	"io"
	"slices"
	"sync"
)

// tail keeps the last lines that a child wrote to its standard error, cleaned.
type tail struct {
	secret *redactor
	mu     sync.Mutex
	lines  []string
}

const (
	tailLines     = 20
	tailLineBytes = 500
)

// read keeps reading so that the child never waits for us, until r ends.
func (t *tail) read(r io.Reader) {
	in := newLines(r, 64<<10)
	for {
		line, over, err := in.next()
		if err != nil {
			return
		}
		text := t.secret.words(string(line), tailLineBytes)
		if over != nil {
			text = "(a line of more than 64 KiB)"
		}
		if text == "" {
			continue
		}
		t.mu.Lock()
		t.lines = append(t.lines, text)
		if len(t.lines) > tailLines {
			t.lines = slices.Delete(t.lines, 0, len(t.lines)-tailLines)
		}
		t.mu.Unlock()
	}
}

func (t *tail) last() []string {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}
