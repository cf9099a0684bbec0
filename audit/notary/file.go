package notary

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// line is a checkpoint in a file: one JSON object. An entry of the record that has a checkpoint reads as one as well, so that
// what a log collector kept can be checked against.
type line struct {
	Seq    int64     `json:"seq"`
	Hash   string    `json:"hash"`
	Time   time.Time `json:"time"`
	Note   string    `json:"note"`
	Detail *struct {
		Note string `json:"note"`
	} `json:"detail,omitempty"`
}

// ReadFile checks the checkpoints of a file: JSON lines, or one signed note alone. Each must have a signature of one of the keys. Lines
// without a checkpoint are passed over, but one must have one.
func ReadFile(public []string, path string) ([]Checkpoint, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the checkpoints cannot be read: %w", err)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		c, err := Open(public, string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return []Checkpoint{c}, nil
	}
	found, err := readLines(public, text)
	if err == nil && len(found) == 0 {
		err = errors.New("there is no checkpoint in it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return found, nil
}

func readLines(public []string, text []byte) (found []Checkpoint, err error) {
	n := 0
	for l := range bytes.Lines(text) {
		n++
		var read line
		if json.Unmarshal(l, &read) != nil { // cut off when the machine stopped
			continue
		}
		if read.Detail != nil && read.Note == "" {
			read.Note = read.Detail.Note
		}
		if read.Note == "" {
			continue
		}
		c, err := Open(public, read.Note)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		found = append(found, c)
	}
	return found, nil
}

// lastIn returns the last checkpoint of the file, the zero Checkpoint when there is none yet.
func lastIn(public []string, path string) (Checkpoint, error) {
	const most = 64 << 10 // bytes, far more than one line
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Checkpoint{}, err
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-most), most))
	if err != nil {
		return Checkpoint{}, err
	}
	for len(text) > 0 {
		at := bytes.LastIndexByte(bytes.TrimRight(text, "\n"), '\n') + 1
		if found, err := readLines(public, text[at:]); err != nil || len(found) > 0 {
			return append(found, Checkpoint{})[0], err
		}
		text = text[:at]
	}
	return Checkpoint{}, nil
}

// appendTo adds a checkpoint to the file, on the disk when it returns.
func appendTo(path string, c Checkpoint) error {
	text, err := json.Marshal(line{Seq: c.Head.Seq, Hash: c.Head.Hash, Time: c.Time, Note: c.Note})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	// A line that was cut off when the machine stopped must not swallow this one: hence the line break in front.
	_, err = f.WriteString("\n" + string(text) + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}
