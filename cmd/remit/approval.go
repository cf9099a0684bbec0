package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"remit/approval"
	"remit/approval/webhook"
	"remit/identity"
	"remit/internal/config"
	"remit/internal/visible"
	"remit/store"
	"remit/web/api"
)

// desk is where people decide on calls, and who is told of them; nil for nobody.
func (a *app) desk(s *system, log *slog.Logger) (*approval.Desk, *webhook.Sender, error) {
	key, err := s.store.Secret(context.Background(), "approval")
	if err != nil {
		return nil, nil, err
	}
	d := &approval.Desk{Store: s.store, Key: key, URL: a.opts.Address(), SingleOperator: a.opts.SingleOperator, Log: log}
	w := a.opts.Webhook
	if w.URL == "" {
		return d, nil, nil
	}
	secret, err := config.Secrets(a.secret).Expand(w.Secret)
	if err != nil {
		return nil, nil, fmt.Errorf("approval-webhook.secret: %w", err)
	}
	hook, err := webhook.New(webhook.Config{URL: w.URL, Secret: secret, Page: d.Page, Log: log})
	if err != nil {
		return nil, nil, fmt.Errorf("approval-webhook.secret: %w", err)
	}
	d.Asked = hook.Asked
	return d, hook, nil
}

type approvalCmd struct {
	List    approvalListCmd    `cmd:"" help:"List the calls that wait for a person, or all of the last 30 days."`
	Show    approvalShowCmd    `cmd:"" help:"Show a call with its exact arguments."`
	Approve approvalApproveCmd `cmd:"" help:"Let a call be made, once."`
	Deny    approvalDenyCmd    `cmd:"" help:"Refuse a call."`
}

// onDesk runs do on the database. A running server hears of a decision within a second.
func (a *app) onDesk(do func(*approval.Desk) error) error {
	return a.withStore(func(s *store.Store) error {
		now := time.Now()
		if err := s.CloseApprovals(a.ctx, now, time.Time{}); err != nil {
			return err
		}
		return do(&approval.Desk{Store: s, URL: a.opts.Address()})
	})
}

type approvalListCmd struct {
	All  bool `help:"Also what was decided or is over."`
	JSON bool `help:"Print JSON."`
}

func (c approvalListCmd) Run(a *app) error {
	if a.remote != nil {
		q := url.Values{}
		if c.All {
			q.Set("state", "all")
		}
		all, err := list[api.Approval](a, "/approvals", q)
		if err != nil {
			return err
		}
		return c.show(a, all)
	}
	return a.onDesk(func(d *approval.Desk) error {
		states := []approval.State{approval.Pending}
		if c.All {
			states = nil
		}
		found, err := d.Requests(a.ctx, identity.Operator(), states, 1000)
		if err != nil {
			return err
		}
		all := []api.Approval{}
		for _, r := range found {
			all = append(all, api.ApprovalOf(r))
		}
		return c.show(a, all)
	})
}

func (c approvalListCmd) show(a *app, all []api.Approval) error {
	if c.JSON {
		return printJSON(a.out, all)
	}
	var rows [][]string
	for _, r := range all {
		rows = append(rows, []string{r.ID, string(r.State), fmt.Sprintf("%s/%d", r.Persona, r.Revision), r.Tool, r.Agent, r.User, moment(r.Created), moment(r.Expires), orDash(r.Person)})
	}
	return table(a.out, []string{"ID", "STATE", "PERSONA", "TOOL", "AGENT", "FOR", "ASKED", "UNTIL", "BY"}, rows)
}

type approvalShowCmd struct {
	ID   string `arg:"" help:"The request's id, as remit approval list shows it."`
	JSON bool   `help:"Print JSON."`
}

// Run prints every argument, with characters that a terminal does not show spelt out.
func (c approvalShowCmd) Run(a *app) error {
	r, err := a.approval(c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(a.out, r)
	}
	for _, row := range [][2]string{{"State", string(r.State)}, {"Tool", r.Tool}, {"Definition", r.Digest}, {"Persona", fmt.Sprintf("%s, revision %d", r.Persona, r.Revision)},
		{"Agent", r.Agent}, {"For", r.User}, {"Key", r.Key}, {"Asked", moment(r.Created)}, {"Until", moment(r.Expires)}, {"Decided by", orDash(r.Person)}, {"Reason", orDash(r.Reason)}} {
		fmt.Fprintf(a.out, "%-11s %s\n", row[0], plain(row[1]))
	}
	if len(r.Arguments) == 0 {
		fmt.Fprintln(a.out, "\nIts arguments were deleted when it was over.")
		return nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, r.Arguments, "", "  "); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\n%s\n", visible.Text(b.String()))
	if r.State == approval.Pending {
		fmt.Fprintf(a.out, "\nremit approval approve %s --seen %s\n", r.ID, r.Seen)
	}
	return nil
}

// approval reads a request with its arguments.
func (a *app) approval(id string) (r api.Approval, err error) {
	if a.remote != nil {
		err = a.remote.Get(a.ctx, path("approvals", id), nil, &r)
		return r, err
	}
	err = a.onDesk(func(d *approval.Desk) error {
		found, err := d.Request(a.ctx, identity.Operator(), id)
		r = api.ApprovalOf(found)
		return err
	})
	return r, unknownApproval(id, err)
}

// decide decides on a request, here or on the server.
func (a *app) decide(id, seen string, approve bool, reason string) error {
	if a.remote != nil {
		verb := map[bool]string{true: "approve", false: "deny"}[approve]
		return a.remote.Post(a.ctx, path("approvals", id, verb), api.Decide{Seen: seen, Reason: reason}, &api.Approval{})
	}
	return unknownApproval(id, a.onDesk(func(d *approval.Desk) error { return d.Decide(a.ctx, identity.Operator(), id, seen, approve, reason) }))
}

type approvalApproveCmd struct {
	ID     string `arg:"" help:"The request's id."`
	Seen   string `required:"" placeholder:"DIGEST" help:"Digest of the arguments, as remit approval show prints it: you have looked at them."`
	Reason string `placeholder:"TEXT" help:"Why; it is recorded."`
}

func (c approvalApproveCmd) Run(a *app) error {
	if err := a.decide(c.ID, c.Seen, true, c.Reason); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.out, "Approved: the call may be made once, if everything else still allows it.")
	return err
}

type approvalDenyCmd struct {
	ID     string `arg:"" help:"The request's id."`
	Reason string `placeholder:"TEXT" help:"Why; it is recorded, and the agent is told it."`
}

func (c approvalDenyCmd) Run(a *app) error {
	r, err := a.approval(c.ID)
	if err == nil {
		err = a.decide(c.ID, r.Seen, false, c.Reason)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, "Denied: the call is refused.")
	return err
}

func unknownApproval(id string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("approval %s: %w", strings.ToValidUTF8(id, "?"), err)
	if errors.Is(err, approval.ErrNotFound) || errors.Is(err, approval.ErrOver) {
		return fmt.Errorf("%w; remit approval list shows what waits", err)
	}
	return err
}
