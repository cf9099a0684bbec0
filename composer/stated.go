package composer

import (
	"regexp"
	"slices"
	"strings"

	"remit/persona"
)

// kind is what a statement narrows.
type kind int

const (
	channels kind = iota
	recipients
	repositories
	folders
	amounts
	hours
	statements // of SQL
	kinds      // how many there are
)

// stated is something that the job says of what a tool may be used for ("in #ops", "at most 50 euros"). It is text from outside:
// values hold only the characters that their expression names.
type stated struct {
	kind   kind
	value  string // "#ops", "alice@acme.com", "@acme.com", "acme/web", "/srv/reports", "50.5", "08:00-18:00"
	unit   string // the currency of an amount, the zone of hours
	span   persona.Span
	clause *clause
	days   bool // hours of Monday to Friday
	vague  bool // hours of other days, which are not read
	only   bool // it says that nothing else may be
	ruled  bool // it says what may not be, or in words that may mean that
}

// maxStated bounds what is read of one job.
const maxStated = 200

// finder finds statements of a kind. value is the submatch of items that is taken; an item counts when what stands right before it
// ends in lead, or what stands after it begins with trail, or when only a comma or "and" stands between it and one that counts.
type finder struct {
	kind        kind
	item        *regexp.Regexp
	lead, trail *regexp.Regexp // nil: none is needed
	value       func(string) string
}

var (
	joint = regexp.MustCompile(`^["'”’` + "`" + `]?\s*(?:,|&|(?:,\s*)?(?:and|or)(?:\s+(?:in|to|on|for))?)\s*(?:the\s+)?["'“‘` + "`" + `]?$`)

	finders = []finder{
		{kind: channels, item: regexp.MustCompile(`#[A-Za-z][A-Za-z0-9_-]{0,79}`), lead: regexp.MustCompile("(?:^|[\\s(\"'“‘`])$")},
		{kind: recipients, item: regexp.MustCompile(`[A-Za-z0-9][A-Za-z0-9._+-]{0,63}@[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)+`),
			lead: regexp.MustCompile(`(?i)\bto\s+(?:only\s+)?["'“‘<]?$`)},
		{kind: recipients, item: regexp.MustCompile(`@[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)+`),
			lead: regexp.MustCompile(`(?i)\b(?:to|only)\s+(?:only\s+|any\s+|an\s+)?["'“‘]?$`), value: strings.ToLower},
		{kind: recipients, item: regexp.MustCompile(`[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)+`),
			lead:  regexp.MustCompile(`(?i)\bto\s+(?:[a-z]+\s+){0,2}(?:addresses|people|recipients|colleagues|mailboxes|anyone|everybody|everyone)\s+(?:at|in|of|under|within)\s+["'“‘]?$`),
			value: func(s string) string { return "@" + strings.ToLower(s) }},
		{kind: repositories, item: regexp.MustCompile(`[A-Za-z0-9][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}`),
			lead:  regexp.MustCompile(`(?i)\b(?:repositor(?:y|ies)|repos?)\s+(?:called\s+|named\s+)?["'“‘` + "`" + `]?$`),
			trail: regexp.MustCompile(`(?i)^["'”’` + "`" + `]?\s+(?:repositor(?:y|ies)|repos?)\b`)},
		{kind: folders, item: regexp.MustCompile(`(?:/[A-Za-z0-9_.-]+)+/?`),
			lead: regexp.MustCompile(`(?i)\b(?:folders?|director(?:y|ies)|in|under|within|inside|from|into|below)\s+(?:called\s+|named\s+)?["'“‘` + "`" + `]?$`)},
	}
)

// statements finds what the job states, in its order. What a condition or a description of the world says is left out.
func (r reading) statements() []stated {
	var out []stated
	for _, f := range finders {
		out = append(out, f.find(r)...)
	}
	out = append(append(append(out, r.amounts()...), r.times()...), r.readOnlySQL()...)
	for i := range out {
		out[i].place(r)
	}
	out = slices.DeleteFunc(out, func(s stated) bool {
		return s.clause == nil || s.clause.starts(contextStarts...) || s.clause.context && !s.only && s.kind != statements
	})
	slices.SortStableFunc(out, func(a, b stated) int { return a.span.Start - b.span.Start })
	return out[:min(len(out), maxStated)]
}

