package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"remit/catalog"
	"remit/persona/usage"
	"remit/store"
)

type reachCmd struct {
	Tool   reachToolCmd   `cmd:"" help:"Who can call a tool, and what breaks without it."`
	Server reachServerCmd `cmd:"" help:"Who can call tools of a server, and what breaks without it."`
	Effect reachEffectCmd `cmd:"" default:"withargs" help:"Who can call tools of an effect (also without the word effect)."`
}

type reachToolCmd struct {
	ID   string `arg:"" name:"tool" help:"SERVER/TOOL."`
	JSON bool   `help:"Print JSON."`
}

// Run shows who can call the tool.
func (c reachToolCmd) Run(a *app) error {
	return a.reach(c.ID, usage.OfTool(catalog.ID(c.ID)), func(t catalog.Tool) bool { return string(t.ID) == c.ID }, c.JSON)
}

type reachServerCmd struct {
	Name string `arg:"" help:"The server's name."`
	JSON bool   `help:"Print JSON."`
}

// Run shows who can call a tool of the server.
func (c reachServerCmd) Run(a *app) error {
	return a.reach("server "+c.Name, usage.OfServer(c.Name), func(t catalog.Tool) bool { return t.Server() == c.Name }, c.JSON)
}

type reachEffectCmd struct {
	Effect string `enum:",read,write,external,destructive" default:"" placeholder:"EFFECT" help:"Which effect: read, write, external or destructive."`
	JSON   bool   `help:"Print JSON."`
}

// Run shows who can call a tool of the effect.
func (c reachEffectCmd) Run(a *app) error {
	if c.Effect == "" {
		return errors.New("say of what: remit reach tool SERVER/TOOL, remit reach server NAME, or remit reach --effect destructive")
	}
	return a.reach("effect "+c.Effect, usage.OfEffect(catalog.Effect(c.Effect)), nil, c.JSON)
}

// reach prints who can call what of selects. What nobody grants must at least be known, so that a slip of the keyboard does
// not read as "nobody can".
func (a *app) reach(what string, of usage.Of, known func(catalog.Tool) bool, asJSON bool) error {
	if a.remote != nil {
		return a.remoteReach(what, asJSON)
	}
	return a.withStore(func(s *store.Store) error {
		r, err := usage.Find(a.ctx, s, of, time.Now())
		if err != nil {
			return err
		}
		if len(r.Personas) == 0 && known != nil {
			if err := a.known(s, what, known); err != nil {
				return err
			}
		}
		if asJSON {
			return printJSON(a.out, r)
		}
		return a.showReach(what, r)
	})
}

func (a *app) known(s *store.Store, what string, is func(catalog.Tool) bool) error {
	tools, err := s.Tools(a.ctx)
	if err != nil {
		return err
	}
	for _, t := range tools {
		if is(t) {
			return nil
		}
	}
	return fmt.Errorf("nobody grants %s, and the last crawl did not see it either: check the spelling with remit search", what)
}

func (a *app) showReach(what string, r usage.Reach) error {
	fmt.Fprintf(a.out, "%s: granted by %d live personas, callable with %d active keys\n", plain(what), len(r.Personas), len(r.Keys))
	if len(r.Personas) == 0 {
		_, err := fmt.Fprintln(a.out, "Nothing breaks without it.")
		return err
	}
	var grants, keys [][]string
	for _, p := range r.Personas {
		for _, t := range p.Tools {
			state := ""
			if t.Frozen {
				state = "frozen: calls are refused"
			}
			if t.Suspended != "" {
				state = "suspended (" + t.Suspended + "): calls are refused"
			}
			if p.Over != "" {
				state = "calls are refused: " + p.Over
			}
			grants = append(grants, []string{fmt.Sprintf("%s#%d", p.Persona, p.Revision), string(t.ID), t.Name, string(t.Effect), moment(t.LastCalled), state})
		}
	}
	for _, k := range r.Keys {
		keys = append(keys, []string{k.ID, string(k.Persona), k.Agent, k.User, moment(k.Expires), moment(k.LastUse)})
	}
	fmt.Fprintln(a.out)
	if err := table(a.out, []string{"PERSONA", "TOOL", "NAME", "EFFECT", "LAST CALLED", "STATE"}, grants); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	if err := table(a.out, []string{"KEY", "PERSONA", "AGENT", "USER", "EXPIRES", "LAST USE"}, keys); err != nil {
		return err
	}
	for _, p := range r.Personas {
		if !p.Users.None() {
			fmt.Fprintf(a.out, "\n%s, with clients of their own by signing in: groups %s; people %s\n", p.Persona,
				orDash(plain(strings.Join(p.Users.Groups, ", "))), orDash(plain(strings.Join(p.Users.People, ", "))))
		}
	}
	return a.showBreaks(r)
}

func (a *app) showBreaks(r usage.Reach) error {
	fmt.Fprintln(a.out, "\nWithout it:")
	for _, p := range r.Personas {
		fmt.Fprintf(a.out, "%s (%s) keeps %d other tools and cannot do:\n", p.Persona, plain(p.Title), p.Others)
		for _, t := range p.Tools {
			if _, err := fmt.Fprintf(a.out, "  %s: %s\n", plain(string(t.ID)), plain(asked(t.Tool))); err != nil {
				return err
			}
		}
	}
	return nil
}

// asked is the words of the job that ask for a tool.
func asked(t usage.Tool) string {
	switch {
	case len(t.Words) > 0:
		return `"` + strings.Join(t.Words, `", "`) + `"`
	case t.AddedBy != "":
		return "no words of the job; " + t.AddedBy + " added it"
	}
	return "no words of the job"
}
