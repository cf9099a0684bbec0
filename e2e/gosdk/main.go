// Command gosdk is the official Go SDK as an agent: it lists the persona's tools, calls one and tries one outside it.
//
//	gosdk URL KEY TOOL ARGUMENTS OUTSIDE  → one line of JSON
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type answers struct {
	Version string              `json:"version,omitempty"`
	Tools   []string            `json:"tools,omitempty"`
	Result  *mcp.CallToolResult `json:"result,omitempty"`
	Outside string              `json:"outside,omitempty"`
	Error   string              `json:"error,omitempty"`
}

// bearer adds the key to every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func main() {
	var a answers
	if err := run(&a, os.Args[1:]); err != nil {
		a.Error = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(a *answers, args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("want URL KEY TOOL ARGUMENTS OUTSIDE, got %d arguments", len(args))
	}
	ctx := context.Background()
	client := mcp.NewClient(&mcp.Implementation{Name: "e2e-go-sdk", Version: "1.0.0"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: args[0], HTTPClient: &http.Client{Transport: bearer(args[1])}}, nil)
	if err != nil {
		return err
	}
	defer session.Close()
	a.Version = session.InitializeResult().ProtocolVersion
	list, err := session.ListTools(ctx, nil)
	if err != nil {
		return err
	}
	for _, t := range list.Tools {
		a.Tools = append(a.Tools, t.Name)
	}
	a.Result, err = session.CallTool(ctx, &mcp.CallToolParams{Name: args[2], Arguments: json.RawMessage(args[3])})
	if err != nil {
		return err
	}
	if _, err := session.CallTool(ctx, &mcp.CallToolParams{Name: args[4]}); err != nil {
		a.Outside = err.Error()
	}
	return nil
}
