package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"remit/audit"
	"remit/catalog"
	"remit/persona"
)

var _ persona.Store = (*Store)(nil)

// content is the part of a revision that never changes once it is submitted.
type content struct {
	Job     string
	Grants  []persona.Grant
	Notes   json.RawMessage `json:",omitempty"`
	Author  string
	Authors []string `json:",omitempty"` // revisions of earlier versions of Remit have none
	Created time.Time
}

// review is the part that its review fills in.
type review struct {
	SubmittedAt time.Time
	ReviewedBy  string
	ReviewedAt  time.Time
	Comment     string
	SoloReview  bool
	Narrowed    string `json:",omitempty"`
	FirstReview string `json:",omitempty"`

	Comments []persona.Comment `json:",omitempty"`
}

// Persona returns the persona with the definitions of all its pins.
func (s *Store) Persona(ctx context.Context, id persona.ID) (persona.Persona, error) {
	tx, err := s.reads.BeginTx(ctx, snapshot)
	if err != nil {
		return persona.Persona{}, err
	}
	defer tx.Rollback()
	p, err := readPersona(ctx, tx, id)
	if err == nil && len(p.Revisions) == 0 {
		err = persona.ErrNotFound
	}
	return p, err
}

// Personas returns all personas by id, without definitions.
func (s *Store) Personas(ctx context.Context) ([]persona.Persona, error) {
	tx, err := s.reads.BeginTx(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	all, err := collect(ctx, tx, scanPersona, selectPersona+" order by p.id")
	for i := range all {
		if err == nil {
			all[i].Revisions, err = readRevisions(ctx, tx, all[i].ID)
		}
	}
	return all, err
}

const selectPersona = "select p.id, p.title, p.team, p.created, p.users, coalesce(s.number, 0), coalesce(s.person, ''), coalesce(s.since, 0)" + termColumns + `
	from persona p left join shadow s on s.persona = p.id left join term t on t.persona = p.id`

func scanPersona(r *sql.Rows) (p persona.Persona, err error) {
	var created, since int64
	var users []byte
	p.Term, err = scanTerm(r, &p.ID, &p.Title, &p.Team, &created, &users, &p.Shadow.Revision, &p.Shadow.Person, &since)
	p.Created, p.Shadow.Since = fromMicros(created), fromMicros(since)
	if err == nil {
		err = json.Unmarshal(users, &p.Users)
	}
	return p, err
}

// readPersona returns a persona without revisions when there is none.
func readPersona(ctx context.Context, q querier, id persona.ID) (persona.Persona, error) {
	found, err := collect(ctx, q, scanPersona, selectPersona+" where p.id = $1", string(id))
	if err != nil || len(found) == 0 {
		return persona.Persona{}, err
	}
	p := found[0]
	if p.Revisions, err = readRevisions(ctx, q, id); err != nil {
		return p, err
	}
	bodies := map[catalog.Digest]json.RawMessage{}
	rows, err := q.QueryContext(ctx, `select distinct d.digest, d.body from revision_definition r join definition d
		on d.digest = r.digest where r.persona = $1`, string(id))
	if err != nil {
		return p, err
	}
	defer rows.Close()
	for rows.Next() {
		var digest catalog.Digest
		var body []byte
		if err := rows.Scan(&digest, &body); err != nil {
			return p, err
		}
		bodies[digest] = body
	}
	for _, r := range p.Revisions {
		for i := range r.Grants {
			r.Grants[i].Definition = bodies[r.Grants[i].Digest]
		}
	}
	return p, rows.Err()
}

func readRevisions(ctx context.Context, q querier, id persona.ID) ([]persona.Revision, error) {
	return collect(ctx, q, func(rows *sql.Rows) (persona.Revision, error) {
		_, r, err := scanRevision(rows)
		return r, err
	}, "select persona, number, state, content, review from revision where persona = $1 order by number", string(id))
}

func scanRevision(rows *sql.Rows) (of persona.ID, r persona.Revision, err error) {
	var body, reviewed []byte
	if err := rows.Scan(&of, &r.Number, &r.State, &body, &reviewed); err != nil {
		return of, r, err
	}
	var c content
	var v review
	if err := errors.Join(json.Unmarshal(body, &c), json.Unmarshal(reviewed, &v)); err != nil {
		return of, r, fmt.Errorf("persona %s revision %d cannot be read: %w", of, r.Number, err)
	}
	r.Job, r.Grants, r.Notes, r.Author, r.Authors, r.Created = c.Job, c.Grants, c.Notes, c.Author, c.Authors, c.Created
	r.SubmittedAt, r.ReviewedBy, r.ReviewedAt, r.Comment, r.SoloReview, r.Narrowed, r.FirstReview = v.SubmittedAt, v.ReviewedBy, v.ReviewedAt, v.Comment, v.SoloReview, v.Narrowed, v.FirstReview
	r.Comments = v.Comments
	return of, r, nil
}

// Submitted returns the personas of which a revision waits for a review, each with that revision alone.
func (s *Store) Submitted(ctx context.Context) ([]persona.Persona, error) {
	teams := map[persona.ID]string{}
	if _, err := collect(ctx, s.reads, func(rows *sql.Rows) (struct{}, error) {
		var of persona.ID
		var team string
		err := rows.Scan(&of, &team)
		teams[of] = team
		return struct{}{}, err
	}, "select id, team from persona where team <> ''"); err != nil {
		return nil, err
	}
	return collect(ctx, s.reads, func(rows *sql.Rows) (persona.Persona, error) {
		of, r, err := scanRevision(rows)
		return persona.Persona{ID: of, Team: teams[of], Revisions: []persona.Revision{r}}, err
	}, "select persona, number, state, content, review from revision where state = $1", string(persona.Submitted))
}

// errImmutable is a defect in a caller, never an input's fault.
var errImmutable = errors.New("a revision that was submitted cannot be changed or removed")

// Update writes the changed persona and the entry in one transaction. Beside the Registry's rules it holds one of its
// own: content that was submitted stays as it is.
func (s *Store) Update(ctx context.Context, id persona.ID, change func(persona.Persona) (persona.Persona, audit.Entry, error)) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		old, err := readPersona(ctx, tx, id)
		if err != nil {
			return err
		}
		next, entry, err := change(old)
		if err != nil {
			return err
		}
		if len(next.Revisions) < len(old.Revisions) {
			return errImmutable
		}
		users, err := json.Marshal(next.Users)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`insert into persona (id, title, created, users, team) values ($1, $2, $3, $4, $5)
			on conflict (id) do update set title = excluded.title, users = excluded.users, team = excluded.team`,
			string(id), next.Title, micros(next.Created), string(users), next.Team); err != nil {
			return err
		}
		for i, r := range next.Revisions {
			var before *persona.Revision
			if i < len(old.Revisions) {
				before = &old.Revisions[i]
			}
			if err := writeRevision(tx, id, before, r); err != nil {
				return err
			}
		}
		if err := writeShadow(tx, id, next.Shadow); err != nil {
			return err
		}
		if err := keepFrozen(tx, id, old, next); err != nil {
			return err
		}
		if err := writeTerm(tx, id, old.Term, next.Term); err != nil {
			return err
		}
		return appendEntry(tx, entry)
	})
}

