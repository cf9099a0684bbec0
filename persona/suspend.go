package persona

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"remit/audit"
	"remit/catalog"
	"remit/identity"
)

// Kind is what can be suspended.
type Kind string

const (
	OnePersona Kind = "persona"
	OneServer  Kind = "server"
	OneTool    Kind = "tool"
)

// Target is what a suspension stops: a persona by its id, a server by its configured name, a tool by its catalog id.
type Target struct {
	Kind Kind
	Name string
}

func (t Target) String() string { return string(t.Kind) + " " + t.Name }

// Suspension stops its target everywhere, whatever revision is live, until a person resumes it. It changes no revision:
// what was approved is what is served again afterwards.
type Suspension struct {
	Target
	Person string // who suspended it
	Reason string // which agents are told, too
	At     time.Time
}

// MaxSuspensionReason is the longest reason, in bytes.
const MaxSuspensionReason = 500

var (
	ErrNoTarget     = errors.New("there is nothing of that name")
	ErrSuspended    = errors.New("it is suspended already; resume it first to give another reason")
	ErrNotSuspended = errors.New("it is not suspended")
)

// stops says whether the target being suspended refuses the persona as a whole, or its calls of the tool.
func (t Target) stops(id ID, tool catalog.ID) bool {
	server, _ := tool.Split()
	switch t.Kind {
	case OnePersona:
		return t.Name == string(id)
	case OneServer:
		return t.Name == server
	case OneTool:
		return t.Name == string(tool)
	}
	return true // of a kind that a later version made: unknown state refuses
}

// Stopped returns the suspension that refuses a persona's calls of a tool, or, without a tool, all that the persona may do.
func Stopped(all []Suspension, id ID, tool catalog.ID) (Suspension, bool) {
	for _, s := range all {
		if s.stops(id, tool) {
			return s, true
		}
	}
	return Suspension{}, false
}

// Suspend stops a target from the next request on. ErrNoTarget for what does not exist, ErrSuspended for what is.
func (r *Registry) Suspend(ctx context.Context, by identity.Principal, t Target, reason string) error {
	if reason = strings.TrimSpace(reason); reason == "" || len(reason) > MaxSuspensionReason || !utf8.ValidString(reason) {
		return fmt.Errorf("%w: a suspension needs a reason of 1 to %d bytes of UTF-8 text; agents are told it", ErrInvalid, MaxSuspensionReason)
	}
	s := Suspension{Target: t, Person: by.Person, Reason: reason, At: r.now()}
	return r.stop(ctx, by, t, "suspend", s, r.Store.Suspend)
}

// Resume ends a suspension. ErrNotSuspended if there is none. To stop a persona every reviewer and admin may, in an emergency; to
// let it go on, those of the team that owns it.
func (r *Registry) Resume(ctx context.Context, by identity.Principal, t Target) error {
	return r.stop(ctx, by, t, "resume", Suspension{Target: t, At: r.now()}, r.Store.Resume)
}

// stop checks who asks, makes the change with its entry and tells the clients that it concerns.
func (r *Registry) stop(ctx context.Context, by identity.Principal, t Target, verb string, s Suspension,
	change func(context.Context, Suspension, audit.Entry) error) error {
	if !by.Has(identity.Reviewer) && !by.Has(identity.Admin) {
		return fmt.Errorf("%w: to %s needs the role %s or %s", ErrForbidden, verb, identity.Reviewer, identity.Admin)
	}
	if t.Kind == OnePersona && verb == "resume" {
		p, err := r.Store.Persona(ctx, ID(t.Name))
		if err == nil {
			err = p.within(by)
		}
		if err != nil {
			return err
		}
	}
	e := audit.Entry{Time: s.At, Kind: string(t.Kind) + "." + verb, Actor: by.Actor(), Decision: audit.Changed, Reason: s.Reason}
	switch t.Kind {
	case OnePersona:
		e.Persona = t.Name
	case OneServer:
		e.Detail = map[string]string{"server": t.Name}
	case OneTool:
		e.Tool = t.Name
	default:
		return fmt.Errorf("%w: what can be suspended is a %s, %s or %s, not a %q", ErrInvalid, OnePersona, OneServer, OneTool, t.Kind)
	}
	if err := change(ctx, s, e); err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	return r.announce(ctx, t)
}

// announce tells of every persona whose calls the target stops. The change holds without it.
func (r *Registry) announce(ctx context.Context, t Target) error {
	if r.Changed == nil {
		return nil
	}
	all, err := r.Store.Personas(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Errorf("%s: the change is made and holds, but connected clients were not told: %w", t, err)
	}
	for _, p := range all {
		live, ok := p.Live()
		concerned := ok && t.stops(p.ID, "")
		for _, g := range live.Grants {
			concerned = concerned || t.stops(p.ID, g.Tool)
		}
		if concerned {
			r.Changed(p.ID)
		}
	}
	return nil
}
