package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/approval"
	"remit/credential"
	"remit/identity"
	"remit/internal/invalid"
	"remit/persona"
	"remit/web/api"
)

func (s *site) apiRotateKey(a ask, in api.RotateKey) (api.IssuedKey, error) {
	overlap := identity.KeyOverlap
	if in.Overlap != "" {
		var err error
		if overlap, err = identity.ParseSpan(in.Overlap); err != nil {
			return api.IssuedKey{}, invalid.At("overlap", fmt.Errorf("%w: the overlap is %q: write a time such as 24h or 7d", identity.ErrInvalid, in.Overlap))
		}
	}
	if err := identity.MayChangeKeys(a.by); err != nil {
		return api.IssuedKey{}, err
	}
	keys, err := s.Directory.Keys(a.ctx(), a.by, identity.KeyQuery{})
	if err != nil {
		return api.IssuedKey{}, err
	}
	at := slices.IndexFunc(keys, func(k identity.Key) bool { return k.ID == a.Param("id") })
	if at < 0 {
		return api.IssuedKey{}, fmt.Errorf("%w: there is no such key", identity.ErrNotFound)
	}
	p, err := s.Registry.Persona(a.ctx(), a.by, persona.ID(keys[at].Persona))
	if err == nil && p.Retired() {
		err = fmt.Errorf("%w: the persona is retired", persona.ErrState)
	}
	if err != nil {
		return api.IssuedKey{}, err
	}
	secret, next, err := s.Directory.RotateKey(a.ctx(), a.by, keys[at].ID, overlap, in.Expires)
	return api.IssuedKey{Key: api.KeyOf(next, s.Now()), Secret: secret}, err
}

const listedApprovals = 1000

// apiApprovals lists calls that wait for a person; with all, also those that are over.
func (s *site) apiApprovals(a ask) (api.List[api.Approval], error) {
	if s.Approvals == nil {
		return api.List[api.Approval]{}, echo.ErrNotFound
	}
	var found []approval.Request
	var err error
	switch state := a.QueryParam("state"); state {
	case "":
		found, err = s.waiting(a.ctx(), a.by)
	case "all":
		found, err = s.Approvals.Requests(a.ctx(), a.by, nil, listedApprovals)
	default:
		err = badParam("state", "state is %q: leave it out for what waits, or give all", state)
	}
	var out []api.Approval
	for _, r := range found {
		out = append(out, api.ApprovalOf(r))
	}
	return items(out), err
}

func (s *site) apiApproval(a ask) (api.Approval, error) {
	if s.Approvals == nil {
		return api.Approval{}, echo.ErrNotFound
	}
	r, err := s.Approvals.Request(a.ctx(), a.by, a.Param("id"))
	return api.ApprovalOf(r), err
}

func (s *site) apiApproveCall(a ask, in api.Decide) (api.Approval, error) {
	return s.apiDecide(a, in, true)
}

func (s *site) apiDenyCall(a ask, in api.Decide) (api.Approval, error) {
	return s.apiDecide(a, in, false)
}

func (s *site) apiDecide(a ask, in api.Decide, approve bool) (api.Approval, error) {
	if s.Approvals == nil {
		return api.Approval{}, echo.ErrNotFound
	}
	if err := s.Approvals.Decide(a.ctx(), a.by, a.Param("id"), in.Seen, approve, jobText(in.Reason)); err != nil {
		return api.Approval{}, err
	}
	return s.apiApproval(a)
}

// apiConnections lists one's own accounts. A management token is nobody and has none.
func (s *site) apiConnections(a ask) (api.List[api.Connection], error) {
	var out []api.Connection
	switch {
	case a.by.Machine():
		return items(out), identity.ErrMachine
	case !s.Connections.Any():
		return items(out), nil
	}
	all, err := s.Connections.Of(a.ctx(), a.by)
	for _, c := range all {
		out = append(out, connectionOf(c))
	}
	return items(out), err
}

