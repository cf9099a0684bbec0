package evals

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"remit/catalog"
)

// CaptureServer is a server as its package starts it, one JSON object a line of a servers file.
type CaptureServer struct {
	Server  string `json:"server"` // its name in the catalog
	Package string `json:"package"`
	From    string `json:"from"` // the registry: npm or go
	Version string `json:"version"`
	Licence string `json:"licence"`
	// Run is the command, split at spaces and never read by a shell. In it and in Env "{dir}" stands for the directory
	// that the server is started in, which holds nothing but Files.
	Run string `json:"run"`
	// Install, if set, is run in that directory first: for a package that names no command of its own.
	Install string `json:"install"`

	Env   map[string]string `json:"env"`   // what the server wants to see; nothing is called, so dummy credentials do
	Files map[string]string `json:"files"` // contents by name, without folders
}

// LoadCaptureServers reads a servers file. An error names the file and the line.
func LoadCaptureServers(path string) ([]CaptureServer, error) {
	var servers []CaptureServer
	seen := map[string]bool{}
	err := eachLine(path, func(line []byte) error {
		var s CaptureServer
		if err := json.Unmarshal(line, &s); err != nil {
			return err
		}
		switch {
		case s.Server == "" || strings.Contains(s.Server, "/"):
			return fmt.Errorf("a server needs a name without a slash, not %q", s.Server)
		case len(strings.Fields(s.Run)) == 0:
			return fmt.Errorf("server %s needs a command in \"run\"", s.Server)
		case seen[s.Server]:
			return fmt.Errorf("there is a server %s already", s.Server)
		}
		for name := range s.Files {
			if !filepath.IsLocal(name) || filepath.Base(name) != name {
				return fmt.Errorf("server %s: a file has a name without folders, not %q", s.Server, name)
			}
		}
		seen[s.Server] = true
		servers = append(servers, s)
		return nil
	})
	return servers, err
}

// Command is the server's command lines and environment for the directory that it is started in.
func (s CaptureServer) Command(dir string) (install, run []string, env map[string]string) {
	here := func(text string) string { return strings.ReplaceAll(text, "{dir}", dir) }
	install, run, env = strings.Fields(here(s.Install)), strings.Fields(here(s.Run)), maps.Clone(s.Env)
	for name, value := range env {
		env[name] = here(value)
	}
	return install, run, env
}

// Capture lists servers and makes a catalog file of what they list.
type Capture struct {
	Servers []CaptureServer
	// List starts the server and returns the definitions of its tools as it sends them.
	List     func(context.Context, CaptureServer) ([]json.RawMessage, error)
	Parallel int // servers at once; 0 means 2
	// Progress, if set, is told of each server that is done, one at a time.
	Progress func(c Captured, done, total int)
}

// Captured is one server's outcome.
type Captured struct {
	Server  string
	Tools   []CapturedTool // in the server's order
	LeftOut []string       // definitions that cannot be used, and why
	Err     error          // why nothing was listed
	Took    time.Duration
}

// CapturedTool is a line of the catalog file and the digest in it.
type CapturedTool struct {
	ID     catalog.ID
	Digest catalog.Digest
	Line   []byte // without the line's end
}

// Run lists every server; one that fails takes no other with it. The outcomes are in the order of the servers.
func (c Capture) Run(ctx context.Context) []Captured {
	out := make([]Captured, len(c.Servers))
	var g errgroup.Group
	g.SetLimit(max(c.Parallel, 1))
	if c.Parallel == 0 {
		g.SetLimit(2)
	}
	var mu sync.Mutex
	done := 0
	for i, server := range c.Servers {
		g.Go(func() error {
			out[i] = c.one(ctx, server)
			mu.Lock()
			defer mu.Unlock()
			if done++; c.Progress != nil {
				c.Progress(out[i], done, len(c.Servers))
			}
			return nil
		})
	}
	_ = g.Wait() // no function of the group returns an error
	return out
}

