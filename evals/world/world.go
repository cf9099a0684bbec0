// Package world owns the stage for an enforce case: the real gateway on the real store in a temporary directory, in
// front of upstream servers on loopback that record everything they receive.
package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"remit/approval"
	"remit/audit"
	"remit/catalog"
	"remit/evals"
	"remit/gateway"
	"remit/identity"
	"remit/persona"
	"remit/policy"
	"remit/store"
	"remit/upstream"
)

// limit bounds one case.
const limit = 30 * time.Second

// maxBody is the gateway's limit on a request, in bytes.
const maxBody = 1 << 20

const (
	desk  persona.ID = "desk"
	other persona.ID = "other"
)

var (
	author   = identity.Principal{Person: "author", Roles: []identity.Role{identity.Author}}
	reviewer = identity.Principal{Person: "reviewer", Roles: []identity.Role{identity.Reviewer, identity.Admin}}
)

// Play builds the stage, makes the moves, sends the request and says what came of it. An error means that the stage
// could not be built or the request not sent, not that the case failed.
func Play(ctx context.Context, c evals.EnforceCase) (out evals.EnforceOutcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dir, err := os.MkdirTemp("", "remit-enforce-")
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(dir)
	w := &world{file: filepath.Join(dir, "remit.db"), keys: map[string]string{}, servers: map[string]*server{}, catalog: catalog.New(catalog.Config{})}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.build(ctx, c); err != nil {
		return out, fmt.Errorf("case %s: building its stage: %w", c.ID, err)
	}
	if err := w.prepare(ctx, c); err != nil {
		return out, fmt.Errorf("case %s: before its request: %w", c.ID, err)
	}
	if out, err = w.ask(ctx, c); err != nil {
		return out, fmt.Errorf("case %s: its request: %w", c.ID, err)
	}
	err = w.observe(ctx, c, &out)
	return out, err
}

type world struct {
	file     string
	store    *store.Store
	down     bool // the store was closed by a move
	people   *identity.Directory
	registry *persona.Registry
	desk     *approval.Desk
	catalog  *catalog.Catalog
	servers  map[string]*server
	pool     *upstream.Pool
	gateway  *gateway.Gateway
	front    *http.Server
	address  string

	keys    map[string]string // secrets by what EnforceCase.Caller says
	deskKey string            // id of the key that a move may revoke
	session string
	mark    int64 // of the record, before the request
}

func (w *world) build(ctx context.Context, c evals.EnforceCase) (err error) {
	if w.store, err = store.Open(ctx, w.file); err != nil {
		return err
	}
	if err := w.start(ctx, c.Offers); err != nil {
		return err
	}
	cache, err := store.NewCache(ctx, w.store)
	if err != nil {
		return err
	}
	w.people = &identity.Directory{Store: cache}
	w.desk = &approval.Desk{Store: w.store, URL: "http://localhost"}
	w.gateway = gateway.New(gateway.Config{Personas: cache, Keys: w.people, Current: w.catalog.Tool, Upstreams: gateway.Pool(w.pool),
		Audit: w.store, Limiter: policy.NewLimiter(w.store), Approvals: w.desk, MaxBody: maxBody, CallTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler)})
	w.registry = &persona.Registry{Store: w.store, Current: w.catalog.Tool, Changed: w.gateway.Notify}
	var all []catalog.ID
	for _, t := range w.catalog.Tools() {
		all = append(all, t.ID)
	}
	for _, p := range []struct {
		id       persona.ID
		grants   []catalog.ID
		policies map[catalog.ID]json.RawMessage
	}{{desk, c.Grants, c.Policies}, {other, all, nil}} {
		if err := w.registry.Create(ctx, author, p.id, string(p.id), proposal(p.grants, p.policies)); err != nil {
			return err
		}
		if err := w.approve(ctx, p.id); err != nil {
			return err
		}
	}
	if err := w.issueKeys(ctx); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.address = "http://" + listener.Addr().String()
	w.front = &http.Server{Handler: w.gateway, ReadHeaderTimeout: limit}
	go w.front.Serve(listener) // ends with ErrServerClosed when close shuts it down
	return nil
}

