package evals

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
)

// Journal keeps the results of finished cases in a file, so that a run that was stopped goes on where it was. A result is
// used again only for the same suite, variant and setup (all digests, settings, seed and program).
//
// The file has one object a line: {"key","id","result"}. It is safe for concurrent use; a nil Journal keeps nothing.
type Journal struct {
	mu    sync.Mutex
	file  *os.File
	known map[string]CaseResult
}

type journalLine struct {
	Key    string     `json:"key"`
	ID     string     `json:"id"`
	Result CaseResult `json:"result"`
}

// OpenJournal opens the file. With resume it takes over what is in it, otherwise it begins anew.
func OpenJournal(path string, resume bool) (*Journal, error) {
	j := &Journal{known: map[string]CaseResult{}}
	var kept bytes.Buffer
	if resume {
		raw, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("the finished cases cannot be read: %w", err)
		}
		for line := range bytes.Lines(raw) {
			var l journalLine
			if json.Unmarshal(line, &l) != nil || l.Key == "" {
				continue // the line that was being written when the run was stopped
			}
			j.known[l.Key+" "+l.ID] = l.Result
			kept.Write(append(bytes.TrimSpace(line), '\n'))
		}
	}
	var err error
	if j.file, err = os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644); err != nil {
		return nil, fmt.Errorf("the finished cases cannot be kept: %w", err)
	}
	_, err = j.file.Write(kept.Bytes())
	return j, err
}

func (j *Journal) get(key, id string) (CaseResult, bool) {
	if j == nil {
		return CaseResult{}, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r, ok := j.known[key+" "+id]
	return r, ok
}

func (j *Journal) put(key, id string, result CaseResult) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(journalLine{key, id, result})
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.file.Write(append(line, '\n'))
	return err
}

// Close keeps the file; Remove ends it, when the whole is written elsewhere.
func (j *Journal) Close() error { return j.file.Close() }

// Remove closes and removes the file.
func (j *Journal) Remove() error { return errors.Join(j.file.Close(), os.Remove(j.file.Name())) }

// journalKey names what a result depends on besides its case.
func journalKey(r Report) string {
	r.Setup.Parallel = 0
	raw, err := json.Marshal([]any{r.Suite, r.Kind, r.Variant, r.Setup})
	if err != nil {
		panic(err) // texts and numbers only
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
