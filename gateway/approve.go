package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"remit/approval"
	"remit/policy"
)

// anew is no refusal: a person decided while the call was held, so all steps decide again on how things are now.
var anew = &fault{}

// person is how far a call has come that somebody has to approve.
type person struct {
	approved string        // id of the approval
	held     bool          // the call has waited for the decision, or shall not
	waited   time.Duration // so long
}

func (c *call) binding() approval.Binding {
	return approval.Binding{Key: c.who.Key, Agent: c.who.Agent, User: c.who.User, Persona: c.who.Persona, Revision: c.revision.revision,
		Tool: string(c.grant.Tool), Digest: string(c.grant.Digest), Arguments: c.entry.ArgumentDigest}
}

// approve lets a call whose policy asks for a person's approval pass when there is one for it, and else asks for one. It comes
// after everything that would refuse the call anyway, and before the limits, which count calls that are made.
func (g *Gateway) approve(ctx context.Context, c *call) *fault {
	_, returned := c.params.value("requestState")
	returned = returned && c.modern && c.round.Number == 0
	var r approval.Request
	var asked bool
	var f *fault
	switch {
	case returned:
		r, f = g.recall(ctx, c)
	case c.person == nil:
		return nil
	case g.c.Approvals == nil:
		f = refusedBy("off", "Refused: a person has to approve this call, and this Remit has nobody to ask. Tell its operator.", "")
	default:
		r, asked, f = g.ask(ctx, c)
	}
	if f != nil || c.person == nil {
		return f
	}
	c.entry.Approval = r.ID
	if state := g.c.Approvals.State(r); asked && c.opensPages() && state != "" {
		return g.inputRequired(r, state)
	}
	if r.State == approval.Pending && !c.person.held && !(returned && c.declined()) {
		c.person.held = true
		if r, f = g.hold(ctx, c, r); f != nil {
			return f
		}
		if r.State == approval.Approved {
			return g.stillTheirs(ctx, c)
		}
	}
	if c.person.waited > 0 {
		c.note("held", c.person.waited.Round(time.Millisecond).String())
	}
	if r.State == approval.Approved {
		c.person.approved = r.ID
		return nil
	}
	return g.unapproved(r)
}

// unapproved says why the call is not made, and what to do.
func (g *Gateway) unapproved(r approval.Request) *fault {
	switch {
	case r.State == approval.Pending && r.Open(g.c.Now()):
		return refusedBy("pending", g.pending(r), "it waits for a person's approval")
	case r.State == approval.Denied:
		why := ""
		if r.Reason != "" {
			why = ": " + clean(r.Reason, approval.MaxReason)
		}
		return refusedBy("denied", "Denied: "+r.Person+" decided that this call is not to be made"+why+". The same call is refused until "+clock(r.Expires)+"; do not repeat it.",
			r.Person+" denied it"+why)
	case r.State == approval.Used:
		return refusedBy("used", "Refused: another call with the same arguments used the approval. Call again to ask for another one.", "another call used the approval")
	}
	return refusedBy("expired", "Refused: nobody decided on this call in time. Call again to ask once more.", "nobody decided in time")
}

