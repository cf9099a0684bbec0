package evals

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

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
	tools, err := LoadTools(filepath.Join(dir, "tools.jsonl"), nil)
	if err != nil {
		return RetrieveSet{}, err
	}
	set.Tools = tools.Tools
	servers := map[string]bool{}
	for _, t := range tools.Tools {
		servers[t.Server()] = true
	}
	err = eachLine(filepath.Join(dir, "queries.jsonl"), func(line []byte) error {
		q, err := setQuery(line, tools.ids, servers)
		set.Queries = append(set.Queries, q)
		return err
	})
	return set, err
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