func (f finder) find(r reading) []stated {
	found := f.item.FindAllStringIndex(r.job, -1)
	counts := make([]bool, len(found))
	for i, at := range found {
		before, after := r.job[max(0, at[0]-80):at[0]], r.job[at[1]:min(len(r.job), at[1]+40)]
		counts[i] = f.lead.MatchString(before) || f.trail != nil && f.trail.MatchString(after)
	}
	joined := func(i int) bool { // to the one before
		gap := r.job[found[i-1][1]:found[i][0]]
		return len(gap) < 20 && joint.MatchString(gap)
	}
	for i := 1; i < len(found); i++ {
		counts[i] = counts[i] || counts[i-1] && joined(i)
	}
	for i := len(found) - 2; i >= 0; i-- {
		counts[i] = counts[i] || counts[i+1] && f.trail != nil && joined(i+1)
	}
	var out []stated
	for i, at := range found {
		if !counts[i] {
			continue
		}
		text := strings.TrimRight(r.job[at[0]:at[1]], "./-")
		at[1] = at[0] + len(text)
		if f.value != nil {
			text = f.value(text)
		}
		out = append(out, stated{kind: f.kind, value: text, span: persona.Span{Start: at[0], End: at[1]}})
	}
	return out
}

const number = `(\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d{1,12}(?:\.\d{1,2})?)`

var (
	money = regexp.MustCompile(`(?i)\b(?:at most|no more than|not more than|never more than|(?:a )?maximum(?: of)?|max\.?|up to|limited to)\s+(?:(€|\$|£|\b(?:eur|usd|gbp)\b)\s?)?` +
		number + `(?:\s?(€|\$|£|(?:us )?dollars?\b|(?:euros?|eur|usd|pounds?|gbp)\b))?`)
	currencies = map[string]string{"€": "EUR", "euro": "EUR", "euros": "EUR", "eur": "EUR", "$": "USD", "dollar": "USD", "dollars": "USD", "us dollar": "USD",
		"us dollars": "USD", "usd": "USD", "£": "GBP", "pound": "GBP", "pounds": "GBP", "gbp": "GBP"}
	overTime = regexp.MustCompile(`(?i)^\s*(?:(?:a|an|per|each|every)\s+(?:second|minute|hour|day|week|month|quarter|year)\b|(?:hourly|daily|weekly|monthly|yearly|altogether)\b|in (?:total|all)\b)`)
)

// amounts finds "at most 50 euros". Without a currency a number is of something else.
func (r reading) amounts() []stated {
	var out []stated
	for _, m := range money.FindAllStringSubmatchIndex(r.job, -1) {
		part := func(i int) string { return r.part(m, i) }
		unit := currencies[strings.ToLower(part(1)+part(3))]
		rest := r.job[m[1]:]
		if unit == "" || part(1) != "" && part(3) != "" || len(rest) > 0 && strings.ContainsRune("0123456789", rune(rest[0])) ||
			len(rest) > 1 && strings.ContainsRune(".,", rune(rest[0])) && rest[1] >= '0' && rest[1] <= '9' {
			continue
		}
		s := stated{kind: amounts, value: strings.ReplaceAll(part(2), ",", ""), unit: unit, span: persona.Span{Start: m[0], End: m[1]}}
		if overTime.MatchString(rest) {
			s.value = "" // a sum over time is no property of one call
		}
		out = append(out, s)
	}
	return out
}

// part is the i-th submatch.
func (r reading) part(match []int, i int) string {
	if match[2*i] < 0 {
		return ""
	}
	return r.job[match[2*i]:match[2*i+1]]
}

var (
	workingHours = regexp.MustCompile(`(?i)\b(?:during|in|within)\s+(?:(?:our|the|normal|usual|regular)\s+)*(?:working|office|business|work)\s+hours\b`)
	clockTime    = `(\d{1,2})(?:[:.](\d{2}))?(?:\s?(am|pm)\b)?`
	fromTo       = regexp.MustCompile(`(?i)\b(?:between|from)\s+` + clockTime + `\s*(?:and|to|until|till|-|–)\s*` + clockTime + `(?:\s+(UTC|GMT|[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+)\b)?`)
	someDay      = regexp.MustCompile(`(?i)\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\bweekends?\b`)
	weekdays     = regexp.MustCompile(`(?i)\b(?:on|only)\s+(?:week|working |business )days\b|\bmonday (?:to|through|till|until) friday\b`)
)

