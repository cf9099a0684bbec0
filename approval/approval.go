// Package approval owns a person's decision on a single call of an agent: what a request holds and is bound to, who may decide,
// for how long and how often a decision counts, and how a call that waits hears of it. An approval overrides nothing: the gateway
// decides the call anew when it uses one.
package approval

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"remit/audit"
	"remit/identity"
)

// State of a request:
//
//	pending → approved → used
//	        ↘ denied   ↘ expired
//	        ↘ expired
type State string

const (
	Pending  State = "pending"  // waits for a person
	Approved State = "approved" // the call may be made once
	Denied   State = "denied"   // and the same call is refused until Expires
	Used     State = "used"
	Expired  State = "expired"
)

// Binding is what a request is for: this call, by this key, under what was reviewed. Another of any of them is another request.
type Binding struct {
	Key, Agent, User string // of the access key
	Persona          string
	Revision         int
	Tool             string // catalog id
	Digest           string // of the pinned definition
	Arguments        string // digest of their canonical form
}

// Request is one call that a person is asked about.
type Request struct {
	ID string // 80 random bits; it is no secret
	Binding
	State   State
	Text    json.RawMessage // the arguments in canonical form, exactly as they will be sent; empty once the request is over
	Minutes int             // how long it waits for the decision, and how long the decision then counts
	Created time.Time
	Expires time.Time
	Decided time.Time // zero while nobody has
	Person  string    // who decided
	Reason  string    // in the person's words; agents are told it
	Solo    bool      // decided by the one whom the agent works for, in single-operator mode
	Team    string    // that owns the persona now; empty for none
}

// Open says that the request answers the same call at the time now.
func (r Request) Open(now time.Time) bool {
	return (r.State == Pending || r.State == Approved || r.State == Denied) && now.Before(r.Expires)
}

// Bounds.
const (
	MaxText       = 64 << 10 // bytes of the arguments that a person is shown
	MaxReason     = 500      // bytes
	MaxPerKey     = 5        // pending requests of a key
	MaxPerPersona = 20       // and of a persona
	keep          = 30 * 24 * time.Hour
)

var (
	ErrNotFound  = errors.New("there is no such approval")
	ErrForbidden = errors.New("not allowed")
	ErrOwnCall   = errors.New("the agent works for you; somebody else has to decide on its calls")
	ErrOver      = errors.New("it waits for nobody any more: it was decided or used, or its time is over")
	ErrUnseen    = errors.New("the arguments are not those that were shown; look again")
	ErrInvalid   = errors.New("not valid")
	ErrTooMany   = errors.New("too many calls wait for a person already")
	ErrState     = errors.New("the request state is not valid for this call")
)

// Store keeps requests. Each method that changes one writes the entries in the same transaction.
type Store interface {
	// AskApproval returns the open request of r's binding; if there is none it keeps r and e, unless the key or the persona has
	// as many pending ones as it may (ErrTooMany). What is due at r.Created is closed first.
	AskApproval(ctx context.Context, r Request, e audit.Entry) (Request, error)
	Approval(ctx context.Context, id string) (Request, error) // ErrNotFound
	// Approvals returns the newest limit of those that are seen, without arguments; no states and a nil seen are all.
	Approvals(ctx context.Context, states []State, limit int, seen func(Request) bool) ([]Request, error)
	UpdateApproval(ctx context.Context, id string, change Change) error // ErrNotFound
	UseApproval(ctx context.Context, id string, change Change, intent audit.Entry) (audit.Ticket, error)
	// CloseApprovals ends what is due, with an entry each, and deletes what ended before forget.
	CloseApprovals(ctx context.Context, now, forget time.Time) error
}

// Change is run on the request as it is stored; an error leaves everything as it was.
type Change func(Request) (Request, audit.Entry, error)

// Closed is r at the end of its time, and the entry that says so; a denial only stops counting and has none.
func (r Request) Closed(now time.Time) (Request, *audit.Entry) {
	r.Text = nil
	if r.State == Denied {
		return r, nil
	}
	e := r.entry(audit.ApprovalExpire, audit.Actor{}, now)
	e.Reason = "nobody decided in time"
	if r.State == Approved {
		e.Reason = "the call was not made in time"
	}
	r.State = Expired
	return r, &e
}

// entry is about the request, by whoever acts.
func (r Request) entry(kind string, by audit.Actor, now time.Time) audit.Entry {
	by.Agent, by.User, by.Key = r.Agent, r.User, r.Key
	return audit.Entry{Time: now, Kind: kind, Actor: by, Persona: r.Persona, Revision: r.Revision, Tool: r.Tool, Digest: r.Digest,
		Decision: audit.Changed, Call: audit.Call{ArgumentBytes: int64(len(r.Text)), ArgumentDigest: r.Arguments, Approval: r.ID}}
}

// MayDecide says whether the person may decide on calls at all. A management token is none.
func MayDecide(by identity.Principal) bool {
	return !by.Machine() && decides(by)
}

// decides says whether the roles are those of somebody who decides on calls.
func decides(by identity.Principal) bool {
	return by.Has(identity.Approver) || by.Has(identity.Reviewer) || by.Has(identity.Admin)
}

// Own says that the agent works for the person. A name with and one without a domain are taken for the same: "zoe" may not decide
// for "zoe@example.com".
func (r Request) Own(person string) bool {
	a, domainA, hasA := strings.Cut(person, "@")
	b, domainB, hasB := strings.Cut(r.User, "@")
	return strings.EqualFold(a, b) && (hasA != hasB || strings.EqualFold(domainA, domainB))
}
