package main

import (
	"fmt"
	"time"

	"remit/audit"
	"remit/audit/notary"
	"remit/identity"
	"remit/store"
)

type auditKeyCmd struct {
	New bool `help:"Print a new private key instead, for a file that audit-key names, and keep it nowhere."`
}

// Run prints the public key, and makes the key if there is none.
func (c auditKeyCmd) Run(a *app) error {
	if c.New {
		key, err := notary.NewKey()
		if err == nil {
			_, err = fmt.Fprintln(a.out, key)
		}
		return err
	}
	return a.withNotary(func(n *notary.Notary, _ *store.Store) error {
		_, err := fmt.Fprintln(a.out, n.Key.Public())
		return err
	})
}

// withNotary runs do with what signs the record.
func (a *app) withNotary(do func(*notary.Notary, *store.Store) error) error {
	return a.withStore(func(s *store.Store) error {
		n, err := a.notary(s)
		if err != nil {
			return err
		}
		return do(n, s)
	})
}

type auditCheckpointCmd struct{}

// Run signs the head.
func (auditCheckpointCmd) Run(a *app) error {
	return a.withNotary(func(n *notary.Notary, _ *store.Store) error {
		c, err := n.Checkpoint(a.ctx, identity.Operator().Actor())
		if err != nil {
			return fmt.Errorf("no checkpoint was made: %w", err)
		}
		_, err = fmt.Fprint(a.out, c.Note)
		return err
	})
}

type auditPruneCmd struct {
	Before  string `required:"" placeholder:"TIME" help:"Remove what is older than this day or time, or than so long: 2025-11-25 or 400d; the last 48 hours stay."`
	Archive string `placeholder:"FILE" help:"Write what is removed to this new file first, as JSON lines."`
}

// Run removes old entries.
func (c auditPruneCmd) Run(a *app) error {
	before, err := audit.ParseTime(c.Before, time.Now())
	if err != nil {
		return fmt.Errorf("--before: %w", err)
	}
	return a.withNotary(func(n *notary.Notary, _ *store.Store) error {
		cut, err := n.Prune(a.ctx, identity.Operator().Actor(), before, c.Archive)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%d entries were removed, up to number %d with the hash %s\n", cut.Count, cut.Last.Seq, cut.Last.Hash)
		return err
	})
}

type auditSinksCmd struct {
	JSON bool `help:"Print JSON."`
}

// sinkState is one sink as it is shown.
type sinkState struct {
	Name    string    `json:"name"`
	To      string    `json:"to"` // kind and host, never credentials
	Sent    int64     `json:"sent"`
	Behind  int64     `json:"behind"`
	Last    time.Time `json:"last,omitzero"`
	Problem string    `json:"problem,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// Run shows the sinks.
func (c auditSinksCmd) Run(a *app) error {
	return a.withStore(func(s *store.Store) error {
		states, err := a.sinkStates(s)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(a.out, states)
		}
		var rows [][]string
		for _, p := range states {
			rows = append(rows, []string{p.Name, p.To, fmt.Sprint(p.Sent), fmt.Sprint(p.Behind), moment(p.Last), orDash(p.Problem)})
		}
		return table(a.out, []string{"SINK", "TO", "SENT UP TO", "BEHIND", "LAST", "PROBLEM"}, rows)
	})
}

func (a *app) sinkStates(s *store.Store) ([]sinkState, error) {
	head, err := s.Head(a.ctx)
	if err != nil {
		return nil, err
	}
	states := []sinkState{}
	for _, name := range a.source.File().SinkNames() {
		at, err := s.Shipped(a.ctx, name)
		if err != nil {
			return nil, err
		}
		states = append(states, sinkState{Name: name, To: destination(a.source.File().Sinks[name].URL), Sent: at.Upto.Seq, Behind: head.Seq - at.Upto.Seq,
			Last: at.Sent, Problem: at.Problem, Since: at.Failed})
	}
	return states, nil
}
