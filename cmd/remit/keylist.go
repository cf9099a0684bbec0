package main

import (
	"fmt"
	"strings"
	"time"

	"remit/identity"
)

type keyListCmd struct {
	Persona string            `placeholder:"ID" help:"Only keys of this persona."`
	Agent   string            `placeholder:"NAME" help:"Only keys of this agent."`
	User    string            `placeholder:"NAME" help:"Only keys that work for this user."`
	State   identity.KeyState `placeholder:"STATE" help:"Only keys that are live, expiring (within 14 days), replaced, stopped with their user, expired or revoked."`
	JSON    bool              `help:"Print JSON."`
}

// listedKey is a key as JSON shows it.
type listedKey struct {
	ID         string            `json:"id"`
	Persona    string            `json:"persona"`
	Agent      string            `json:"agent"`
	User       string            `json:"user"`
	State      identity.KeyState `json:"state"`
	Created    time.Time         `json:"created"`
	By         string            `json:"by"`
	Expires    time.Time         `json:"expires,omitzero"` // never where there is none
	Revoked    time.Time         `json:"revoked,omitzero"`
	LastUse    time.Time         `json:"last_use,omitzero"`
	LastFrom   string            `json:"last_address,omitempty"`
	Replaces   string            `json:"replaces,omitempty"`
	ReplacedBy string            `json:"replaced_by,omitempty"`
	identity.Bounds
}

// Run lists the keys.
func (c keyListCmd) Run(a *app) error {
	return a.directory(func(d *identity.Directory) error {
		keys, err := d.Keys(a.ctx, identity.Operator(), identity.KeyQuery{Persona: c.Persona, Agent: c.Agent, User: c.User, State: c.State})
		if err != nil {
			return err
		}
		now := time.Now()
		list, rows, expiring := []listedKey{}, [][]string{}, 0
		for _, k := range keys {
			state := k.State(now)
			if state == identity.KeyExpiring {
				expiring++
			}
			list = append(list, listedKey{k.ID, k.Persona, k.Agent, k.User, state, k.Created, k.By, k.Expires, k.Revoked, k.LastUse, k.LastFrom,
				k.Replaces, k.ReplacedBy, k.Bounds})
			rows = append(rows, []string{k.ID, k.Persona, k.Agent, k.User, stateWords(k, state), moment(k.Created), moment(k.Expires),
				moment(k.LastUse), orDash(k.LastFrom), orDash(narrowed(k.Bounds))})
		}
		if c.JSON {
			return printJSON(a.out, list)
		}
		if expiring > 0 {
			fmt.Fprintf(a.err, "%d of these keys end within %d days; remit key rotate ID replaces one before that.\n", expiring, identity.KeyWarning/(24*time.Hour))
		}
		return table(a.out, []string{"KEY", "PERSONA", "AGENT", "USER", "STATE", "CREATED", "EXPIRES", "LAST USE", "FROM", "NARROWED TO"}, rows)
	})
}

func stateWords(k identity.Key, s identity.KeyState) string {
	switch s {
	case identity.KeyStopped:
		return "stopped with its user"
	case identity.KeyReplaced:
		return "replaced by " + k.ReplacedBy
	}
	return string(s)
}

// narrowed says bounds in a few words.
func narrowed(b identity.Bounds) string {
	var out []string
	out = append(out, b.Tools...)
	for _, l := range b.Limits {
		out = append(out, fmt.Sprintf("%d/%s", l.Calls, l.Per))
	}
	for _, n := range b.Addresses {
		out = append(out, "from "+n.String())
	}
	return strings.Join(out, ", ")
}
