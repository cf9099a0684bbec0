package approval

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"remit/audit"
	"remit/identity"
)

// Desk is the only way to ask for, decide and use an approval.
type Desk struct {
	Store Store
	Key   []byte // authenticates request states; without one there are none
	URL   string // where people reach Remit, without a slash at its end
	// SingleOperator lets people decide on calls of agents that work for them. The record says so each time.
	SingleOperator bool
	Asked          func(Request) // if set, is told of each new request; it must not block
	Log            *slog.Logger  // nil means slog's default
	Now            func() time.Time

	mu      sync.Mutex
	waiting map[string]map[chan struct{}]bool // by id
	holding map[string]int                    // waiting calls, by key
}

func (d *Desk) now() time.Time {
	if d.Now != nil {
		return d.Now().UTC()
	}
	return time.Now().UTC()
}

// Page is the address at which people decide on the request.
func (d *Desk) Page(id string) string { return d.URL + "/approvals/" + id }

// Ask returns the open request for the call, or makes one; asked says that it did. text is the arguments in canonical form.
// ErrInvalid if a person cannot be shown them, ErrTooMany if too many wait.
func (d *Desk) Ask(ctx context.Context, b Binding, text []byte, minutes int) (r Request, asked bool, err error) {
	switch {
	case len(text) > MaxText:
		return r, false, fmt.Errorf("%w: a call that a person approves has at most %d bytes of arguments, this one has %d", ErrInvalid, MaxText, len(text))
	case audit.Digest(text) != b.Arguments:
		return r, false, fmt.Errorf("%w: the arguments do not have their digest", ErrInvalid)
	}
	now := d.now()
	n := Request{ID: strings.ToLower(rand.Text()[:16]), Binding: b, State: Pending, Text: text, Minutes: minutes, Created: now.Truncate(time.Microsecond)}
	n.Expires = n.Created.Add(n.length())
	r, err = d.Store.AskApproval(ctx, n, n.entry(audit.ApprovalRequest, audit.Actor{}, now))
	if asked = err == nil && r.ID == n.ID; asked && d.Asked != nil {
		d.Asked(r)
	}
	return r, asked, err
}

func (r Request) length() time.Duration { return time.Duration(r.Minutes) * time.Minute }

// Decide approves or denies a request whose arguments the person saw. ErrOwnCall if the agent works for the person.
func (d *Desk) Decide(ctx context.Context, by identity.Principal, id, seen string, approve bool, reason string) error {
	if err := d.May(by, Request{}); err != nil {
		return err
	}
	if reason = strings.TrimSpace(reason); len(reason) > MaxReason || !utf8.ValidString(reason) {
		return fmt.Errorf("%w: a reason is a text of at most %d bytes", ErrInvalid, MaxReason)
	}
	err := d.Store.UpdateApproval(ctx, id, func(r Request) (Request, audit.Entry, error) {
		now := d.now()
		switch err := d.May(by, r); {
		case err != nil:
			return r, audit.Entry{}, err
		case r.State != Pending || !r.Open(now):
			return r, audit.Entry{}, ErrOver
		case seen != r.Arguments || audit.Digest(r.Text) != r.Arguments:
			return r, audit.Entry{}, ErrUnseen
		}
		kind := audit.ApprovalDeny
		if approve {
			kind = audit.ApprovalApprove
		}
		e := r.entry(kind, by.Actor(), now)
		e.Reason = reason
		r.Decided, r.Expires, r.Person, r.Reason = now, now.Add(r.length()), by.Person, reason
		if r.State = Approved; !approve {
			r.State, r.Text = Denied, nil
		}
		if r.Solo = r.Own(by.Person); r.Solo {
			e.Detail = map[string]string{"single_operator": "true"}
		}
		return r, e, nil
	})
	if err == nil {
		d.Wake(id)
	}
	return err
}

var errRole = fmt.Errorf("%w: to decide on calls needs the role %s, %s or %s", ErrForbidden, identity.Approver, identity.Reviewer, identity.Admin)

// May says why the person may not decide on the request, or nil. A request of a team's persona is for that team; to others it does
// not exist.
func (d *Desk) May(by identity.Principal, r Request) error {
	switch {
	case !decides(by):
		return errRole
	case by.Machine():
		return identity.ErrMachine
	case !by.Sees(r.Team):
		return ErrNotFound
	case !by.Within(r.Team):
		return fmt.Errorf("%w: the persona belongs to the team %s, whose people decide on its calls", ErrForbidden, r.Team)
	case r.User != "" && r.Own(by.Person) && !d.SingleOperator:
		return ErrOwnCall
	}
	return nil
}

// Requests returns those in any of the states that by may look at, newest first, without arguments.
func (d *Desk) Requests(ctx context.Context, by identity.Principal, states []State, limit int) ([]Request, error) {
	if !decides(by) { // a program may know what waits, without arguments
		return nil, errRole
	}
	return d.Store.Approvals(ctx, states, limit, func(r Request) bool { return by.Sees(r.Team) })
}

// Request returns one with its arguments, to whoever may decide on calls.
func (d *Desk) Request(ctx context.Context, by identity.Principal, id string) (Request, error) {
	if err := d.May(by, Request{}); err != nil {
		return Request{}, err
	}
	r, err := d.Store.Approval(ctx, id)
	if err == nil && !by.Sees(r.Team) {
		return Request{}, ErrNotFound
	}
	return r, err
}

// Use makes the one use of an approval together with the record of the call's intent, and returns the arguments that were
// approved. ErrOver if it is not there to be used for this call: of two uses one gets that.
func (d *Desk) Use(ctx context.Context, id string, b Binding, intent audit.Entry) (t audit.Ticket, text []byte, err error) {
	t, err = d.Store.UseApproval(ctx, id, func(r Request) (Request, audit.Entry, error) {
		now := d.now()
		if r.State != Approved || !r.Open(now) || r.Binding != b || audit.Digest(r.Text) != b.Arguments {
			return r, audit.Entry{}, ErrOver
		}
		e := r.entry(audit.ApprovalUse, audit.Actor{}, now)
		text = r.Text
		r.State, r.Text = Used, nil
		return r, e, nil
	}, intent)
	return t, text, err
}

// Run closes what is due, until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	log := d.Log
	if log == nil {
		log = slog.Default()
	}
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		if now := d.now(); ctx.Err() == nil {
			if err := d.Store.CloseApprovals(ctx, now, now.Add(-keep)); err != nil && ctx.Err() == nil {
				log.Error("approvals whose time is over could not be closed", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
