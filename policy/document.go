package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// walk is a walk over a JSON text.
type walk struct {
	*masker
	text   string
	dec    *jsontext.Decoder
	open   []frame // the objects and arrays around the place
	result bool    // the text is the result of a call
	paths  bool    // masks with a path apply, from the top
	depth  int     // texts within texts
	edits  []edit
	blocks []block
}

// frame is an object or array that was entered.
type frame struct {
	object bool
	name   string // of the member that the walk is at, or that holds the array
	index  int
}

// block is the text of a text block of a result, and where its literal stands.
type block struct {
	view
	at int
}

// document finds what is to mask in a JSON text: in strings, member names and numbers. ok is false when it is no JSON. Duplicate
// members are read, all of them: whichever of them a reader takes, it is masked.
func (m *masker) document(text string, result, paths bool, depth int) (edits []edit, ok bool) {
	w := walk{masker: m, text: text, result: result, paths: paths, depth: depth}
	w.dec = jsontext.NewDecoder(bytes.NewBuffer([]byte(text)), jsontext.AllowDuplicateNames(true))
	values := 0
	for {
		switch kind := w.dec.PeekKind(); kind {
		case 0: // the end, or no JSON: what is read next says which
			if _, err := w.dec.ReadToken(); err != io.EOF {
				return nil, false
			}
			w.joined()
			return w.edits, values == 1 || values > 1 && depth > 0 // JSON lines are a text, but no answer
		case '}', ']':
			if _, err := w.dec.ReadToken(); err != nil {
				return nil, false
			}
			w.open = w.open[:len(w.open)-1]
		default:
			if len(w.open) == 0 {
				values++
			}
			if !w.value(kind) {
				return nil, false
			}
		}
	}
}

// value reads a member name, a value, or the beginning of an object or array.
func (w *walk) value(kind jsontext.Kind) bool {
	name := false
	if n := len(w.open); n > 0 {
		f := &w.open[n-1]
		if f.object {
			_, members := w.dec.StackIndex(w.dec.StackDepth())
			name = members%2 == 0
		} else {
			f.index++
		}
	}
	if !name && w.atPath() {
		return true
	}
	switch kind {
	case '{', '[':
		if _, err := w.dec.ReadToken(); err != nil {
			return false
		}
		w.open = append(w.open, frame{object: kind == '{', name: w.hint(), index: -1})
		return true
	}
	raw, err := w.dec.ReadValue()
	if err != nil {
		return false
	}
	end := int(w.dec.InputOffset())
	start := end - len(raw)
	switch {
	case name:
		w.name(start, end)
	case kind == '"':
		w.string(start, end)
	case kind == '0':
		w.number(start, end)
	}
	return true
}

// hint is the name of the member that the walk is in.
func (w *walk) hint() string {
	if len(w.open) == 0 {
		return ""
	}
	return w.open[len(w.open)-1].name
}

// quoted is the text as the inside of a JSON string.
func quoted(text string) string {
	if !strings.ContainsAny(text, "\"\\\n\r\t") {
		return text
	}
	b, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return "[redacted]"
	}
	return string(b[1 : len(b)-1])
}

// lifted are edits of the text of a literal, as edits of the walk's text.
func lifted(edits []edit, v view, at int) []edit {
	for i, e := range edits {
		start, end := v.source(e.start, e.end)
		edits[i].start, edits[i].end, edits[i].text = at+start, at+end, quoted(e.text)
	}
	return edits
}

func (w *walk) string(start, end int) {
	v := literal(w.text[start+1 : end-1])
	if len(v.text) == 0 {
		return
	}
	paths := false
	if w.result {
		paths = w.in("content", "", "text") || w.in("content", "", "resource", "text")
		if w.in("content", "", "text") && !(mayBeJSON(v.text) && jsontext.Value(v.text).IsValid()) {
			w.blocks = append(w.blocks, block{v, start + 1})
		}
	}
	w.edits = append(w.edits, lifted(w.masker.text(v.text, w.hint(), paths, w.depth), v, start+1)...)
}

// in says that the walk is at members of these names; the empty one is an array's.
func (w *walk) in(names ...string) bool {
	if len(w.open) != len(names) {
		return false
	}
	for i, f := range w.open {
		if f.object != (names[i] != "") || f.object && f.name != names[i] {
			return false
		}
	}
	return true
}

