package gateway

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"remit/audit"
	"remit/persona"
	"remit/policy"
)

// beside is a revision that runs as the shadow of the live one. It has all of its own, so that nothing it does or breaks is the
// live revision's: the views with their schemas and rules, the counts of its limits, and a gateway that logs nothing.
type beside struct {
	mark persona.Shadow
	g    *Gateway
	view *view
}

// shadowPatience bounds how long a shadow may wait for what it reads. It needs the processor only, but for what is frozen and,
// once, for the calls that its limits count.
const shadowPatience = 250 * time.Millisecond

// shadow asks the revision that runs beside the live one, once, and records what it says. It is a step that never refuses, and
// whatever it does ends here.
func (g *Gateway) shadow(ctx context.Context, c *call) *fault {
	if c.mark.Revision == 0 || c.entry.Shadow.Revision != 0 {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			g.c.Log.Error("a shadow broke off, which is a defect of Remit", "persona", c.persona, "revision", c.mark.Revision,
				"err", fmt.Sprintf("%T", p), "stack", string(debug.Stack())) // its text may hold arguments
			c.entry.Shadow = undecided(c.mark, "it broke off; Remit's log has more")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, shadowPatience)
	defer cancel()
	c.entry.Shadow = undecided(c.mark, "no such revision may run beside the live one")
	if c.beside != nil {
		b := g.besideOf(c)
		s := b.call(c)
		f := b.g.decided(ctx, s)
		c.entry.Shadow, c.unshadow = verdict(c.mark, f), s.release
	}
	return nil
}

// besideOf returns the shadow of the call's persona. One that is started again counts anew.
func (g *Gateway) besideOf(c *call) *beside {
	g.mu.Lock()
	b := g.shadows[c.persona]
	g.mu.Unlock()
	if b != nil && b.mark == c.mark {
		return b
	}
	own := g.c
	own.Limiter, own.Log = policy.NewLimiter(own.History), slog.New(slog.DiscardHandler)
	b = &beside{mark: c.mark, g: &Gateway{c: own}}
	b.view = b.g.build(c.persona, *c.beside)
	g.mu.Lock()
	defer g.mu.Unlock()
	if other := g.shadows[c.persona]; other != nil && other.mark == c.mark {
		return other // another call was first
	}
	g.shadows[c.persona] = b
	return b
}

// call is c as the shadow is asked about it. What a decision leaves behind stays in it.
func (b *beside) call(c *call) *call {
	x := *c.exchange
	x.seen = nil // what is observed is the call
	return &call{exchange: &x, began: c.began, kind: c.kind, name: c.name, key: b.view.nameOf(c.revision.whole(), c.key), arguments: c.arguments,
		revision: b.view.of(x.who.Bounds, b.g.tail())}
}

// nameOf is what v calls the tool that another revision has under a name: the agent of one reads other names than that of the
// other. A name that the other does not grant stays.
func (v *view) nameOf(other *view, name string) string {
	asked, ok := other.grants[name]
	if !ok {
		return name
	}
	for own, g := range v.grants {
		if g.Tool == asked.Tool {
			return own
		}
	}
	return ""
}

// decision is all by which a call is allowed or refused.
var decision = slices.Concat(deciding, []step{counting})

// decided passes a call through the steps that decide and the limits, and names the step in the fault.
func (g *Gateway) decided(ctx context.Context, c *call) *fault {
	for _, s := range decision {
		if f := s.run(g, ctx, c); f != nil {
			f.policy = cmp.Or(f.policy, s.name)
			return f
		}
	}
	if c.person != nil {
		return &fault{undecided: true, reason: needsPerson}
	}
	return nil
}

// needsPerson is why a revision beside the live one, or on the past, cannot tell: nobody is asked for it.
const needsPerson = "a person would have to approve the call"

func verdict(mark persona.Shadow, f *fault) audit.Shadow {
	switch {
	case f == nil:
		return audit.Shadow{Revision: mark.Revision, Decision: audit.Allowed}
	case f.undecided:
		return undecided(mark, f.why())
	}
	return audit.Shadow{Revision: mark.Revision, Decision: audit.Refused, Policy: f.policy, Reason: f.why()}
}

func undecided(mark persona.Shadow, why string) audit.Shadow {
	return audit.Shadow{Revision: mark.Revision, Decision: audit.Undecided, Reason: why}
}
