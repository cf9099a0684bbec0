package web

import (
	"context"
	"net/url"

	"github.com/labstack/echo/v4"

	"remit/identity"
	"remit/persona"
)

// killSwitch is what a page shows of one target: that it is suspended and how it goes on, or how to suspend it.
type killSwitch struct {
	persona.Target
	Suspended *persona.Suspension // nil while it goes on
	May       bool                // suspend and resume
}

// MaxReason is the longest reason.
func (killSwitch) MaxReason() int { return persona.MaxSuspensionReason }

// Effect says what suspending means.
func (k killSwitch) Effect() string {
	switch k.Kind {
	case persona.OnePersona:
		return "Its list and every call of its agents are refused"
	case persona.OneServer:
		return "Every call of its tools is refused, in every persona"
	}
	return "Every call of it is refused, in every persona"
}

func newKillSwitch(all []persona.Suspension, by identity.Principal, kind persona.Kind, name string) killSwitch {
	k := killSwitch{Target: persona.Target{Kind: kind, Name: name}, May: by.Has(identity.Reviewer) || by.Has(identity.Admin)}
	for _, s := range all {
		if s.Target == k.Target {
			k.Suspended = &s
		}
	}
	return k
}

// mark says on the cards which tools are suspended, by themselves or with their server.
func mark(cards []card, all []persona.Suspension) {
	for i := range cards {
		if v, stopped := persona.Stopped(all, "", cards[i].ID); stopped {
			cards[i].Suspended = &v
		}
	}
}

func (s *site) postSuspend(c echo.Context, by identity.Principal) error {
	return s.stop(c, by, "suspended", func(ctx context.Context, t persona.Target) error {
		return s.Registry.Suspend(ctx, by, t, jobText(c.Request().PostForm.Get("reason")))
	})
}

func (s *site) postResume(c echo.Context, by identity.Principal) error {
	return s.stop(c, by, "resumed", func(ctx context.Context, t persona.Target) error { return s.Registry.Resume(ctx, by, t) })
}

// stop makes the change of the target that the form names and goes back to the target's page.
func (s *site) stop(c echo.Context, by identity.Principal, notice string, change func(context.Context, persona.Target) error) error {
	form := c.Request().PostForm
	t := persona.Target{Kind: persona.Kind(form.Get("kind")), Name: form.Get("name")}
	if err := change(c.Request().Context(), t); err != nil {
		return err
	}
	switch t.Kind {
	case persona.OnePersona:
		if _, err := s.Registry.Persona(c.Request().Context(), by, persona.ID(t.Name)); err != nil { // who stops one may not see it
			return redirect(c, "/servers", notice)
		}
		return redirect(c, "/personas/"+url.PathEscape(t.Name)+"/live", notice)
	case persona.OneServer:
		return redirect(c, "/servers", notice)
	}
	return redirect(c, "/tool?id="+url.QueryEscape(t.Name), notice)
}
