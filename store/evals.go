package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/oklog/ulid/v2"

	"remit/evals"
)

// maxRun bounds a stored run as JSON, in bytes: what is read into memory for one page.
const maxRun = 256 << 20

// SaveRun keeps a run and returns its id, by which runs sort as they were saved.
func (s *Store) SaveRun(ctx context.Context, run evals.Run) (string, error) {
	summaries := make([]evals.Report, len(run.Reports))
	for i, r := range run.Reports {
		summaries[i] = r.Summary()
	}
	summary, err := json.Marshal(summaries)
	if err != nil {
		return "", err
	}
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	if err := json.NewEncoder(z).Encode(run); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	id := ulid.Make().String()
	return id, s.exec(ctx, "insert into eval_run (id, saved, summary, body) values ($1, $2, $3, $4)", id, micros(time.Now()), string(summary), body.Bytes())
}

// Runs returns the newest runs, newest first.
func (s *Store) Runs(ctx context.Context, limit int) ([]evals.Saved, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (saved evals.Saved, err error) {
		var at int64
		var summary []byte
		if err := r.Scan(&saved.ID, &at, &summary); err != nil {
			return saved, err
		}
		saved.At = fromMicros(at)
		if err := json.Unmarshal(summary, &saved.Reports); err != nil {
			return saved, fmt.Errorf("evaluation %s cannot be read: %w", saved.ID, err)
		}
		return saved, nil
	}, "select id, saved, summary from eval_run order by id desc limit $1", limit)
}

// Run returns a run with its cases.
func (s *Store) Run(ctx context.Context, id string) (evals.Run, error) {
	found, err := collect(ctx, s.reads, func(r *sql.Rows) (run evals.Run, err error) {
		var body []byte
		if err := r.Scan(&body); err != nil {
			return run, err
		}
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			err = json.NewDecoder(io.LimitReader(z, maxRun)).Decode(&run)
		}
		if err != nil {
			return run, fmt.Errorf("evaluation %s cannot be read: %w", id, err)
		}
		return run, nil
	}, "select body from eval_run where id = $1", id)
	if err == nil && len(found) == 0 {
		err = evals.ErrNoRun
	}
	if err != nil {
		return evals.Run{}, err
	}
	return found[0], nil
}
