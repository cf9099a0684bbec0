package upstream

import (
	"context"
	"slices"
	"time"
)

// LogLevels are the levels of log messages, from the most that is told to the
// gravest.
var LogLevels = []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// setLevelTimeout is for how long a call waits for its level to be set.
const setLevelTimeout = 2 * time.Second

// setLevel asks a server of the older era, whose level is one for the whole
// session, for as much as any call has wanted so far; each call is then given
// its own. A server that offers no log messages is not asked, and one that does
// not do it sends none: the call goes on.
func (c *conn) setLevel(ctx context.Context, level string) {
	if c.modern() || !c.info.offers["logging"] {
		return
	}
	c.mu.Lock()
	set := c.level == "" || slices.Index(LogLevels, level) < slices.Index(LogLevels, c.level)
	if set {
		c.level = level
	}
	c.mu.Unlock()
	if set {
		ctx, cancel := context.WithTimeout(ctx, setLevelTimeout)
		defer cancel()
		_, _ = c.do(ctx, request{method: "logging/setLevel", params: map[string]any{"level": level}})
	}
}
