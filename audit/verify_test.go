package audit_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"remit/audit"
)

// cutChain is n entries and then a statement that those up to last were removed.
func cutChain(n int, last int64) []audit.Entry {
	c := chain(n)
	cut := audit.Cut{Last: audit.Head{Seq: last, Hash: c[last-1].Hash}, Count: last, Note: "signed", Time: time.Unix(9, 0), Actor: audit.Actor{Person: "ann"}}
	return append(c, cut.Entry().Seal(int64(n), c[n-1].Hash))
}

func TestVerifyAfterARemoval(t *testing.T) {
	head := func(c []audit.Entry) audit.Head { return audit.Head{Seq: c[len(c)-1].Seq, Hash: c[len(c)-1].Hash} }
	whole := cutChain(5, 2)
	for name, tc := range map[string]struct {
		attack func([]audit.Entry) []audit.Entry
		want   string // empty means that it verifies
	}{
		"nothing is removed yet": {func(c []audit.Entry) []audit.Entry { return c }, ""},
		"half of it":             {func(c []audit.Entry) []audit.Entry { return c[1:] }, ""},
		"all that was stated":    {func(c []audit.Entry) []audit.Entry { return c[2:] }, ""},
		"one more":               {func(c []audit.Entry) []audit.Entry { return c[3:] }, "entries 3 to 3 are missing"},
		"all but the statement":  {func(c []audit.Entry) []audit.Entry { return c[5:] }, "entries 3 to 5 are missing"},
		"also in the middle":     {func(c []audit.Entry) []audit.Entry { return append(c[2:3], c[4:]...) }, "entry 4 is missing"},
		"the end":                {func(c []audit.Entry) []audit.Entry { return c[2:5] }, "the end is missing"},
		"two change places":      {func(c []audit.Entry) []audit.Entry { c[3], c[4] = c[4], c[3]; return c[2:] }, "entry 4 is missing"},
		"an edit":                {func(c []audit.Entry) []audit.Entry { c[3].Tool = "x"; return c[2:] }, "entry 4 was edited"},
		"the statement":          {func(c []audit.Entry) []audit.Entry { c[5].Detail["last"] = "3"; return c[3:] }, "entry 6 was edited"},
		"everything":             {func(c []audit.Entry) []audit.Entry { return nil }, "the end is missing"},
	} {
		err := verify(tc.attack(cutChain(5, 2)), head(whole))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	other := cutChain(5, 2) // a statement of another entry 2, in a chain that is sound
	other[5].Detail["hash"] = other[0].Hash
	other[5] = other[5].Seal(5, other[4].Hash)
	if err := verify(other[2:], head(other)); err == nil || !strings.Contains(err.Error(), "entry 3 does not follow entry 2, which entry 6 says") {
		t.Errorf("got %v, want the statement's hash compared", err)
	}
	for _, detail := range []map[string]string{nil, {"last": "0", "count": "1"}, {"last": "6", "count": "1"}, {"last": "x", "count": "1"}, {"last": "1", "count": ""}} {
		if _, err := audit.CutOf(audit.Entry{Seq: 6, Kind: audit.Pruned, Detail: detail}); err == nil {
			t.Errorf("%v says what was removed", detail)
		}
	}
}

// What is about the record itself is read, and so is what cannot be told without.
func TestAddSealed(t *testing.T) {
	for name, e := range map[string]audit.Entry{
		"a checkpoint":    audit.Entry{Kind: audit.Checkpointed, Decision: audit.Changed}.Seal(1, strings.Repeat("0", 64)),
		"the first entry": audit.Entry{Kind: audit.ToolCall, Decision: audit.Allowed}.Seal(0, ""),
	} {
		text := e.AppendJSON(nil)
		got, read, err := audit.After(audit.Head{Seq: e.Seq - 1, Hash: e.Prev}).AddSealed(text)
		if err != nil || !read || got.Kind != e.Kind {
			t.Errorf("%s: got %+v, read: %v, %v", name, got, read, err)
		}
		if _, _, err := audit.After(audit.Head{Seq: e.Seq, Hash: e.Prev}).AddSealed(text); err == nil {
			t.Errorf("%s: another number was expected", name)
		}
	}
}

// FuzzVerifyText: whatever changes in the text of an entry is found, also what a JSON decoder does not see.
func FuzzVerifyText(f *testing.F) {
	entry := audit.Entry{Time: time.Unix(1, 0), Kind: audit.ToolCall, Actor: audit.Actor{Agent: "bot", User: "zoe", Key: "k1"}, Persona: "support", Revision: 2,
		Tool: "crm/find", Digest: "sha256:ab", Decision: audit.Refused, Reason: "nö", Policy: "policy/hours", Micros: 12,
		Call:   audit.Call{ArgumentBytes: 1, ArgumentDigest: "sha256:cd", Client: "desk", Trace: "4bf9"},
		Detail: map[string]string{"name": "find"}}
	known := audit.Head{Seq: 7, Hash: strings.Repeat("ab", 32)}
	entry = entry.Seal(known.Seq, known.Hash)
	sealed, err := json.Marshal(entry)
	if err != nil {
		f.Fatal(err)
	}
	for bit := range len(sealed) * 8 {
		f.Add(bit, byte(1))
	}
	f.Fuzz(func(t *testing.T, bit int, flips byte) {
		text := append([]byte{}, sealed...)
		bit = int(uint(bit) % uint(len(text)*8))
		text[bit/8] ^= flips << (bit % 8)
		_, err := audit.After(known).AddText(text)
		_, read, fast := audit.After(known).AddSealed(text)
		if same := string(text) == string(sealed); (err == nil) != same || (fast == nil) != same || same && read {
			t.Errorf("got %v and, read: %v, %v for\n%s", err, read, fast, text)
		}
	})
}
