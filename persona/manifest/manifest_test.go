package manifest_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"remit/catalog"
	"remit/persona"
	"remit/persona/manifest"
	"remit/policy"
)

var update = flag.Bool("update", false, "write testdata anew, to be read before it is kept")

var support = manifest.Document{Persona: "support", Title: "Support: \"first\" line", Job: "Look up the customer.\n\nNever refund: ask # first.",
	Tools: []manifest.Tool{
		manifest.Tool{Tool: "crm/find", Name: "find", Digest: "0f", Reason: "asked for by “look up”"}.WithEffect(catalog.Read),
		{Tool: "chat/post", Name: "post", Digest: "1e", Policy: policy.Policy{Limits: []policy.Limit{{Calls: 10, Per: policy.Hour}},
			Arguments:  []policy.Constraint{{Path: "/channel", Enum: []json.RawMessage{json.RawMessage(`"support"`), json.RawMessage("null")}}, {Path: "/n", Minimum: json.RawMessage("1e3")}},
			Conditions: []policy.Condition{{CEL: `args.to != "all"`}}, Hours: []policy.Hours{{Days: []string{"mon"}, From: "08:00", To: "18:00"}}, TimeoutSeconds: 5}},
	}, Expires: "2027-02-01", Recertify: "2026-12-24T12:00:00Z", Missed: persona.Refuse}

// The text is made for people: this is how it looks.
func TestWrite(t *testing.T) {
	text, err := manifest.Write(support)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/support.yaml", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/support.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever a persona says, what is written is read as the same, and written again the same text.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := manifest.Document{Persona: "p", Title: words.Draw(t, "title"), Job: words.Draw(t, "job"),
			Expires: manifest.DateOf(time.Unix(rapid.Int64Range(1, 4e9).Draw(t, "expires"), 0).UTC())}
		for i := range rapid.IntRange(1, 3).Draw(t, "tools") {
			raw, err := json.Marshal(words.Draw(t, "const"))
			if err != nil {
				t.Fatal(err)
			}
			d.Tools = append(d.Tools, manifest.Tool{Tool: catalog.ID(words.Draw(t, "tool")), Name: fmt.Sprint("n", i), Digest: "d", Reason: words.Draw(t, "reason"),
				Policy: policy.Policy{Conditions: []policy.Condition{{CEL: words.Draw(t, "cel")}}, Arguments: []policy.Constraint{{Path: words.Draw(t, "path"), Const: raw}}}})
		}
		text, err := manifest.Write(d)
		if err != nil {
			t.Fatal(err)
		}
		back, err := manifest.Read("f", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(d, back, cmpopts.IgnoreUnexported(manifest.Tool{}), cmpopts.EquateEmpty()); diff != "" && !strings.Contains(diff, "never") {
			t.Fatalf("(-want +got):\n%s\n%s", diff, text)
		}
		again, err := manifest.Write(back)
		if err != nil || string(again) != string(text) {
			t.Fatalf("got %v\n%s\nwant\n%s", err, again, text)
		}
	})
}

// words are texts that YAML could take for something else.
var words = rapid.OneOf(rapid.StringN(1, 40, -1), rapid.SampledFrom([]string{"null", "~", "true", "no", "1e3", "0x1f", "- a", "a: b", "# a", " a", "a ", "a\n", "\na", "a\n\n\nb", "a\n  b\n c",
	"a\tb", "\"'", "%a", "&a", "*a", "!a", "|", ">-", "---", "...", "a\n---\nb", "a\r\nb", "\u2028", "\u0085", "\ufeff", "é", "\U0001F600", "\U000E0041", "\\", "{{a}}", "[a", "2027-02-01", "?", "a #b", "=", "<<"}))

// Attack and slip: what is ambiguous, unknown or built to exhaust is refused, with its line.
func TestReadRefuses(t *testing.T) {
	good, err := manifest.Write(support)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, with string) string {
		if !strings.Contains(string(good), old) {
			t.Fatalf("the text has no %q", old)
		}
		return strings.Replace(string(good), old, with, 1)
	}
	deep := strings.Repeat("[", 100_000)
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'i'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	for name, tc := range map[string]struct{ text, want string }{
		"unknown member":   {edit("title:", "titel:"), `f:4: there is no member "titel" here`},
		"unknown rule":     {edit("timeout_seconds", "timeout"), `there is no member "timeout" here`},
		"member twice":     {edit("title:", "persona: other\ntitle:"), "persona"},
		"member of a tool": {edit("    name: \"find\"\n", "    name: \"find\"\n    name: \"refund\"\n"), "name"},
		"without digest":   {edit("    digest: \"0f\"\n", ""), "the digest of crm/find is missing"},
		"without value":    {edit("name: \"find\"", "name:"), "the value is missing"},
		"bad id":           {edit("persona: support", "persona: ../support"), "f:3: a persona's id"},
		"bad date":         {edit("\"2027-02-01\"", "soon"), "is no date"},
		"bad missed":       {edit("missed: refuse", "missed: shrug"), "missed is warn or refuse"},
		"octal":            {edit("timeout_seconds: 5", "timeout_seconds: 0o5"), "in decimal digits"},
		"no tools":         {"persona: p\ntitle: t\njob: j\ntools: []\n", "f:4: a persona without tools"},
		"alias bomb":       {bomb, "f:1: \"&\": anchors, aliases"},
		"merge":            {edit("title:", "<<: {title: other}\ntitle:"), "merges"},
		"tag":              {edit("title: ", "title: !!binary "), "tags"},
		"two documents":    {string(good) + "---\n" + string(good), "several documents"},
		"deep lists":       {"tools: " + deep, "nested too deeply"},
		"deep maps":        {"tools: " + strings.Repeat("{a: ", 50_000), "nested too deeply"},
		"deep on one line": {"tools: \n" + strings.Repeat("- ", 100_000), "nested too deeply"},
		"10 MB":            {strings.Repeat("a: b\n", 2_000_000), "over 512 KiB"},
		"not UTF-8":        {"persona: \xff", "not UTF-8"},
		"nothing":          {"", "f: the file holds one persona"},
		"only a list":      {"- a\n", "f"},
		"lone bytes":       {"\x00\x01", "f"},
	} {
		start := time.Now()
		_, err := manifest.Read("f", []byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s: took %s", name, took)
		}
	}
	if _, err := manifest.Read("f", good); err != nil {
		t.Error(err)
	}
}

// FuzzRead: whatever is read can be written and read again as the same.
func FuzzRead(f *testing.F) {
	good, err := manifest.Write(support)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("persona: p\ntitle: t\njob: |\n  j\ntools: [{tool: a/b, name: b, digest: d}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := manifest.Read("f", text)
		if err != nil {
			return
		}
		if _, err := manifest.Write(d); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	})
}
