package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"remit/identity"
	"remit/persona"
	"remit/persona/usage"
	"remit/policy"
	"remit/web/api"
)

func (personaListCmd) remote(a *app) error {
	all, err := list[api.Summary](a, "/personas", nil)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, p := range all {
		live := "-"
		if p.Live != 0 {
			live = fmt.Sprintf("%d (%d tools)", p.Live, p.Tools)
		}
		rows = append(rows, []string{string(p.ID), p.Title, orDash(p.Team), live, fmt.Sprintf("%d %s", p.Latest, p.State), p.Author, orDash(strings.Join(p.Reminder, "; "))})
	}
	return table(a.out, []string{"PERSONA", "TITLE", "TEAM", "LIVE REVISION", "LATEST", "AUTHOR", "DATES"}, rows)
}

// remotePersona reads a persona with one revision; 0 is the live one, or the latest.
func (a *app) remotePersona(id string, revision int) (p api.Persona, err error) {
	q := url.Values{}
	if revision != 0 {
		q.Set("revision", strconv.Itoa(revision))
	}
	if err := a.remote.Get(a.ctx, path("personas", id), q, &p); err != nil {
		return p, explained(id, err)
	}
	return p, nil
}

func (c personaShowCmd) remote(a *app) error {
	p, err := a.remotePersona(c.ID, c.Revision)
	if err != nil {
		return err
	}
	r := p.Revision
	s := shown{p.ID, p.Title, p.Team, r.Number, r.State, r.Job, r.Author, r.ReviewedBy, r.ReviewedAt, r.Solo, r.Narrowed,
		p.Dates.Expires, p.Dates.Recertify, p.Dates.Missed, p.Over, []granted{}}
	for _, g := range r.Tools {
		s.Tools = append(s.Tools, granted{g.Tool, g.Name, g.Effect, g.Digest, g.Reason, g.Confidence, g.AddedBy})
	}
	if c.JSON {
		return printJSON(a.out, s)
	}
	return a.show(s)
}

func (c personaDiffCmd) remote(a *app) error {
	p, err := a.remotePersona(c.ID, 0)
	if err != nil {
		return err
	}
	var d api.Difference
	if err := a.remote.Get(a.ctx, path("personas", c.ID, "diff"), url.Values{"from": {strconv.Itoa(c.From)}, "to": {strconv.Itoa(c.To)}}, &d); err != nil {
		return explained(c.ID, err)
	}
	a.revisions(c.ID, p.Title, stateOf(p, c.From), stateOf(p, c.To), d)
	return nil
}

func stateOf(p api.Persona, number int) persona.State {
	for _, r := range p.Revisions {
		if r.Number == number {
			return r.State
		}
	}
	return ""
}

func (c personaUnusedCmd) remote(a *app) error {
	if c.Narrow || c.Propose {
		return errors.New("--narrow and --propose work only on the machine that holds the data; with --server use remit persona narrow, or remit persona apply")
	}
	var u usage.Unused
	if err := a.remote.Get(a.ctx, path("personas", c.ID, "unused"), url.Values{"days": {strconv.Itoa(c.Days)}}, &u); err != nil {
		return explained(c.ID, err)
	}
	if c.JSON {
		return printJSON(a.out, u)
	}
	return a.showUnused(u, c.Days)
}

func (c personaTermCmd) remote(a *app) error {
	p, err := a.remotePersona(c.ID, 0)
	if err != nil {
		return err
	}
	if c.Expires != "" || c.Recertify != "" || c.Missed != "" {
		want, err := c.of(persona.Dates(p.Dates))
		if err != nil {
			return err
		}
		if p.Live == 0 {
			return fmt.Errorf("persona %s has no live revision; its dates are set when one is approved", c.ID)
		}
		if err := a.remote.Post(a.ctx, path("personas", c.ID, "term"), api.Term{Revision: p.Live, Was: p.Dates, Dates: api.Dates(want)}, &p); err != nil {
			return explained(c.ID, err)
		}
	}
	return a.showTerm(persona.Persona{ID: p.ID, Title: p.Title, Term: persona.Term{Dates: persona.Dates(p.Dates)}})
}

func (c keyCreateCmd) remote(a *app) error {
	at, err := identity.ParseExpiry(c.Expires, time.Now())
	if err != nil {
		return err
	}
	in := api.NewKey{Persona: c.Persona, Agent: c.Agent, User: c.User, Expires: at, Forever: at.IsZero(), Tools: c.Tool, Addresses: c.Address}
	for _, text := range c.Limit {
		l, err := policy.ParseLimit(text)
		if err != nil {
			return err
		}
		in.Limits = append(in.Limits, l)
	}
	var k api.IssuedKey
	if err := a.remote.Post(a.ctx, "/keys", in, &k); err != nil {
		return err
	}
	return a.showRemoteKey(k)
}

func (a *app) showRemoteKey(k api.IssuedKey) error {
	fmt.Fprintf(a.err, "Key %s for /k/%s/mcp of the server; it is shown this once:\n", k.ID, k.Persona)
	_, err := fmt.Fprintln(a.out, k.Secret)
	return err
}

func (c keyListCmd) remote(a *app) error {
	q := url.Values{}
	for name, value := range map[string]string{"persona": c.Persona, "agent": c.Agent, "user": c.User, "state": string(c.State)} {
		if value != "" {
			q.Set(name, value)
		}
	}
	all, err := list[api.Key](a, "/keys", q)
	if err != nil {
		return err
	}
	return c.show(a, all)
}
