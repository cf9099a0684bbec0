package audit_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"remit/audit"
)

func chain(n int) []audit.Entry {
	var out []audit.Entry
	prev := ""
	for i := range n {
		e := audit.Entry{Time: time.Unix(int64(i), 123), Kind: audit.ToolCall, Tool: "crm/find", Decision: audit.Allowed,
			Detail: map[string]string{"b": "2", "a": "1"}}.Seal(int64(i), prev)
		out, prev = append(out, e), e.Hash
	}
	return out
}

func verify(entries []audit.Entry, head audit.Head) error {
	var v audit.Verifier
	for _, e := range entries {
		if err := v.Add(e); err != nil {
			return err
		}
	}
	return v.End(head)
}

// A name that is not UTF-8 must not make the entry look edited once it was stored and read.
func TestSealSurvivesStorage(t *testing.T) {
	e := audit.Entry{Kind: "x", Actor: audit.Actor{Agent: "a\xff"}, Detail: map[string]string{"k\xfe": "v\xff"}}.Seal(0, "")
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back audit.Entry
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	var v audit.Verifier
	if err := v.Add(back); err != nil || back.Agent != e.Agent {
		t.Errorf("got agent %q, %v, want %q and a chain that verifies", back.Agent, err, e.Agent)
	}
}

func TestVerify(t *testing.T) {
	head := func(c []audit.Entry) audit.Head { return audit.Head{Seq: c[len(c)-1].Seq, Hash: c[len(c)-1].Hash} }
	whole := chain(5)
	if err := verify(whole, head(whole)); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		attack func([]audit.Entry) []audit.Entry
		want   string
	}{
		"edit":    {func(c []audit.Entry) []audit.Entry { c[2].Decision = audit.Refused; return c }, "entry 3 was edited"},
		"delete":  {func(c []audit.Entry) []audit.Entry { return append(c[:1], c[2:]...) }, "entry 2 is missing"},
		"reorder": {func(c []audit.Entry) []audit.Entry { c[1], c[2] = c[2], c[1]; return c }, "entry 2 is missing"},
		"cut off": {func(c []audit.Entry) []audit.Entry { return c[:4] }, "the end is missing"},
		"replace": {func(c []audit.Entry) []audit.Entry { c[1].Tool = "x"; c[1] = c[1].Seal(1, c[0].Hash); return c }, "does not follow entry 2"},
	} {
		c := chain(5)
		err := verify(tc.attack(c), head(whole))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
