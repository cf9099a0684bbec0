package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// Listing is all that a server offers.
type Listing struct {
	// Tools are the definitions as received, in the server's order. Names may
	// occur more than once: a server is free to lie.
	Tools []json.RawMessage
	// Prompts, Resources and Templates are the same, where Config.Lists asks
	// for them and the server offers such.
	Prompts, Resources, Templates []json.RawMessage
	// Pages is the number of requests that it took.
	Pages int

	count, size int // of all definitions; bytes of all answers
}

// List asks for every tool, and for what else Config.Lists says. It waits for the connection, and begins anew once
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

func (s *Server) list(ctx context.Context, c *conn) (listing Listing, err error) {
	if listing.Tools, err = s.all(ctx, c, &listing, "tools/list", "tools"); err != nil {
		return Listing{}, err
	}
	for _, more := range []struct {
		kind, method, member string
		into                 *[]json.RawMessage
	}{
		{Prompts, "prompts/list", "prompts", &listing.Prompts},
		{Resources, "resources/list", "resources", &listing.Resources},
		{Resources, "resources/templates/list", "resourceTemplates", &listing.Templates},
	} {
		if !slices.Contains(s.cfg.Lists, more.kind) || !c.info.offers[more.kind] {
			continue
		}
		*more.into, err = s.all(ctx, c, &listing, more.method, more.member)
		var refused *RPCError
		if more.member == "resourceTemplates" && errors.As(err, &refused) && refused.Code == mcp.METHOD_NOT_FOUND {
			err = nil // many servers with resources have no templates
		}
		if err != nil {
			return Listing{}, err
		}
	}
	return s.keep(c, listing), nil
}

// all asks for every page of one list.
func (s *Server) all(ctx context.Context, c *conn, listing *Listing, method, member string) (all []json.RawMessage, err error) {
	seen := map[string]bool{}
	r := request{method: method}
	for pages := 1; ; pages++ {
		raw, err := c.do(ctx, r)
		if err != nil {
			return nil, err
		}
		some, cursor, err := s.page(raw.Text, method, member)
		if err != nil {
			return nil, err
		}
		if cursor != nil && *cursor == "" && !c.modern() {
			cursor = nil // in the older era many servers end a list like that
		}
		all = append(all, some...)
		listing.Pages, listing.count, listing.size = listing.Pages+1, listing.count+len(some), listing.size+len(raw.Text)
		switch {
		case listing.count > s.cfg.MaxTools:
			return nil, faultf(ErrEndless, "server %s lists more than %d %s: raise MaxTools if it really has so many", s.cfg.Name, s.cfg.MaxTools, member)
		case listing.size > 4*s.cfg.MaxMessage:
			return nil, faultf(ErrTooLarge, "server %s lists more than %d bytes of %s: raise MaxMessage if it really has so many", s.cfg.Name, 4*s.cfg.MaxMessage, member)
		case cursor == nil:
			return all, nil
		case seen[*cursor]:
			return nil, faultf(ErrEndless, "server %s sends the same cursor twice, so its list of %s has no end: report this to its maker", s.cfg.Name, member)
		case pages >= s.cfg.MaxPages:
			return nil, faultf(ErrEndless, "server %s lists its %s on more than %d pages: raise MaxPages if it really needs so many", s.cfg.Name, member, s.cfg.MaxPages)
		}
		seen[*cursor] = true
		r.params = map[string]any{"cursor": *cursor}
	}
}

// page takes a result apart. Members are found by their exact name: Go's
// struct decoding would also take "Tools".
func (s *Server) page(raw json.RawMessage, method, member string) ([]json.RawMessage, *string, error) {
	var result map[string]json.RawMessage
	var some []json.RawMessage
	var cursor *string
	bad := json.Unmarshal(raw, &result) != nil || json.Unmarshal(result[member], &some) != nil
	if next, ok := result["nextCursor"]; ok && !bad {
		bad = json.Unmarshal(next, &cursor) != nil
	}
	if bad {
		return nil, nil, faultf(ErrInvalid, "server %s answered %s with something that is no list of %s: report this to its maker", s.cfg.Name, method, member)
	}
	return some, cursor, nil
}

// keep remembers the schemas whose parameters travel in headers.
func (s *Server) keep(c *conn, listing Listing) Listing {
	schemas := map[string]json.RawMessage{}
	kept := listing.Tools[:0]
	_, overHTTP := c.wire.(transport.HTTPConnection)
	for _, raw := range listing.Tools {
		if name, schema, ok := mirrored(raw); ok && overHTTP && c.modern() {
			if err := mcp.ValidateParamHeaderAnnotations(&mcp.Tool{RawInputSchema: schema}); err != nil {
				s.log.Warn("a tool is left out: its x-mcp-header annotations are not valid",
					"tool", s.secret.words(name, 128), "err", s.secret.words(err.Error(), maxErrorText))
				continue
			}
			schemas[name] = schema
		}
		kept = append(kept, raw)
	}
	listing.Tools = kept
	s.mu.Lock()
	s.schemas = schemas
	s.mu.Unlock()
	return listing
}

// Own says that the server is a process of ours: another one of Remit's has a process of its own.
func (s *Server) Own() bool { return s.cfg.Command != "" }

// Learn takes over from a listing that another process made what calls need to know of the tools.
func (s *Server) Learn(definitions []json.RawMessage) {
	schemas := map[string]json.RawMessage{}
	for _, raw := range definitions {
		if name, schema, ok := mirrored(raw); ok && mcp.ValidateParamHeaderAnnotations(&mcp.Tool{RawInputSchema: schema}) == nil {
			schemas[name] = schema
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schemas = schemas
}

// mirrored returns the input schema of a tool if parameters of it travel in headers.
func mirrored(raw json.RawMessage) (name string, schema json.RawMessage, ok bool) {
	if !bytes.Contains(raw, []byte("x-mcp-header")) {
		return "", nil, false
	}
	var tool struct {
		Name   string          `json:"name"`
		Schema json.RawMessage `json:"inputSchema"`
	}
	ok = json.Unmarshal(raw, &tool) == nil && tool.Schema != nil
	return tool.Name, tool.Schema, ok
}

func (s *Server) schema(tool string) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.schemas[tool]
}
