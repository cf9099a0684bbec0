package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"remit/audit"
	"remit/catalog"
	"remit/persona/usage"
	"remit/web/api"
)

func (c searchCmd) remote(a *app) error {
	var found api.Hits
	if err := a.remote.Get(a.ctx, "/tools", url.Values{"q": {strings.Join(c.Query, " ")}, "limit": {strconv.Itoa(c.Count)}}, &found); err != nil {
		return err
	}
	if found.Degraded != "" {
		fmt.Fprintf(a.err, "note: %s\n", plain(found.Degraded))
	}
	if c.JSON {
		return jsonLines(a.out, found.Tools)
	}
	var rows [][]string
	for _, h := range found.Tools {
		rows = append(rows, []string{string(h.ID), string(h.Effect), fmt.Sprint(h.Tokens), fmt.Sprintf("%.2f", h.Score), why(matchOf(h))})
	}
	return table(a.out, []string{"TOOL", "EFFECT", "TOKENS", "SCORE", "WHY"}, rows)
}

func matchOf(h api.Hit) (m catalog.Match) {
	for _, w := range h.Why {
		m.Why = append(m.Why, catalog.Reason{Field: w.Field, Terms: w.Terms})
	}
	return m
}

// remoteReach asks for "server NAME", "effect NAME" or a tool.
func (a *app) remoteReach(what string, asJSON bool) error {
	q := url.Values{"tool": {what}}
	if kind, name, ok := strings.Cut(what, " "); ok {
		q = url.Values{kind: {name}}
	}
	var r usage.Reach
	if err := a.remote.Get(a.ctx, "/reach", q, &r); err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.out, r)
	}
	return a.showReach(what, r)
}

func (c auditListCmd) remote(a *app) ([]audit.Entry, error) {
	q := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for name, value := range map[string]string{"persona": c.Persona, "agent": c.Agent, "user": c.User, "person": c.Person, "key": c.Key, "tool": c.Tool,
		"server": c.Server, "kind": c.Kind, "decision": c.Decision, "policy": c.Policy, "shadow_decision": c.ShadowDecision, "shadow_policy": c.ShadowPolicy,
		"client": c.Client, "trace": c.Trace, "since": c.Since, "until": c.Until} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, value := range map[string]int64{"revision": int64(c.Revision), "shadow": int64(c.Shadow), "before": c.Before} {
		if value != 0 {
			q.Set(name, strconv.FormatInt(value, 10))
		}
	}
	var r api.Record
	err := a.remote.Get(a.ctx, "/audit", q, &r)
	return r.Entries, err
}
