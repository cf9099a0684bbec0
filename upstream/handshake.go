package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// clientInfo is how we introduce ourselves.
var clientInfo = map[string]string{"name": "remit", "version": "1"}

// errLegacy says that a server is not of the newer era.
var errLegacy = errors.New("server is of the older era")

// shake finds out which era the server is of and agrees on a version. A
// server that the probe has killed before is spared it with skipProbe.
func (c *conn) shake(ctx context.Context, skipProbe bool) error {
	if skipProbe {
		return c.initialize(ctx)
	}
	probe, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout/4)
	err := c.discover(probe)
	slow := probe.Err() != nil
	cancel()
	if err == nil || !errors.Is(err, errLegacy) {
		return err
	}
	err = c.initialize(ctx)
	var refused *RPCError
	if slow && errors.As(err, &refused) && ctx.Err() == nil {
		// It was only slow to start: now it can say what it is.
		if again := c.discover(ctx); again == nil {
			return nil
		}
	}
	return err
}

// discover asks a server of the newer era what it is. The error wraps
// errLegacy when the older handshake is to be tried.
func (c *conn) discover(ctx context.Context) error {
	c.use(mcp.ProtocolVersion20260728)
	raw, err := c.do(ctx, request{method: "server/discover"})
	if err == nil {
		var result struct {
			Versions     []string        `json:"supportedVersions"`
			Instructions string          `json:"instructions"`
			Capabilities json.RawMessage `json:"capabilities"`
			Meta         struct {
				Server implementation `json:"io.modelcontextprotocol/serverInfo"`
			} `json:"_meta"`
		}
		if json.Unmarshal(raw.Text, &result) == nil && slices.Contains(result.Versions, mcp.ProtocolVersion20260728) {
			c.introduce(result.Meta.Server, result.Capabilities, result.Instructions)
			return nil
		}
		return errLegacy
	}
	var refused *RPCError
	switch {
	case errors.As(err, &refused) && refused.Code == mcp.UNSUPPORTED_PROTOCOL_VERSION:
		var data struct{ Supported []string }
		if json.Unmarshal(refused.Data, &data) == nil && slices.ContainsFunc(data.Supported, isLegacy) {
			return errLegacy
		}
		return faultf(ErrInvalid, "server %s speaks no protocol version that Remit knows: update the older of the two", c.cfg.Name)
	case c.life.Err() != nil || errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrNoToken) || errors.Is(err, ErrTooLarge) || errors.Is(err, errUnreachable):
		return err
	default:
		return errLegacy
	}
}

func isLegacy(version string) bool {
	return mcp.IsValidProtocolVersion(version) && !mcp.IsModernProtocol(version)
}

// initialize is the handshake of the older era.
func (c *conn) initialize(ctx context.Context) error {
	c.use("")
	can := capabilities(nil, false)
	if c.answer != nil {
		can = capabilities(c.cfg.Asks, false)
	}
	raw, err := c.do(ctx, request{method: "initialize", params: map[string]any{
		"protocolVersion": mcp.LATEST_LEGACY_PROTOCOL_VERSION,
		"capabilities":    can,
		"clientInfo":      clientInfo,
	}})
	if err != nil {
		return err
	}
	var result struct {
		Version      string          `json:"protocolVersion"`
		Capabilities json.RawMessage `json:"capabilities"`
		Server       implementation  `json:"serverInfo"`
		Instructions string          `json:"instructions"`
	}
	if json.Unmarshal(raw.Text, &result) != nil || !isLegacy(result.Version) {
		return faultf(ErrInvalid, "server %s answered initialize with protocol version %q, which Remit does not know: update the older of the two",
			c.cfg.Name, clean(result.Version, 40))
	}
	c.use(result.Version)
	c.introduce(result.Server, result.Capabilities, result.Instructions)
	if err := c.notify(ctx, "notifications/initialized", nil); err != nil {
		return c.explain(ctx, context.Cause(ctx), "notifications/initialized", err)
	}
	return nil
}

type implementation struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// maxInstructions is the most bytes kept of a server's instructions.
const maxInstructions = 16 << 10

func (c *conn) introduce(i implementation, capabilities json.RawMessage, instructions string) {
	type list struct {
		ListChanged bool `json:"listChanged"`
		Subscribe   bool `json:"subscribe"`
	}
	var can struct {
		Tools     list  `json:"tools"`
		Prompts   *list `json:"prompts"`
		Resources *list `json:"resources"`
		Logging   *list `json:"logging"`
		Tasks     struct {
			Requests struct {
				Tools struct {
					Call *struct{} `json:"call"`
				} `json:"tools"`
			} `json:"requests"`
		} `json:"tasks"` // of the older era
	}
	_ = json.Unmarshal(capabilities, &can) // a capability that cannot be read is one the server does not have
	c.info = serverInfo{
		name:         c.secret.words(i.Name, 100),
		version:      c.secret.words(i.Version, 100),
		instructions: c.secret.words(instructions, maxInstructions),
		listChanged:  can.Tools.ListChanged,
		subscribes:   can.Resources != nil && can.Resources.Subscribe,
		offers:       map[string]bool{Prompts: can.Prompts != nil, Resources: can.Resources != nil, "logging": can.Logging != nil},
		tasks:        can.Tasks.Requests.Tools.Call != nil,
	}
	for kind, l := range map[string]*list{Prompts: can.Prompts, Resources: can.Resources} {
		if l != nil && l.ListChanged && slices.Contains(c.cfg.Lists, kind) {
			c.info.listChanged = true
		}
	}
}

// watch keeps the stream open on which the server announces changes of its
// list, where era and transport need one. It returns when the connection ends
// or the server offers no such stream.
func (c *conn) watch() {
	_, overHTTP := c.wire.(transport.HTTPConnection)
	tells := c.info.listChanged || !c.modern() && c.info.subscribes && slices.Contains(c.cfg.Lists, Resources)
	if !tells || (!c.modern() && !overHTTP) {
		return
	}
	wait := retryDelays(c.retryFrom, c.retryTo)
	for c.life.Err() == nil {
		began := time.Now()
		var err error
		if c.modern() {
			_, err = c.do(c.life, request{method: "subscriptions/listen", params: map[string]any{
				"notifications": c.announcements(),
			}})
		} else {
			err = c.listen(c.life)
		}
		var refused *RPCError
		if errors.As(err, &refused) || errors.Is(err, errNoStream) {
			return
		}
		if time.Since(began) > stable {
			wait.Reset()
		}
		timer := time.NewTimer(wait.NextBackOff())
		select {
		case <-timer.C:
		case <-c.life.Done():
			timer.Stop()
			return
		}
		c.onChanged() // something may have been missed meanwhile
		c.missed()
	}
}

// announcements are those that are asked for.
func (c *conn) announcements() map[string]bool {
	asked := map[string]bool{"toolsListChanged": true}
	for _, kind := range c.cfg.Lists {
		asked[kind+"ListChanged"] = true
	}
	return asked
}
