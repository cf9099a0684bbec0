package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// Write returns the document's text, which Read reads as the document. A document that cannot be written so is an error.
func Write(d Document) ([]byte, error) {
	var b bytes.Buffer
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# A persona of Remit as code. \"remit persona plan\" says what this file would change, \"remit persona apply\" makes a draft of it;")
	say("# a reviewer approves the draft on Remit's pages. No program can.")
	say("persona: %s", d.Persona)
	say("title: %s", quote(d.Title))
	if d.Team != "" {
		say("team: %s # that owns it; an admin moves it to another", quote(d.Team))
	}
	say("# What the agent does, as to a new colleague.")
	say("job: %s", text(d.Job))
	say("# The tools that it gets, and no others. A digest names the definition that was read: another one is refused until somebody")
	say("# has read it and written its digest here.")
	say("tools:")
	for _, t := range d.Tools {
		comment := ""
		if t.effect != "" {
			comment = " # " + string(t.effect)
		}
		say("  - tool: %s%s", quote(string(t.Tool)), comment)
		say("    name: %s", quote(t.Name))
		say("    digest: %s", quote(string(t.Digest)))
		if t.Reason != "" {
			say("    reason: %s", quote(t.Reason))
		}
		if t.Policy.IsZero() {
			continue
		}
		raw, err := json.Marshal(t.Policy)
		if err != nil {
			return nil, err
		}
		b.WriteString("    policy:")
		if err := block(&b, jsontext.NewDecoder(bytes.NewReader(raw)), 6, false); err != nil {
			return nil, err
		}
	}
	say("# From when on everything is refused, and by when a reviewer looks again: dates are of what is live. Shortening them applies at")
	say("# once; only a reviewer prolongs them.")
	say("expires: %s", quote(string(orNever(d.Expires))))
	say("recertify: %s", quote(string(orNever(d.Recertify))))
	if d.Missed != "" {
		say("missed: %s # what happens when nobody has: warn, or refuse everything", d.Missed)
	}
	back, err := Read("the text", b.Bytes())
	if err != nil || !back.same(d) {
		return nil, fmt.Errorf("persona %s has texts that cannot be written as YAML and read back (%v); change it on its page", d.Persona, err)
	}
	return b.Bytes(), nil
}

// same compares what is read of documents.
func (d Document) same(o Document) bool {
	plain := func(d Document) Document {
		d.Expires, d.Recertify, d.Tools = orNever(d.Expires), orNever(d.Recertify), append([]Tool{}, d.Tools...)
		for i := range d.Tools {
			d.Tools[i].effect = ""
		}
		return d
	}
	one, err := json.Marshal(plain(d))
	other, failed := json.Marshal(plain(o))
	return err == nil && failed == nil && bytes.Equal(one, other)
}

func orNever(d Date) Date {
	if d == "" {
		return "never"
	}
	return d
}

// text is a text of several lines as they are, where YAML keeps them so, or else in quotes.
func text(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) || line != strings.TrimRight(line, " ") ||
			i == 0 && line != strings.TrimLeft(line, " ") || line == "" && (i == 0 || i == len(lines)-1) {
			return quote(s)
		}
	}
	if len(lines) == 1 {
		return quote(s)
	}
	return "|-\n  " + strings.ReplaceAll(strings.Join(lines, "\n  "), "\n  \n", "\n\n")
}

// quote is a text in double quotes, with what cannot be seen spelt out.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// block writes the next JSON value as YAML, indented by so many spaces, after what stands on its line. The first member of a map
// stands on that line, too, where the map is an item of a list.
func block(b *bytes.Buffer, dec *jsontext.Decoder, indent int, item bool) error {
	kind := dec.PeekKind()
	if kind != '{' && kind != '[' {
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		return scalar(b, value)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	if end := dec.PeekKind(); end == '}' || end == ']' {
		fmt.Fprintf(b, " %s\n", map[jsontext.Kind]string{'{': "{}", '[': "[]"}[kind])
		_, err := dec.ReadToken()
		return err
	}
	pad := "\n" + strings.Repeat(" ", indent)
	if item && kind == '{' {
		pad = " "
	}
	for dec.PeekKind() != '}' && dec.PeekKind() != ']' {
		b.WriteString(pad)
		pad = strings.Repeat(" ", indent)
		if kind == '[' {
			b.WriteByte('-')
		} else {
			name, err := dec.ReadToken()
			if err != nil {
				return err
			}
			b.WriteString(key(name.String()) + ":")
		}
		if err := block(b, dec, indent+2, kind == '['); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

var plainKey = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// key is a member's name, in quotes unless it is a word that YAML takes for nothing else.
func key(name string) string {
	if plainKey.MatchString(name) && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, name) {
		return name
	}
	return quote(name)
}

func scalar(b *bytes.Buffer, value jsontext.Value) error {
	text := string(value)
	if value.Kind() == '"' {
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			return err
		}
		text = quote(s)
	}
	fmt.Fprintf(b, " %s\n", text)
	return nil
}
