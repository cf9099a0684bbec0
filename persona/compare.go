package persona

import (
	"slices"

	"remit/catalog"
)

// Difference is what a reviewer reads of two revisions.
type Difference struct {
	SameJob        bool
	Added, Removed []Grant
	Changed        []GrantChange
}

// GrantChange is a tool that both revisions grant, with another definition or policy.
type GrantChange struct {
	Was, Is    Grant
	Definition []catalog.Change // in words
}

// None says that the agent can do the same under both revisions.
func (d Difference) None() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// Compare says what going from one revision to another changes.
func Compare(from, to Revision) Difference {
	d := Difference{SameJob: from.Job == to.Job}
	before, after := map[catalog.ID]Grant{}, to.Digests()
	for _, g := range from.Grants {
		before[g.Tool] = g
		if _, stays := after[g.Tool]; !stays {
			d.Removed = append(d.Removed, g)
		}
	}
	for _, g := range to.Grants {
		was, ok := before[g.Tool]
		if !ok {
			d.Added = append(d.Added, g)
			continue
		}
		c := GrantChange{Was: was, Is: g}
		if was.Digest != g.Digest {
			server, _ := g.Tool.Split()
			c.Definition = catalog.Changes(server, was.Definition, g.Definition)
		} else if slices.Equal(was.Policy.Words(), g.Policy.Words()) {
			continue
		}
		d.Changed = append(d.Changed, c)
	}
	return d
}
