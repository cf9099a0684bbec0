package config

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ClientServer is one server as another MCP client's file names it.
type ClientServer struct {
	Name     string // as in the file
	Upstream Upstream
	Skip     string // why it cannot or should not be taken over; empty if it can
	Notes    []string
}

// clientFile is what claude_desktop_config.json, .mcp.json, Cursor's and VS Code's mcp.json, and VS Code's
// settings.json have in common.
type clientFile struct {
	MCPServers map[string]clientEntry `json:"mcpServers"`
	Servers    map[string]clientEntry `json:"servers"`
	MCP        struct {
		Servers map[string]clientEntry `json:"servers"`
	} `json:"mcp"`
}

type clientEntry struct {
	Type      string                    `json:"type"`
	Transport string                    `json:"transport"`
	Command   string                    `json:"command"`
	Args      []string                  `json:"args"`
	Env       map[string]jsontext.Value `json:"env"`
	EnvFile   string                    `json:"envFile"`
	Dir       string                    `json:"cwd"`
	URL       string                    `json:"url"`
	ServerURL string                    `json:"serverUrl"`
	Headers   map[string]string         `json:"headers"`
	Disabled  bool                      `json:"disabled"`
	Enabled   *bool                     `json:"enabled"`
}

// ReadClientFile reads an MCP client's configuration; comments and trailing commas are allowed. Servers come sorted by name.
func ReadClientFile(path string) ([]ClientServer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the client's file cannot be read: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes: check the path", path, maxFile)
	}
	var f clientFile
	if err := json.Unmarshal(plainJSON([]byte(strings.TrimPrefix(string(text), "\ufeff"))), &f); err != nil {
		return nil, fmt.Errorf("%s is not a client's configuration: %s", path, withoutText(err))
	}
	var servers []ClientServer
	for _, group := range []map[string]clientEntry{f.MCPServers, f.Servers, f.MCP.Servers} {
		for name, e := range group {
			servers = append(servers, e.server(name))
		}
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("%s names no servers: it needs \"mcpServers\" or \"servers\"", path)
	}
	slices.SortFunc(servers, func(a, b ClientServer) int { return cmp.Compare(a.Name, b.Name) })
	return servers, nil
}

// withoutText describes a decoding error by its place only, since the file may hold secrets.
func withoutText(err error) string {
	switch err := err.(type) {
	case *json.SemanticError:
		return fmt.Sprintf("what is at %s (byte %d) does not fit: %s is expected there", err.JSONPointer, err.ByteOffset, err.GoType)
	case *jsontext.SyntacticError:
		return fmt.Sprintf("the JSON is not valid near %q (byte %d)", err.JSONPointer, err.ByteOffset)
	}
	return "the JSON is not valid"
}

func (e clientEntry) server(name string) ClientServer {
	s := ClientServer{Name: name, Upstream: Upstream{Command: e.Command, Args: e.Args, Dir: e.Dir,
		URL: cmp.Or(e.URL, e.ServerURL), Headers: e.Headers}}
	kind := strings.ToLower(cmp.Or(e.Type, e.Transport))
	switch {
	case e.Disabled || e.Enabled != nil && !*e.Enabled:
		s.Skip = "it is disabled there"
	case kind == "sse" || kind == "" && s.Upstream.Command == "" && strings.HasSuffix(strings.TrimRight(s.Upstream.URL, "/"), "/sse"):
		s.Skip = "it uses the old SSE transport, which Remit does not speak: give it the server's streamable HTTP url"
	case (s.Upstream.Command == "") == (s.Upstream.URL == ""):
		s.Skip = "it needs either a command or a url"
	case kind != "" && !slices.Contains([]string{"stdio", "http", "streamable-http", "streamablehttp", "streamable_http"}, kind):
		s.Skip = fmt.Sprintf("its type %q is unknown", kind)
	}
	for variable, raw := range e.Env {
		if s.Upstream.Env == nil {
			s.Upstream.Env = map[string]string{}
		}
		var value string
		if raw.Kind() == '"' {
			_ = json.Unmarshal(raw, &value) // a string always fits
		} else if raw.Kind() != 'n' {
			value = string(raw)
		}
		s.Upstream.Env[variable] = value
	}
	if e.EnvFile != "" {
		s.Notes = append(s.Notes, fmt.Sprintf("its envFile %s is not read: set those variables under env", e.EnvFile))
	}
	return s
}
