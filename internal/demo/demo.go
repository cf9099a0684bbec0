// Package demo owns the five tool servers that a newcomer meets first: customers, billing, helpdesk, calendar and chat of
// a small company. Each is a separate MCP server over stdio on a few linked records in memory, which calls really change.
package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// Job is the sample job that the demo proposes.
const Job = `You are our support agent. Read new helpdesk tickets, look up the customer who wrote and their invoices, and answer the ticket. When a customer asks for a call, find a free slot and book it in the calendar. Post a short summary of each solved ticket in the team chat. Never issue refunds and never change or delete invoices.`

// Names lists the servers.
func Names() []string {
	names := make([]string, 0, len(servers))
	for name := range servers {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

var servers = map[string]func() []tool{
	"crm": crm, "billing": billing, "helpdesk": helpdesk, "calendar": calendar, "chat": chat,
}

// record is one row of the sample data.
type record map[string]any

// tool is one tool of a server. Run gets the arguments, which Remit's gateway has checked against the schema; other
// clients may send anything, so it answers what it cannot use with an error.
type tool struct {
	name, title, description string
	schema                   string // JSON Schema of the arguments' properties
	required                 []string
	hints                    hints
	run                      func(args record) (any, error)
}

// hints are the annotations a server claims; like real ones they are not always right.
type hints struct{ readOnly, destructive, openWorld bool }

// Serve runs the server with the name over in and out until in ends or ctx does.
func Serve(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	tools, ok := servers[name]
	if !ok {
		return fmt.Errorf("there is no demo server %q; there are %s", name, strings.Join(Names(), ", "))
	}
	s := server.NewMCPServer("remit-demo-"+name, "1.0.0")
	var turn sync.Mutex // one call at a time changes the records
	for _, t := range tools() {
		def, err := t.definition()
		if err != nil {
			return fmt.Errorf("demo server %s, tool %s: %w", name, t.name, err)
		}
		s.AddTool(def, func(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			turn.Lock()
			defer turn.Unlock()
			got, err := t.run(req.GetArguments())
			if err != nil {
				return mcp.NewToolResultError(err.Error()), nil
			}
			text, err := json.MarshalIndent(got, "", "  ")
			if err != nil {
				return nil, err
			}
			return mcp.NewToolResultText(string(text)), nil
		})
	}
	err := server.NewStdioServer(s).Listen(ctx, in, out)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (t tool) definition() (mcp.Tool, error) {
	schema := struct {
		Type                 string          `json:"type"`
		Properties           json.RawMessage `json:"properties"`
		Required             []string        `json:"required,omitempty"`
		AdditionalProperties bool            `json:"additionalProperties"`
	}{"object", json.RawMessage(t.schema), t.required, false}
	raw, err := json.Marshal(schema)
	if err != nil {
		return mcp.Tool{}, err
	}
	def := mcp.NewToolWithRawSchema(t.name, t.description, raw)
	def.Title = t.title
	def.Annotations = mcp.ToolAnnotation{ReadOnlyHint: &t.hints.readOnly, DestructiveHint: &t.hints.destructive, OpenWorldHint: &t.hints.openWorld}
	return def, nil
}

// table is a set of records with an id.
type table struct {
	noun   string
	prefix string
	rows   []record
}

func (t *table) get(id any) (record, error) {
	for _, r := range t.rows {
		if r["id"] == id {
			return r, nil
		}
	}
	return nil, fmt.Errorf("there is no %s %v", t.noun, id)
}

func (t *table) add(r record) record {
	r["id"] = fmt.Sprintf("%s-%d", t.prefix, 1001+len(t.rows))
	t.rows = append(t.rows, r)
	return r
}

func (t *table) drop(id any) error {
	at := slices.IndexFunc(t.rows, func(r record) bool { return r["id"] == id })
	if at < 0 {
		return fmt.Errorf("there is no %s %v", t.noun, id)
	}
	t.rows = slices.Delete(t.rows, at, at+1)
	return nil
}

// where returns the rows whose fields equal the arguments of the same names; absent arguments do not narrow.
func (t *table) where(args record, fields ...string) []record {
	out := []record{}
	for _, r := range t.rows {
		if !slices.ContainsFunc(fields, func(f string) bool { return args[f] != nil && r[f] != args[f] }) {
			out = append(out, r)
		}
	}
	return out
}

// containing returns the rows in which any text has the words, in any case.
func (t *table) containing(words any) []record {
	want := strings.ToLower(fmt.Sprint(words))
	out := []record{}
	for _, r := range t.rows {
		if strings.Contains(strings.ToLower(fmt.Sprint(r)), want) {
			out = append(out, r)
		}
	}
	return out
}

// set copies the named arguments that were given into the row.
func (r record) set(args record, fields ...string) record {
	if r == nil {
		return nil
	}
	for _, f := range fields {
		if v, ok := args[f]; ok {
			r[f] = v
		}
	}
	return r
}
