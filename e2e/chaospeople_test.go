package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"remit/approval"
	"remit/catalog"
	"remit/persona"
	"remit/policy"
	"remit/web/api"
)

// sign has people signed in.
func (c *chaos) sign() {
	for _, p := range []struct {
		at          **api.Client
		name, roles string
	}{{&c.ada, "ada", "author"}, {&c.ravi, "ravi", "reviewer,author"}, {&c.dan, "dan", "approver"}} {
		browser := c.in.browser(c.in.person(p.name, p.roles))
		at, err := url.Parse(c.url)
		if err != nil {
			c.t.Fatal(err)
		}
		client, err := api.NewClient(c.url, browser.Jar.Cookies(at)[0].Value)
		if err != nil {
			c.t.Fatal(err)
		}
		*p.at = client
	}
}

// personas makes one for each thing that is tried.
func (c *chaos) personas() {
	ctx := c.t.Context()
	waitFor(c.t, "listing the server", func() bool {
		var found api.Hits
		return c.ada.Get(ctx, "/tools", nil, &found) == nil && len(found.Tools) == len(chaosTools())
	})
	for id, tools := range map[persona.ID][]api.Want{
		"steady": {{Tool: "work/look"}, {Tool: "work/note"}},
		"moving": moving,
		"scarce": {{Tool: "work/scarce", Policy: policy.Policy{Limits: []policy.Limit{{Calls: perMinute, Per: policy.Minute}}}}},
		"asking": {{Tool: "work/refund", Policy: policy.Policy{Approval: &policy.Approval{Minutes: 5}}}},
	} {
		if err := c.ada.Post(ctx, "/personas", api.Create{ID: id, Title: string(id), Job: chaosJob, Tools: tools}, &api.Persona{}); err != nil {
			c.t.Fatal(err)
		}
		if err := c.widen(ctx, id, tools); err != nil {
			c.t.Fatal(err)
		}
	}
}

const chaosJob = "Do the work that the server offers."

var moving = []api.Want{{Tool: "work/look"}, {Tool: "work/extra"}}

// widen goes one step after the other towards a live revision with the tools.
func (c *chaos) widen(ctx context.Context, id persona.ID, tools []api.Want) error {
	path := "/personas/" + string(id)
	for {
		var p api.Persona
		if err := c.ada.Get(ctx, path, nil, &p); err != nil {
			return err
		}
		latest := p.Revisions[len(p.Revisions)-1]
		if err := c.ada.Get(ctx, path, url.Values{"revision": {fmt.Sprint(latest.Number)}}, &p); err != nil {
			return err
		}
		var err error
		switch {
		case latest.State == persona.Live && len(p.Revision.Tools) == len(tools):
			c.revisions.Store(latest.Number, true)
			return nil
		case latest.State == persona.Draft:
			err = c.ada.Post(ctx, path+"/submit", api.Number{Revision: latest.Number}, &p)
		case latest.State == persona.Submitted:
			seen := persona.Digests{}
			for _, g := range p.Revision.Tools {
				seen[g.Tool] = g.Digest
			}
			err = c.ravi.Post(ctx, path+"/approve", api.Approve{Revision: latest.Number, Seen: seen}, &p)
		default:
			err = c.ada.Post(ctx, path+"/draft", api.Revise{Job: chaosJob, Tools: tools}, &p)
		}
		if err != nil {
			return err
		}
	}
}

// acknowledged repeats a change until it is acknowledged, or is seen to hold; false when the test ended before.
func acknowledged(ctx context.Context, change func() error, holds func() bool) bool {
	for ctx.Err() == nil {
		if change() == nil || holds() {
			return true
		}
		pause(ctx, 100*time.Millisecond)
	}
	return false
}

// key issues one. It returns nothing when the test ended before.
func (c *chaos) key(ctx context.Context, id persona.ID) (k api.IssuedKey) {
	acknowledged(ctx, func() error {
		return c.ravi.Post(ctx, "/keys", api.NewKey{Persona: string(id), Agent: "bot", User: "zoe"}, &k)
	}, func() bool { return false })
	if k.ID != "" {
		c.keys.Store(k.ID, false)
	}
	return k
}

// people revoke, approve and change without pause until the context ends.
func (c *chaos) people(ctx context.Context, busy *sync.WaitGroup) {
	busy.Go(func() {
		for ctx.Err() == nil {
			c.suspension(ctx)
			c.narrowing(ctx)
		}
	})
	busy.Go(func() {
		for ctx.Err() == nil {
			c.decide(ctx)
			pause(ctx, 200*time.Millisecond)
		}
	})
}

func (c *chaos) suspension(ctx context.Context) {
	stopped := func() bool {
		var all api.List[api.Suspension]
		return c.ravi.Get(ctx, "/suspensions", nil, &all) == nil && len(all.Items) > 0
	}
	if !acknowledged(ctx, func() error {
		return c.ravi.Post(ctx, "/suspensions", api.Suspend{Kind: persona.OnePersona, Name: "moving", Reason: "to see"}, &api.Done{})
	}, stopped) {
		return
	}
	lift := c.banned("moving suspended")
	c.suspensions.Add(1)
	pause(ctx, 3*time.Second)
	lift()
	acknowledged(ctx, func() error {
		return c.ravi.Post(ctx, "/suspensions/resume", api.Resume{Kind: persona.OnePersona, Name: "moving"}, &api.Done{})
	}, func() bool {
		var all api.List[api.Suspension]
		return c.ravi.Get(ctx, "/suspensions", nil, &all) == nil && len(all.Items) == 0
	})
	pause(ctx, time.Second)
}

func (c *chaos) narrowing(ctx context.Context) {
	var p api.Persona
	if !acknowledged(ctx, func() error {
		return c.ravi.Post(ctx, "/personas/moving/narrow", api.Narrow{Remove: []catalog.ID{"work/extra"}}, &p)
	}, func() bool {
		return c.ravi.Get(ctx, "/personas/moving", nil, &p) == nil && len(p.Revision.Tools) == 1
	}) {
		return
	}
	lift := c.banned("moving without extra")
	c.revisions.Store(p.Live, true)
	c.moves.Add(1)
	pause(ctx, 3*time.Second)
	lift()
	acknowledged(ctx, func() error { return c.widen(ctx, "moving", moving) }, func() bool { return false })
	pause(ctx, time.Second)
}

// decide approves the calls that wait, but denies those whose n ends with 0.
func (c *chaos) decide(ctx context.Context) {
	var waiting api.List[api.Approval]
	if c.dan.Get(ctx, "/approvals", nil, &waiting) != nil {
		return // tried again soon
	}
	for _, w := range waiting.Items {
		var whole api.Approval
		var arguments struct{ N string }
		if c.dan.Get(ctx, "/approvals/"+w.ID, nil, &whole) != nil || whole.State != approval.Pending || json.Unmarshal(whole.Arguments, &arguments) != nil {
			continue
		}
		deny := strings.HasSuffix(arguments.N, "0")
		move := "/approve"
		if deny {
			move = "/deny"
		}
		c.requests.Store(w.ID, arguments.N)
		if c.dan.Post(ctx, "/approvals/"+w.ID+move, api.Decide{Seen: whole.Seen}, &whole) == nil {
			c.decisions.Store(w.ID, !deny)
		}
	}
}
