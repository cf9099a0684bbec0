package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"remit/catalog"
	"remit/catalog/crawl"
	"remit/catalog/embed"
	"remit/catalog/tokens"
	"remit/catalog/vector"
	"remit/credential"
	"remit/identity"
	"remit/identity/oidc"
	"remit/internal/config"
	"remit/internal/llm"
	"remit/store"
	"remit/upstream"
)

// openStore opens the database that is configured, or the one in the data folder. Both of these are their owner's alone: the
// folder if it is created, the database always.
func (a *app) openStore() (*store.Store, error) {
	if err := os.MkdirAll(a.opts.Data, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder cannot be created: %w; choose another with --data", err)
	}
	if a.opts.Database != "" {
		where, err := config.Expand(a.opts.Database)
		if err != nil {
			return nil, fmt.Errorf("database: %w", err)
		}
		return a.open(where)
	}
	path := filepath.Join(a.opts.Data, "remit.db")
	if err := store.Restrict(path); err != nil {
		a.log().Warn("the database is not private", "err", err)
	}
	return a.open(path)
}

// open opens a database, and says what that may wait for.
func (a *app) open(where string) (*store.Store, error) {
	return store.Open(a.ctx, where, func(from, to int64) {
		a.log().Info("bringing the tables of an earlier version up to date, which takes minutes where the record is large", "from", from, "to", to)
	})
}

// withStore runs do on the opened database.
func (a *app) withStore(do func(*store.Store) error) (err error) {
	s, err := a.openStore()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s)
}

// directory is withStore for commands about people and keys.
func (a *app) directory(do func(*identity.Directory) error) error {
	return a.withStore(func(s *store.Store) error { return do(&identity.Directory{Store: s, Rules: a.rules()}) })
}

// embedder returns what the options choose: the model inside the binary, an endpoint, or nil for words only.
func (a *app) embedder() (catalog.Embedder, error) {
	switch e := a.opts.Embeddings; {
	case e.Off():
		return nil, nil
	case e.URL == "":
		return embed.New()
	default:
		key, err := config.Secrets(a.secret).Expand(e.Key)
		if err != nil {
			return nil, fmt.Errorf("embeddings.key: %w", err)
		}
		return llm.New(llm.Config{URL: e.URL, Model: e.Model, Key: key})
	}
}

func newCatalog(e catalog.Embedder) *catalog.Catalog {
	return catalog.New(catalog.Config{Embedder: e, NewVectors: vector.New})
}

// catalogue loads the catalog as the last crawl left it.
func (a *app) catalogue() (*catalog.Catalog, error) {
	e, err := a.embedder()
	if err != nil {
		return nil, err
	}
	c := newCatalog(e)
	return c, a.withStore(func(s *store.Store) error {
		if err := crawl.Load(a.ctx, s, e, c); err != nil {
			return err
		}
		if len(c.Tools()) == 0 {
			return errors.New("the catalog is empty: run remit crawl first")
		}
		return nil
	})
}

// upstreams returns how every server of the configuration is reached.
func (a *app) upstreams(log *slog.Logger) ([]upstream.Config, error) {
	f := a.source.File()
	for _, w := range f.Warnings() {
		log.Warn(w)
	}
	configs, err := f.Configs(a.opts, a.secret)
	if err == nil {
		a.credentials, err = f.Credentials(a.secret)
	}
	if err == nil && len(configs) == 0 {
		err = errors.New("no upstreams are configured: add some with remit import FILE, or write them below upstreams: in remit.yaml")
	}
	return configs, err
}

// system is what serves and crawls: the servers, what is known of them, and the database.
type system struct {
	store   *store.Store
	cache   *store.Cache // of what an agent's request is decided by
	people  *identity.Directory
	pool    *upstream.Pool
	catalog *catalog.Catalog
	crawler *crawl.Crawler
	loaded  chan struct{} // closed when the catalog holds what the store knows
	unread  chan struct{} // closed when that could not be read: nothing waits for it any more
	drifted func()        // nil until somebody serves

	provider    *oidc.Client            // where people sign in; nil for none
	signIns     *credential.SignIns     // there, that can be renewed; nil where nothing is renewed
	connections *credential.Connections // of people to the servers that are called with their accounts
}

// assemble opens the database and starts connecting to the servers.
func (a *app) assemble(configs []upstream.Config, log *slog.Logger) (_ *system, err error) {
	e, err := a.embedder()
	if err != nil {
		return nil, err
	}
	s := &system{catalog: newCatalog(e), loaded: make(chan struct{}), unread: make(chan struct{})}
	if s.store, err = a.openStore(); err != nil {
		return nil, err
	}
	if s.provider, err = a.provider(); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	if configs, err = a.authorize(configs, s); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	if s.pool, err = upstream.NewPool(configs, log); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	if s.cache, err = store.NewCache(a.ctx, s.store); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	if s.store.Shared() { // asking a file takes microseconds
		s.cache.Staleness = a.opts.MaxStaleness
	}
	s.people = &identity.Directory{Store: s.cache, Rules: a.rules()}
	if s.signIns != nil {
		s.people.SignIns = s.signIns
	}
	var turns crawl.Turns
	if s.store.Shared() {
		turns = s.store
	}
	s.crawler = crawl.New(crawl.Config{Servers: s.pool.Servers(), Store: s.store, Turns: turns, Catalog: s.catalog, Embedder: e,
		Tokens: tokens.Count, Interval: a.opts.CrawlInterval, Grace: a.opts.ListGrace, Log: log, Listed: a.telemetry.Crawled,
		Changed: func(server string, c crawl.Changes) {
			if s.drifted != nil {
				s.drifted()
			}
			log.Info("tools changed", "server", server, "added", len(c.Added)+len(c.Back), "changed", len(c.Changed), "gone", len(c.Gone))
		}})
	s.pool.Start(context.WithoutCancel(a.ctx)) // ended by close, in order
	return s, nil
}

// load reads the catalog from the store.
func (s *system) load(ctx context.Context) error {
	if err := s.crawler.Load(ctx); err != nil {
		close(s.unread)
		return fmt.Errorf("reading the catalog: %w", err)
	}
	close(s.loaded)
	return nil
}

// tool is the catalog's definition of a tool now. Nobody knows it before the catalog was read, which is waited for.
func (s *system) tool(id catalog.ID) (catalog.Tool, bool) {
	select {
	case <-s.loaded:
		return s.catalog.Tool(id)
	case <-s.unread: // and the process ends
		return catalog.Tool{}, false
	}
}

// afterLoad has requests that need the catalog wait until it was read.
func (s *system) afterLoad(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-s.loaded:
			next.ServeHTTP(w, r)
		case <-s.unread:
			http.Error(w, "Remit is ending: the catalog could not be read.", http.StatusServiceUnavailable)
		case <-r.Context().Done():
		}
	})
}

// close ends the servers' processes, then the database.
func (s *system) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.people.Flush()
	return errors.Join(s.pool.Close(ctx), s.store.Close())
}
