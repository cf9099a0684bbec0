package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/persona/manifest"
	"remit/store"
	"remit/web/api"
)

// errPlanned is for scripts: the answer is printed, and it is not "nothing".
var errPlanned = errors.New("there are changes")

// shelf is where personas as code are compared with and put: a server, or the data on this machine.
type shelf interface {
	show(id persona.ID, revision int) (api.Persona, error)
	plan(id persona.ID, want api.Plan) (api.Difference, error)
	create(in api.Create) error
	revise(id persona.ID, in api.Revise) error
	submit(id persona.ID, number int) error
	setTeam(id persona.ID, team string) error
	setTerm(id persona.ID, in api.Term) error
}

// shelved runs do on the server, or on the data here.
func (a *app) shelved(do func(shelf) error) error {
	if a.remote != nil {
		return do(remoteShelf{a})
	}
	return a.registryOn(func(s *store.Store, r *persona.Registry) error { return do(localShelf{a, s, r}) })
}

type personaExportCmd struct {
	ID       string `arg:"" name:"persona" help:"The persona's id."`
	Revision int    `placeholder:"N" help:"Which revision (default: what the next one is written from)."`
}

// Run prints the persona.
func (c personaExportCmd) Run(a *app) error {
	return a.shelved(func(s shelf) error {
		p, err := s.show(persona.ID(c.ID), c.Revision)
		if err == nil && c.Revision == 0 && p.Revision.Number != p.Basis {
			p, err = s.show(p.ID, p.Basis)
		}
		if err != nil {
			return err
		}
		text, err := manifest.Write(documentOf(p))
		if err != nil {
			return err
		}
		_, err = a.out.Write(text)
		return err
	})
}

func documentOf(p api.Persona) manifest.Document {
	d := manifest.Document{Persona: p.ID, Title: p.Title, Team: p.Team, Job: p.Revision.Job, Expires: manifest.DateOf(p.Dates.Expires), Recertify: manifest.DateOf(p.Dates.Recertify), Missed: p.Dates.Missed}
	for _, g := range p.Revision.Tools {
		d.Tools = append(d.Tools, manifest.Tool{Tool: g.Tool, Name: g.Name, Digest: g.Digest, Reason: g.Reason, Policy: g.Policy}.WithEffect(g.Effect))
	}
	return d
}

func wants(d manifest.Document) (all []api.Want) {
	for _, t := range d.Tools {
		all = append(all, api.Want{Tool: t.Tool, Name: t.Name, Digest: t.Digest, Reason: t.Reason, Policy: t.Policy})
	}
	return all
}

// files are personas as code.
type files struct {
	Files []string `arg:"" name:"file" help:"Files as remit persona export prints them; - is standard input."`
}

// read reads all files before anything is done about one.
func (c files) read(a *app) ([]manifest.Document, error) {
	var all []manifest.Document
	named := map[persona.ID]string{}
	for _, name := range c.Files {
		text, err := a.readFile(name)
		if err != nil {
			return nil, err
		}
		d, err := manifest.Read(name, text)
		if err != nil {
			return nil, err
		}
		if other, ok := named[d.Persona]; ok {
			return nil, fmt.Errorf("%s and %s are both about persona %s; keep one", other, name, d.Persona)
		}
		named[d.Persona] = name
		all = append(all, d)
	}
	return all, nil
}

// readFile reads no more than a manifest may have, and one byte.
func (a *app) readFile(name string) ([]byte, error) {
	from := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	return io.ReadAll(io.LimitReader(from, manifest.MaxText+1))
}

// change is what a document would change.
type change struct {
	manifest.Document
	api.Difference
	now   api.Persona // as it is; zero where there is none
	dates persona.Dates
}

// moves says that the persona is to be another team's. A file without a team leaves it whose it is.
func (c change) moves() bool { return !c.NoneYet && c.Team != "" && c.Team != c.now.Team }

func (c change) none() bool { return c.Difference.None() && c.sameDates() && !c.moves() }

func (c change) sameDates() bool { return c.dates == persona.Dates(c.now.Dates) }

// planned says what the document would change.
func planned(s shelf, d manifest.Document) (c change, err error) {
	c.Document = d
	if c.dates, err = d.Dates(); err != nil {
		return c, err
	}
	c.Difference, err = s.plan(d.Persona, api.Plan{Title: d.Title, Job: d.Job, Tools: wants(d)})
	if err == nil && !c.NoneYet {
		c.now, err = s.show(d.Persona, 0)
	}
	if err != nil {
		return c, planError(d, err)
	}
	return c, nil
}