func (c Capture) one(ctx context.Context, server CaptureServer) Captured {
	start := time.Now()
	got := Captured{Server: server.Server}
	definitions, err := c.List(ctx, server)
	got.Took, got.Err = time.Since(start), err
	seen := map[catalog.ID]bool{}
	for _, d := range definitions {
		tool, err := captureTool(server.Server, d)
		if err == nil && seen[tool.ID] {
			err = fmt.Errorf("the server lists %s twice", tool.ID)
		}
		if err != nil {
			got.LeftOut = append(got.LeftOut, err.Error())
			continue
		}
		seen[tool.ID] = true
		got.Tools = append(got.Tools, tool)
	}
	if got.Err == nil && len(got.Tools) == 0 {
		got.Err = errors.New("it lists no tool that can be used")
	}
	return got
}

// captureTool writes a listed definition as a line of a catalog file.
func captureTool(server string, definition json.RawMessage) (CapturedTool, error) {
	listed, err := catalog.Parse(server, definition)
	if err != nil {
		return CapturedTool{}, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(definition, &members); err != nil {
		return CapturedTool{}, err
	}
	line := struct {
		ID          catalog.ID      `json:"id"`
		Server      string          `json:"server"`
		Name        string          `json:"name"`
		Title       string          `json:"title,omitempty"`
		Description string          `json:"description"`
		InputSchema json.RawMessage `json:"input_schema,omitempty"`
		Annotations json.RawMessage `json:"annotations,omitempty"`
		Digest      catalog.Digest  `json:"digest,omitempty"`
	}{listed.ID, server, listed.Name, listed.Title, listed.Description, members["inputSchema"], members["annotations"], ""}
	text, err := plainJSON(line)
	if err != nil {
		return CapturedTool{}, err
	}
	_, kept, err := readTool(text) // the digest is that of the tool as the file will be read
	if err != nil {
		return CapturedTool{}, err
	}
	line.Digest = kept.Digest
	text, err = plainJSON(line)
	return CapturedTool{ID: kept.ID, Digest: kept.Digest, Line: text}, err
}

// plainJSON is value on one line, with <, > and & as they are.
func plainJSON(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// LoadDigests reads the recorded digests of a catalog: {"id","digest"} a line. An error names the file and the line.
func LoadDigests(path string) (map[catalog.ID]catalog.Digest, error) {
	out := map[catalog.ID]catalog.Digest{}
	err := eachLine(path, func(line []byte) error {
		var d struct {
			ID     catalog.ID     `json:"id"`
			Digest catalog.Digest `json:"digest"`
		}
		if err := json.Unmarshal(line, &d); err != nil {
			return err
		}
		if d.ID == "" || d.Digest == "" {
			return errors.New("a line needs an id and a digest")
		}
		out[d.ID] = d.Digest
		return nil
	})
	return out, err
}

// CaptureChanges says how a capture differs from the recorded digests. Servers that could not be listed are not compared.
type CaptureChanges struct {
	Same                   int
	Differ, Missing, Added []catalog.ID // sorted; Missing is recorded and no longer listed
}

// CompareCapture compares what was listed with what was recorded.
func CompareCapture(captured []Captured, recorded map[catalog.ID]catalog.Digest) CaptureChanges {
	var c CaptureChanges
	listed := map[string]bool{}
	now := map[catalog.ID]bool{}
	for _, server := range captured {
		listed[server.Server] = server.Err == nil
		for _, t := range server.Tools {
			now[t.ID] = true
			switch was, known := recorded[t.ID]; {
			case !known:
				c.Added = append(c.Added, t.ID)
			case was != t.Digest:
				c.Differ = append(c.Differ, t.ID)
			default:
				c.Same++
			}
		}
	}
	for id := range recorded {
		if server, _ := id.Split(); listed[server] && !now[id] {
			c.Missing = append(c.Missing, id)
		}
	}
	for _, ids := range [][]catalog.ID{c.Differ, c.Missing, c.Added} {
		slices.Sort(ids)
	}
	return c
}
