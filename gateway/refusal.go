package gateway

import (
	"cmp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"remit/audit"
)

// refuse records a request that is refused before a tool was called, and answers it. The record comes first; when it
// cannot be written the request stays refused, and the log says so.
func (g *Gateway) refuse(x *exchange, f *fault) {
	e := audit.Entry{Time: g.c.Now(), Kind: audit.RequestRefused, Actor: x.who.Actor(), Persona: x.who.Persona,
		Tool: x.toolForRecord(), Decision: audit.Refused, Reason: f.why(), Policy: cmp.Or(f.policy, "request")}
	source, most, span := "", strangersMost, strangersSpan
	if x.persona != "" {
		source, most, span = x.who.Key, keyMost, keySpan
	}
	if err := g.refusals.Record(source, most, span, e); err != nil {
		g.complain("a refusal could not be recorded", err)
	}
	if f.challenge != "" {
		x.w.Header().Set("WWW-Authenticate", f.challenge)
	}
	x.refused(f, e.Policy)
	x.fail(f)
}

// Whoever has no valid key may cause at most strangersMost entries in strangersSpan, and a key keyMost in keySpan: a flood
// of refusals cannot fill the disk. Those beyond are counted. Calls of tools are no part of this: each has its entry.
const (
	strangersMost = 10
	strangersSpan = time.Second
	keyMost       = 100
	keySpan       = time.Minute
)

// Bounds on the record.
const (
	maxNameInRecord = 128 // bytes of a name that a caller made up
	maxReason       = 500 // bytes
	recordTimeout   = 20 * time.Second
)

// clean makes a caller's text fit for a record, an error or a page: no control or invisible characters, at most limit
// bytes.
func clean(text string, limit int) string {
	if len(text) <= limit-len("…") && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r) > limit-len("…") {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