// planError says which tool of a file is not what was read, and what to do.
func planError(d manifest.Document, err error) error {
	problem, remote := errors.AsType[*api.Problem](err)
	if errors.Is(err, persona.ErrDrifted) || remote && problem.Code == "tool-changed" {
		return fmt.Errorf("persona %s: a digest is not that of the tool now, so what was reviewed is not what would be granted: %w; read the tool (remit search --json, or its page), then write its digest into the file", d.Persona, err)
	}
	return fmt.Errorf("persona %s: %w", d.Persona, err)
}

func (a *app) showChange(c change) {
	if c.none() {
		fmt.Fprintf(a.out, "%s: no change\n", c.Persona)
		return
	}
	if c.NoneYet {
		fmt.Fprintf(a.out, "%s: a new persona, %s\n", c.Persona, plain(c.Title))
		c.SameJob = true // there is no other that it could differ from
	} else {
		fmt.Fprintf(a.out, "%s: against revision %d\n", c.Persona, c.now.Basis)
	}
	if c.moves() {
		fmt.Fprintf(a.out, "owner: the team %s; now %s\n", c.Team, orDash(c.now.Team))
	} else if c.NoneYet && c.Team != "" {
		fmt.Fprintf(a.out, "owner: the team %s\n", c.Team)
	}
	if !c.Difference.None() {
		a.difference(c.Difference)
	}
	if !c.sameDates() {
		fmt.Fprintf(a.out, "dates: expires %s, a reviewer looks again by %s; now %s and %s\n", dateOf(c.dates.Expires), dateOf(c.dates.Recertify), dateOf(c.now.Dates.Expires), dateOf(c.now.Dates.Recertify))
	}
}

type personaPlanCmd struct{ files }

// Run prints what the files would change.
func (c personaPlanCmd) Run(a *app) error {
	documents, err := c.read(a)
	if err != nil {
		return err
	}
	some := false
	err = a.shelved(func(s shelf) error {
		for _, d := range documents {
			change, err := planned(s, d)
			if err != nil {
				return err
			}
			a.showChange(change)
			some = some || !change.none()
		}
		return nil
	})
	if err == nil && some {
		return errPlanned
	}
	return err
}

type personaApplyCmd struct {
	files
	Submit bool `help:"Ask for the review of what was drafted."`
}

// Run looks at all files, and then makes the drafts.
func (c personaApplyCmd) Run(a *app) error {
	documents, err := c.read(a)
	if err != nil {
		return err
	}
	return a.shelved(func(s shelf) error {
		var changes []change
		for _, d := range documents {
			change, err := planned(s, d)
			if err != nil {
				return err
			}
			changes = append(changes, change)
		}
		for _, change := range changes {
			if err := c.apply(a, s, change); err != nil {
				return fmt.Errorf("persona %s: %w", change.Persona, err)
			}
		}
		return nil
	})
}

func (c personaApplyCmd) apply(a *app, s shelf, change change) error {
	a.showChange(change)
	if change.moves() {
		if err := s.setTeam(change.Persona, change.Team); err != nil {
			return err
		}
	}
	switch {
	case change.NoneYet:
		if err := s.create(api.Create{ID: change.Persona, Title: change.Title, Team: change.Team, Job: change.Job, Tools: wants(change.Document)}); err != nil {
			return err
		}
	case !change.Difference.None():
		latest, err := s.show(change.Persona, len(change.now.Revisions))
		if err != nil {
			return err
		}
		if err := s.revise(change.Persona, api.Revise{Base: latest.Revision.Base, Job: change.Job, Tools: wants(change.Document)}); err != nil {
			return err
		}
	}
	if err := c.date(a, s, change); err != nil {
		return err
	}
	p, err := s.show(change.Persona, 0)
	if err != nil {
		return err
	}
	latest := p.Revisions[len(p.Revisions)-1]
	if latest.State != persona.Draft {
		return nil
	}
	if !c.Submit {
		_, err = fmt.Fprintf(a.out, "Revision %d of persona %s is a draft; --submit asks for its review.\n", latest.Number, p.ID)
		return err
	}
	if err := s.submit(p.ID, latest.Number); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "Revision %d of persona %s waits for its review; a person approves it on Remit's pages.\n", latest.Number, p.ID)
	return err
}

