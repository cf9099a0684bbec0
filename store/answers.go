package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Answers hand what clients answer to the replica that asked, on PostgreSQL. Each question is kept while it waits, and takes one answer,
// of the session that was asked; AnswerKept tells of it.
type Answers struct{ *Store }

// Expect keeps a question for as long as last, unless it is kept already.
func (a Answers) Expect(ctx context.Context, question, session string, last time.Duration) error {
	if _, err := a.reads.ExecContext(ctx, "delete from question where expires < "+a.engine.clock); err != nil { // of replicas that died
		return err
	}
	_, err := a.reads.ExecContext(ctx, "insert into question (id, session, expires) values ($1, $2, "+a.engine.clock+" + $3) on conflict do nothing", question, session, last.Microseconds())
	return err
}

// Keep keeps the answer, if the question waits in the session for its first.
func (a Answers) Keep(ctx context.Context, question, session string, answer []byte) error {
	_, err := a.reads.ExecContext(ctx, "update question set answer = $1 where id = $2 and session = $3 and answer is null and expires >= "+a.engine.clock,
		answer, question, session)
	return err
}

// Kept returns the answer, and nil while there is none.
func (a Answers) Kept(ctx context.Context, question string) (answer []byte, err error) {
	err = a.reads.QueryRowContext(ctx, "select answer from question where id = $1", question).Scan(&answer)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return answer, err
}

// Forget ends a question.
func (a Answers) Forget(ctx context.Context, question string) error {
	_, err := a.reads.ExecContext(ctx, "delete from question where id = $1", question)
	return err
}