// proposal grants the tools; the policies were read when the suite was.
func proposal(ids []catalog.ID, policies map[catalog.ID]json.RawMessage) persona.Proposal {
	p := persona.Proposal{Job: "Do the job."}
	for _, id := range ids {
		g := persona.Grant{Pin: persona.Pin{Tool: id}}
		if text, ok := policies[id]; ok {
			g.Policy, _ = policy.Parse(text)
		}
		p.Grants = append(p.Grants, g)
	}
	return p
}

// approve makes the latest revision live.
func (w *world) approve(ctx context.Context, id persona.ID) error {
	p, err := w.store.Persona(ctx, id)
	if err != nil {
		return err
	}
	r := p.Latest()
	if err := w.registry.Submit(ctx, author, id, r.Number); err != nil {
		return err
	}
	return w.registry.Approve(ctx, reviewer, id, r.Number, r.Digests())
}

func (w *world) issueKeys(ctx context.Context) error {
	spec := identity.KeySpec{Agent: "bot", User: "carol", Persona: string(desk)}
	yesterday := time.Now().Add(-24 * time.Hour)
	past := &identity.Directory{Store: w.store, Now: func() time.Time { return yesterday }}
	expired, others := spec, spec
	expired.Expires, others.Persona = yesterday.Add(time.Hour), string(other)
	ids := map[string]string{}
	for _, k := range []struct {
		caller string
		from   *identity.Directory
		spec   identity.KeySpec
	}{{"key", w.people, spec}, {"revoked", w.people, spec}, {"expired", past, expired}, {"other", w.people, others}} {
		secret, key, err := k.from.IssueKey(ctx, reviewer, k.spec)
		if err != nil {
			return err
		}
		w.keys[k.caller], ids[k.caller] = secret, key.ID
	}
	last := "x"
	secret := w.keys["key"]
	if secret[len(secret)-1:] == last {
		last = "y"
	}
	w.keys["wrong"] = secret[:len(secret)-1] + last
	w.deskKey = ids["key"]
	return w.people.RevokeKey(ctx, reviewer, ids["revoked"])
}

// observe ends the gateway, so that its record is whole, and reads what it and the servers saw.
func (w *world) observe(ctx context.Context, c evals.EnforceCase, out *evals.EnforceOutcome) error {
	if err := w.closeGateway(); err != nil {
		return err
	}
	if w.down {
		reopened, err := store.Open(ctx, w.file)
		if err != nil {
			return err
		}
		w.store, w.down = reopened, false
	}
	entries, err := w.store.Entries(ctx, audit.Query{Limit: 1000})
	if err != nil {
		return err
	}
	record := ""
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		record += fmt.Sprintf("%+v\n", e)
		if e.Seq > w.mark && (e.Kind == audit.ToolCall || e.Kind == audit.RequestRefused) {
			line := e.Kind + " " + string(e.Decision)
			if e.Policy != "" {
				line += " " + e.Policy
			}
			out.Record = append(out.Record, line)
		}
	}
	received := ""
	for _, s := range w.servers {
		out.Upstream += s.fake.Stats().Calls
		received += s.received()
	}
	for _, secret := range append(c.Hidden, w.secrets(c)...) {
		out.Leaks = append(out.Leaks, leaks(secret, map[string]string{"the upstream": received, "the record": record})...)
	}
	return nil
}

// close ends everything that runs, in order.
func (w *world) close() error {
	var errs []error
	if w.gateway != nil {
		errs = append(errs, w.closeGateway())
	}
	if w.pool != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		errs = append(errs, w.pool.Close(ctx))
	}
	for _, s := range w.servers {
		errs = append(errs, s.close())
	}
	if w.store != nil && !w.down {
		errs = append(errs, w.store.Close())
	}
	return errors.Join(errs...)
}

func (w *world) closeGateway() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := w.gateway.Close(ctx)
	if w.front != nil {
		err = errors.Join(err, w.front.Shutdown(ctx))
	}
	return err
}
