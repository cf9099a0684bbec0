// Package audit owns the record: what an entry says, the hash chain that shows deletion, reordering and edits, and how
// a chain is verified. It imports nothing of ours, so that whatever changes or decides can write to it.
package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Decision says what came of a request.
type Decision string

const (
	Allowed Decision = "allowed" // and, for a call, the upstream answered, with a result or a tool error
	Refused Decision = "refused" // by Remit; nothing reached the upstream
	Failed  Decision = "failed"  // allowed, but the upstream gave no answer
	Unknown Decision = "unknown" // forwarded, and Remit stopped before it knew the outcome
	Changed Decision = "changed" // a person or the crawler changed something
)

// Kinds of entry. A kind is a noun and a verb.
const (
	ToolCall       = "tool.call"
	TaskCall       = "task.call"      // a request about a task that a tool.call began
	SignIn         = "person.sign-in" // also one that was refused
	RequestRefused = "request.refuse" // before a tool was named: bad credential, origin, body
	Checkpointed   = "audit.checkpoint"
	Pruned         = "audit.prune" // says what is removed from the front of the record, see Cut

	ApprovalRequest = "approval.request" // a call waits for a person
	ApprovalApprove = "approval.approve"
	ApprovalDeny    = "approval.deny"
	ApprovalExpire  = "approval.expire" // nobody decided in time, or nobody called again
	ApprovalUse     = "approval.use"    // the call is being made
)

// Actor says who: a signed-in person, or an agent's key bound to a user and a persona. Fields that do not apply are
// empty; an empty Actor is Remit itself (crawler, first start).
type Actor struct {
	Person string `json:"person,omitempty"` // name of the signed-in person
	Agent  string `json:"agent,omitempty"`
	User   string `json:"user,omitempty"`
	Key    string `json:"key,omitempty"` // public id of the access key, never the secret
}

// Call says what a tool.call or task.call carried. What is empty is left out of the entry's JSON: entries that were
// sealed before a field was known keep their hash.
type Call struct {
	ArgumentBytes  int64  `json:"argument_bytes,omitempty"`  // as sent
	ArgumentDigest string `json:"argument_digest,omitempty"` // of their canonical form
	Arguments      string `json:"arguments,omitempty"`       // their canonical form after masks; none where that is too long
	ResultBytes    int64  `json:"result_bytes,omitempty"`    // as the agent got it; none where Remit answered itself
	ResultDigest   string `json:"result_digest,omitempty"`
	UpstreamMicros int64  `json:"upstream_micros,omitempty"`
	Protocol       string `json:"protocol,omitempty"` // version of MCP
	Client         string `json:"client,omitempty"`   // as it names itself, which nobody checks
	ClientVersion  string `json:"client_version,omitempty"`
	Trace          string `json:"trace,omitempty"`    // id in W3C Trace Context: of our span, or as the client sent it
	Approval       string `json:"approval,omitempty"` // id of the request that a person decided, or is to decide
}

// Digest is "sha256:" and the hex SHA-256 of the parts together.
func Digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	var sum [sha256.Size]byte
	const scheme = "sha256:"
	return string(hex.AppendEncode(append(make([]byte, 0, len(scheme)+2*len(sum)), scheme...), h.Sum(sum[:0])))
}

// Entry is one record. Its chain fields are set by the store when it is appended.
type Entry struct {
	Seq  int64     `json:"seq"`
	Time time.Time `json:"time"` // UTC, microseconds
	Kind string    `json:"kind"`
	Actor
	Persona  string   `json:"persona,omitempty"`
	Revision int      `json:"revision,omitempty"`
	Tool     string   `json:"tool,omitempty"`   // catalog id "server/tool"; for a refusal the name that was asked for
	Digest   string   `json:"digest,omitempty"` // of the pinned definition
	Decision Decision `json:"decision"`
	Reason   string   `json:"reason,omitempty"` // in words
	Policy   string   `json:"policy,omitempty"` // which rule decided
	Micros   int64    `json:"micros,omitempty"` // duration in microseconds, the upstream's included
	Call
	Shadow Shadow            `json:"shadow,omitzero"`
	Detail map[string]string `json:"detail,omitempty"`
	Prev   string            `json:"prev"` // hash of the entry before, empty for the first
	Hash   string            `json:"hash"`
}

// Seal returns e as the entry that follows the one with sequence number seq and hash prev.
func (e Entry) Seal(seq int64, prev string) Entry {
	e, _ = e.SealJSON(nil, seq, prev)
	return e
}

// SealJSON is Seal, and returns the sealed entry's JSON too, which is what a store keeps, in place of what room holds.
func (e Entry) SealJSON(room []byte, seq int64, prev string) (Entry, []byte) {
	e.Seq, e.Prev, e.Time, e.Hash = seq+1, prev, e.Time.UTC().Truncate(time.Microsecond), ""
	text := e.AppendJSON(room[:0])
	if bytes.Contains(text, []byte(`\ufffd`)) { // JSON replaces invalid UTF-8, and what is hashed must be what is read back
		var read Entry // a fresh one: decoding into e would add to its map
		if err := json.Unmarshal(text, &read); err != nil {
			panic(fmt.Sprintf("audit: an entry that was encoded did not decode: %v", err))
		}
		e, text = read, read.AppendJSON(text[:0])
	}
	e.Hash = sum(text)
	const end = `"}` // the hash is the last member, and empty
	return e, append(append(text[:len(text)-len(end)], e.Hash...), end...)
}

// sumWithout is the hex SHA-256 of an entry's JSON with an empty hash. The hash is its last member.
func sumWithout(text []byte, hash string) string {
	h := sha256.New()
	quoted := appendText(nil, hash)
	h.Write(text[:len(text)-len(quoted)-1])
	h.Write([]byte(`""}`))
	return inHex(h.Sum(nil))
}

func sum(text []byte) string {
	digest := sha256.Sum256(text)
	return inHex(digest[:])
}

// inHex is hex.EncodeToString with one allocation instead of two.
func inHex(digest []byte) string {
	return string(hex.AppendEncode(make([]byte, 0, 2*sha256.Size), digest))
}

// scratch is where entries are encoded, before what is kept of them is known in length.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// JSON is the entry's JSON. It is deterministic: fields come in order, the keys of maps sorted.
func (e *Entry) JSON() []byte {
	b := scratch.Get().(*[]byte)
	defer scratch.Put(b)
	*b = e.AppendJSON((*b)[:0])
	return bytes.Clone(*b)
}

// Head names the last entry of a chain. It is stored apart from the entries, so that a cut-off tail is found, and can
// be written down elsewhere to prove later that history was not rewritten as a whole.
type Head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// Log is the append-only record. Every method that returns nil has made its entry durable.
type Log interface {
	Append(ctx context.Context, e Entry) error
	// Begin records the intent of a call before it is forwarded, so that a call without a record cannot happen: when the
	// process dies before Finish, the next start turns the intent into an entry with decision Unknown.
	Begin(ctx context.Context, e Entry) (Ticket, error)
	// Finish appends e in place of the intent.
	Finish(ctx context.Context, t Ticket, e Entry) error
	Entries(ctx context.Context, q Query) ([]Entry, error)
	// Verify walks the whole chain and returns its head.
	Verify(ctx context.Context) (Head, error)
}

// Ticket names an intent.
type Ticket int64
