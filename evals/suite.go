package evals

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Suite is a file of cases of one kind. Two forms are read; remit eval schema prints the JSON Schema of both.
//
// YAML (.yaml, .yml): one mapping, the members of [Header] and cases, a list.
//
// JSONL (any other name): one object a line, a case each. The first line may be a [Header]. Without one the kind is told by
// the members (a job is compose, a query is retrieve), the suite is called like the file, and members that are not known
// are passed over; with one, and in YAML, they are errors.
//
// A folder with tools.jsonl and queries.jsonl is a retrieve suite without a header.
type Suite struct {
	Header
	Path   string
	Digest string // sha256 of the file

	Retrieve []RetrieveCase // of kind retrieve
	Compose  []ComposeCase  // of kind compose
	Raw      []RawCase      // of every kind, in the order of the file
}

// Header is what a suite says of itself.
type Header struct {
	Suite       string `json:"suite" jsonschema:"minLength=1,description=Name of the suite in reports."`
	Kind        Kind   `json:"kind" jsonschema:"enum=retrieve,enum=compose,enum=enforce"`
	Catalog     string `json:"catalog,omitempty" jsonschema:"description=File of tools\\, one a line; relative to the suite. The option --catalog wins."`
	Description string `json:"description,omitempty" jsonschema:"description=What the suite measures\\, and where it is from."`
}

// RawCase is a case as JSON, and where it stands.
type RawCase struct {
	ID   string
	Line int
	JSON []byte
}

// RetrieveCase is a query and the tools that are right for it.
type RetrieveCase struct {
	ID      string   `json:"id" jsonschema:"minLength=1"`
	Query   string   `json:"query" jsonschema:"minLength=1"`
	Gold    []Slot   `json:"gold,omitempty" jsonschema:"description=Slots\\, each the id of a tool or a list of ids of which one suffices."`
	Servers []string `json:"servers,omitempty" jsonschema:"description=Without gold: servers that are right. The ranking is then that of servers by their best tools."`
	Tags    []string `json:"tags,omitempty"`
	Why     string   `json:"why,omitempty" jsonschema:"description=A remark for people."`
}

// byServer says that the case wants servers, not tools.
func (c RetrieveCase) byServer() bool { return len(c.Gold) == 0 }

// ComposeCase is a job and what a careful person would grant for it.
type ComposeCase struct {
	ID          string        `json:"id" jsonschema:"minLength=1"`
	Job         string        `json:"job" jsonschema:"minLength=1"`
	Needs       []ComposeNeed `json:"needs,omitempty"`
	May         []string      `json:"may,omitempty" jsonschema:"description=Tools that are acceptable extras."`
	Forbidden   []string      `json:"forbidden,omitempty" jsonschema:"description=Tools that are tempting and against least privilege for this job."`
	Gaps        []string      `json:"gaps,omitempty" jsonschema:"description=What the job asks for and no tool does."`
	Paraphrases []string      `json:"paraphrases,omitempty" jsonschema:"description=The same job in other words."`
	Tags        []string      `json:"tags,omitempty"`
	Why         string        `json:"why,omitempty" jsonschema:"description=A remark for people."`
}

// ComposeNeed is a capability that the job cannot be done without, with every tool that serves it as well.
type ComposeNeed struct {
	Need  string   `json:"need"`
	Words string   `json:"words,omitempty" jsonschema:"description=The words of the job that ask for it; a training needs them."`
	AnyOf []string `json:"any_of" jsonschema:"minItems=1"`
}

// Slot is a list of tools of which one suffices; in a file it may be a single id.
type Slot []string

// UnmarshalJSON accepts a text or a list of at least one text.
func (s *Slot) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*s = Slot{one}
		return nil
	}
	var several []string
	if json.Unmarshal(raw, &several) != nil || len(several) == 0 {
		return fmt.Errorf("a gold entry is a tool's id or a list of ids, not %.60s", raw)
	}
	*s = several
	return nil
}

// LoadSuite reads a suite. Errors name the file and the line.
func LoadSuite(path string) (Suite, error) {
	s := Suite{Path: path}
	imported := ""
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		s.Path = filepath.Join(path, "queries.jsonl")
		imported = filepath.Base(filepath.Clean(path))
	}
	raw, err := os.ReadFile(s.Path)
	if err != nil {
		return s, fmt.Errorf("the suite cannot be read: %w", err)
	}
	sum := sha256.Sum256(raw)
	s.Digest = "sha256:" + hex.EncodeToString(sum[:])
	strict := true
	switch filepath.Ext(s.Path) {
	case ".yaml", ".yml":
		err = s.readYAML(raw)
	default:
		strict, err = s.readLines()
	}
	if err != nil {
		return s, err
	}
	if imported != "" && !strict {
		s.Suite, s.Catalog = imported, "tools.jsonl"
	}
	if s.Suite == "" {
		s.Suite = strings.TrimSuffix(filepath.Base(s.Path), filepath.Ext(s.Path))
	}
	if s.Catalog != "" && !filepath.IsAbs(s.Catalog) {
		s.Catalog = filepath.Join(filepath.Dir(s.Path), s.Catalog)
	}
	return s, s.decode(strict)
}