// date sets the dates of what is live. Others are set by whoever approves.
func (c personaApplyCmd) date(a *app, s shelf, change change) error {
	if change.sameDates() {
		return nil
	}
	if change.now.Live == 0 {
		_, err := fmt.Fprintf(a.out, "The dates of persona %s are set by the reviewer who approves it.\n", change.Persona)
		return err
	}
	return s.setTerm(change.Persona, api.Term{Revision: change.now.Live, Was: change.now.Dates, Dates: api.Dates(change.dates)})
}

// remoteShelf is a server's.
type remoteShelf struct{ *app }

func (r remoteShelf) show(id persona.ID, revision int) (api.Persona, error) {
	return r.remotePersona(string(id), revision)
}

func (r remoteShelf) plan(id persona.ID, want api.Plan) (d api.Difference, err error) {
	err = r.remote.Post(r.ctx, path("personas", string(id), "plan"), want, &d)
	return d, err
}

func (r remoteShelf) create(in api.Create) error {
	return r.remote.Post(r.ctx, "/personas", in, &api.Persona{})
}

func (r remoteShelf) revise(id persona.ID, in api.Revise) error {
	return r.remote.Post(r.ctx, path("personas", string(id), "draft"), in, &api.Persona{})
}

func (r remoteShelf) submit(id persona.ID, number int) error {
	return r.remote.Post(r.ctx, path("personas", string(id), "submit"), api.Number{Revision: number}, &api.Persona{})
}

func (r remoteShelf) setTeam(id persona.ID, team string) error {
	return r.remote.Post(r.ctx, path("personas", string(id), "team"), api.SetTeam{Team: team}, &api.Persona{})
}

func (r remoteShelf) setTerm(id persona.ID, in api.Term) error {
	return r.remote.Post(r.ctx, path("personas", string(id), "term"), in, &api.Persona{})
}

// localShelf is the data on this machine.
type localShelf struct {
	*app
	store    *store.Store
	registry *persona.Registry
}

func (l localShelf) show(id persona.ID, revision int) (api.Persona, error) {
	p, err := l.store.Persona(l.ctx, id)
	if err != nil {
		return api.Persona{}, explained(string(id), err)
	}
	if revision == 0 {
		revision = p.Latest().Number
		if live, ok := p.Live(); ok {
			revision = live.Number
		}
	}
	if _, ok := p.Revision(revision); !ok {
		return api.Persona{}, fmt.Errorf("persona %s has the revisions 1 to %d", id, len(p.Revisions))
	}
	return api.PersonaOf(p, revision, func(t catalog.ID) (catalog.Tool, bool) { return l.registry.Current(t) }, time.Now()), nil
}

func (l localShelf) plan(id persona.ID, want api.Plan) (api.Difference, error) {
	p, err := l.store.Persona(l.ctx, id)
	if err != nil && !errors.Is(err, persona.ErrNotFound) {
		return api.Difference{}, err
	}
	return api.PlanOf(l.registry, identity.Operator(), p, want)
}

func (l localShelf) create(in api.Create) error {
	p, err := api.ProposalOf(l.registry, identity.Operator(), in.Job, in.Tools, persona.Revision{})
	if err != nil {
		return err
	}
	p.Team = in.Team
	return l.registry.Create(l.ctx, identity.Operator(), in.ID, in.Title, p)
}

func (l localShelf) revise(id persona.ID, in api.Revise) error {
	p, err := l.store.Persona(l.ctx, id)
	if err != nil {
		return err
	}
	next, err := api.ProposalOf(l.registry, identity.Operator(), in.Job, in.Tools, p.Basis())
	if err != nil {
		return err
	}
	return l.registry.Revise(l.ctx, identity.Operator(), id, next)
}

func (l localShelf) submit(id persona.ID, number int) error {
	return l.registry.Submit(l.ctx, identity.Operator(), id, number)
}

func (l localShelf) setTeam(id persona.ID, team string) error {
	return l.registry.SetTeam(l.ctx, identity.Operator(), id, team)
}

func (l localShelf) setTerm(id persona.ID, in api.Term) error {
	return l.registry.SetTerm(l.ctx, identity.Operator(), id, persona.Shown{Revision: in.Revision, Dates: persona.Dates(in.Was)}, persona.Dates(in.Dates))
}
