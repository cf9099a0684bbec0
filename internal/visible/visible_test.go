package visible

import "testing"

func TestHTML(t *testing.T) {
	for in, want := range map[string]string{
		"plain <b> & text":   "plain &lt;b&gt; &amp; text",
		"line\n\ttab":        "line\n\ttab",
		"a\u200bb":           `a<span class="odd" title="a character that cannot be seen">⟨U+200B⟩</span>b`,
		"\U000E0041":         `<span class="odd" title="a character that cannot be seen">⟨U+E0041 tag &#39;A&#39;⟩</span>`,
		"\xff":               `<span class="odd" title="a character that cannot be seen">⟨byte FF⟩</span>`,
		"⟨U+200B⟩ as typed":  "⟨U+200B⟩ as typed",
		"prénom 日本語 العربية": "prénom 日本語 العربية",
	} {
		if got := string(HTML(in)); got != want {
			t.Errorf("HTML(%q): got %s, want %s", in, got, want)
		}
	}
	for _, r := range []rune{0, 7, 0x1b, 0x7f, 0x85, 0xa0, 0xad, 0x34f, 0x61c, 0x115f, 0x180e, 0x200b, 0x200d, 0x202a, 0x202e, 0x2028,
		0x2060, 0x2066, 0x2800, 0x3000, 0x3164, 0xfe0f, 0xfeff, 0xffa0, 0xfff9, 0xe000, 0xe0001, 0xe0041, 0xe0100} {
		if !Hidden(r) {
			t.Errorf("U+%04X is shown as it is; a person would not see it", r)
		}
	}
}
