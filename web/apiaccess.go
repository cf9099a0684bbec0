package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"remit/identity"
	"remit/internal/invalid"
	"remit/internal/remote"
	"remit/persona"
	"remit/web/api"
)

// apiSignIn is the sign-in page for programs that a person runs. It takes what that page takes, under the same limits.
func (s *site) apiSignIn(a ask, in api.SignIn) (api.Session, error) {
	if s.Provider != nil && s.NoPasswords {
		return api.Session{}, fmt.Errorf("%w: passwords are switched off here; sign in on Remit's pages", identity.ErrForbidden)
	}
	name := strings.TrimSpace(in.Name)
	if !s.addresses.allow(a.RealIP()) || !s.names.allow(cutName(name)) {
		if err := s.Directory.TooManyTries(a.ctx(), name); err != nil {
			return api.Session{}, err
		}
		return api.Session{}, errManyTries
	}
	token, err := s.Directory.SignIn(a.ctx(), name, in.Password)
	if err == identity.ErrCredential {
		return api.Session{}, errBearer
	}
	if err != nil {
		return api.Session{}, err
	}
	return api.Session{Token: token, Expires: s.Now().UTC().Add(identity.SessionMax)}, s.Directory.Describe(a.ctx(), token, a.Request().UserAgent(), a.RealIP())
}

func (s *site) apiSignOut(a ask) (api.Done, error) {
	if a.by.Machine() {
		return api.Done{}, fmt.Errorf("%w: a management token is no session; revoke it with DELETE %s/tokens/%s", persona.ErrState, api.Base, a.by.Token)
	}
	_, token, _ := strings.Cut(a.Request().Header.Get("Authorization"), " ")
	return api.Done{Done: true}, s.Directory.SignOut(a.ctx(), token)
}

func (s *site) apiMe(a ask) (api.Me, error) {
	return api.Me{Name: a.by.Person, Roles: append([]identity.Role{}, a.by.Roles...), Teams: append([]string{}, a.by.Teams...), Machine: a.by.Machine(), Owner: a.by.Owner}, nil
}

func (s *site) apiKeys(a ask) (api.List[api.Key], error) {
	keys, err := s.Directory.Keys(a.ctx(), a.by, identity.KeyQuery{Persona: a.QueryParam("persona"), Agent: a.QueryParam("agent"), User: a.QueryParam("user"),
		State: identity.KeyState(a.QueryParam("state"))})
	var out []api.Key
	for _, k := range keys {
		out = append(out, api.KeyOf(k, s.Now()))
	}
	return items(out), err
}

func (s *site) apiIssueKey(a ask, in api.NewKey) (api.IssuedKey, error) {
	p, err := s.Registry.Persona(a.ctx(), a.by, persona.ID(in.Persona))
	if err != nil {
		return api.IssuedKey{}, invalid.At("persona", err)
	}
	spec := identity.KeySpec{Agent: in.Agent, User: in.User, Persona: in.Persona, Expires: in.Expires}
	switch {
	case in.Forever && !in.Expires.IsZero():
		return api.IssuedKey{}, invalid.At("never_expires", fmt.Errorf("%w: give either expires or never_expires", identity.ErrInvalid))
	case !in.Forever && in.Expires.IsZero():
		spec.Expires = s.Now().Add(90 * 24 * time.Hour)
	}
	if spec.Bounds, err = keyBounds(p, in); err == nil && p.Retired() {
		err = fmt.Errorf("%w: the persona is retired", persona.ErrState)
	}
	if err != nil {
		return api.IssuedKey{}, err
	}
	secret, key, err := s.Directory.IssueKey(a.ctx(), a.by, spec)
	return api.IssuedKey{Key: api.KeyOf(key, s.Now()), Secret: secret}, err
}

// keyBounds reads what a key is to allow less than its persona.
func keyBounds(p persona.Persona, in api.NewKey) (b identity.Bounds, err error) {
	if b.Tools, err = p.Granted(in.Tools); err != nil {
		return b, invalid.At("tools", err)
	}
	for _, text := range in.Addresses {
		n, err := remote.Network(text)
		if err != nil {
			return b, invalid.At("addresses", err)
		}
		b.Addresses = append(b.Addresses, n)
	}
	b.Limits = in.Limits
	return b, nil
}

func (s *site) apiRevokeKey(a ask) (api.Done, error) {
	return api.Done{Done: true}, s.Directory.RevokeKey(a.ctx(), a.by, a.Param("id"))
}

