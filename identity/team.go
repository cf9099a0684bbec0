package identity

import (
	"context"
	"fmt"
	"regexp"
	"slices"
)

// A team owns personas. This is the whole of what that means:
//
//   - What no team owns is for everybody with the role.
//   - What a team owns is for those of its people who have the role, and for admins who have it.
//   - Others do not see it. Auditors do, and change nothing by that.
//
// A role says what somebody may do, a team where. Neither gives the other.

// Within says that p may do in what the team owns whatever p's roles allow.
func (p Principal) Within(team string) bool {
	return p.Person != "" && (team == "" || p.Has(Admin) || slices.Contains(p.Teams, team))
}

// Sees says that p may look at what the team owns.
func (p Principal) Sees(team string) bool { return p.Within(team) || p.Has(Auditor) }

var validTeam = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// ValidTeam says what a team may be called.
func ValidTeam(team string) error {
	if !validTeam.MatchString(team) {
		return fmt.Errorf("%w: a team's name has 1 to 63 lower-case letters, digits and dashes, not %q", ErrInvalid, team)
	}
	return nil
}

// maxTeams bounds the teams of one person.
const maxTeams = 100

// SetTeams replaces the teams that somebody is in. Where the provider's groups say the teams, the next sign-in does so again.
func (d *Directory) SetTeams(ctx context.Context, by Principal, name string, teams []string) error {
	teams, err := tidyTeams(teams)
	if err != nil {
		return err
	}
	return d.changePerson(ctx, by, name, "person.teams", nil, Ends{}, func(p Person) (Person, error) {
		p.Teams = teams
		return p, exists(p)
	})
}

// tidyTeams sorts names and takes each once.
func tidyTeams(teams []string) ([]string, error) {
	teams = slices.Compact(slices.Sorted(slices.Values(teams)))
	for _, t := range teams {
		if err := ValidTeam(t); err != nil {
			return nil, err
		}
	}
	if len(teams) > maxTeams {
		return nil, fmt.Errorf("%w: somebody is in at most %d teams, not %d", ErrInvalid, maxTeams, len(teams))
	}
	return teams, nil
}

// teamsOf is which teams a management token works for: those that it was made for and its creator is in now, or all of theirs.
// What the operator of the machine, or an admin, made it for needs no membership.
func (k Token) teamsOf(creator Person, everywhere bool) []string {
	if len(k.Teams) == 0 {
		return creator.Teams
	}
	if everywhere {
		return k.Teams
	}
	return slices.DeleteFunc(slices.Clone(k.Teams), func(t string) bool { return !slices.Contains(creator.Teams, t) })
}