// readLines reads JSONL, and tells whether it has a header.
func (s *Suite) readLines() (headed bool, err error) {
	number := 0
	err = eachNumberedLine(s.Path, func(line int, text []byte) error {
		number++
		var members map[string]stdjson.RawMessage
		if err := stdjson.Unmarshal(text, &members); err != nil {
			return err
		}
		_, kind := members["kind"]
		_, suite := members["suite"]
		if number == 1 && (kind || suite) {
			headed = true
			return said(json.Unmarshal(text, &s.Header, json.RejectUnknownMembers(true)))
		}
		if s.Kind == "" {
			switch {
			case members["job"] != nil:
				s.Kind = Compose
			case members["query"] != nil:
				s.Kind = Retrieve
			default:
				return errors.New(`a case has a "job" or a "query"; for another kind begin the file with a line {"suite":…,"kind":…}`)
			}
		}
		s.Raw = append(s.Raw, RawCase{Line: line, JSON: bytes.Clone(text)})
		return nil
	})
	return headed, err
}

// decode makes the cases of the suite's kind.
func (s *Suite) decode(strict bool) error {
	if len(s.Raw) == 0 {
		return fmt.Errorf("%s holds no case", s.Path)
	}
	seen := map[string]bool{}
	for i := range s.Raw {
		raw := &s.Raw[i]
		err := s.decodeCase(raw, strict)
		if err == nil && seen[raw.ID] {
			err = fmt.Errorf("there is a case %q already", raw.ID)
		}
		if err != nil {
			return s.at(*raw, err)
		}
		seen[raw.ID] = true
	}
	return nil
}

func (s *Suite) decodeCase(raw *RawCase, strict bool) error {
	var named struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(raw.JSON, &named); err != nil {
		return said(err)
	}
	if raw.ID = named.ID; strings.TrimSpace(raw.ID) == "" {
		return errors.New("a case needs an id")
	}
	switch s.Kind {
	case Retrieve:
		c, err := retrieveCase(raw.JSON, strict)
		if err != nil {
			return said(err)
		}
		s.Retrieve = append(s.Retrieve, c)
		return c.check()
	case Compose:
		var c ComposeCase
		if err := json.Unmarshal(raw.JSON, &c, json.RejectUnknownMembers(strict)); err != nil {
			return said(err)
		}
		s.Compose = append(s.Compose, c)
		return c.check()
	case Enforce:
		_, err := enforceCase(raw.JSON) // decoded again by what runs it
		return err
	}
	return fmt.Errorf("there is no kind %q; the kinds are %s, %s and %s", s.Kind, Retrieve, Compose, Enforce)
}

// retrieveCase decodes a case. In a file without a header "subset" is a tag, and a case with "gold_groups" wants servers:
// its gold only keeps the form.
func retrieveCase(raw []byte, strict bool) (c RetrieveCase, err error) {
	if strict {
		return c, json.Unmarshal(raw, &c, json.RejectUnknownMembers(true))
	}
	var more struct {
		Subset     string         `json:"subset"`
		GoldGroups jsontext.Value `json:"gold_groups"`
	}
	if err := errors.Join(json.Unmarshal(raw, &c), json.Unmarshal(raw, &more)); err != nil {
		return c, err
	}
	if more.Subset != "" {
		c.Tags = append(c.Tags, more.Subset)
	}
	if len(more.GoldGroups) > 0 {
		c.Gold = nil
	}
	return c, nil
}

func (c RetrieveCase) check() error {
	if strings.TrimSpace(c.Query) == "" || len(c.Gold)+len(c.Servers) == 0 {
		return errors.New("a query needs an id, a query and some gold")
	}
	return nil
}

func (c ComposeCase) check() error {
	if strings.TrimSpace(c.Job) == "" {
		return errors.New("a case needs an id and a job")
	}
	for _, n := range c.Needs {
		if len(n.AnyOf) == 0 {
			return fmt.Errorf("need %q of case %q lists no tool", n.Need, c.ID)
		}
	}
	return nil
}

// at says where in the suite something is wrong.
func (s *Suite) at(c RawCase, err error) error { return fmt.Errorf("%s:%d: %w", s.Path, c.Line, err) }
