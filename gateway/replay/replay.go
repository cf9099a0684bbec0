// Package replay owns the question what another revision would have done with past calls: it reads them in order from the
// record, has each decided with the gateway's own steps, and counts what would have changed. It changes nothing.
package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"remit/audit"
	"remit/gateway"
	"remit/persona"
	"remit/policy"
)

// Source is where the persona and the record are read. A store.Store is one.
type Source interface {
	Persona(ctx context.Context, id persona.ID) (persona.Persona, error)
	// Export hands over everything that q selects, in the order in which it was written.
	Export(ctx context.Context, q audit.Query, each func(audit.Entry) error) (audit.Head, error)
}

// Question is which calls are replayed, and against what.
type Question struct {
	Persona      persona.ID
	Revision     int             // 0 is the newest
	Since, Until time.Time       // of when a call ended; zero is open
	Progress     func(calls int) // if set, is called now and then with how many entries were read
}

// Report says what the revision would have changed.
type Report struct {
	Persona     persona.ID    `json:"persona"`
	Revision    int           `json:"revision"`
	State       persona.State `json:"state"`
	Calls       int           `json:"calls"`
	From        time.Time     `json:"from,omitzero"` // end of the first and last call that was replayed
	To          time.Time     `json:"to,omitzero"`
	Same        int           `json:"same"`
	WouldRefuse int           `json:"would_refuse"`
	WouldAllow  int           `json:"would_allow"`
	CannotTell  int           `json:"cannot_tell"`
	Rows        []Row         `json:"rows"` // what would change first, then the most frequent
}

// Changes says that some call would have come out otherwise.
func (r Report) Changes() bool { return r.WouldRefuse+r.WouldAllow > 0 }

// Row is the calls that have a tool, what became of them and what would have in common.
type Row struct {
	Tool   string       `json:"tool"` // catalog id, or the name that was asked for
	Change audit.Change `json:"change"`
	Was    string       `json:"was,omitempty"`    // the rule that refused, live
	Rule   string       `json:"rule,omitempty"`   // that would refuse
	Reason string       `json:"reason,omitempty"` // of the first
	Count  int          `json:"count"`
	First  int64        `json:"first"` // number of the first and the last entry
	Last   int64        `json:"last"`
}

// maxRows bounds what agents that make up names can cause. What is beyond is one row a change.
const maxRows = 1000

// otherTools is the tool of the rows for what is beyond.
const otherTools = "(others)"

// Run replays. It reads the record once, holds little of it, and ends with ctx.
func Run(ctx context.Context, from Source, q Question) (Report, error) {
	p, err := from.Persona(ctx, q.Persona)
	if err != nil {
		return Report{}, err
	}
	if q.Revision == 0 {
		q.Revision = p.Latest().Number
	}
	r, ok := p.Revision(q.Revision)
	if !ok {
		return Report{}, fmt.Errorf("%w: persona %s has the revisions 1 to %d", persona.ErrNotFound, p.ID, len(p.Revisions))
	}
	t := tally{Report: Report{Persona: p.ID, Revision: r.Number, State: r.State, Rows: []Row{}}, rows: map[Row]int{}}
	judge := gateway.NewJudge(p, r)
	var queue inOrder
	decide := func(e audit.Entry) {
		if e.Persona != string(p.ID) {
			judge.Count(ctx, e)
			return
		}
		if s := judge.Decide(ctx, e); !e.Time.Before(q.Since) {
			t.add(e, s)
		}
	}
	read := 0
	_, err = from.Export(ctx, query(q, r), func(e audit.Entry) error {
		if read++; q.Progress != nil && read%1000 == 0 {
			q.Progress(read)
		}
		queue.add(e, decide)
		return ctx.Err()
	})
	if err != nil {
		return Report{}, err
	}
	queue.flush(decide)
	return t.report(), ctx.Err()
}

// query selects the calls, and those before that limits look back to: of a day, and of every persona where a limit counts all.
func query(q Question, r persona.Revision) audit.Query {
	out := audit.Query{Kind: audit.ToolCall, Persona: string(q.Persona), Since: q.Since, Until: q.Until}
	for _, g := range r.Grants {
		for _, l := range g.Policy.Limits {
			if !q.Since.IsZero() {
				out.Since = q.Since.Add(-24 * time.Hour)
			}
			if l.By == policy.ByTool {
				out.Persona = ""
			}
		}
	}
	return out
}

// tally counts.
type tally struct {
	Report
	rows map[Row]int // place of a row, by what its calls have in common
}

func (t *tally) add(e audit.Entry, s audit.Shadow) {
	change := e.Decision.ChangeTo(s.Decision)
	switch change {
	case audit.Same:
		t.Same++
	case audit.Refuses:
		t.WouldRefuse++
	case audit.Allows:
		t.WouldAllow++
	default:
		t.CannotTell++
	}
	if t.Calls++; t.Calls == 1 || e.Time.Before(t.From) {
		t.From = e.Time
	}
	if e.Time.After(t.To) {
		t.To = e.Time
	}
	key := Row{Tool: e.Tool, Change: change, Was: e.Policy, Rule: s.Policy}
	if e.Decision.Forwarded() {
		key.Was = "" // such as a result that was too large
	}
	if change == audit.CannotTell {
		key.Reason = s.Reason
	}
	at, ok := t.rows[key]
	if !ok && len(t.rows) >= maxRows {
		key = Row{Tool: otherTools, Change: change}
		at, ok = t.rows[key]
	}
	if !ok {
		at = len(t.Rows)
		t.rows[key] = at
		row := key
		row.Reason, row.First = s.Reason, e.Seq
		t.Rows = append(t.Rows, row)
	}
	row := &t.Rows[at]
	row.Count++
	row.First, row.Last = min(row.First, e.Seq), max(row.Last, e.Seq)
}

var order = []audit.Change{audit.Refuses, audit.Allows, audit.CannotTell, audit.Same}

func (t *tally) report() Report {
	slices.SortFunc(t.Rows, func(a, b Row) int {
		return cmp.Or(slices.Index(order, a.Change)-slices.Index(order, b.Change), b.Count-a.Count, cmp.Compare(a.Tool, b.Tool), cmp.Compare(a.First, b.First))
	})
	return t.Report
}
