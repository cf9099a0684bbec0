package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"remit/approval"
	"remit/approval/webhook"
	"remit/audit/notary"
	"remit/gateway"
	"remit/identity"
	"remit/internal/remote"
	"remit/internal/slowbody"
	"remit/persona"
	"remit/store"
	"remit/upstream"
	"remit/web"
)

type serveCmd struct{}

func (serveCmd) Run(a *app) error {
	log := a.log()
	configs, err := a.upstreams(log)
	if err != nil {
		return err
	}
	return a.serve(configs, log, func(s *system, address string) error {
		name, link, created, err := s.people.Bootstrap(a.ctx)
		if err != nil {
			return err
		}
		if created {
			fmt.Fprintf(a.out, "First start: sign in as %s once, within a day, at %s\n", name, linkURL(address, link))
		}
		return nil
	})
}

func linkURL(address, token string) string { return address + "/link/" + token }

// garbage is how much may pile up before it is collected, in percent of what is in use. That is little, some 15 MB, and calls leave
// up to ten times their own size: with Go's 100 a busy server would spend a fifth of its time on collecting.
const garbage = 300

// ballast counts as memory in use and is never touched, so it takes none: a server with a small catalog collects after some 120 MB of
// garbage instead of 30. More takes memory and nearly nothing off the 99th percentile (docs/performance.md).
const ballast = 24 << 20

// beside is how many goroutines wait for the disk at a time: who writes the journal, and who brings it into the database. Each keeps its
// thread's place among those that run until the runtime notices, up to some milliseconds later; so there are as many places more.
const beside = 2

var processors = runtime.GOMAXPROCS(0) // as the runtime chose at the start: of the machine, or as many as its container may use

// serve runs everything until the context ends: the pages and the endpoints on one address, the crawler, the servers.
// ready is called when the address answers.
func (a *app) serve(configs []upstream.Config, log *slog.Logger, ready func(s *system, address string) error) (err error) {
	release, err := lock(a.opts.Data)
	if err != nil {
		return err
	}
	defer release()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
		defer runtime.KeepAlive(make([]byte, ballast))
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(processors + beside)
	}
	listener, err := net.Listen("tcp", a.opts.Listen)
	if err != nil {
		return fmt.Errorf("the address %s cannot be served: %w; choose another with --listen", a.opts.Listen, err)
	}
	defer listener.Close()
	a.opts.Listen = listener.Addr().String()
	metrics, err := a.watch(log)
	if err != nil {
		return err
	}
	defer metrics.close()
	defer a.telemetry.Close()
	s, err := a.assemble(configs, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if n, err := s.store.Journal(a.ctx); err != nil {
		return err
	} else if n > 0 {
		log.Warn("calls were in flight when Remit last stopped; the record says so", "calls", n)
	}
	if err := recoverCalls(a.ctx, s.store, log); err != nil {
		return err
	}
	n, err := a.notary(s.store)
	if err != nil {
		return err
	}
	defer n.Close()
	if s.store.Shared() && a.opts.AuditKey == "" {
		log.Warn("audit-key is not set: this replica signs the record with a key of its own, and what others removed from it does not verify here; give all replicas the same")
	}
	followers, err := a.followers(s.store, log)
	if err != nil {
		return err
	}
	desk, hook, err := a.desk(s, log)
	if err != nil {
		return err
	}
	front, gate, err := a.front(s, desk, hook, n, log)
	if err != nil {
		return err
	}
	health := &health{ready: s.store.Ready}
	server := &http.Server{Handler: slowbody.Limit(health.before(front), a.opts.ReadTimeout), ReadHeaderTimeout: a.opts.ReadTimeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError)}
	life, end := context.WithCancel(a.ctx)
	defer end()
	g, ctx := errgroup.WithContext(life)
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		if err := s.load(ctx); ctx.Err() != nil { // to be stopped while it starts is no failure
			return nil
		} else if err != nil {
			return err
		}
		debug.FreeOSMemory() // what the start left behind
		return s.crawler.Run(ctx)
	})
	g.Go(func() error { return s.store.Lead(ctx, "lookout", a.lookout(s, gate, log).Run) })
	g.Go(func() error { return s.cache.Run(ctx, hear(gate, desk, s.crawler)) })
	g.Go(func() error { recoverOthers(ctx, s.store, log); return nil })
	if s.signIns != nil {
		recheck := identity.Rechecks{Directory: s.people, Every: a.opts.OIDC.Renew, Log: log}
		g.Go(func() error { return s.store.Lead(ctx, "recheck", recheck.Run) })
	}
	g.Go(func() error { return s.store.Lead(ctx, "notary", n.Run) })
	g.Go(func() error {
		return s.store.Lead(ctx, "months", func(ctx context.Context) error {
			return s.store.KeepMonths(ctx, func(err error) { log.Warn(err.Error()) })
		})
	})
	for _, follow := range followers {
		g.Go(func() error { return s.store.Lead(ctx, "sink "+follow.name, follow.run) })
	}
	g.Go(func() error { return desk.Run(ctx) })
	if hook != nil {
		g.Go(func() error { return hook.Run(ctx) })
	}
	g.Go(func() error {
		<-ctx.Done()
		health.leaving.Store(true)
		if a.opts.Drain > 0 {
			log.Info("draining: /readyz says no, and requests are served still", "for", a.opts.Drain)
			time.Sleep(a.opts.Drain)
		}
		log.Info("stopping: calls in flight may finish within 10 s")
		bound, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return errors.Join(gate.Close(bound), server.Shutdown(bound))
	})
	if metrics != nil {
		g.Go(func() error { metrics.serve(ctx, log); return nil })
		fmt.Fprintf(a.out, "Metrics are at %s\n", metrics.url())
	}
	fmt.Fprintf(a.out, "Remit serves %s\n", a.opts.Address())
	if err := ready(s, a.opts.Address()); err != nil && a.ctx.Err() == nil { // to be stopped while it starts is no failure
		end()
		return errors.Join(err, g.Wait())
	}
	return g.Wait()
}