// times finds "during working hours" and "between 8:00 and 18:00".
func (r reading) times() []stated {
	var out []stated
	for _, m := range workingHours.FindAllStringIndex(r.job, -1) {
		out = append(out, stated{kind: hours, span: persona.Span{Start: m[0], End: m[1]}})
	}
	for _, m := range fromTo.FindAllStringSubmatchIndex(r.job, -1) {
		part := func(i int) string { return r.part(m, i) }
		from, to := clock(part(1), part(2), part(3)), clock(part(4), part(5), part(6))
		if from != "" && to != "" && from != to {
			out = append(out, stated{kind: hours, value: from + "-" + to, unit: part(7), span: persona.Span{Start: m[0], End: m[1]}})
		}
	}
	return out
}

// clock is a time of day as policies write it; empty for one that may be no time ("3") or is none ("25:00").
func clock(hour, minute, half string) string {
	if minute == "" && half == "" {
		return ""
	}
	h := 0
	for _, c := range hour {
		h = 10*h + int(c-'0')
	}
	half = strings.ToLower(half)
	if half != "" && (h < 1 || h > 12) || h > 23 || minute > "59" {
		return ""
	}
	if half == "am" && h == 12 || half == "pm" && h != 12 {
		h = (h + 12) % 24
	}
	return string([]byte{byte('0' + h/10), byte('0' + h%10), ':'}) + (minute + "00")[:2]
}

var onlySelect = regexp.MustCompile(`(?i:\bread[- ]only\s+(?:sql|quer(?:y|ies)|statements?)\b|\bonly\s+(?:run\s+|use\s+)?select\s+(?:statements?|queries)\b|\bselect\s+(?:statements?|queries)\s+only\b)|\b(?i:only)\s+(?:[a-z]+\s+)?SELECTs?\b|\bSELECTs?\s+(?i:only)\b`)

// readOnlySQL finds "only SELECT".
func (r reading) readOnlySQL() []stated {
	var out []stated
	for _, m := range onlySelect.FindAllStringIndex(r.job, -1) {
		out = append(out, stated{kind: statements, span: persona.Span{Start: m[0], End: m[1]}})
	}
	return out
}

var (
	exclusive = set(`only exclusively solely just`)
	excluding = set(`not never no nobody nothing nowhere without except excluding exclude besides outside neither nor unless instead beyond apart avoid skip ignore ignoring
		other anywhere anything but rather refrain stop away dont doesnt cannot cant mustnt shouldnt wont isnt arent`)
	outlawing = set(`forbidden prohibited banned disallowed`)
)

// place finds the clause that makes the statement, and how it is meant.
func (s *stated) place(r reading) {
	at := slices.IndexFunc(r.clauses, func(c clause) bool {
		return slices.ContainsFunc(c.words, func(w word) bool { return w.span.End > s.span.Start && w.span.Start < s.span.End })
	})
	if at < 0 {
		return
	}
	s.clause = &r.clauses[at]
	own := false // the statement's words hold a negation themselves ("no more than")
	for _, w := range s.clause.words {
		within := w.span.Start >= s.span.Start && w.span.End <= s.span.End
		own = own || within && excluding[w.text]
		s.ruled = s.ruled || !within && excluding[w.text]
		s.only = s.only || exclusive[w.text]
	}
	s.ruled = s.ruled || s.clause.forbids && !own
	for i, c := range r.clauses {
		if c.sentence != s.clause.sentence {
			continue
		}
		before := i < at && c.forbids && !s.clause.starts(scopeBreakers...) // "never, whoever asks, post to #ops"
		s.ruled = s.ruled || before || slices.ContainsFunc(c.words, func(w word) bool { return outlawing[w.text] })
		if text := r.job[c.span().Start:c.span().End]; s.kind == hours {
			s.days = s.days || weekdays.MatchString(text)
			s.vague = s.vague || someDay.MatchString(weekdays.ReplaceAllString(text, ""))
		}
	}
	whatever := s.kind == amounts || s.kind == hours || s.kind == statements
	s.only, s.ruled = s.only || whatever, s.ruled && s.kind != statements
}
