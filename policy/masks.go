package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"remit/internal/strictjson"
)

// ErrBlocked is what the error of an answer wraps that a mask withholds. The error names the mask, never what it found.
var ErrBlocked = errors.New("the answer is withheld")

// errUnmasked withholds an answer too: one that cannot be read to its end cannot be masked.
var errUnmasked = errors.New("the answer cannot be masked: it is not one JSON value in valid UTF-8, of a depth that can be checked")

// Findings counts what masks found, by detector ("email"), path ("path /customer/name") or place of a pattern among the
// policy's masks ("pattern 2"). It never holds what was found.
type Findings map[string]int

// mask is compiled.
type mask struct {
	Mask
	name     string // in Findings
	label    string // in what stands for a value
	detector *Detector
	pattern  *regexp.Regexp
	steps    []string
}

func (m Mask) compile(place int) (mask, error) {
	k := mask{Mask: m}
	given := 0
	for _, text := range []string{m.Detector, m.Pattern, m.Path} {
		if text != "" {
			given++
		}
	}
	if given != 1 {
		return k, errors.New("give one of detector, pattern and path")
	}
	switch m.Mode {
	case Redact, Hash, Block, Report:
	default:
		return k, fmt.Errorf("mode is redact, hash, block or report, not %q", m.Mode)
	}
	switch {
	case m.Detector != "":
		return k.withDetector()
	case m.Path != "":
		k.name, k.label = "path "+m.Path, "path"
		var err error
		k.steps, err = pointer(m.Path)
		return k, err
	}
	k.name, k.label = fmt.Sprintf("pattern %d", place), "pattern"
	var err error
	if k.pattern, err = regexp.Compile(m.Pattern); err != nil {
		return k, fmt.Errorf("the pattern is no regular expression (RE2): %v", err)
	}
	if k.pattern.MatchString("") {
		return k, errors.New("the pattern matches the empty text, and so everywhere")
	}
	return k, nil
}

func (k mask) withDetector() (mask, error) {
	i := slices.IndexFunc(Detectors, func(d Detector) bool { return d.Name == k.Detector })
	if i < 0 {
		var names []string
		for _, d := range Detectors {
			names = append(names, d.Name)
		}
		return k, fmt.Errorf("there is no detector %q; there are %s", k.Detector, strings.Join(names, ", "))
	}
	k.detector, k.name, k.label = &Detectors[i], Detectors[i].Name, Detectors[i].Name
	return k, nil
}

// replacement is what stands for a value. A hash is keyed, so that an agent cannot try values until one fits; where no key was
// given there is none. What is masked in a record is never left standing because its mode is to block answers.
func (k mask) replacement(value string, key []byte) string {
	if k.Mode != Hash || len(key) == 0 {
		return "[redacted:" + k.label + "]"
	}
	if k.detector != nil && k.detector.spelling != nil {
		value = k.detector.spelling(value)
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte(value))
	return "[" + k.label + "#" + hex.EncodeToString(h.Sum(nil))[:10] + "]"
}

// replaced is a text that stands for a value: masks find nothing inside it, so that masking twice is masking once.
var replaced = regexp.MustCompile(`\[redacted:[a-z_]{3,20}\]|\[[a-z_]{3,20}#[0-9a-f]{10}\]`)

// HashedFor is the policy with the key of mode hash: the same value gives the same hash within the persona, and another one in
// another persona. Without a key, values are redacted instead.
func (c *Compiled) HashedFor(persona string, key []byte) *Compiled {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("mask\x00" + persona))
	bound := *c
	bound.hashKey = h.Sum(nil)
	return &bound
}

// MaskResult masks the result of a call. What holds no finding is the same to the byte. An error means that nothing of the
// answer may be passed on: it wraps [ErrBlocked] when a mask withholds it.
func (c *Compiled) MaskResult(result json.RawMessage) (json.RawMessage, Findings, error) {
	return c.mask(result, true)
}

// MaskArguments masks arguments, or any other JSON value, for the record. What would block an answer is redacted: the agent has
// the value already.
func (c *Compiled) MaskArguments(args json.RawMessage) (json.RawMessage, Findings, error) {
	return c.mask(args, false)
}

// maxPasses bounds how often a text is masked until nothing more is found. A second pass sees neighbours of a value that were
// read together with it before.
const maxPasses = 8

// maxGlance is up to how many bytes a text is looked at as a whole before it is read: that is a tenth of the work where it has nothing,
// as most arguments have.
const maxGlance = 1 << 10

func (c *Compiled) mask(doc json.RawMessage, answer bool) (json.RawMessage, Findings, error) {
	if len(c.masks) == 0 || len(doc) == 0 {
		return doc, nil, nil
	}
	if c.digits > 0 && !answer && len(doc) <= maxGlance { // the texts of an answer may be parts of one
		var s sample
		if s.look(string(doc), ""); s.nothing(c.digits) {
			if _, ok := strictjson.Read(doc, 0); ok {
				return doc, nil, nil
			}
		}
	}
	var all Findings
	for pass := range maxPasses {
		m := masker{Compiled: c, answer: answer}
		text := string(doc)
		edits, ok := m.document(text, answer, !answer, 0)
		if !ok {
			return nil, nil, errUnmasked
		}
		if all = m.count(all, edits, pass > 0); m.blocked != "" {
			return nil, all, fmt.Errorf("%w: it holds what the policy blocks (%s)", ErrBlocked, m.blocked)
		}
		masked, changed := apply(text, edits)
		if !changed {
			return doc, all, nil
		}
		doc = json.RawMessage(masked)
	}
	return nil, all, errUnmasked
}

// MaskText masks an error text, a progress message or a line of a log. What would block an answer is redacted.
func (c *Compiled) MaskText(s string) string {
	if len(c.masks) == 0 {
		return s
	}
	for range maxPasses {
		m := masker{Compiled: c}
		masked, changed := apply(s, m.text(s, "", true, 0))
		if !changed {
			return s
		}
		s = masked
	}
	return "[redacted]"
}