func connectionOf(c credential.Connection) api.Connection {
	out := api.Connection{Server: c.Server, State: string(c.State), Issuer: c.Issuer, Scopes: c.Scopes, Since: c.Since, Keys: []api.ConnectionClient{}}
	for _, k := range c.Keys {
		out.Keys = append(out.Keys, api.ConnectionClient{ID: k.ID, Agent: k.Agent, Persona: k.Persona, By: k.By, Created: k.Created, Allowed: k.Allowed})
	}
	return out
}

// apiAccounts lists who has an account where, for admins.
func (s *site) apiAccounts(a ask) (api.List[api.Account], error) {
	var out []api.Account
	if !s.Connections.Any() {
		return items(out), nil
	}
	all, err := s.Connections.All(a.ctx(), a.by)
	for _, c := range all {
		out = append(out, api.Account{Server: c.Server, Person: c.Person, Changed: c.Changed})
	}
	return items(out), err
}

func (s *site) apiAllow(a ask, in api.AllowKeys) (api.Connection, error) {
	server := a.Param("server")
	switch {
	case a.by.Machine():
		return api.Connection{}, identity.ErrMachine
	case !s.Connections.Any():
		return api.Connection{}, errNoConnections
	case in.Keys == nil:
		return api.Connection{}, invalid.At("keys", fmt.Errorf("%w: give the keys, [] for none", identity.ErrInvalid))
	}
	if err := s.Connections.Allow(a.ctx(), a.by, server, in.Keys); err != nil {
		return api.Connection{}, err
	}
	all, err := s.Connections.Of(a.ctx(), a.by)
	at := slices.IndexFunc(all, func(c credential.Connection) bool { return c.Server == server })
	if err != nil || at < 0 {
		return api.Connection{}, errors.Join(err, identity.ErrNotFound)
	}
	return connectionOf(all[at]), nil
}

func (s *site) apiDisconnect(a ask) (api.Disconnected, error) {
	switch {
	case a.by.Machine():
		return api.Disconnected{}, identity.ErrMachine
	case !s.Connections.Any():
		return api.Disconnected{}, errNoConnections
	}
	problem, err := s.Connections.Disconnect(context.WithoutCancel(a.ctx()), a.by, a.Param("server"))
	out := api.Disconnected{Done: err == nil}
	if problem != nil {
		out.Problem = problem.Error()
	}
	return out, err
}

func (s *site) apiServers(a ask) (api.List[api.Server], error) {
	var out []api.Server
	stopped, err := s.Registry.Store.Suspensions(a.ctx())
	for _, row := range s.serverRows() {
		out = append(out, serverOf(row, stopped))
	}
	return items(out), err
}

func serverOf(row serverRow, stopped []persona.Suspension) api.Server {
	h := row.Health
	out := api.Server{Name: row.Server, State: row.State, Since: h.Since, Error: row.Err, Says: strings.TrimSpace(h.ServerName + " " + h.ServerVersion), Protocol: h.Protocol,
		Tools: row.Tools, LeftOut: row.Rejected, LastCrawl: row.LastCrawl, CrawledBy: row.By, Restarts: h.Restarts, InFlight: h.InFlight}
	if out.Error == "" {
		out.Error = h.Err
	}
	for _, v := range stopped {
		if v.Target == (persona.Target{Kind: persona.OneServer, Name: row.Server}) {
			out.Suspended = v.Reason
		}
	}
	return out
}

func (s *site) apiCrawl(a ask) (api.Server, error) {
	if err := s.crawl(a.ctx(), a.by, a.Param("name")); err != nil {
		return api.Server{}, err
	}
	stopped, err := s.Registry.Store.Suspensions(a.ctx())
	for _, row := range s.serverRows() {
		if row.Server == a.Param("name") {
			return serverOf(row, stopped), err
		}
	}
	return api.Server{}, errNoServer
}
