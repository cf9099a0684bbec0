package policy

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// fileEndings end names such as logo@2x.png; no address ends so.
var fileEndings = []string{"png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "scss", "js", "mjs", "cjs", "ts", "tsx", "jsx", "json",
	"tgz", "gz", "tar", "exe", "dll", "html", "htm", "txt", "yml", "yaml", "lock", "map", "xml", "csv", "log", "local", "internal", "localdomain"}

func emails(s *sample) (found []span) {
	done := 0
	for _, at := range s.ats {
		start, end := s.mailbox(max(done, at-64), at), s.domain(at+1)
		if handle := s.before(start) == '@' && (start < 2 || classes[s.text[start-2]]&isWord == 0); handle || start == at || end == 0 {
			continue // @name@host is no mailbox
		}
		if s.text[start:at] == "git" && s.after(end) == ':' { // git@host:path is a place
			continue
		}
		found = append(found, span{start, end})
		done = end
	}
	return found
}

// script tells letters that do not mix in an address: those of Latin, Greek and Cyrillic from those of scripts without spaces,
// where the words before and after an address adjoin it.
func script(r rune) int {
	switch {
	case r < 0x530:
		return 1
	case r == utf8.RuneError:
		return 0
	}
	return 2
}

// mailbox is where the part before "@" begins.
func (s *sample) mailbox(from, at int) int {
	if s.before(at) == '"' {
		if open := strings.LastIndexByte(s.text[from:at-1], '"'); open >= 0 && !strings.Contains(s.text[from+open:at], "\n") {
			return from + open
		}
		return at
	}
	start, kind := at, 0
	for start > from {
		r, n := utf8.DecodeLastRuneInString(s.text[from:start])
		if r < utf8.RuneSelf {
			if !letter(byte(r)) && !figure(byte(r)) && strings.IndexByte("._%+'~-", byte(r)) < 0 {
				break
			}
		}
		if r >= utf8.RuneSelf || letter(byte(r)) {
			if k := script(r); kind == 0 {
				kind = k
			} else if k != kind {
				break
			}
			if r == 0x201C || r == 0x2019 || r == 0xAB || r == 0xBB || r == 0xA0 || kind == 0 || strings.ContainsRune("“”‘’«»‹›、。，；：（）「」【】…–—·•→", r) {
				break
			}
		}
		start -= n
	}
	for start < at && strings.IndexByte(".'%+~-", s.text[start]) >= 0 {
		start++
	}
	if start < at && s.text[at-1] == '.' {
		return at
	}
	return start
}

// domain is where the part after "@" ends, 0 where there is none.
func (s *sample) domain(from int) int {
	if s.after(from) == '[' { // an address in place of a name
		if end := strings.IndexByte(s.text[from:min(len(s.text), from+48)], ']'); end > 7 && strings.Trim(s.text[from+1:from+end], "0123456789abcdefABCDEFIPv.:") == "" {
			return from + end + 1
		}
		return 0
	}
	end, kind := from, 0
	for end < len(s.text) && end-from < 255 {
		r, n := utf8.DecodeRuneInString(s.text[end:])
		if r < utf8.RuneSelf && !letter(byte(r)) && !figure(byte(r)) && r != '.' && r != '-' {
			break
		}
		if r >= utf8.RuneSelf || letter(byte(r)) {
			if k := script(r); kind == 0 {
				kind = k
			} else if k != kind {
				break
			}
			if r >= utf8.RuneSelf && (r < 0xC0 || strings.ContainsRune("“”‘’«»‹›、。，；：（）「」【】…–—·•→", r)) {
				break
			}
		}
		end += n
	}
	labels := strings.Split(strings.TrimRight(s.text[from:end], ".-"), ".")
	for len(labels) > 1 && (slices.Contains(labels, "") || !topLevel(labels[len(labels)-1])) {
		labels = labels[:len(labels)-1] // "a@example.com.2" and "a@example.com..b" hold an address still
	}
	if len(labels) < 2 || numbers(labels[:len(labels)-1]) > 1 || slices.Contains(fileEndings, strings.ToLower(labels[len(labels)-1])) {
		return 0
	}
	return from + len(strings.Join(labels, "."))
}

func topLevel(label string) bool {
	if strings.HasPrefix(label, "xn--") {
		return true
	}
	for i := range len(label) {
		if !letter(label[i]) && label[i] < utf8.RuneSelf {
			return false
		}
	}
	return utf8.RuneCountInString(label) >= 2
}

// numbers counts labels that are digits only: two of them make a version, as in "lib@4.17.21.tgz".
func numbers(labels []string) (n int) {
	for _, l := range labels {
		if strings.Trim(l, "0123456789") == "" {
			n++
		}
	}
	return n
}
