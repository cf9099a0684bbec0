package evals

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"remit/catalog"
)

// RetrieveSet is a catalog and queries with the tools that are right for each.
type RetrieveSet struct {
	Name    string
	Tools   []catalog.Tool
	Queries []RetrieveQuery
}

// RetrieveQuery is one query and its slots: each is covered by any one of its tools.
type RetrieveQuery struct {
	ID, Text string
	Gold     [][]catalog.ID
	ByServer bool // gold and ranking are of servers, named by ids without a tool
}

// LoadRetrieve reads a folder with tools.jsonl and queries.jsonl, one object a line:
//
//	{"id","server","name","description","input_schema"?}
//	{"id","query","gold":[id | [id, …], …]}
//
// A gold entry that is a list is a slot of which one tool suffices. A query with "servers" is scored by these:
// its ranking is that of servers, whatever its gold says. Errors name the file and line.
func LoadRetrieve(dir string) (RetrieveSet, error) {
	set := RetrieveSet{Name: filepath.Base(filepath.Clean(dir))}
	ids := map[string]catalog.ID{}
	servers := map[string]bool{}
	err := eachLine(filepath.Join(dir, "tools.jsonl"), func(line []byte) error {
		id, tool, err := setTool(line)
		if err != nil {
			return err
		}
		if _, twice := ids[id]; twice {
			return fmt.Errorf("tool %q is there twice", id)
		}
		ids[id] = tool.ID
		servers[tool.Server()] = true
		set.Tools = append(set.Tools, tool)
		return nil
	})
	if err != nil {
		return RetrieveSet{}, err
	}
	err = eachLine(filepath.Join(dir, "queries.jsonl"), func(line []byte) error {
		q, err := setQuery(line, ids, servers)
		set.Queries = append(set.Queries, q)
		return err
	})
	return set, err
}

func setTool(line []byte) (id string, tool catalog.Tool, err error) {
	var in struct {
		ID, Server, Name, Title, Description string
		InputSchema                          json.RawMessage `json:"input_schema"`
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return "", tool, err
	}
	if in.ID == "" || in.Name == "" {
		return "", tool, errors.New("a tool needs an id and a name")
	}
	definition := map[string]any{"name": "x", "title": in.Title, "description": in.Description}
	if len(in.InputSchema) > 0 {
		definition["inputSchema"] = in.InputSchema
	}
	raw, err := json.Marshal(definition)
	if err != nil {
		return "", tool, err
	}
	// A set may hold names that no server could list ("GET /albums/{id}"), so the name is put in after the parse.
	if tool, err = catalog.Parse("x", raw); err != nil {
		return "", tool, err
	}
	tool.ID, tool.Name = catalog.NewID(strings.ReplaceAll(in.Server, "/", " "), in.ID), in.Name
	return in.ID, tool, nil
}

func setQuery(line []byte, ids map[string]catalog.ID, servers map[string]bool) (RetrieveQuery, error) {
	var in struct {
		ID, Query string
		Gold      []slot
		Servers   []string
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return RetrieveQuery{}, err
	}
	q := RetrieveQuery{ID: in.ID, Text: in.Query, ByServer: len(in.Servers) > 0}
	for _, server := range in.Servers {
		if !servers[server] {
			return q, fmt.Errorf("query %q wants server %q, which has no tool in the set", in.ID, server)
		}
		q.Gold = append(q.Gold, []catalog.ID{catalog.NewID(server, "")})
	}
	if !q.ByServer {
		for _, s := range in.Gold {
			var tools []catalog.ID
			for _, name := range s {
				id, ok := ids[name]
				if !ok {
					return q, fmt.Errorf("query %q wants tool %q, which is not in the set", in.ID, name)
				}
				tools = append(tools, id)
			}
			q.Gold = append(q.Gold, tools)
		}
	}
	if in.ID == "" || in.Query == "" || len(q.Gold) == 0 {
		return q, errors.New("a query needs an id, a query and some gold")
	}
	return q, nil
}

// slot is a tool's id or a list of ids.
type slot []string

// UnmarshalJSON accepts a string or a list of at least one string.
func (s *slot) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*s = slot{one}
		return nil
	}
	var several []string
	if json.Unmarshal(raw, &several) != nil || len(several) == 0 {
		return fmt.Errorf("a gold entry is a tool's id or a list of ids, not %.60s", raw)
	}
	*s = several
	return nil
}

// eachLine calls read with every line that is not blank; an error names the file and the line.
func eachLine(path string, read func([]byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	number := 0
	for lines.Scan() {
		number++
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		if err := read(lines.Bytes()); err != nil {
			return fmt.Errorf("%s, line %d: %w", path, number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s, line %d: %w", path, number+1, err)
	}
	return nil
}