func refusedBy(rule, message, reason string) *fault {
	f := toolFault(message, reason)
	f.policy = "approve/" + rule
	return f
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

// ask returns the request that is stored for the call, and makes one where there is none.
func (g *Gateway) ask(ctx context.Context, c *call) (r approval.Request, asked bool, f *fault) {
	r, asked, err := g.c.Approvals.Ask(ctx, c.binding(), c.canonical, c.grant.rules.Approval.Minutes)
	switch {
	case errors.Is(err, approval.ErrTooMany):
		return r, false, refusedBy("too many", fmt.Sprintf("Refused: %d calls of this key, or %d of this persona, wait for a person already. Wait until they are decided.",
			approval.MaxPerKey, approval.MaxPerPersona), err.Error())
	case errors.Is(err, approval.ErrInvalid):
		return r, false, refusedBy("arguments", "Refused: "+err.Error()+". Send less at once.", err.Error())
	case err != nil:
		return r, false, g.unread(err)
	}
	return r, asked, nil
}

// recall returns the request that the call's request state was made for. It asks nobody: a state that was used, or that comes with
// another call, is a mistake or an attack.
func (g *Gateway) recall(ctx context.Context, c *call) (r approval.Request, f *fault) {
	wrong := wrongState()
	wrong.policy = "approve/state"
	state, ok := c.params.text("requestState")
	if !ok || g.c.Approvals == nil {
		return r, wrong
	}
	id, err := g.c.Approvals.Check(state, c.binding())
	if err == nil {
		r, err = g.c.Approvals.Store.Approval(ctx, id)
	}
	switch {
	case errors.Is(err, approval.ErrState), errors.Is(err, approval.ErrNotFound):
		return r, wrong
	case err != nil:
		return r, g.unread(err)
	case r.Binding != c.binding() || r.State == approval.Used:
		return r, wrong
	}
	return r, nil
}

func (g *Gateway) unread(err error) *fault {
	g.complain("whether a person approved a call could not be read or asked", err)
	return rpcFault(codeInternal, "Whether a person approved this call cannot be read now, so it is not made; try again later.")
}

// opensPages says that the client can show its user an address (2026-07-28, elicitation, URL mode).
func (c *call) opensPages() bool {
	capabilities, _ := c.meta.object(metaCapabilities)
	elicitation, _ := capabilities.object("elicitation")
	_, ok := elicitation.object("url")
	return c.modern && ok
}

// declined says that the client's user does not want to wait. A person at Remit decides all the same.
func (c *call) declined() bool {
	responses, _ := c.params.object("inputResponses")
	answer, _ := responses.object("approval")
	action, _ := answer.text("action")
	return action == "decline" || action == "cancel"
}

// inputRequired tells the client's user where the call is decided, once; the client repeats the call with the state.
func (g *Gateway) inputRequired(r approval.Request, state string) *fault {
	message := "A person has to approve this call of " + r.Tool + " before it is made. The page shows it to people who may approve; whom the agent works for may not. Continue to wait for the decision."
	f := refusedBy("pending", "", "it waits for a person's approval")
	f.result = []byte(`{"resultType":"input_required","inputRequests":{"approval":{"method":"elicitation/create","params":{"mode":"url","message":` +
		quote(message) + `,"url":` + quote(g.c.Approvals.Page(r.ID)) + `}}},"requestState":` + quote(state) + `}`)
	return f
}

// pending says in words what a client without anything of its own for this, or a job without a person, does next.
func (g *Gateway) pending(r approval.Request) string {
	text := fmt.Sprintf("Not made yet: a person has to approve this call and has not decided (approval %s, until %s). They decide at %s. Repeat the call with exactly the same arguments: it goes through once it is approved",
		r.ID, clock(r.Expires), g.c.Approvals.Page(r.ID))
	if g.c.ApprovalWait > 0 {
		text += fmt.Sprintf(", and is held for up to %s until then", g.c.ApprovalWait)
	}
	return text + ". Other arguments are another request."
}

// hold keeps the call until a person has decided, the wait or the call ends, or the key is no longer valid.
func (g *Gateway) hold(ctx context.Context, c *call, r approval.Request) (approval.Request, *fault) {
	if g.c.ApprovalWait <= 0 {
		return r, nil
	}
	release, ok := g.c.Approvals.Hold(c.who.Key)
	if !ok {
		return r, nil // it is told to come back at once
	}
	defer release()
	began := g.c.Now()
	wait, end := context.WithTimeout(ctx, g.c.ApprovalWait)
	defer end()
	defer context.AfterFunc(c.r.Context(), end)() // nobody would hear what comes of the call, in either era
	go func() {
		select {
		case <-g.closing: // do not keep a shutdown waiting
			end()
		case <-wait.Done():
		}
	}()
	for beat := 1; ; beat++ {
		if token := c.streams(); token != nil {
			params := fmt.Sprintf(`{"progressToken":0,"progress":0.%06d,"message":%s}`, beat, quote("Waits for a person to approve it, at "+g.c.Approvals.Page(r.ID)))
			c.progress.message(progressEvent([]byte(params), token, &policy.Compiled{}))
		}
		turn, next := context.WithTimeout(wait, g.c.Recheck)
		now, err := g.c.Approvals.Wait(turn, r.ID)
		next()
		switch {
		case err != nil:
			return r, g.unread(err)
		case ctx.Err() != nil || c.r.Context().Err() != nil:
			return now, c.abandoned(ctx)
		case now.State != approval.Pending || wait.Err() != nil || !now.Open(g.c.Now()):
			c.person.waited = g.c.Now().Sub(began)
			return now, nil
		case !g.stillValid(ctx, c.exchange):
			return now, refusedBy("key", "Refused: the access key stopped being valid while the call waited.", "")
		}
	}
}

// abandoned is the end of a call whose client, session or gateway ended while it was held.
func (c *call) abandoned(ctx context.Context) *fault {
	cause := c.why(ctx)
	if errors.Is(cause, errEnded) || errors.Is(cause, errClosing) {
		reason := cause.Error() + " while the call waited for a person"
		return toolFault("Cancelled: "+reason+". It was not made.", reason)
	}
	reason := "the client closed the connection"
	if errors.Is(cause, errCancelled) {
		reason = cause.Error()
	}
	return &fault{silent: true, reason: reason + " while the call waited for a person"}
}

// stillTheirs starts the call over after the wait: the key may have been revoked meanwhile, and what else changed the steps find.
func (g *Gateway) stillTheirs(ctx context.Context, c *call) *fault {
	if !g.stillValid(ctx, c.exchange) {
		return refusedBy("key", "Refused: the access key stopped being valid while the call waited.", "")
	}
	c.began, c.entry.Approval = g.c.Now(), ""
	return anew
}
