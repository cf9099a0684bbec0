package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
)

// Frozen lists pins that a person has to confirm, and confirms them. A store.Store is one.
type Frozen interface {
	FrozenPins(ctx context.Context) ([]persona.FrozenPin, error) // by tool and persona
	// Thaw is for reviewers: persona.ErrForbidden, persona.ErrNotFrozen, and persona.ErrDrifted if the tool is not seen now.
	Thaw(ctx context.Context, by identity.Principal, tool catalog.ID, seen catalog.Digest, at time.Time) error
}

// frozenPin is a pin as a page shows it, with what may be done.
type frozenPin struct {
	persona.FrozenPin
	From persona.ID // the page to go back to is this persona's; empty for the tool's own
	May  bool       // confirm it
}

func (s *site) frozen(ctx context.Context, by identity.Principal, from persona.ID) (out []frozenPin, err error) {
	if s.Frozen == nil {
		return nil, nil
	}
	pins, err := s.Frozen.FrozenPins(ctx)
	if err != nil || len(pins) == 0 {
		return nil, err
	}
	hidden, err := s.Registry.Hidden(ctx, by)
	for _, p := range pins {
		if (from == "" || p.Persona == from) && !slices.Contains(hidden, string(p.Persona)) {
			out = append(out, frozenPin{p, from, by.Has(identity.Reviewer)})
		}
	}
	return out, err
}

// markFrozen says on the cards of a live revision which tools are frozen although they are what was approved. What drifted
// is frozen, too, and its card says that anyway.
func markFrozen(cards []card, pins []frozenPin) {
	for i := range cards {
		for _, p := range pins {
			if p.Tool == cards[i].ID && p.Digest == cards[i].Digest && p.Confirmable() {
				cards[i].Frozen = &p
			}
		}
	}
}

// postThaw confirms the definition that was on the page.
func (s *site) postThaw(c echo.Context, by identity.Principal) error {
	if s.Frozen == nil {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	form := c.Request().PostForm
	tool := catalog.ID(form.Get("tool"))
	if err := s.Frozen.Thaw(c.Request().Context(), by, tool, catalog.Digest(form.Get("digest")), s.Now()); err != nil {
		return err
	}
	if from := persona.ID(form.Get("persona")); from.Validate() == nil {
		return redirect(c, "/personas/"+string(from)+"/live", "thawed")
	}
	return redirect(c, "/tool?id="+url.QueryEscape(string(tool)), "thawed")
}