// name masks a member's name as a whole. Names that become equal would make duplicates, so they are numbered.
func (w *walk) name(start, end int) {
	v := literal(w.text[start+1 : end-1])
	w.open[len(w.open)-1].name = v.text
	if len(v.text) < minFinding && !w.patterned {
		return
	}
	found := w.masker.text(v.text, "", false, w.depth)
	if len(found) == 0 {
		return
	}
	e := edit{start: start + 1, end: end - 1, keep: true}
	for _, f := range found {
		e.found = append(e.found, f.found...)
		e.keep = e.keep && f.keep
	}
	masked, _ := apply(v.text, found)
	if w.names++; w.names > 1 {
		masked += fmt.Sprintf(" (%d)", w.names)
	}
	for n := w.names; !e.keep && strings.Contains(w.text, quoted(masked)); n++ {
		masked += fmt.Sprintf(" (%d)", n)
	}
	e.text = quoted(masked)
	w.edits = append(w.edits, e)
}

// number masks a number as a whole: a text stands for it.
func (w *walk) number(start, end int) {
	text := w.text[start:end]
	if strings.ContainsAny(text, ".eE") {
		if r, ok := number(text); ok && r.IsInt() {
			text = r.RatString()
		}
	}
	if len(text) < minFinding && !w.patterned {
		return
	}
	s := w.look(text, w.hint())
	defer func() { w.spare = append(w.spare, s) }()
	for _, e := range w.rules(nil, s) {
		i := e.found[0]
		e = w.find(i, start, end, s.text)
		e.text = `"` + e.text + `"`
		w.edits = append(w.edits, e)
	}
}

// joined finds values that are split across text blocks, which readers put together. Those that are JSON are read on their own.
func (w *walk) joined() {
	if len(w.blocks) < 2 {
		return
	}
	var all strings.Builder
	ends := make([]int, len(w.blocks))
	for i, b := range w.blocks {
		all.WriteString(b.text)
		ends[i] = all.Len()
	}
	for _, e := range w.reading(all.String(), "", maxNesting) {
		begin := 0
		var parts []edit
		for i, b := range w.blocks {
			if from, to := max(e.start, begin), min(e.end, ends[i]); from < to {
				part := e
				part.start, part.end = from-begin, to-begin
				if len(parts) > 0 {
					part.found = nil // it is one finding
				}
				parts = append(parts, lifted([]edit{part}, b.view, b.at)...)
			}
			begin = ends[i]
		}
		if len(parts) > 1 {
			w.edits = append(w.edits, parts...)
		}
	}
}

// atPath masks the value that the walk is at when a path leads there. Others look into it still where it stays.
func (w *walk) atPath() bool {
	if !w.paths && !w.result {
		return false
	}
	for i, k := range w.masks {
		if k.steps == nil || !w.follows(k.steps) {
			continue
		}
		if k.Mode == Report {
			at := int(w.dec.InputOffset())
			w.edits = append(w.edits, w.find(i, at, at, ""))
			continue
		}
		raw, err := w.dec.ReadValue()
		if err != nil {
			return false
		}
		end := int(w.dec.InputOffset())
		start := end - len(raw)
		if at := replaced.FindIndex(raw); at != nil && at[0] == 1 && at[1] == len(raw)-1 {
			return true
		}
		e := w.find(i, start, end, plainValue(raw))
		e.text = `"` + e.text + `"`
		w.edits = append(w.edits, e)
		return true
	}
	return false
}

// follows says that the path leads to where the walk is.
func (w *walk) follows(steps []string) bool {
	at := w.open
	if w.result {
		if len(at) == 0 || !at[0].object || at[0].name != "structuredContent" {
			return false
		}
		at = at[1:]
	}
	if len(at) != len(steps) {
		return false
	}
	for i, f := range at {
		if step := steps[i]; step == "*" || f.object && f.name == step || !f.object && strconv.Itoa(f.index) == step {
			continue
		}
		return false
	}
	return true
}

// plainValue is what is hashed of a value: the text of a string, other values in one spelling.
func plainValue(raw jsontext.Value) string {
	if raw.Kind() == '"' {
		return literal(string(raw[1 : len(raw)-1])).text
	}
	if text, err := canonical(json.RawMessage(raw)); err == nil {
		return text
	}
	return string(raw)
}
