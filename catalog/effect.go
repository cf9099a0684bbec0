package catalog

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Effect is what a call can do to the world, in order of increasing harm.
type Effect string

const (
	Read        Effect = "read"        // changes nothing
	Write       Effect = "write"       // creates or changes something that can be changed back
	External    Effect = "external"    // leaves the organisation: sends, posts, pays, publishes
	Destructive Effect = "destructive" // deletes, overwrites, runs code or takes something away
)

// Effects lists every effect from harmless to harmful.
var Effects = []Effect{Read, Write, External, Destructive}

// Exceeds says whether e is more harmful than other.
func (e Effect) Exceeds(other Effect) bool {
	return slices.Index(Effects, e) > slices.Index(Effects, other)
}

// Judgement is an effect and how it was found. Annotations are a hint: well-known servers get them wrong in both
// directions, so a claim can only make the judgement worse, and where it disagrees the claim is kept for the reviewer.
type Judgement struct {
	Effect  Effect
	Claimed Effect // by the server's annotations; empty when they claim nothing
	Why     string // in words
}

// Disagrees says that the server's annotations claim another effect than its words do. Annotations have no word for
// External, so a claimed Write is not one.
func (j Judgement) Disagrees() bool {
	return j.Claimed != "" && j.Claimed != j.Effect && !(j.Claimed == Write && j.Effect == External)
}

// verbs that decide an effect when they lead a tool's name, or follow a noun there ("user_delete").
var verbs = map[Effect][]string{
	Read: strings.Fields(`get list read search find fetch query show view describe retrieve lookup look check count
		browse inspect summarize summarise analyze analyse validate verify compare download export explain preview
		watch monitor ping whoami status info history calculate compute convert parse detect estimate resolve scan
		scrape extract crawl discover suggest recommend select head stat tree diff log blame current is has can
		test lint screenshot snapshot wait tail peek trace audit profile measure echo help think sequentialthinking
		navigate map geocode forecast translate ask reason research glob grep`),
	Write: strings.Fields(`create add update set edit modify change write insert upsert put patch save store rename move
		copy duplicate clone assign unassign attach append open close reopen resolve complete mark tag label link
		unlink enable disable start stop pause resume restart approve reject accept decline book schedule reschedule
		import upload register subscribe follow join star pin unpin archive unarchive restore sync refresh apply
		configure manage toggle lock unlock commit checkout init stage merge rebase fork upgrade convert generate
		build draft log record track transfer allocate bulk batch click type fill press drag hover snooze fulfil
		fulfill escalate comment reorder sort resize change switch promote demote claim release provision`),
	External: strings.Fields(`send post publish share invite email mail notify reply forward message tweet broadcast
		call dial sms pay charge refund transfer purchase buy order checkout submit push deploy announce dispatch
		payout withdraw wire remit`),
	Destructive: strings.Fields(`delete remove destroy drop purge erase wipe clear reset cancel revoke terminate kill
		truncate uninstall unpublish expire void force overwrite execute exec run eval shell flush prune evict ban
		deactivate dismiss discard disconnect detach empty rollback revert`),
}

// nouns are verbs of the table that name things as often ("list_pipeline_runs", "mail_listAliases"): they count only
// where no other verb does.
var nouns = strings.Fields(`email mail message messages sms post posts run runs order orders call calls image monitor log
	record tag label link track mark test transfer screenshot snapshot deploy compute info history status state diff
	trace audit profile forward share build draft batch bulk map forecast tree type comment book schedule star pin
	research stage current select estimate check compare`)

// Judge decides what a call of t can do, from its name's verbs, the first verb of its gist, its parameters, and the
// server's annotations (raw, may be nil). A tool of which nothing is known is a write.
func Judge(t Tool, annotations json.RawMessage) Judgement {
	j := Judgement{Claimed: claimed(annotations)}
	if e, verb := verbEffect(Words(t.Name)); verb != "" {
		j.Effect, j.Why = e, "its name says “"+verb+"”"
	} else if e, verb := verbEffect(firstWords(t.Gist, 4)); verb != "" {
		j.Effect, j.Why = e, "its description says “"+verb+"”"
	} else if e, verb := worstEffect(t); verb != "" { // said of whatever: it counts against the tool only
		j.Effect, j.Why = e, "its description says “"+verb+"”"
	} else if j.Claimed != "" {
		j.Effect, j.Why = j.Claimed, "the server's annotations say so; its name and description do not tell"
	} else {
		j.Effect, j.Why = Write, "nothing tells what it does, so it is taken to change something"
	}
	if j.Effect == Read {
		if p := codeParam(t); p != "" {
			j.Effect, j.Why = Write, "it reads, but its parameter “"+p+"” takes code or a statement that may do more"
		}
	}
	if j.Claimed.Exceeds(j.Effect) && j.Claimed != "" {
		j.Effect, j.Why = j.Claimed, "the server's annotations say so; "+j.Why
	}
	return j
}

