package main

import (
	"errors"
	"fmt"
	"strings"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/store"
	"remit/web/api"
)

type personaRollbackCmd struct {
	ID       string `arg:"" name:"persona" help:"The persona's id."`
	Revision int    `arg:"" help:"Which revision; it was live before."`
}

// Run makes the revision live again. A running server reads what is live on every request.
func (c personaRollbackCmd) Run(a *app) error {
	err := a.registryOr(func(r *persona.Registry) error {
		return r.Rollback(a.ctx, identity.Operator(), persona.ID(c.ID), c.Revision)
	}, path("personas", c.ID, "rollback"), api.Number{Revision: c.Revision}, &api.Persona{})
	if err != nil {
		return explained(c.ID, err)
	}
	_, err = fmt.Fprintf(a.out, "Revision %d of persona %s is live again from the next request on.\n", c.Revision, c.ID)
	return err
}

type personaNarrowCmd struct {
	ID     string   `arg:"" name:"persona" help:"The persona's id."`
	Remove []string `required:"" placeholder:"SERVER/TOOL" help:"Tools that it loses at once; without review, since nothing is added."`
}

// Run makes a revision with fewer tools live.
func (c personaNarrowCmd) Run(a *app) error {
	var remove []catalog.ID
	for _, id := range c.Remove {
		remove = append(remove, catalog.ID(id))
	}
	err := a.registryOr(func(r *persona.Registry) error {
		return r.Narrow(a.ctx, identity.Operator(), persona.ID(c.ID), remove)
	}, path("personas", c.ID, "narrow"), api.Narrow{Remove: remove}, &api.Persona{})
	if err != nil {
		return explained(c.ID, err)
	}
	_, err = fmt.Fprintf(a.out, "Persona %s is live without %s from the next request on.\n", c.ID, strings.Join(c.Remove, ", "))
	return err
}

func explained(id string, err error) error {
	if errors.Is(err, persona.ErrNotFound) {
		return fmt.Errorf("persona %q: %w; remit persona list and show say which there are", id, err)
	}
	return fmt.Errorf("persona %s: %w", id, err)
}

// registryOr runs do here, or sends in to the server.
func (a *app) registryOr(do func(*persona.Registry) error, path string, in, out any) error {
	if a.remote != nil {
		return a.remote.Post(a.ctx, path, in, out)
	}
	return a.registry(do)
}

// registry runs do on a registry whose catalog is what the last crawl found.
func (a *app) registry(do func(*persona.Registry) error) error {
	return a.registryOn(func(_ *store.Store, r *persona.Registry) error { return do(r) })
}

// registryOn is registry for what reads the store, too.
func (a *app) registryOn(do func(*store.Store, *persona.Registry) error) error {
	return a.withStore(func(s *store.Store) error {
		tools, err := s.Tools(a.ctx)
		if err != nil {
			return err
		}
		offered := map[catalog.ID]catalog.Tool{}
		for _, t := range tools {
			if !t.Gone {
				offered[t.ID] = t
			}
		}
		return do(s, &persona.Registry{Store: s, SingleOperator: a.opts.SingleOperator, Current: func(id catalog.ID) (catalog.Tool, bool) { t, ok := offered[id]; return t, ok }})
	})
}
