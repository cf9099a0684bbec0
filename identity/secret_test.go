package identity

import (
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestKeyText(t *testing.T) {
	id, text := newKey()
	if got, ok := keyID(text); !ok || got != id {
		t.Errorf("keyID(%q): got %q, %v, want %q", text, got, ok, id)
	}
	if other, _ := newKey(); other == id {
		t.Errorf("two keys have the id %q", id)
	}
	for name, wrong := range map[string]string{
		"empty":          "",
		"prefix only":    keyPrefix,
		"cut":            text[:len(text)-1],
		"longer":         text + "a",
		"other letter":   text[:30] + flip(text[30]) + text[31:],
		"other prefix":   "Remit_" + text[len(keyPrefix):],
		"capitals":       strings.ToUpper(text),
		"id of another":  text[:len(keyPrefix)] + strings.Repeat("a", idLen) + text[len(keyPrefix)+idLen:],
		"no underscore":  strings.Replace(text[len(keyPrefix):], "_", "a", 1),
		"a long string":  strings.Repeat("remit_", 1000),
		"leading spaces": " " + text,
	} {
		if _, ok := keyID(wrong); ok {
			t.Errorf("%s: %q was taken for a key", name, wrong)
		}
	}
}

// The example in docs/keys.md is a key by the rule that stands beside it, which is all that a scanner needs.
func TestDocumentedKey(t *testing.T) {
	text, err := os.ReadFile("../docs/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`(?m)^    (\S*\[a-z2-7\]\S*)$`).FindSubmatch(text)
	if form == nil {
		t.Fatal("docs/keys.md shows no regular expression")
	}
	examples := regexp.MustCompile(string(form[1])).FindAllString(string(text), -1)
	if len(examples) != 2 {
		t.Fatalf("got the examples %q, want a key and one that is mistyped", examples)
	}
	for i, want := range []bool{true, false} {
		if _, got := keyID(examples[i]); got != want {
			t.Errorf("%s: got %v, want %v", examples[i], got, want)
		}
	}
	for range 100 {
		if _, key := newKey(); regexp.MustCompile(string(form[1])).FindString("key="+key+".") != key {
			t.Errorf("the documented expression does not find %s", key)
		}
	}
}

// A key that is mistyped is refused before anything is read: this directory has no store to read from.
func TestMistypedKeyReadsNothing(t *testing.T) {
	_, key := newKey()
	for _, text := range []string{"", key[1:], key + "a", strings.ToUpper(key), key[:len(key)-1] + flip(key[len(key)-1]), "remit_" + strings.Repeat("a", 70)} {
		if _, err := (&Directory{}).Authenticate(t.Context(), text, netip.Addr{}); err != ErrCredential {
			t.Errorf("%q: got %v, want %v", text, err, ErrCredential)
		}
	}
}

// What is taken for a key has the documented form, its id is in it, and changing any letter makes it none.
func FuzzKeyText(f *testing.F) {
	_, key := newKey()
	f.Add(key, 7)
	f.Add("remit_aaaaaaaaaa_"+strings.Repeat("a", 59), 0)
	f.Add("remit_\xff", 1)
	f.Fuzz(func(t *testing.T, text string, at int) {
		id, ok := keyID(text)
		if !ok {
			return
		}
		if !keyForm.MatchString(text) || !strings.HasPrefix(text, "remit_"+id+"_") || checksum(text[:keyLen-sumLen]) != text[keyLen-sumLen:] {
			t.Errorf("%q was taken for a key with the id %q", text, id)
		}
		i := at & 0x7fffffff % len(text)
		other := text[:i] + flip(text[i]) + text[i+1:]
		if _, ok := keyID(other); ok {
			t.Errorf("%q and %q are both keys", text, other)
		}
	})
}

func flip(b byte) string {
	if b == 'a' {
		return "b"
	}
	return "a"
}

func TestPasswords(t *testing.T) {
	encoded := hashPassword("correct horse battery")
	if !strings.HasPrefix(encoded, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(encoded, "horse") {
		t.Errorf("got %q", encoded)
	}
	if encoded == hashPassword("correct horse battery") {
		t.Error("two hashes of one password are equal: the salt is missing")
	}
	for password, want := range map[string]bool{"correct horse battery": true, "correct horse batterY": false, "": false} {
		if got := passwordMatches(encoded, password); got != want {
			t.Errorf("%q: got %v, want %v", password, got, want)
		}
	}
	for _, broken := range []string{"", "x", "$argon2id$v=19$m=1$!$!", "$$$$$"} {
		if passwordMatches(broken, "") || passwordMatches(broken, "x") {
			t.Errorf("the hash %q matched", broken)
		}
	}
}
