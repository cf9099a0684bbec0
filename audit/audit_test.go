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
	_, err := v.End(head)
	return err
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

// older was written before entries said what a call carried.
const older = `{"seq":1,"time":"2026-11-20T08:00:00.000001Z","kind":"person.add","person":"local-operator","decision":"changed","detail":{"person":"ada","roles":"author"},"prev":"","hash":"209b768fe87c17fe5911affb51a7af3593b0c1df1a44640ebea98fb1870fea62"}
{"seq":2,"time":"2026-11-20T08:01:00Z","kind":"tool.call","agent":"bot","user":"carol","key":"k1","persona":"support","revision":1,"tool":"crm/find","digest":"sha256:ab","decision":"allowed","micros":1234,"detail":{"name":"find"},"prev":"209b768fe87c17fe5911affb51a7af3593b0c1df1a44640ebea98fb1870fea62","hash":"426073ac9903240b05dfa335ca17dd2adcb756a0ca2dad9531f59bf61d8b505b"}
{"seq":3,"time":"2026-11-20T08:02:00.5Z","kind":"tool.call","agent":"bot","user":"carol","key":"k1","persona":"support","tool":"\u003cx\u003e","decision":"refused","reason":"no","policy":"find","prev":"426073ac9903240b05dfa335ca17dd2adcb756a0ca2dad9531f59bf61d8b505b","hash":"b554a2ff5d9f075a0408d1a0180a7f99490eeab47fc4a87d32a34747c1d225fa"}`

// Entries of earlier versions verify, and those of this one follow them.
func TestChainOfEarlierVersionsVerifies(t *testing.T) {
	var entries []audit.Entry
	for line := range strings.Lines(older) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	last := entries[len(entries)-1]
	next := audit.Entry{Kind: audit.ToolCall, Call: audit.Call{ArgumentBytes: 2, Trace: "4bf92f3577b34da6a3ce929d0e0e4736"}}.Seal(last.Seq, last.Hash)
	entries = append(entries, next)
	if err := verify(entries, audit.Head{Seq: next.Seq, Hash: next.Hash}); err != nil {
		t.Error(err)
	}
	entries[len(entries)-1].ArgumentBytes = 3
	if err := verify(entries, audit.Head{Seq: next.Seq, Hash: next.Hash}); err == nil {
		t.Error("an edit of what a call carried was not seen")
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