// claimed reads the four hints of the MCP specification's ToolAnnotations without their defaults: a hint that was not
// sent claims nothing.
func claimed(raw json.RawMessage) Effect {
	var a struct {
		ReadOnly    *bool `json:"readOnlyHint"`
		Destructive *bool `json:"destructiveHint"`
	}
	if json.Unmarshal(raw, &a) != nil {
		return ""
	}
	switch {
	case a.ReadOnly != nil && *a.ReadOnly:
		return Read
	case a.Destructive != nil && *a.Destructive:
		return Destructive
	case a.ReadOnly != nil || a.Destructive != nil:
		return Write
	}
	return ""
}

// verbEffect takes the first word that is a verb of the table, nouns last; where a word stands under several effects
// the most harmful one holds, and a later destructive verb ("user_delete"), or any that is joined by "and" or "or"
// ("get_or_create"), wins over an earlier read.
func verbEffect(words []string) (effect Effect, verb string) {
	for _, skip := range []bool{true, false} {
		for i, w := range words {
			joined := i > 0 && (words[i-1] == "and" || words[i-1] == "or") // get_or_create, find_and_send
			if skip && slices.Contains(nouns, w) {
				continue
			}
			for _, e := range Effects {
				known := slices.Contains(verbs[e], w) || slices.Contains(verbs[e], strings.TrimSuffix(w, "s"))
				if known && (verb == "" || verb == w || effect == Read && (e == Destructive || joined && e.Exceeds(effect))) {
					effect, verb = e, w
				}
			}
		}
		if verb != "" {
			return effect, verb
		}
	}
	return "", ""
}

// worstEffect is the most harmful thing that a sentence of the description begins with, if it is more than reading.
func worstEffect(t Tool) (effect Effect, verb string) {
	effect = Read
	own := ownWords(t)
	for _, sentence := range plainSentences(t.Description) {
		for _, start := range append([]int{0}, own.joints(sentence)...) {
			if e, v := verbEffect(firstWords(sentence[start:], 4)); v != "" && e.Exceeds(effect) {
				effect, verb = e, v
			}
		}
	}
	return effect, verb
}

func codeParam(t Tool) string {
	for _, p := range t.Params {
		switch strings.ToLower(p.Name) {
		case "sql", "statement", "code", "script", "command", "cmd", "shell", "expression", "javascript":
			return p.Name
		}
	}
	return ""
}

func firstWords(text string, n int) []string {
	words := Words(text[:min(len(text), 200)])
	return words[:min(len(words), n)]
}

// Words splits a name or text into lower-case words at anything that is no letter or digit, at camelCase humps
// ("listOpenPRs" is list, open, prs) and between letters and digits.
func Words(s string) []string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return wordsOf([]rune(s))
		}
	}
	return wordsOf([]byte(s)) // which most texts are: no runes are made of them
}

func wordsOf[C byte | rune](text []C) []string {
	var out []string
	start := -1 // of the word that is being read
	flush := func(end int) {
		if start >= 0 {
			out = append(out, strings.ToLower(textOf(text[start:end])))
			start = -1
		}
	}
	for i, c := range text {
		r := rune(c)
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush(i)
			continue
		case i > 0 && unicode.IsUpper(r) && (unicode.IsLower(rune(text[i-1])) || unicode.IsDigit(rune(text[i-1]))),
			i > 0 && i+1 < len(text) && unicode.IsUpper(r) && unicode.IsUpper(rune(text[i-1])) && unicode.IsLower(rune(text[i+1])) && !plural(text[i+1:]),
			i > 0 && unicode.IsDigit(r) != unicode.IsDigit(rune(text[i-1])):
			flush(i)
		}
		if start < 0 {
			start = i
		}
	}
	flush(len(text))
	return out
}

func textOf[C byte | rune](text []C) string {
	switch t := any(text).(type) {
	case []byte:
		return string(t)
	case []rune:
		return string(t)
	}
	return ""
}

// plural says that rest is the s of an acronym's plural, as in "PRs".
func plural[C byte | rune](rest []C) bool {
	return rest[0] == 's' && (len(rest) == 1 || !unicode.IsLower(rune(rest[1])))
}
