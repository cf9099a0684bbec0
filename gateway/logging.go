package gateway

import (
	"encoding/json"
	"slices"

	"remit/policy"
	"remit/upstream"
)

// Log messages that a server sends on a call's own stream are a part of what the call brings: the client that made it gets
// those of the level that it asked for, for the session in the older era and with the request in the stateless one, after the
// masks of the grant. Without being asked none is sent, and none of any other call is.

// setLevel takes the level for a session.
func (x *exchange) setLevel() {
	level, ok := x.params.text("level")
	if !ok || !slices.Contains(upstream.LogLevels, level) {
		x.fail(rpcFault(codeInvalidParams, `The member "level" of params must be one of debug, info, notice, warning, error, critical, alert and emergency.`))
		return
	}
	x.session.mu.Lock()
	x.session.level = level
	x.session.mu.Unlock()
	x.succeed([]byte("{}"))
}

// logLevel is the least level that the client of a call wants to hear of; empty for none.
func (c *call) logLevel() string {
	if c.modern {
		level, _ := c.meta.text(metaLogLevel)
		if !slices.Contains(upstream.LogLevels, level) {
			return ""
		}
		return level
	}
	if c.session == nil {
		return ""
	}
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	return c.session.level
}

// logEvent is a server's log message as it came; nil for one that is none, that the client does not want, that masks cannot read
// or that is larger than a result may be.
func logEvent(params json.RawMessage, least string, rules *policy.Compiled) []byte {
	in, ok := membersOf(params)
	if !ok {
		return nil
	}
	level, _ := in.text("level")
	if slices.Index(upstream.LogLevels, level) < slices.Index(upstream.LogLevels, least) || rules.MaxResultBytes > 0 && len(params) > rules.MaxResultBytes {
		return nil
	}
	if len(rules.Mask) > 0 {
		var err error
		if params, _, err = rules.MaskArguments(params); err != nil {
			return nil
		}
	}
	return slices.Concat([]byte(`{"jsonrpc":"2.0","method":"notifications/message","params":`), params, []byte("}"))
}
