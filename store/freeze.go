package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/catalog/crawl"
	"remit/identity"
	"remit/persona"
)

// Frozen says whether, and since when, a revision's pin is frozen.
func (s *Store) Frozen(ctx context.Context, id persona.ID, revision int, pin persona.Pin) (since time.Time, frozen bool, err error) {
	var at int64
	err = s.reads.QueryRowContext(ctx, "select since from frozen where persona = $1 and number = $2 and tool = $3 and digest = $4",
		string(id), revision, string(pin.Tool), string(pin.Digest)).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return fromMicros(at), err == nil, err
}

// FrozenPins returns the frozen pins of all live revisions, by tool and persona.
func (s *Store) FrozenPins(ctx context.Context) ([]persona.FrozenPin, error) {
	return frozenPins(ctx, s.reads)
}

func frozenPins(ctx context.Context, q querier) ([]persona.FrozenPin, error) {
	return collect(ctx, q, func(r *sql.Rows) (p persona.FrozenPin, err error) {
		var since int64
		err = r.Scan(&p.Persona, &p.Revision, &p.Tool, &p.Digest, &p.Offered, &since)
		p.Since = fromMicros(since)
		return p, err
	}, `select f.persona, f.number, f.tool, f.digest, coalesce(t.digest, ''), f.since from frozen f
		join revision r on r.persona = f.persona and r.number = f.number and r.state = $1
		join revision_definition d on d.persona = f.persona and d.number = f.number and d.digest = f.digest
		left join tool t on t.id = f.tool and t.gone = 0 order by f.tool, f.persona`, string(persona.Live))
}

// Thaw lets every persona that pins the tool as seen call it again, and writes the entry with it. It is for a tool that
// drifted and is now, byte for byte in canonical form, what was approved: seen is the digest that by has looked at.
func (s *Store) Thaw(ctx context.Context, by identity.Principal, tool catalog.ID, seen catalog.Digest, at time.Time) error {
	if !by.Has(identity.Reviewer) {
		return fmt.Errorf("%w: this needs the role %s", persona.ErrForbidden, identity.Reviewer)
	}
	if by.Machine() {
		return identity.ErrMachine
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		all, err := frozenPins(ctx, tx)
		if err != nil {
			return err
		}
		err = persona.ErrNotFrozen
		var pins []string
		for _, p := range all {
			switch {
			case p.Tool != tool || p.Digest != seen:
			case !p.Confirmable():
				return fmt.Errorf("%w: %s", persona.ErrDrifted, tool)
			default:
				pins, err = append(pins, fmt.Sprintf("%s/%d", p.Persona, p.Revision)), nil
			}
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec("delete from frozen where tool = $1 and digest = $2", string(tool), string(seen)); err != nil {
			return err
		}
		return appendEntry(tx, audit.Entry{Time: at, Kind: "tool.thaw", Actor: by.Actor(), Tool: string(tool), Digest: string(seen),
			Decision: audit.Changed, Detail: map[string]string{"pins": strings.Join(pins, ", ")}})
	})
}

// Freeze freezes the pins that a listing drifts from and keeps nothing else of it. With a reason, an entry says so. It needs no turn:
// it only takes away.
func (s *Store) Freeze(ctx context.Context, server string, tools []catalog.Tool, at time.Time, reason string) (c crawl.Changes, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		d, err := compare(ctx, tx, server, tools)
		if err != nil {
			return err
		}
		c = d.changes
		if err := freeze(tx, d, at); err != nil || c.None() || reason == "" {
			return err
		}
		return appendEntry(tx, audit.Entry{Time: at, Kind: "catalog.unsteady", Decision: audit.Changed, Reason: reason, Detail: c.Detail(server)})
	})
	return c, err
}

// freeze makes every pin of a definition that its tool no longer has stay refused, also when the tool changes back.
// Drafts and submitted revisions are among them: one may go live from a page that does not know of the change yet.
func freeze(tx *sql.Tx, d difference, at time.Time) error {
	for tool, digest := range d.drifted {
		if _, err := tx.Exec(`insert into frozen (persona, number, tool, digest, since)
			select r.persona, r.number, cast($1 as text), r.digest, cast($2 as bigint) from revision_definition r where r.digest = $3
			on conflict (persona, number, tool, digest) do nothing`, string(tool), micros(at), string(digest)); err != nil {
			return err
		}
	}
	return nil
}

// thawApproved drops what froze a revision while it was reviewed: its reviewer saw the definitions that are offered now.
func thawApproved(tx *sql.Tx, id persona.ID, number int) error {
	_, err := tx.Exec(`delete from frozen where persona = $1 and number = $2 and exists (
		select 1 from tool t where t.id = frozen.tool and t.digest = frozen.digest and t.gone = 0)`, string(id), number)
	return err
}

// holdFrozen decides what a revision that goes live has to do with what is frozen of it. Approving is looking at what is
// offered now; rolling back is not.
func holdFrozen(tx *sql.Tx, id persona.ID, before *persona.Revision, r persona.Revision) error {
	if r.State != persona.Live || before != nil && before.State == persona.Live {
		return nil
	}
	if before == nil || before.State != persona.Approved {
		return thawApproved(tx, id, r.Number)
	}
	frozen, err := collect(context.Background(), tx, func(rows *sql.Rows) (p persona.Pin, err error) {
		err = rows.Scan(&p.Tool, &p.Digest)
		return p, err
	}, "select tool, digest from frozen where persona = $1 and number = $2 order by tool", string(id), r.Number)
	if err != nil {
		return err
	}
	pinned := r.Digests()
	for _, p := range frozen {
		if pinned[p.Tool] == p.Digest {
			return fmt.Errorf("%w: %s", persona.ErrFrozen, p.Tool)
		}
	}
	return nil
}

// keepFrozen has a new revision that is live at once inherit what is frozen of the one it was made from: nobody has looked
// at those tools.
func keepFrozen(tx *sql.Tx, id persona.ID, old, next persona.Persona) error {
	was, ok := old.Live()
	if !ok || len(next.Revisions) == len(old.Revisions) || next.Latest().State != persona.Live {
		return nil
	}
	_, err := tx.Exec(`insert into frozen (persona, number, tool, digest, since)
		select f.persona, cast($1 as integer), f.tool, f.digest, f.since from frozen f
		join revision_definition d on d.persona = f.persona and d.number = $1 and d.digest = f.digest
		where f.persona = $2 and f.number = $3`, next.Latest().Number, string(id), was.Number)
	return err
}
