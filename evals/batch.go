package evals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"remit/catalog"
	"remit/composer"
)

// Batch composes or ranks for a scorer outside of Remit. Of a case it reads the id and the text, of no case a label.
type Batch struct {
	Tools    *ToolFile
	Progress func(done, total int) // may be nil
	Note     func(text string)     // of a case that has no answer; may be nil
}

// BatchDraft is a line that [Batch.Draft] writes, with ids as the file of tools spells them.
type BatchDraft struct {
	ID    string   `json:"id"`
	Tools []string `json:"tools"`
	Gaps  []string `json:"gaps"` // words of the job that no tool serves
}

// BatchRanking is a line that [Batch.Rank] writes, with ids as the file of tools spells them, best first.
type BatchRanking struct {
	ID     string   `json:"id"`
	Ranked []string `json:"ranked"`
}

// Draft composes jobs and writes one [BatchDraft] a line, in their order. A job that cannot be composed gets an empty draft
// and a note.
func (b Batch) Draft(ctx context.Context, jobs []Text, drafter Drafter, out io.Writer) error {
	return batch(ctx, b, jobs, out, func(ctx context.Context, job Text) (BatchDraft, error) {
		answer := BatchDraft{ID: job.ID, Tools: []string{}, Gaps: []string{}}
		draft, err := drafter.Compose(ctx, job.Text)
		if errors.Is(err, composer.ErrJob) {
			b.note(job, err.Error())
			return answer, nil
		}
		for _, c := range draft.Choices {
			answer.Tools = append(answer.Tools, b.Tools.Name(c.Tool))
		}
		for _, g := range draft.Gaps {
			answer.Gaps = append(answer.Gaps, job.Text[g.Words.Start:g.Words.End])
		}
		b.degraded(job, draft.Degraded)
		return answer, err
	})
}

// Rank searches for the queries and writes one [BatchRanking] of at most k tools a line, in their order. A query without
// words gets an empty ranking and a note.
func (b Batch) Rank(ctx context.Context, queries []Text, k int, searcher Searcher, out io.Writer) error {
	return batch(ctx, b, queries, out, func(ctx context.Context, query Text) (BatchRanking, error) {
		answer := BatchRanking{ID: query.ID, Ranked: []string{}}
		found, err := searcher.Search(ctx, query.Text, k)
		if errors.Is(err, catalog.ErrEmptyQuery) {
			b.note(query, err.Error())
			return answer, nil
		}
		for _, m := range found.Matches {
			answer.Ranked = append(answer.Ranked, b.Tools.Name(m.Tool.ID))
		}
		b.degraded(query, found.Degraded)
		return answer, err
	})
}

func (b Batch) note(of Text, why string) {
	if b.Note != nil {
		b.Note(fmt.Sprintf("%s: %s", of.ID, why))
	}
}

func (b Batch) degraded(of Text, why string) {
	if why != "" {
		b.note(of, why)
	}
}

// batch answers all texts, several at a time, and then writes the answers in order.
func batch[T any](ctx context.Context, b Batch, texts []Text, out io.Writer, answer func(context.Context, Text) (T, error)) error {
	answers := make([]T, len(texts))
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, t := range texts {
		group.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if answers[i], err = answer(ctx, t); err != nil {
				return fmt.Errorf("case %s: %w", t.ID, err)
			}
			if n := done.Add(1); b.Progress != nil {
				b.Progress(int(n), len(texts))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for _, a := range answers {
		if err := lines.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

// Text is what a batch reads of a case.
type Text struct{ ID, Text string }

// LoadTexts reads from a file with one JSON object a line the members id and member, matched by their exact names, and no
// other. Both must be there and an id may not come twice; errors name file and line.
func LoadTexts(path, member string) ([]Text, error) {
	var texts []Text
	seen := map[string]bool{}
	err := eachLine(path, func(line []byte) error {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(line, &members); err != nil {
			return err
		}
		var t Text
		for name, into := range map[string]*string{"id": &t.ID, member: &t.Text} {
			if json.Unmarshal(members[name], into) != nil || strings.TrimSpace(*into) == "" {
				return fmt.Errorf("a case needs the members %q and %q, each a text", "id", member)
			}
		}
		if seen[t.ID] {
			return fmt.Errorf("there is a case %q already", t.ID)
		}
		seen[t.ID] = true
		texts = append(texts, t)
		return nil
	})
	if err == nil && len(texts) == 0 {
		err = fmt.Errorf("%s holds no case", path)
	}
	return texts, err
}

// WriteFile lets write make the file, which appears under its name only when it is complete. The name "-" is standard output.
func WriteFile(path string, stdout io.Writer, write func(io.Writer) error) (err error) {
	if path == "-" {
		return write(stdout)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err = errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
