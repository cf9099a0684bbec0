// Package manifest owns the text of a persona as code: YAML that says what a persona is, with one reading only. Reading what
// was written gives the same persona, and writing that the same text.
package manifest

import (
	"errors"
	"fmt"
	"time"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/policy"
)

// Document is a persona as it should be.
type Document struct {
	Persona persona.ID `json:"persona"`
	Title   string     `json:"title"`
	Team    string     `json:"team,omitempty"` // that owns it; left out: none for a new one, and else whoever owns it
	Job     string     `json:"job"`
	Tools   []Tool     `json:"tools"`

	Expires   Date           `json:"expires,omitempty"`
	Recertify Date           `json:"recertify,omitempty"`
	Missed    persona.Missed `json:"missed,omitempty"`
}

// Tool is one that the persona grants.
type Tool struct {
	Tool   catalog.ID     `json:"tool"`
	Name   string         `json:"name"`   // that the agent calls
	Digest catalog.Digest `json:"digest"` // of the definition that was read
	Reason string         `json:"reason,omitempty"`
	Policy policy.Policy  `json:"policy,omitzero"`

	effect catalog.Effect // for the comment; no part of what is read
}

// Date is a day ("2027-02-01"), a time ("2027-02-01T12:00:00Z") or "never", which is also what nothing means.
type Date string

// DateOf is how a date is written.
func DateOf(t time.Time) Date {
	switch {
	case t.IsZero():
		return "never"
	case t.Equal(t.Truncate(24 * time.Hour)):
		return Date(t.UTC().Format(time.DateOnly))
	}
	return Date(t.UTC().Format(time.RFC3339Nano))
}

// Time that the date is; the zero time for never.
func (d Date) Time() (time.Time, error) {
	if d == "" || d == "never" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, string(d)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date: write a day such as 2027-02-01, a time such as 2027-02-01T12:00:00Z, or never", string(d))
}

// Dates of the document.
func (d Document) Dates() (dates persona.Dates, err error) {
	if dates.Expires, err = d.Expires.Time(); err != nil {
		return dates, fmt.Errorf("expires: %w", err)
	}
	if dates.Recertify, err = d.Recertify.Time(); err != nil {
		return dates, fmt.Errorf("recertify: %w", err)
	}
	if dates.Missed = d.Missed; dates.Recertify.IsZero() {
		dates.Missed = ""
	} else if dates.Missed == "" {
		dates.Missed = persona.Warn
	}
	return dates, nil
}

// WithEffect says what the tool does, for the comment beside it.
func (t Tool) WithEffect(e catalog.Effect) Tool {
	t.effect = e
	return t
}

// check refuses what no persona can be, with what to do.
func (d Document) check() error {
	if err := d.Persona.Validate(); err != nil {
		return at{"/persona", err}
	}
	switch {
	case d.Title == "":
		return at{"/title", errors.New("a title is missing")}
	case d.Team != "" && identity.ValidTeam(d.Team) != nil:
		return at{"/team", identity.ValidTeam(d.Team)}
	case d.Job == "":
		return at{"/job", errors.New("the job is missing: say in words what the agent does")}
	case len(d.Tools) == 0:
		return at{"/tools", errors.New("a persona without tools gives an agent nothing: name one")}
	case d.Missed != "" && d.Missed != persona.Warn && d.Missed != persona.Refuse:
		return at{"/missed", fmt.Errorf("missed is %s or %s, not %q", persona.Warn, persona.Refuse, d.Missed)}
	}
	for i, t := range d.Tools {
		place := fmt.Sprintf("/tools/%d", i)
		switch {
		case t.Tool == "":
			return at{place, errors.New("tool is missing: name it as SERVER/TOOL; remit search finds it")}
		case t.Digest == "":
			return at{place, fmt.Errorf("the digest of %s is missing: read the tool, and take its digest from remit search --json", t.Tool)}
		case t.Name == "":
			return at{place, fmt.Errorf("name is missing: what the agent calls %s", t.Tool)}
		}
	}
	if _, err := d.Dates(); err != nil {
		return at{"", err}
	}
	return nil
}

// at is an error about the member that a JSON Pointer names.
type at struct {
	pointer string
	error
}

func (a at) Unwrap() error { return a.error }