func writeShadow(tx *sql.Tx, id persona.ID, s persona.Shadow) error {
	if s.Revision == 0 {
		_, err := tx.Exec("delete from shadow where persona = $1", string(id))
		return err
	}
	_, err := tx.Exec(`insert into shadow (persona, number, person, since) values ($1, $2, $3, $4)
		on conflict (persona) do update set number = excluded.number, person = excluded.person, since = excluded.since`,
		string(id), s.Revision, s.Person, micros(s.Since))
	return err
}

func encodeContent(r persona.Revision) (string, error) {
	text, err := json.Marshal(content{Job: r.Job, Grants: r.Grants, Notes: r.Notes, Author: r.Author, Authors: r.Authors, Created: r.Created})
	return string(text), err
}

func writeRevision(tx *sql.Tx, id persona.ID, before *persona.Revision, r persona.Revision) error {
	body, err := encodeContent(r)
	if err != nil {
		return err
	}
	if before != nil && before.State != persona.Draft {
		if was, err := encodeContent(*before); err != nil || was != body {
			return errors.Join(errImmutable, err)
		}
	}
	reviewed, err := json.Marshal(review{r.SubmittedAt, r.ReviewedBy, r.ReviewedAt, r.Comment, r.SoloReview, r.Narrowed, r.FirstReview, r.Comments})
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`insert into revision (persona, number, state, content, review) values ($1, $2, $3, $4, $5)
		on conflict (persona, number) do update set state = excluded.state, content = excluded.content, review = excluded.review`,
		string(id), r.Number, string(r.State), body, string(reviewed)); err != nil {
		return err
	}
	if err := holdFrozen(tx, id, before, r); err != nil {
		return err
	}
	if before != nil && before.State != persona.Draft {
		return nil
	}
	if _, err := tx.Exec("delete from revision_definition where persona = $1 and number = $2", string(id), r.Number); err != nil {
		return err
	}
	for _, g := range r.Grants {
		if err := writeDefinition(tx, g.Digest, g.Definition); err != nil {
			return err
		}
		if _, err := tx.Exec(`insert into revision_definition (persona, number, digest) values ($1, $2, $3)
			on conflict (persona, number, digest) do nothing`, string(id), r.Number, string(g.Digest)); err != nil {
			return err
		}
	}
	return nil
}

// writeDefinition keeps the first bytes that were seen for a digest; others with the same digest read the same.
func writeDefinition(tx *sql.Tx, digest catalog.Digest, body json.RawMessage) error {
	_, err := tx.Exec("insert into definition (digest, body) values ($1, $2) on conflict (digest) do nothing", string(digest), []byte(body))
	return err
}
