package tokens_test

import (
	"strings"
	"testing"
	"time"

	"remit/catalog/tokens"
)

func TestCount(t *testing.T) {
	for _, tc := range []struct {
		definition string
		want       int
	}{
		{``, 0},
		{`hello world`, 2}, // o200k_base: 24912, 2375
		{`{"name":"a"}`, 5},
		{"{ \"name\" :\n\"a\" }", 5}, // white space between members is not sent
	} {
		if got := tokens.Count([]byte(tc.definition)); got != tc.want {
			t.Errorf("%q: got %d tokens, want %d", tc.definition, got, tc.want)
		}
	}
}

func TestHostileTextIsCountedInTime(t *testing.T) {
	tokens.Count(nil) // loads the vocabulary
	const megabyte = 1 << 20
	for name, text := range map[string]string{
		"letters":       strings.Repeat("a", megabyte),
		"mixed letters": strings.Repeat("qzxjkvbw", megabyte/8),
		"spaces":        strings.Repeat(" ", megabyte),
		"lines":         strings.Repeat("\n", megabyte),
		"mixed spaces":  strings.Repeat(" \t\r\n", megabyte/4),
		"digits":        strings.Repeat("7", megabyte),
		"signs":         strings.Repeat("=-", megabyte/2),
		"accents":       strings.Repeat("a\u0301", megabyte/3),
		"han":           strings.Repeat("工具", megabyte/6),
		"emoji":         strings.Repeat("👩‍💻", megabyte/11),
		"no text":       strings.Repeat("\xff", megabyte),
		"slashes":       strings.Repeat("//\r\n", megabyte/4),
		"in JSON":       `{"description":"` + strings.Repeat("a", megabyte) + `"}`,
	} {
		start := time.Now()
		got := tokens.Count([]byte(text))
		if took := time.Since(start); took > time.Minute { // in more than linear time it would be hours
			t.Errorf("%s: %d tokens took %s", name, got, took)
		} else {
			t.Logf("%s: %d tokens in %s", name, got, took)
		}
		if got < 1 {
			t.Errorf("%s: got %d tokens", name, got)
		}
	}
}

func TestLongTextIsCountedAlike(t *testing.T) {
	sentence := "Lists the open issues of a repository, newest first, with labels and 25 comments each. "
	one, hundred := tokens.Count([]byte(sentence)), tokens.Count([]byte(strings.Repeat(sentence, 100)))
	if hundred < 95*one || hundred > 105*one {
		t.Errorf("got %d tokens for 100 sentences of %d", hundred, one)
	}
}
