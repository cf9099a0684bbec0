package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// ErrEnded says that the provider does not renew a sign-in any more: it was ended there, or its person was disabled.
var ErrEnded = errors.New("the identity provider has ended the sign-in")

// Renewed is what a provider says when a sign-in is renewed: who it is now, and tokens of theirs.
type Renewed struct {
	Provided
	Access, ID string    // tokens; ID is empty where the provider gives none then
	Expires    time.Time // of the access token; zero where it is not said
}

// SignIns keeps what a sign-in at the provider is renewed with. A credential.SignIns is one.
type SignIns interface {
	// Keep keeps what the provider gave with a sign-in, in the place of what was kept before.
	Keep(ctx context.Context, person, refresh string) error
	// Renew asks the provider. ErrNotFound when nothing is kept of the person, ErrEnded, ErrProvider and ErrAnswer.
	Renew(ctx context.Context, person string) (Renewed, error)
	// Forget drops what is kept.
	Forget(ctx context.Context, person string) error
}

// Recheck asks the provider whether it still vouches for a person, and what their groups are now. When it has ended their sign-in,
// or gives them no role any more, their sessions end and their keys stop, until they sign in again. When the provider does not answer,
// or not as it should, nothing changes: how long that is believed is ProviderRules.VouchFor.
func (d *Directory) Recheck(ctx context.Context, name string) error {
	if d.SignIns == nil {
		return nil
	}
	p, err := d.Store.Person(ctx, name)
	if err != nil || !p.Provided() || !p.Active(d.now()) {
		return err
	}
	now, err := d.SignIns.Renew(ctx, name)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case errors.Is(err, ErrEnded):
		return d.end(ctx, p, "the identity provider has ended their sign-in")
	case err != nil:
		return err
	case now.Issuer != p.Issuer || now.Subject != p.Subject:
		return fmt.Errorf("%w: it is about somebody else", ErrAnswer)
	case now.Mapped && len(now.Roles) == 0:
		return d.end(ctx, p, "the identity provider gives them no role any more")
	}
	_, err = d.adopt(ctx, p, now.Provided)
	return err
}

// end withdraws a person, and only then forgets their sign-in: until both are done they are asked about again.
func (d *Directory) end(ctx context.Context, p Person, reason string) error {
	if err := d.withdraw(ctx, p, reason); err != nil {
		return err
	}
	return d.SignIns.Forget(ctx, p.Name)
}

// adopt makes a person what the provider says of them now: their roles, teams and groups.
func (d *Directory) adopt(ctx context.Context, p Person, who Provided) (Person, error) {
	var err error
	change := func(differs bool, kind string, roles []Role, reason string, set func(*Person)) {
		if err != nil || !differs {
			return
		}
		set(&p)
		err = d.update(ctx, p.Name, kind, roles, reason, func(now Person) Person {
			set(&now)
			return now
		})
	}
	change(who.Mapped && !slices.Equal(p.Roles, who.Roles), "person.roles", who.Roles, "as the identity provider's groups say", func(p *Person) { p.Roles = who.Roles })
	change(who.Teamed && !slices.Equal(p.Teams, who.Teams), "person.teams", nil, "as the identity provider's groups say", func(p *Person) { p.Teams = who.Teams })
	grouped := !slices.Equal(p.Groups, who.Groups)
	change(grouped, "person.groups", nil, "as the identity provider says", func(p *Person) { p.Groups = who.Groups })
	if grouped {
		d.moved(p.Name)
	}
	return p, err
}

// Rechecks asks the provider about everybody whose sign-in can be renewed, once in an interval.
type Rechecks struct {
	Directory *Directory
	Every     time.Duration
	Log       *slog.Logger
}

// Run asks until ctx ends. A person about whom the provider does not answer is asked about again with the next interval.
func (r Rechecks) Run(ctx context.Context) error {
	tick := time.NewTicker(r.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		people, err := r.Directory.Store.People(ctx)
		if err != nil && ctx.Err() == nil {
			r.Log.Error("whom to ask the identity provider about cannot be read", "err", err)
		}
		for _, p := range people {
			if err := r.Directory.Recheck(ctx, p.Name); err != nil && ctx.Err() == nil {
				r.Log.Warn("the identity provider could not be asked about a person; what it said before goes on", "person", p.Name, "err", err)
			}
		}
	}
}
