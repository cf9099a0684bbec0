package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// Listing is all tools of a server.
type Listing struct {
	// Tools are the definitions as received, in the server's order. Names may
	// occur more than once: a server is free to lie.
	Tools []json.RawMessage
	// Pages is the number of requests that it took.
	Pages int
}

// List asks for every tool. It waits for the connection, and begins anew once
// if the server ends the session meanwhile. Over HTTP in the newer era, a tool
// whose x-mcp-header annotations break the rules is left out, as the protocol
// demands. Nothing of a list that fails is returned.
func (s *Server) List(ctx context.Context) (Listing, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.ListTimeout, faultf(ErrTimeout,
		"server %s did not list its tools within %s: try again, or raise ListTimeout", s.cfg.Name, s.cfg.ListTimeout))
	defer cancel()
	for again := false; ; again = true {
		c, err := s.connected(ctx, true)
		if err != nil {
			return Listing{}, err
		}
		listing, err := s.list(ctx, c)
		if err == nil || again || !errors.Is(err, errSessionOver) {
			return listing, err
		}
	}
}

func (s *Server) list(ctx context.Context, c *conn) (Listing, error) {
	var listing Listing
	size := 0
	seen := map[string]bool{}
	r := request{method: "tools/list"}
	for {
		raw, err := c.do(ctx, r)
		if err != nil {
			return Listing{}, err
		}
		tools, cursor, err := s.page(raw)
		if err != nil {
			return Listing{}, err
		}
		if cursor != nil && *cursor == "" && !c.modern() {
			cursor = nil // in the older era many servers end a list like that
		}
		listing.Pages++
		listing.Tools = append(listing.Tools, tools...)
		size += len(raw)
		switch {
		case len(listing.Tools) > s.cfg.MaxTools:
			return Listing{}, faultf(ErrEndless, "server %s lists more than %d tools: raise MaxTools if it really has so many", s.cfg.Name, s.cfg.MaxTools)
		case size > 4*s.cfg.MaxMessage:
			return Listing{}, faultf(ErrTooLarge, "server %s lists more than %d bytes of tools: raise MaxMessage if it really has so many", s.cfg.Name, 4*s.cfg.MaxMessage)
		case cursor == nil:
			return s.keep(c, listing), nil
		case seen[*cursor]:
			return Listing{}, faultf(ErrEndless, "server %s sends the same cursor twice, so its list of tools has no end: report this to its maker", s.cfg.Name)
		case listing.Pages >= s.cfg.MaxPages:
			return Listing{}, faultf(ErrEndless, "server %s lists its tools on more than %d pages: raise MaxPages if it really needs so many", s.cfg.Name, s.cfg.MaxPages)
		}
		seen[*cursor] = true
		r.params = map[string]any{"cursor": *cursor}
	}
}

// page takes a result apart. Members are found by their exact name: Go's
// struct decoding would also take "Tools".
func (s *Server) page(raw json.RawMessage) ([]json.RawMessage, *string, error) {
	var result map[string]json.RawMessage
	var tools []json.RawMessage
	var cursor *string
	bad := json.Unmarshal(raw, &result) != nil || json.Unmarshal(result["tools"], &tools) != nil
	if next, ok := result["nextCursor"]; ok && !bad {
		bad = json.Unmarshal(next, &cursor) != nil
	}
	if bad {
		return nil, nil, faultf(ErrInvalid, "server %s answered tools/list with something that is no list of tools: report this to its maker", s.cfg.Name)
	}
	return tools, cursor, nil
}

// keep remembers the schemas whose parameters travel in headers.
func (s *Server) keep(c *conn, listing Listing) Listing {
	schemas := map[string]json.RawMessage{}
	kept := listing.Tools[:0]
	_, overHTTP := c.wire.(transport.HTTPConnection)
	for _, raw := range listing.Tools {
		if overHTTP && c.modern() && bytes.Contains(raw, []byte("x-mcp-header")) {
			var tool struct {
				Name   string          `json:"name"`
				Schema json.RawMessage `json:"inputSchema"`
			}
			if json.Unmarshal(raw, &tool) == nil && tool.Schema != nil {
				if err := mcp.ValidateParamHeaderAnnotations(&mcp.Tool{RawInputSchema: tool.Schema}); err != nil {
					s.log.Warn("a tool is left out: its x-mcp-header annotations are not valid",
						"tool", s.secret.words(tool.Name, 128), "err", s.secret.words(err.Error(), maxErrorText))
					continue
				}
				schemas[tool.Name] = tool.Schema
			}
		}
		kept = append(kept, raw)
	}
	listing.Tools = kept
	s.mu.Lock()
	s.schemas = schemas
	s.mu.Unlock()
	return listing
}

func (s *Server) schema(tool string) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.schemas[tool]
}
