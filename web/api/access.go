package api

import (
	"time"

	"remit/identity"
	"remit/persona"
	"remit/policy"
)

// Key is an agent's access key, without its secret.
type Key struct {
	ID         string            `json:"id"`
	Persona    string            `json:"persona"`
	Agent      string            `json:"agent"`
	User       string            `json:"user"`
	State      identity.KeyState `json:"state"`
	By         string            `json:"created_by"`
	Created    time.Time         `json:"created"`
	Expires    time.Time         `json:"expires,omitzero"` // left out: never
	Revoked    time.Time         `json:"revoked,omitzero"`
	LastUse    time.Time         `json:"last_use,omitzero"`
	LastFrom   string            `json:"last_address,omitempty"`
	Replaces   string            `json:"replaces,omitempty"`    // the key that it was rotated from
	ReplacedBy string            `json:"replaced_by,omitempty"` // the key that it was rotated to
	Tools      []string          `json:"tools,omitempty"`       // ids in the catalog; left out: all of the persona
	Limits     []policy.Limit    `json:"limits,omitempty"`
	Addresses  []string          `json:"addresses,omitempty"` // networks; left out: from everywhere
}

// KeyOf is a key at the time.
func KeyOf(k identity.Key, now time.Time) Key {
	out := Key{ID: k.ID, Persona: k.Persona, Agent: k.Agent, User: k.User, State: k.State(now), By: k.By, Created: k.Created, Expires: k.Expires,
		Revoked: k.Revoked, LastUse: k.LastUse, LastFrom: k.LastFrom, Replaces: k.Replaces, ReplacedBy: k.ReplacedBy, Tools: k.Bounds.Tools, Limits: k.Bounds.Limits}
	for _, n := range k.Bounds.Addresses {
		out.Addresses = append(out.Addresses, n.String())
	}
	return out
}

// NewKey asks for a key.
type NewKey struct {
	Persona   string         `json:"persona"`
	Agent     string         `json:"agent"`
	User      string         `json:"user"`
	Expires   time.Time      `json:"expires,omitzero"` // left out: in 90 days
	Forever   bool           `json:"never_expires,omitempty"`
	Tools     []string       `json:"tools,omitempty"` // by id, or as the agent calls them; left out: all of the persona
	Limits    []policy.Limit `json:"limits,omitempty"`
	Addresses []string       `json:"addresses,omitempty"` // networks or addresses
}

// IssuedKey is a key with its secret, which is shown this once.
type IssuedKey struct {
	Key
	Secret string `json:"secret"`
}

// Token is a management token, without its secret.
type Token struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Roles   []identity.Role `json:"roles"`
	Teams   []string        `json:"teams,omitempty"` // that it works for; left out: all of its creator's
	State   string          `json:"state" jsonschema:"enum=live,enum=revoked,enum=expired"`
	By      string          `json:"created_by"`
	Created time.Time       `json:"created"`
	Expires time.Time       `json:"expires"`
	LastUse time.Time       `json:"last_use,omitzero"`
}

// TokenOf is a token at the time.
func TokenOf(t identity.Token, now time.Time) Token {
	return Token{ID: t.ID, Name: t.Name, Roles: append([]identity.Role{}, t.Roles...), Teams: t.Teams, State: t.State(now), By: t.By, Created: t.Created, Expires: t.Expires, LastUse: t.LastUse}
}

// NewToken asks for a management token.
type NewToken struct {
	Name    string          `json:"name"`
	Roles   []identity.Role `json:"roles"`
	Teams   []string        `json:"teams,omitempty"` // that it works for; left out: all of yours
	Expires time.Time       `json:"expires"`
}

// IssuedToken is a token with its secret, which is shown this once.
type IssuedToken struct {
	Token
	Secret string `json:"secret"`
}

// Suspension is what is stopped.
type Suspension struct {
	Kind   persona.Kind `json:"kind"`
	Name   string       `json:"name"`
	Reason string       `json:"reason"`
	Person string       `json:"person"`
	At     time.Time    `json:"at"`
}

// Suspend stops a persona, a server or a tool.
type Suspend struct {
	Kind   persona.Kind `json:"kind" jsonschema:"enum=persona,enum=server,enum=tool"`
	Name   string       `json:"name"`
	Reason string       `json:"reason"`
}

// Resume lets it go on.
type Resume struct {
	Kind persona.Kind `json:"kind" jsonschema:"enum=persona,enum=server,enum=tool"`
	Name string       `json:"name"`
}

// Person is somebody who may sign in.
type Person struct {
	Name     string          `json:"name"`
	Roles    []identity.Role `json:"roles"`
	Teams    []string        `json:"teams"`
	Disabled bool            `json:"disabled,omitempty"`
	Created  time.Time       `json:"created"`
	Provider string          `json:"provider,omitempty"` // where they sign in
}

// NewPerson adds somebody. An admin makes their one-time link on the page of people, or with remit person link.
type NewPerson struct {
	Name  string          `json:"name"`
	Roles []identity.Role `json:"roles"`
}

// SetRoles replaces somebody's roles.
type SetRoles struct {
	Roles []identity.Role `json:"roles"`
}

// SetTeams replaces the teams that somebody is in.
type SetTeams struct {
	Teams []string `json:"teams"`
}

// Disable ends somebody's access, or restores it.
type Disable struct {
	Disabled bool `json:"disabled"`
}
