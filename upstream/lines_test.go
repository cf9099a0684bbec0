package upstream

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestLinesAreBounded(t *testing.T) {
	long := `{"x":"` + strings.Repeat(`a\"b`, 60_000) + `","y":{"id":1},"id": 42 ,"z":[]}`
	in := newLines(strings.NewReader("short\r\n"+long+"\nexactly 12!!\nlast without an end"), 12)
	if line, over, err := in.next(); string(line) != "short" || over != nil || err != nil {
		t.Errorf("got %q, %v, %v", line, over, err)
	}
	line, over, err := in.next()
	if len(line) > 0 || over == nil || err != nil {
		t.Fatalf("got %d bytes, %v, %v", len(line), over, err)
	}
	if got, want := string(over.id), "42"; got != want {
		t.Errorf("got id %q, want %q", got, want)
	}
	if line, over, err := in.next(); string(line) != "exactly 12!!" || over != nil || err != nil {
		t.Errorf("got %q, %v, %v", line, over, err)
	}
	if _, _, err := in.next(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}

func TestEventsAreReadAndBounded(t *testing.T) {
	in := newEvents(strings.NewReader(": hi\r\n\r\nid: 7\nretry: 5\ndata: a\ndata:b\n\nevent: x\n\ndata: "+strings.Repeat("y", 100)+"\n\n"), 20)
	data, err := in.next()
	if string(data) != "a\nb" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
	if in.last != "7" || in.retry.Seconds() != 1 {
		t.Errorf("got id %q and a pause of %s, want 7 and no less than a second", in.last, in.retry)
	}
	if _, err := in.next(); !errors.Is(err, errEventTooLarge) {
		t.Errorf("got %v, want too large", err)
	}
}

func TestClean(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"plain", "plain"},
		{" two\r\n\tlines ", "two lines"},
		{"\x1b[1;31mred\x1b[0m", "red"},
		{"\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"},
		{"\u009b31mred", "red"},
		{"a\u200b\u202e\U000E0041b\x00c\xff", "abc?"},
		{strings.Repeat("é", 50), strings.Repeat("é", 10)},
	} {
		if got := clean(test.in, 21); got != test.want {
			t.Errorf("clean(%q): got %q, want %q", test.in, got, test.want)
		}
	}
}

func FuzzCleanAndScan(f *testing.F) {
	f.Add("\x1b[31m\x1b]x\x07{\"id\":1}")
	f.Fuzz(func(t *testing.T, text string) {
		if got := clean(text, 50); len(got) > 50 || strings.ContainsAny(got, "\x1b\x00\n\r\u202e") {
			t.Errorf("got %q", got)
		}
		(&idScanner{}).feed([]byte(text))
	})
}
