package main

import (
	"fmt"
	"strings"
	"time"

	"remit/audit"
	"remit/store"
)

type auditCmd struct {
	List   auditListCmd   `cmd:"" default:"withargs" help:"Print the newest entries (also without the word list)."`
	Export auditExportCmd `cmd:"" help:"Write all entries that fit, oldest first, as JSON lines or CSV."`
	Verify auditVerifyCmd `cmd:"" help:"Check the whole chain of entries for deletions, edits and reordering, and against signed checkpoints."`

	Checkpoint auditCheckpointCmd `cmd:"" help:"Sign the end of the chain now, and print the signed note."`
	Key        auditKeyCmd        `cmd:"" help:"Print the public key that the checkpoints are checked with."`
	Prune      auditPruneCmd      `cmd:"" help:"Remove old entries, with a signed statement of what was removed."`
	Sinks      auditSinksCmd      `cmd:"" help:"Show how far the record was sent to each place outside."`
}

type auditListCmd struct {
	auditFilters
	Before int64 `placeholder:"N" help:"Only entries before this number."`
	Limit  int   `short:"n" default:"20" help:"Most entries, up to 1000 (default: 20)."`
	JSON   bool  `help:"Print one JSON object a line."`
}

// Run prints entries, newest first.
func (c auditListCmd) Run(a *app) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	q.Before, q.Limit = c.Before, c.Limit
	var entries []audit.Entry
	if a.remote != nil {
		entries, err = c.remote(a)
	} else {
		err = a.withStore(func(s *store.Store) (err error) { entries, err = s.Entries(a.ctx, q); return err })
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return jsonLines(a.out, entries)
	}
	var rows [][]string
	for _, e := range entries {
		rows = append(rows, []string{fmt.Sprint(e.Seq), moment(e.Time), e.Kind, who(e.Actor), on(e), e.Tool, string(e.Decision), e.Reason, took(e)})
	}
	return table(a.out, []string{"NO", "TIME", "KIND", "WHO", "PERSONA", "TOOL", "DECISION", "REASON", "TOOK"}, rows)
}

// auditFilters narrow a list or an export: what fits all of them is in it.
type auditFilters struct {
	Persona        string `placeholder:"ID" help:"Only this persona."`
	Revision       int    `placeholder:"N" help:"Only this revision of personas."`
	Agent          string `placeholder:"NAME" help:"Only this agent."`
	User           string `placeholder:"NAME" help:"Only agents of this user."`
	Person         string `placeholder:"NAME" help:"Only what this person did."`
	Key            string `placeholder:"ID" help:"Only this access key, by its public id."`
	Tool           string `placeholder:"SERVER/TOOL" help:"Only this tool, or this name that an agent made up."`
	Server         string `placeholder:"NAME" help:"Only tools of this server."`
	Kind           string `placeholder:"KIND" help:"Only this kind, such as tool.call or persona.approve."`
	Decision       string `enum:",allowed,refused,failed,unknown,changed" default:"" placeholder:"DECISION" help:"Only allowed, refused, failed, unknown or changed."`
	Policy         string `placeholder:"RULE" help:"Only what this rule refused, such as find, policy or policy/hours."`
	Shadow         int    `placeholder:"N" help:"Only entries with what this revision would have decided beside the live one."`
	ShadowDecision string `enum:",allowed,refused,undecided" default:"" placeholder:"DECISION" help:"Only where the shadow would have allowed or refused, or was undecided."`
	ShadowPolicy   string `placeholder:"RULE" help:"Only where this rule of the shadow would have refused."`
	Client         string `placeholder:"NAME" help:"Only clients that name themselves so."`
	Trace          string `placeholder:"ID" help:"Only this trace id."`
	Since          string `placeholder:"TIME" help:"Only from this day or time on (UTC), or from so long ago: 2026-11-25, 2026-11-25T08:00:00Z or 36h."`
	Until          string `placeholder:"TIME" help:"Only before this day or time, or before so long ago."`
}

func (f auditFilters) query() (audit.Query, error) {
	now := time.Now()
	since, err := audit.ParseTime(f.Since, now)
	if err != nil {
		return audit.Query{}, fmt.Errorf("--since: %w", err)
	}
	until, err := audit.ParseTime(f.Until, now)
	if err != nil {
		return audit.Query{}, fmt.Errorf("--until: %w", err)
	}
	return audit.Query{Persona: f.Persona, Revision: f.Revision, Agent: f.Agent, User: f.User, Person: f.Person, Key: f.Key, Tool: f.Tool,
		Server: f.Server, Kind: f.Kind, Decision: audit.Decision(f.Decision), Policy: f.Policy, Client: f.Client, Trace: f.Trace,
		Shadow: f.Shadow, ShadowDecision: audit.Decision(f.ShadowDecision), ShadowPolicy: f.ShadowPolicy,
		Since: since, Until: until}, nil
}

// who is the person, or the agent and for whom it works, or Remit itself.
func who(a audit.Actor) string {
	var parts []string
	if a.Person != "" {
		parts = append(parts, a.Person)
	}
	if a.Agent != "" {
		parts = append(parts, a.Agent+" for "+a.User)
	}
	if len(parts) == 0 {
		return "remit"
	}
	return strings.Join(parts, ": ")
}

func on(e audit.Entry) string {
	if e.Persona == "" || e.Revision == 0 {
		return e.Persona
	}
	return fmt.Sprintf("%s#%d", e.Persona, e.Revision)
}

func took(e audit.Entry) string {
	if e.Micros == 0 {
		return ""
	}
	return (time.Duration(e.Micros) * time.Microsecond).String()
}
