// Package fakemcp is a fake of the outside world: an MCP server in raw
// JSON-RPC, of either era, over HTTP on loopback or as a stdio child, that can
// be told to misbehave. Tests of all packages use it, and evals/world, which plays suites; nothing else does.
package fakemcp

import (
	"encoding/json"
	"time"
)

// Both is the Era of a server that speaks the newer and the older protocol.
const Both = "both"

// Modern and Legacy are the newest version of either era.
const (
	Modern = "2026-07-28"
	Legacy = "2025-11-25"
)

// Config says what the server is. It travels as JSON to a stdio child. The
// zero value is a server of both eras with the built-in tools (see tools.go).
type Config struct {
	// Name is the server's name for itself. Default "fake".
	Name string `json:",omitempty"`
	// Era is Both (the default), Modern, or the one older version to speak.
	Era string `json:",omitempty"`
	// SSE has HTTP answers framed as event streams instead of JSON.
	SSE bool `json:",omitempty"`
	// Tools are the definitions to list, as raw bytes. A called tool with the
	// name of a built-in one behaves like it; any other repeats its arguments.
	Tools []json.RawMessage `json:",omitempty"`
	// Prompts, Resources and Templates are further definitions to list. A
	// prompts/get repeats its arguments, and a resources/read the URI, where
	// Results has nothing under the name or URI.
	Prompts, Resources, Templates []json.RawMessage `json:",omitempty"`
	// Results are the raw results of tools, by name, before anything built in.
	Results map[string]json.RawMessage `json:",omitempty"`
	// Errors are the raw JSON-RPC errors that tools answer with, by name.
	Errors map[string]json.RawMessage `json:",omitempty"`
	// Before are raw messages that tools send before they answer, by name.
	// $TOKEN in one stands for the caller's progress token; without a token no
	// such message is sent.
	Before map[string][]string `json:",omitempty"`
	// Asks are what tools, prompts and resources ask the client for before they
	// answer, by name: requests as {"method", "params"}, one after another,
	// whatever the client can do. The answer repeats what the client said.
	Asks map[string][]json.RawMessage `json:",omitempty"`
	// Tasks are the tools whose calls are made as tasks, by name.
	Tasks map[string]Task `json:",omitempty"`
	// Catalog is a file with one tool a line ({"server", "name", "description",
	// "input_schema", ...}); those of CatalogServer are listed after Tools.
	Catalog       string `json:",omitempty"`
	CatalogServer string `json:",omitempty"`
	// PageSize splits the list into pages. 0 is one page.
	PageSize int `json:",omitempty"`
	// Instructions are sent to clients.
	Instructions string `json:",omitempty"`
	// Require are headers that HTTP requests must carry, or get 401.
	Require map[string]string `json:",omitempty"`

	Faults Faults
}

// Faults are the ways to misbehave; none is on by default.
type Faults struct {
	ExitAtStart     bool          `json:",omitempty"` // the process ends with status 3
	StartDelay      time.Duration `json:",omitempty"` // before the first message is read
	HangAtHandshake bool          `json:",omitempty"` // discover and initialize are never answered
	IgnoreUnknown   bool          `json:",omitempty"` // unknown methods are never answered
	DieOnDiscover   bool          `json:",omitempty"` // an old server that ends on a method it does not know
	JunkLines       int           `json:",omitempty"` // so many lines of no JSON on stdout before each answer
	HugeDescription int           `json:",omitempty"` // a tool "huge" with a description of so many bytes
	DuplicateNames  bool          `json:",omitempty"` // every tool is listed twice
	CursorLoop      bool          `json:",omitempty"` // every page points at itself
	EndlessPages    bool          `json:",omitempty"` // every page points at a new one
	BadList         bool          `json:",omitempty"` // tools is no array
	WrongID         bool          `json:",omitempty"` // tools/call is answered under another id
	IgnoreTerm      bool          `json:",omitempty"` // neither the end of input nor SIGTERM ends the process
	IgnoreInput     bool          `json:",omitempty"` // after the handshake nothing is read
	SessionUses     int           `json:",omitempty"` // an HTTP session ends after so many requests
	RedirectTo      string        `json:",omitempty"` // HTTP requests are redirected there with 307
	Status          int           `json:",omitempty"` // every HTTP request is answered with this status
	EchoHeaders     bool          `json:",omitempty"` // errors and logs repeat the request's headers
}

func (c Config) modern() bool { return c.Era == "" || c.Era == Both || c.Era == Modern }

func (c Config) legacy() bool { return c.Era != Modern }

// olderVersion is what initialize agrees on.
func (c Config) olderVersion(asked string) string {
	if c.Era != "" && c.Era != Both {
		return c.Era
	}
	switch asked {
	case "2025-11-25", "2025-06-18", "2025-03-26":
		return asked
	}
	return Legacy
}
