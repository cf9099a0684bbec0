package api

import (
	"encoding/json"
	"time"

	"remit/approval"
)

// RotateKey asks for a key in the place of another.
type RotateKey struct {
	Overlap string     `json:"overlap,omitempty"` // how long the old one goes on: 24h, 7d, 0; left out: 24h
	Expires *time.Time `json:"expires,omitempty"` // of the new one; left out: as long from now as the old one was made for
}

// Approval is a call of an agent that a person decides on.
type Approval struct {
	ID        string          `json:"id"`
	State     approval.State  `json:"state"`
	Persona   string          `json:"persona"`
	Revision  int             `json:"revision"`
	Tool      string          `json:"tool"`
	Digest    string          `json:"digest"` // of the tool's definition, as it was approved
	Agent     string          `json:"agent"`
	User      string          `json:"user"`
	Key       string          `json:"key"`
	Arguments json.RawMessage `json:"arguments,omitempty"` // exactly as they will be sent; left out of lists, and once the call is over
	Seen      string          `json:"argument_digest"`     // what a decision has to name
	Created   time.Time       `json:"created"`
	Expires   time.Time       `json:"expires"`
	Person    string          `json:"person,omitempty"` // who decided
	Reason    string          `json:"reason,omitempty"`
}

// ApprovalOf is a request.
func ApprovalOf(r approval.Request) Approval {
	return Approval{r.ID, r.State, r.Persona, r.Revision, r.Tool, r.Digest, r.Agent, r.User, r.Key, r.Text, r.Arguments, r.Created, r.Expires, r.Person, r.Reason}
}

// Decide decides on a call whose arguments the person has looked at.
type Decide struct {
	Seen   string `json:"argument_digest"`
	Reason string `json:"reason,omitempty"` // it is recorded, and of a denial the agent is told it
}

// Connection is one's own account at a server that is called with people's accounts.
type Connection struct {
	Server string             `json:"server"`
	State  string             `json:"state" jsonschema:"enum=not connected,enum=connected,enum=outdated,enum=damaged"`
	Issuer string             `json:"issuer,omitempty"` // where the account is
	Scopes []string           `json:"scopes,omitempty"`
	Since  time.Time          `json:"since,omitzero"`
	Keys   []ConnectionClient `json:"keys"` // that could use it
}

// ConnectionClient is an access key that works for the person, or a client that they sign in to.
type ConnectionClient struct {
	ID      string    `json:"id"`
	Agent   string    `json:"agent"`
	Persona string    `json:"persona"`
	By      string    `json:"created_by,omitempty"` // left out for a client that the person signs in to
	Created time.Time `json:"created"`              // of such a client, when it asked
	Allowed bool      `json:"allowed"`
}

// Account says who has an account where.
type Account struct {
	Server  string    `json:"server"`
	Person  string    `json:"person"`
	Changed time.Time `json:"changed"`
}

// AllowKeys says which keys may use an account, and no others.
type AllowKeys struct {
	Keys []string `json:"keys"`
}

// Disconnected says that no call uses the account any more.
type Disconnected struct {
	Done    bool   `json:"done"`
	Problem string `json:"problem,omitempty"` // why the server that gave the access could not be told to end it
}

// Server is an upstream server. Its texts are its own: hostile.
type Server struct {
	Name      string    `json:"name"`
	State     string    `json:"state"`
	Since     time.Time `json:"since,omitzero"`
	Error     string    `json:"error,omitempty"` // of the connection, or of the last listing
	Says      string    `json:"says_it_is,omitempty"`
	Protocol  string    `json:"protocol,omitempty"`
	Tools     int       `json:"tools"`
	LeftOut   []string  `json:"left_out,omitempty"` // tools, and why
	LastCrawl time.Time `json:"last_crawl,omitzero"`
	CrawledBy string    `json:"crawled_by,omitempty"` // the replica, where there are several
	Restarts  int       `json:"reconnects"`
	InFlight  int       `json:"calls_under_way"`
	Suspended string    `json:"suspended,omitempty"` // why calls of its tools are refused
}
