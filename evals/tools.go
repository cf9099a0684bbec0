package evals

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"remit/catalog"
)

// ToolFile holds the tools of a file, one JSON object a line:
//
//	{"id"?,"server"?,"name","title"?,"description"?,"input_schema"?,"annotations"?}
//
// Without an id a tool is called server/name. Names that no MCP server could list ("GET /albums/{id}") are kept, because
// public sets of tools hold them.
type ToolFile struct {
	Tools []catalog.Tool
	ids   map[string]catalog.ID // by the id that the file gives
	names map[catalog.ID]string // the reverse
}

// LoadTools reads a file of tools. count fills in the tokens of a definition; nil leaves them 0. Errors name file and line.
func LoadTools(path string, count func(definition []byte) int) (*ToolFile, error) {
	f := &ToolFile{ids: map[string]catalog.ID{}, names: map[catalog.ID]string{}}
	err := eachLine(path, func(line []byte) error {
		id, t, err := readTool(line)
		if err != nil {
			return err
		}
		if count != nil {
			t.Tokens = count(t.Definition)
		}
		return f.add(id, t)
	})
	if err == nil && len(f.Tools) == 0 {
		err = fmt.Errorf("%s holds no tool", path)
	}
	return f, err
}

// LoadCatalog is the tools of [LoadTools] alone.
func LoadCatalog(path string, count func(definition []byte) int) ([]catalog.Tool, error) {
	f, err := LoadTools(path, count)
	if err != nil {
		return nil, err
	}
	return f.Tools, nil
}

func (f *ToolFile) add(id string, t catalog.Tool) error {
	if _, twice := f.ids[id]; twice {
		return fmt.Errorf("tool %q is there twice", id)
	}
	if other, twice := f.names[t.ID]; twice {
		return fmt.Errorf("tools %q and %q are one tool of one server", other, id)
	}
	f.ids[id], f.names[t.ID] = t.ID, id
	f.Tools = append(f.Tools, t)
	return nil
}

// Name is the id that the file gives a tool.
func (f *ToolFile) Name(id catalog.ID) string { return f.names[id] }

// ID is the catalog's id of the tool that the file calls name.
func (f *ToolFile) ID(name string) (catalog.ID, bool) { id, ok := f.ids[name]; return id, ok }

// server is that of the tool which the file calls name; empty for a name that it does not have.
func (f *ToolFile) server(name string) string { server, _ := f.ids[name].Split(); return server }

// readTool makes of a line the definition that an MCP server would list.
func readTool(line []byte) (id string, t catalog.Tool, err error) {
	var in struct {
		ID, Server, Name, Title, Description string
		InputSchema                          json.RawMessage `json:"input_schema"`
		Annotations                          json.RawMessage
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return "", t, err
	}
	if strings.TrimSpace(in.Name) == "" {
		return "", t, errors.New("a tool needs a name")
	}
	server := strings.ReplaceAll(in.Server, "/", " ") // an id splits at its first slash
	own := in.ID
	if own == "" || own == in.Server+"/"+in.Name {
		own = in.Name
	}
	if id = in.ID; id == "" {
		id = in.Server + "/" + in.Name
	}
	t, err = definition{in.Name, in.Title, in.Description, in.InputSchema, in.Annotations}.tool(server, own)
	return id, t, err
}

// definition is a tool as an MCP server lists it.
type definition struct {
	Name        string          `json:"name"`
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"inputSchema,omitempty"`
	Annotations json.RawMessage `json:"annotations,omitempty"`
}

// tool is the definition as a crawl would keep it, under the id server/own.
func (d definition) tool(server, own string) (catalog.Tool, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return catalog.Tool{}, err
	}
	name := d.Name
	d.Name = "x" // of a name only the form is checked, which names of public sets do not have
	checked, err := json.Marshal(d)
	if err != nil {
		return catalog.Tool{}, err
	}
	t, err := catalog.Parse("x", checked)
	if err != nil {
		return catalog.Tool{}, err
	}
	if t.Digest, err = catalog.DigestOf(raw); err != nil {
		return catalog.Tool{}, err
	}
	t.ID, t.Name, t.Definition = catalog.NewID(server, own), name, raw
	t.Gist = catalog.GistOf(t)
	t.Effect = catalog.Judge(t, d.Annotations)
	return t, nil
}

// eachLine calls read with every line that is not blank; an error names the file and the line.
func eachLine(path string, read func([]byte) error) error {
	return eachNumberedLine(path, func(_ int, line []byte) error { return read(line) })
}

func eachNumberedLine(path string, read func(number int, line []byte) error) error {
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
		if err := read(number, lines.Bytes()); err != nil {
			return fmt.Errorf("%s:%d: %w", path, number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", path, number+1, err)
	}
	return nil
}
