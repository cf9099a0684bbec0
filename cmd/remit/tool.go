package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/store"
)

type toolCmd struct {
	Frozen toolFrozenCmd `cmd:"" help:"List the tools that changed after they were approved and that nobody has confirmed since."`
	Thaw   toolThawCmd   `cmd:"" help:"Confirm tools that changed and are again exactly what was approved."`
}

type toolFrozenCmd struct{}

// Run lists the frozen pins of live revisions.
func (toolFrozenCmd) Run(a *app) error {
	return a.withStore(func(s *store.Store) error {
		pins, err := s.FrozenPins(a.ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, p := range pins {
			next := "remit tool thaw " + string(p.Tool)
			if !p.Confirmable() {
				next = "a new revision"
			}
			rows = append(rows, []string{string(p.Tool), fmt.Sprintf("%s/%d", p.Persona, p.Revision), p.Digest.Short(), orDash(p.Offered.Short()), moment(p.Since), next})
		}
		return table(a.out, []string{"TOOL", "PERSONA", "APPROVED", "OFFERED NOW", "SINCE", "NEEDS"}, rows)
	})
}

type toolThawCmd struct {
	Tools []string `arg:"" name:"tool" help:"SERVER/TOOL, as remit tool frozen shows it."`
}

// Run confirms each tool for every persona that pins it as it is offered now. There is no difference to look at: a tool
// that is not, byte for byte in canonical form, what was approved is refused here.
func (c toolThawCmd) Run(a *app) error {
	return a.withStore(func(s *store.Store) error {
		pins, err := s.FrozenPins(a.ctx)
		if err != nil {
			return err
		}
		for _, id := range c.Tools {
			if err := a.thaw(s, pins, catalog.ID(id)); err != nil {
				return fmt.Errorf("tool %s: %w", id, err)
			}
		}
		return nil
	})
}

func (a *app) thaw(s *store.Store, pins []persona.FrozenPin, tool catalog.ID) error {
	of := slices.DeleteFunc(slices.Clone(pins), func(p persona.FrozenPin) bool { return p.Tool != tool })
	if len(of) == 0 {
		return persona.ErrNotFrozen
	}
	i := slices.IndexFunc(of, persona.FrozenPin.Confirmable)
	if i < 0 {
		return fmt.Errorf("it is not what was approved: what it is now needs a new revision of each persona that remit tool frozen shows: %w", persona.ErrDrifted)
	}
	if err := s.Thaw(a.ctx, identity.Operator(), tool, of[i].Digest, time.Now()); errors.Is(err, persona.ErrDrifted) {
		return errors.New("it changed this moment; look at remit tool frozen again")
	} else if err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "%s is confirmed as it was approved (%s); it may be called again.\n", tool, of[i].Digest.Short())
	return err
}
