package main

import (
	"errors"
	"fmt"

	"remit/identity"
	"remit/persona"
	"remit/store"
	"remit/web/api"
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
	err := a.registryOr(func(r *persona.Registry) error { return r.Suspend(a.ctx, identity.Operator(), c.of(), c.Reason) },
		"/suspensions", api.Suspend{Kind: c.Kind, Name: c.Name, Reason: c.Reason}, &api.Done{})
	if errors.Is(err, persona.ErrNoTarget) {
		return fmt.Errorf("%w; %s", err, where[c.Kind])
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "The %s is suspended everywhere from the next request on; remit resume %s lets it go on.\n", c.of(), c.of())
	return err
}

type resumeCmd struct{ target }

// Run ends the suspension.
func (c resumeCmd) Run(a *app) error {
	err := a.registryOr(func(r *persona.Registry) error { return r.Resume(a.ctx, identity.Operator(), c.of()) },
		"/suspensions/resume", api.Resume{Kind: c.Kind, Name: c.Name}, &api.Done{})
	if errors.Is(err, persona.ErrNotSuspended) {
		return fmt.Errorf("%w; remit suspended lists what is", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "The %s goes on from the next request on, as it was approved.\n", c.of())
	return err
}

type suspendedCmd struct {
	JSON bool `help:"Print JSON."`
}

// Run lists what is suspended.
func (c suspendedCmd) Run(a *app) error {
	all, err := a.suspensions()
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(a.out, all)
	}
	var rows [][]string
	for _, v := range all {
		rows = append(rows, []string{string(v.Kind), v.Name, moment(v.At), v.Person, v.Reason})
	}
	return table(a.out, []string{"KIND", "NAME", "SINCE", "BY", "REASON"}, rows)
}

func (a *app) suspensions() (out []api.Suspension, err error) {
	if a.remote != nil {
		return list[api.Suspension](a, "/suspensions", nil)
	}
	out = []api.Suspension{}
	err = a.withStore(func(s *store.Store) error {
		all, err := s.Suspensions(a.ctx)
		for _, v := range all {
			out = append(out, api.Suspension{Kind: v.Kind, Name: v.Name, Reason: v.Reason, Person: v.Person, At: v.At})
		}
		return err
	})
	return out, err
}
