package catalog

import "strings"

// suffixes that make one word of another, longest first where one ends in another.
var suffixes = []string{"ation", "ate", "ator", "ion", "or", "er", "ment", "ly", "able"}

// stem brings the forms of an English word together ("translate", "translation", "translators" are transl). The chosen
// rules find as much as Porter's second stemmer on the sets that may be trained on, and keep "general" and "generate",
// "organisation" and "organ" apart.
func stem(word string) string {
	if len(word) < 4 || !isLower(word) {
		return word
	}
	word = singular(word)
	for _, suffix := range suffixes {
		if base, ok := strings.CutSuffix(word, suffix); ok && len(base) >= 4 {
			word = base
			break
		}
	}
	return unending(word)
}

// Uninflected brings the forms of one English word together ("files", "filing", "filed" are fil), and no others: unlike the
// search's stems it keeps verbs and the nouns made of them apart.
func Uninflected(word string) string {
	if len(word) < 4 {
		return word
	}
	return unending(singular(word))
}

func unending(word string) string {
	for _, suffix := range []string{"ing", "ed"} {
		base, ok := strings.CutSuffix(word, suffix)
		if !ok || len(base) < 3 || !strings.ContainsAny(base, "aeiouy") {
			continue
		}
		if n := len(base); base[n-1] == base[n-2] && !strings.ContainsRune("lsz", rune(base[n-1])) {
			return base[:n-1] // planned, plan
		}
		word = base
		break
	}
	if len(word) > 3 && strings.HasSuffix(word, "e") {
		return word[:len(word)-1] // create, creating
	}
	if len(word) > 3 && strings.HasSuffix(word, "y") {
		return word[:len(word)-1] + "i" // query, queried
	}
	return word
}

func singular(word string) string {
	switch {
	case strings.HasSuffix(word, "ies") && len(word) > 4:
		return word[:len(word)-3] + "y"
	case strings.HasSuffix(word, "sses"), strings.HasSuffix(word, "xes"), strings.HasSuffix(word, "ches"),
		strings.HasSuffix(word, "shes"), strings.HasSuffix(word, "zzes"):
		return word[:len(word)-2]
	case strings.HasSuffix(word, "ss"), strings.HasSuffix(word, "us"), strings.HasSuffix(word, "is"):
		return word
	case strings.HasSuffix(word, "s"):
		return word[:len(word)-1]
	}
	return word
}
