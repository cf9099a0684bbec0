package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"remit/audit"
)

// Provided is what an identity provider vouched for: who signed in, and which roles their groups give them.
type Provided struct {
	Issuer, Subject string   // who it is; nothing else identifies a person
	Names           []string // what to call somebody new, best first
	Roles           []Role
	Groups          []string // in order, each once
	Mapped          bool     // Roles are the provider's to give; if not, an admin gives them here
	Teams           []string // that their groups put them in, in order
	Teamed          bool     // Teams are the provider's to say
	Session         string   // the provider's name of its session; may be empty
	Refresh         string   // what the sign-in is renewed with; empty where the provider gave nothing
}

// ProviderRules say what a sign-in at the provider may do here.
type ProviderRules struct {
	Create   bool          // somebody unknown becomes a person; if not, they are refused
	VouchFor time.Duration // how long a sign-in keeps the person's keys and sessions working; 0 means [DefaultVouch]
}

// DefaultVouch is how long one sign-in at a provider is believed.
const DefaultVouch = 30 * 24 * time.Hour

// Logout is a logout that the provider tells us of: of one session with Session, else of everything of Subject.
type Logout struct {
	Issuer, Subject, Session string
	Token                    string // unique name of the message
	Expires                  time.Time
}

// Flow is a sign-in that was sent to the provider. Both secrets are stored as hashes.
type Flow struct {
	State   []byte
	Browser []byte
	Next    string // path to go to afterwards
	Expires time.Time
}

var (
	// ErrNoRole refuses whom the provider vouches for but gives nothing here.
	ErrNoRole = errors.New("none of your groups gives you a role in Remit")
	// ErrUnknown refuses whom the provider vouches for but nobody let in.
	ErrUnknown = errors.New("nobody has let you into Remit yet")
	// ErrFlow refuses an answer of the provider that no sign-in of this browser waits for.
	ErrFlow = errors.New("this browser has no sign-in that waits for this answer")
	// ErrProvider says that the provider cannot be reached, or does not answer as it should.
	ErrProvider = errors.New("the identity provider does not answer as it should")
	// ErrDeclined says that the provider did not sign somebody in.
	ErrDeclined = errors.New("the identity provider declined")
	// ErrAnswer refuses what a provider answers.
	ErrAnswer = errors.New("the answer of the identity provider is not believed")
	// ErrBusy refuses one more sign-in when too many wait for the provider.
	ErrBusy = errors.New("too many sign-ins wait for the identity provider")
)

// Provider keeps what sign-ins at an identity provider need.
type Provider interface {
	PersonOf(ctx context.Context, issuer, subject string) (Person, error) // ErrNotFound
	// SaveFlow keeps a flow and forgets those that expired by now. ErrBusy when too many wait.
	SaveFlow(ctx context.Context, f Flow, now time.Time) error
	TakeFlow(ctx context.Context, state []byte) (Flow, error) // deletes it; ErrNotFound
	// LogOut ends what l names and returns whose it was, "" for nobody's. ErrCredential for a message that was used before.
	LogOut(ctx context.Context, l Logout, now time.Time, entry func(person string) audit.Entry) (string, error)
}

// BeginFlow starts a sign-in at the provider: state goes with it, browser stays in a cookie, and both must come back.
func (d *Directory) BeginFlow(ctx context.Context, next string) (state, browser string, err error) {
	state, browser = newToken(), newToken()
	now := d.now()
	return state, browser, d.Store.SaveFlow(ctx, Flow{State: hash(state), Browser: hash(browser), Next: next, Expires: now.Add(FlowMax)}, now)
}

// EndFlow takes the flow of state, once, and returns where to go afterwards. ErrFlow if this browser did not start it, if
// it was taken before, or after [FlowMax].
func (d *Directory) EndFlow(ctx context.Context, state, browser string) (next string, err error) {
	f, err := d.Store.TakeFlow(ctx, hash(state))
	reason := ""
	switch {
	case errors.Is(err, ErrNotFound):
		reason = "the answer's state is unknown, or was used already"
	case err != nil:
		return "", err
	case !bytes.Equal(f.Browser, hash(browser)):
		reason = "the answer's state belongs to another browser"
	case !d.now().Before(f.Expires):
		reason = "the sign-in took longer than 10 minutes"
	default:
		return f.Next, nil
	}
	return "", d.refuseWith(ErrFlow, Person{}, "identity provider: "+reason)
}

// RefuseProvided records that an answer of the provider was not believed, and returns err.
func (d *Directory) RefuseProvided(err error) error {
	return d.refuseWith(err, Person{}, "identity provider: "+printable(err.Error()))
}

// refuseWith records a sign-in that failed and returns err.
func (d *Directory) refuseWith(err error, p Person, reason string) error {
	if failed := d.refuse(p, reason); failed != ErrCredential {
		return failed
	}
	return err
}

// SignInByProvider opens a session for whom a provider vouched for. Their roles become what their groups give, and their
// keys go on. ErrUnknown, ErrNoRole, and ErrCredential for somebody who is disabled.
func (d *Directory) SignInByProvider(ctx context.Context, who Provided) (token string, err error) {
	if who.Issuer == "" || who.Subject == "" {
		return "", errors.New("a provider vouched for nobody")
	}
	p, err := d.Store.PersonOf(ctx, who.Issuer, who.Subject)
	known := err == nil
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	subject := " (subject " + strconv.Quote(printable(who.Subject)) + ")"
	switch {
	case p.Disabled:
		return "", d.refuse(p, "the person is disabled")
	case who.Mapped && len(who.Roles) == 0:
		if known {
			err = d.withdraw(ctx, p, "the identity provider gives them no role any more")
		}
		return "", errors.Join(d.refuseWith(ErrNoRole, p, "identity provider: no group gives a role"+subject), err)
	case !known && !d.Rules.Create:
		return "", d.refuseWith(ErrUnknown, p, "identity provider: nobody of that subject is known here"+subject)
	case !known:
		p, err = d.addProvided(ctx, who)
	default:
		p, err = d.adopt(ctx, p, who)
	}
	if err != nil {
		return "", err
	}
	p.Vouched = d.now().Add(d.vouchFor())
	if token, err = d.open(ctx, p, "identity provider", who.Session); err == nil && d.SignIns != nil && who.Refresh != "" {
		err = d.SignIns.Keep(ctx, p.Name, who.Refresh)
	}
	return token, err
}

