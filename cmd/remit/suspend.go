package main

import (
	"errors"
	"fmt"
	"time"

	"remit/identity"
	"remit/persona"
	"remit/store"
)

// target names what is stopped or resumed.
type target struct {
	Kind persona.Kind `arg:"" enum:"persona,server,tool" help:"persona, server or tool."`
	Name string       `arg:"" help:"A persona's id, a server's name, or SERVER/TOOL."`
}

func (t target) of() persona.Target { return persona.Target{Kind: t.Kind, Name: t.Name} }

// where says which command lists what there is of a kind.
var where = map[persona.Kind]string{
	persona.OnePersona: "remit persona list shows the personas",
	persona.OneServer:  "remit search shows the servers' tools as SERVER/TOOL",
	persona.OneTool:    "remit search shows the tools as SERVER/TOOL",
}

type suspendCmd struct {
	target
	Reason string `required:"" placeholder:"TEXT" help:"Why. It is recorded, and agents whose calls are refused are told it."`
}

// Run suspends the target. A running server reads what is suspended on every request.
func (c suspendCmd) Run(a *app) error {
	return a.withStore(func(s *store.Store) error {
		err := (&persona.Registry{Store: s}).Suspend(a.ctx, identity.Operator(), c.of(), c.Reason)
		if errors.Is(err, persona.ErrNoTarget) {
			return fmt.Errorf("%w; %s", err, where[c.Kind])
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "The %s is suspended everywhere from the next request on; remit resume %s lets it go on.\n", c.of(), c.of())
		return err
	})
}

type resumeCmd struct{ target }

// Run ends the suspension.
func (c resumeCmd) Run(a *app) error {
	return a.withStore(func(s *store.Store) error {
		err := (&persona.Registry{Store: s}).Resume(a.ctx, identity.Operator(), c.of())
		if errors.Is(err, persona.ErrNotSuspended) {
			return fmt.Errorf("%w; remit suspended lists what is", err)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "The %s goes on from the next request on, as it was approved.\n", c.of())
		return err
	})
}

type suspendedCmd struct {
	JSON bool `help:"Print JSON."`
}

// stopped is a suspension as JSON shows it.
type stopped struct {
	Kind   persona.Kind `json:"kind"`
	Name   string       `json:"name"`
	Reason string       `json:"reason"`
	Person string       `json:"person"`
	At     time.Time    `json:"at"`
}

// Run lists what is suspended.
func (c suspendedCmd) Run(a *app) error {
	return a.withStore(func(s *store.Store) error {
		all, err := s.Suspensions(a.ctx)
		if err != nil {
			return err
		}
		list, rows := []stopped{}, [][]string{}
		for _, v := range all {
			list = append(list, stopped{v.Kind, v.Name, v.Reason, v.Person, v.At})
			rows = append(rows, []string{string(v.Kind), v.Name, moment(v.At), v.Person, v.Reason})
		}
		if c.JSON {
			return printJSON(a.out, list)
		}
		return table(a.out, []string{"KIND", "NAME", "SINCE", "BY", "REASON"}, rows)
	})
}