// front joins the pages and the gateway.
func (a *app) front(s *system, desk *approval.Desk, hook *webhook.Sender, n *notary.Notary, log *slog.Logger) (http.Handler, *gateway.Gateway, error) {
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, a.opts.AllowedHosts...)
	if host, _, err := net.SplitHostPort(a.opts.Listen); err == nil && host != "" && !net.ParseIP(host).IsUnspecified() {
		hosts = append(hosts, host)
	}
	if u, err := url.Parse(a.opts.PublicURL); err == nil && u.Hostname() != "" {
		hosts = append(hosts, u.Hostname())
	}
	maskKey, err := s.store.Secret(context.Background(), "mask")
	if err != nil {
		return nil, nil, err
	}
	stateKey, err := s.store.Secret(context.Background(), "rounds")
	if err != nil {
		return nil, nil, err
	}
	var sessionKey []byte
	var answers gateway.Answers
	if s.store.Shared() {
		answers = store.Answers{Store: s.store}
		if sessionKey, err = s.store.Secret(context.Background(), "session"); err != nil {
			return nil, nil, err
		}
	}
	proxies, err := remote.Trust(a.opts.TrustedProxy)
	if err != nil {
		return nil, nil, err
	}
	own, err := a.oauth(s.provider, s.people)
	if err != nil {
		return nil, nil, err
	}
	limiter, kept, err := a.limiter(s.store, log)
	if err != nil {
		return nil, nil, err
	}
	gate := gateway.New(gateway.Config{Personas: s.cache, Keys: s.people, OAuth: own, Current: s.tool, Upstreams: a.telemetry.Upstreams(gateway.Pool(s.pool)),
		Audit: a.telemetry.Audit(s.store), Limiter: limiter, MaskKey: maskKey, SessionKey: sessionKey, StateKey: stateKey, Answers: answers, Listed: s.crawler.Listed, Proxies: proxies, AllowedHosts: hosts, AllowedOrigins: a.opts.AllowedOrigins, CallTimeout: a.opts.CallTimeout,
		Account: s.pool.Account, Connections: a.opts.Address() + "/connections", Observer: a.telemetry.Observer(), ForwardBaggage: a.opts.ForwardBaggage,
		Approvals: desk, ApprovalWait: a.opts.ApprovalWait,
		HideFrozen: a.opts.HideFrozen, History: s.store, KeepArguments: a.opts.KeepArguments, Version: version(), Log: log})
	a.telemetry.Watch(s.state(gate, kept))
	s.people.Revoked = func(of string) { gate.Notify(persona.ID(of)) }
	s.people.Moved = gate.Moved
	s.drifted = gate.Drifted
	registry := &persona.Registry{Store: s.store, Current: s.tool, MaxTools: a.opts.MaxTools,
		SingleOperator: a.opts.SingleOperator, TwoReviewers: a.opts.TwoReviewers, Changed: gate.Notify}
	if hook != nil {
		registry.Submitted = func(of persona.Submission) {
			hook.Submitted(webhook.Submission{Persona: string(of.Persona), Title: of.Title, Revision: of.Revision, By: of.By, Tools: of.Tools, At: of.At,
				URL: a.opts.Address() + "/personas/" + string(of.Persona) + "/review"})
		}
	}
	drafter, err := a.composer(s.catalog)
	if err != nil {
		return nil, nil, err
	}
	cfg := web.Config{Registry: registry, Approvals: desk, Submissions: s.store, Directory: s.people, Catalog: s.catalog,
		Composer: drafter, ComposeTimeout: 2*time.Minute + a.opts.Model.Wait, Audit: signedRecord{s.store, n}, Evals: s.store, Usage: s.store, Connections: s.connections, Shadows: s.store, Frozen: s.store, RemindBefore: a.opts.RemindBefore,
		Servers: s.crawler.Status, Crawl: s.crawler.Recrawl, PublicURL: a.opts.PublicURL, Hosts: hosts, Proxies: proxies, SingleOperator: a.opts.SingleOperator, NoPasswords: !a.opts.OIDC.Passwords, Log: log}
	if s.provider != nil {
		cfg.Provider = s.provider
	}
	site, err := web.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	for _, path := range gateway.Paths {
		mux.Handle(path, gate)
	}
	mux.Handle("/", s.afterLoad(site))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gateway.Serves(r.URL) { // a call takes no way through the mux
			gate.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), gate, nil
}

// lookout watches the dates of personas, and reminds of them in the log, too.
func (a *app) lookout(s *system, gate *gateway.Gateway, log *slog.Logger) *persona.Lookout {
	return &persona.Lookout{Registry: &persona.Registry{Store: s.store, Changed: gate.Notify}, Looked: s.store.TermsSeen, Lead: a.opts.RemindBefore,
		Told: func(r persona.Reminder) {
			log.Warn("a persona "+r.Text(), "persona", r.Persona, "title", r.Title)
		},
		Failed: func(err error) { log.Error(err.Error()) }}
}

func lockPath(data string) string { return filepath.Join(data, "remit.lock") }