func (d *Directory) vouchFor() time.Duration {
	if d.Rules.VouchFor == 0 {
		return DefaultVouch
	}
	return d.Rules.VouchFor
}

// update changes a person in Remit's own name, because of what the provider said.
func (d *Directory) update(ctx context.Context, name, kind string, roles []Role, reason string, change func(Person) Person) error {
	return d.Store.UpdatePerson(ctx, name, Ends{Access: kind == "person.withdraw"}, func(p Person) (Person, audit.Entry, error) {
		e := audit.Entry{Time: d.now(), Kind: kind, Decision: audit.Changed, Reason: reason, Detail: map[string]string{"person": name}}
		if roles != nil {
			e.Detail["roles"] = joinRoles(roles)
		}
		if kind == "person.add" && p.Name != "" {
			return p, e, errTaken
		}
		p = change(p)
		if kind == "person.teams" || kind == "person.add" && len(p.Teams) > 0 {
			e.Detail["teams"] = strings.Join(p.Teams, ", ")
		}
		return p, e, nil
	})
}

// withdraw ends the access of somebody whom the provider no longer vouches for: sessions at once, keys with their next call.
func (d *Directory) withdraw(ctx context.Context, p Person, reason string) error {
	err := d.update(ctx, p.Name, "person.withdraw", nil, reason, func(now Person) Person {
		now.Vouched = d.now()
		return now
	})
	return errors.Join(err, d.keysStopped(ctx, p.Name))
}

var errTaken = errors.New("the name is taken")

// addProvided creates the person under the first name that is free: another person's name is never taken over.
func (d *Directory) addProvided(ctx context.Context, who Provided) (Person, error) {
	wanted := suggested(who.Names)
	p := Person{Name: wanted, Roles: who.Roles, Created: d.now(), Issuer: who.Issuer, Subject: who.Subject, Groups: who.Groups, Teams: who.Teams, Vouched: d.now()}
	for n := 2; n <= 100; n++ {
		err := d.update(ctx, p.Name, "person.add", p.Roles, "first sign-in at the identity provider", func(Person) Person { return p })
		if !errors.Is(err, errTaken) {
			return p, err
		}
		p.Name = wanted + "-" + strconv.Itoa(n)
	}
	return p, fmt.Errorf("%w: every name like %s is taken; an admin can run remit person bind", ErrInvalid, wanted)
}

var notInNames = regexp.MustCompile(`[^a-z0-9._@-]+`)

// suggested is the first name that can be made valid, with room for a number.
func suggested(names []string) string {
	for _, name := range names {
		name = strings.TrimLeft(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "._@-")
		if name = strings.TrimRight(name[:min(len(name), 58)], "-"); name != "" {
			return name
		}
	}
	return "person"
}

// Bind lets a person sign in at the provider as subject, and there only: password, links and sessions end.
func (d *Directory) Bind(ctx context.Context, by Principal, name, issuer, subject string) error {
	if issuer == "" || subject == "" || len(subject) > 255 {
		return fmt.Errorf("%w: a subject has 1 to 255 characters, and its issuer is the provider's address", ErrInvalid)
	}
	switch other, err := d.Store.PersonOf(ctx, issuer, subject); {
	case err == nil && other.Name != name:
		return fmt.Errorf("%w: that subject is %s already", ErrInvalid, other.Name)
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	}
	return d.changePerson(ctx, by, name, "person.bind", nil, Ends{Access: true}, func(p Person) (Person, error) {
		p.Issuer, p.Subject, p.Password, p.Vouched = issuer, subject, "", d.now().Add(d.vouchFor())
		return p, exists(p)
	})
}

// ProviderLogout ends what the provider says has ended. A logout of the subject as a whole stops its keys as well, until
// its next sign-in. ErrCredential for a message that was used before.
func (d *Directory) ProviderLogout(ctx context.Context, l Logout) error {
	now := d.now()
	name, err := d.Store.LogOut(ctx, l, now, func(person string) audit.Entry {
		e := audit.Entry{Time: now, Kind: "person.withdraw", Decision: audit.Changed, Reason: "logout at the identity provider", Detail: map[string]string{"person": person}}
		if l.Session != "" {
			e.Kind = "session.end"
		}
		return e
	})
	if err != nil || name == "" || l.Session != "" {
		return err
	}
	return d.keysStopped(ctx, name)
}

// keysStopped tells the gateway that keys of a user do not work any more, so that their open streams end.
func (d *Directory) keysStopped(ctx context.Context, user string) error {
	d.moved(user)
	if d.Revoked == nil {
		return nil
	}
	keys, err := d.Store.Keys(context.WithoutCancel(ctx), "")
	if err != nil {
		return fmt.Errorf("the change is made and holds, but connected clients were not told: %w", err)
	}
	told := map[string]bool{}
	for _, k := range keys {
		if k.User == user && !told[k.Persona] {
			told[k.Persona] = true
			d.Revoked(k.Persona)
		}
	}
	return nil
}