func (s *site) apiTokens(a ask) (api.List[api.Token], error) {
	all, err := s.Directory.Tokens(a.ctx(), a.by)
	var out []api.Token
	for _, t := range all {
		out = append(out, api.TokenOf(t, s.Now()))
	}
	return items(out), err
}

func (s *site) apiIssueToken(a ask, in api.NewToken) (api.IssuedToken, error) {
	secret, t, err := s.Directory.IssueToken(a.ctx(), a.by, identity.TokenSpec{Name: in.Name, Roles: in.Roles, Teams: in.Teams, Expires: in.Expires})
	return api.IssuedToken{Token: api.TokenOf(t, s.Now()), Secret: secret}, err
}

func (s *site) apiRevokeToken(a ask) (api.Done, error) {
	return api.Done{Done: true}, s.Directory.RevokeToken(a.ctx(), a.by, a.Param("id"))
}

func (s *site) apiSuspensions(a ask) (api.List[api.Suspension], error) {
	all, err := s.Registry.Store.Suspensions(a.ctx())
	var out []api.Suspension
	for _, v := range all {
		out = append(out, api.Suspension{Kind: v.Kind, Name: v.Name, Reason: v.Reason, Person: v.Person, At: v.At})
	}
	return items(out), err
}

func (s *site) apiSuspend(a ask, in api.Suspend) (api.Done, error) {
	return api.Done{Done: true}, s.Registry.Suspend(a.ctx(), a.by, persona.Target{Kind: in.Kind, Name: in.Name}, jobText(in.Reason))
}

func (s *site) apiResume(a ask, in api.Resume) (api.Done, error) {
	return api.Done{Done: true}, s.Registry.Resume(a.ctx(), a.by, persona.Target{Kind: in.Kind, Name: in.Name})
}

func (s *site) apiPeople(a ask) (api.List[api.Person], error) {
	all, err := s.Directory.People(a.ctx(), a.by)
	var out []api.Person
	for _, p := range all {
		out = append(out, apiPerson(p))
	}
	return items(out), err
}

func apiPerson(p identity.Person) api.Person {
	return api.Person{Name: p.Name, Roles: append([]identity.Role{}, p.Roles...), Teams: append([]string{}, p.Teams...), Disabled: p.Disabled, Created: p.Created, Provider: p.Issuer}
}

// onePerson is somebody after a change, as whoever changed them may see them.
func (s *site) onePerson(a ask, name string) (api.Person, error) {
	all, err := s.Directory.People(a.ctx(), a.by)
	if err != nil {
		return api.Person{}, err
	}
	at := slices.IndexFunc(all, func(p identity.Person) bool { return p.Name == name })
	if at < 0 {
		return api.Person{}, identity.ErrNotFound
	}
	return apiPerson(all[at]), nil
}

func (s *site) apiAddPerson(a ask, in api.NewPerson) (api.Person, error) {
	if err := s.Directory.AddPerson(a.ctx(), a.by, in.Name, in.Roles, ""); err != nil {
		return api.Person{}, err
	}
	return s.onePerson(a, in.Name)
}

func (s *site) apiSetRoles(a ask, in api.SetRoles) (api.Person, error) {
	if in.Roles == nil {
		return api.Person{}, invalid.At("roles", fmt.Errorf("%w: give the roles, [] for none", identity.ErrInvalid))
	}
	if err := s.Directory.SetRoles(a.ctx(), a.by, a.Param("name"), in.Roles); err != nil {
		return api.Person{}, err
	}
	return s.onePerson(a, a.Param("name"))
}

func (s *site) apiSetTeams(a ask, in api.SetTeams) (api.Person, error) {
	if in.Teams == nil {
		return api.Person{}, invalid.At("teams", fmt.Errorf("%w: give the teams, [] for none", identity.ErrInvalid))
	}
	if err := s.Directory.SetTeams(a.ctx(), a.by, a.Param("name"), in.Teams); err != nil {
		return api.Person{}, err
	}
	return s.onePerson(a, a.Param("name"))
}

func (s *site) apiDisable(a ask, in api.Disable) (api.Person, error) {
	if err := s.Directory.SetDisabled(a.ctx(), a.by, a.Param("name"), in.Disabled); err != nil {
		return api.Person{}, err
	}
	return s.onePerson(a, a.Param("name"))
}
