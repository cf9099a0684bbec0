package main

import (
	"fmt"
	"strings"
	"time"

	"remit/identity"
	"remit/web/api"
)

type keyListCmd struct {
	Persona string            `placeholder:"ID" help:"Only keys of this persona."`
	Agent   string            `placeholder:"NAME" help:"Only keys of this agent."`
	User    string            `placeholder:"NAME" help:"Only keys that work for this user."`
	State   identity.KeyState `placeholder:"STATE" help:"Only keys that are live, expiring (within 14 days), replaced, stopped with their user, expired or revoked."`
	JSON    bool              `help:"Print JSON."`
}

func (c keyListCmd) query() identity.KeyQuery {
	return identity.KeyQuery{Persona: c.Persona, Agent: c.Agent, User: c.User, State: c.State}
}

// Run lists the keys.
func (c keyListCmd) Run(a *app) error {
	if a.remote != nil {
		return c.remote(a)
	}
	return a.directory(func(d *identity.Directory) error {
		keys, err := d.Keys(a.ctx, identity.Operator(), c.query())
		if err != nil {
			return err
		}
		all := []api.Key{}
		for _, k := range keys {
			all = append(all, api.KeyOf(k, time.Now()))
		}
		return c.show(a, all)
	})
}

func (c keyListCmd) show(a *app, keys []api.Key) error {
	if c.JSON {
		return printJSON(a.out, keys)
	}
	rows, expiring := [][]string{}, 0
	for _, k := range keys {
		if k.State == identity.KeyExpiring {
			expiring++
		}
		rows = append(rows, []string{k.ID, k.Persona, k.Agent, k.User, stateWords(k), moment(k.Created), moment(k.Expires),
			moment(k.LastUse), orDash(k.LastFrom), orDash(narrowed(k))})
	}
	if expiring > 0 {
		fmt.Fprintf(a.err, "%d of these keys end within %d days; remit key rotate ID replaces one before that.\n", expiring, identity.KeyWarning/(24*time.Hour))
	}
	return table(a.out, []string{"KEY", "PERSONA", "AGENT", "USER", "STATE", "CREATED", "EXPIRES", "LAST USE", "FROM", "NARROWED TO"}, rows)
}

func stateWords(k api.Key) string {
	switch k.State {
	case identity.KeyStopped:
		return "stopped with its user"
	case identity.KeyReplaced:
		return "replaced by " + k.ReplacedBy
	}
	return string(k.State)
}

// narrowed says what a key allows less than its persona, in a few words.
func narrowed(k api.Key) string {
	var out []string
	out = append(out, k.Tools...)
	for _, l := range k.Limits {
		out = append(out, fmt.Sprintf("%d/%s", l.Calls, l.Per))
	}
	for _, n := range k.Addresses {
		out = append(out, "from "+n)
	}
	return strings.Join(out, ", ")
}
