// Package web owns the site on which people describe jobs, review drafts, hand out access keys and read the record. It
// decides nothing: persona.Registry and identity.Directory do; pages only mirror what they will allow. Every page is one
// Go file, one template and one page struct; all text from upstream servers is hostile and is shown with its invisible
// characters spelt out.
package web

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"remit/approval"
	"remit/audit"
	"remit/catalog"
	"remit/catalog/crawl"
	"remit/composer"
	"remit/credential"
	"remit/evals"
	"remit/identity"
	"remit/internal/remote"
	"remit/persona"
	"remit/persona/usage"
)

//go:embed templates static
var files embed.FS

// Composer drafts the tools for a job.
type Composer interface {
	// Follow tells each step; an error of told ends it. See [composer.Composer].
	Follow(ctx context.Context, job string, told func(composer.Step) error) (composer.Draft, error)
	Refine(ctx context.Context, was, now composer.Draft, granted, byHand []catalog.ID) (composer.Refinement, error)
	Explain(ctx context.Context, job string, id catalog.ID) (composer.Explanation, error) // composer.ErrUnknownTool
}

// Submissions returns the personas of which a revision waits for a review. A store.Store is one.
type Submissions interface {
	Submitted(ctx context.Context) ([]persona.Persona, error) // each with that revision alone
}

// Evals returns evaluation runs that were kept. A store.Store is one.
type Evals interface {
	Runs(ctx context.Context, limit int) ([]evals.Saved, error) // newest first
	Run(ctx context.Context, id string) (evals.Run, error)      // evals.ErrNoRun
}

// Provider is an identity provider. An oidc.Client is one.
type Provider interface {
	Label() string // what people call it
	// Start returns the address to send a browser to. ErrProvider.
	Start(ctx context.Context, state, browser string) (string, error)
	// Finish turns the provider's answer into whom it vouches for. ErrProvider, ErrDeclined, ErrAnswer.
	Finish(ctx context.Context, answer url.Values, state, browser string) (identity.Provided, error)
	Logout(ctx context.Context, token string) (identity.Logout, error) // ErrProvider, ErrAnswer
}

// Config of the site. Registry, Directory, Catalog, Composer, Audit and Evals are needed.
type Config struct {
	Registry *persona.Registry
	// Submissions is where pages read how many revisions wait for a reviewer; nil means that none says it.
	Submissions Submissions
	Directory   *identity.Directory
	Catalog     *catalog.Catalog
	Composer    Composer
	Audit       audit.Log
	Evals       Evals
	// Approvals is where people decide on calls; nil means that there are no such pages.
	Approvals *approval.Desk
	// Usage is what the page of who can call a tool reads; nil means that there is no such page.
	Usage usage.Source
	// Connections are people's accounts at upstream servers; nil means that no server is called with them.
	Connections *credential.Connections
	// Shadows is what the page of a revision that runs beside the live one reads; nil means that there is no such page.
	Shadows usage.Shadows
	// Frozen lists tools that a reviewer has to confirm; nil means that no page shows them.
	Frozen Frozen
	// RemindBefore is how long before a date of a persona pages remind of it.
	RemindBefore time.Duration
	// Servers reports on the upstream servers; nil means that there are none.
	Servers func() []crawl.ServerStatus
	// Crawl lists a server's tools now; a failure of that is in its status. nil means that nothing can be listed.
	Crawl func(ctx context.Context, server string) error
	// PublicURL is where people and agents reach Remit, such as https://remit.example.com. Empty means wherever the
	// request was sent to, which must then be a loopback name.
	PublicURL string
	// Hosts are further names, without port, by which the site may be reached besides loopback's and PublicURL's.
	Hosts []string
	// Proxies are those whose word is taken for where a request comes from. Default none: then the limits on sign-ins take all
	// who come through a proxy for one.
	Proxies remote.Proxies
	// SingleOperator is the Registry's; it changes only what pages say.
	SingleOperator bool
	// Provider signs people in; nil means that they have accounts here only.
	Provider Provider
	// NoPasswords leaves sign-in by password out, where there is a Provider. One-time links stay.
	NoPasswords bool
	// ComposeTimeout bounds one draft; 0 means 2 minutes.
	ComposeTimeout time.Duration
	Log            *slog.Logger     // nil means slog's default
	Now            func() time.Time // nil means time.Now
}

const maxBody = 1 << 20 // bytes of a form

// site answers the requests.
type site struct {
	Config
	public    *url.URL // nil without a PublicURL
	pages     *pages
	names     *limiter // of tries to sign in
	addresses *limiter
}

// New returns the site.
func New(cfg Config) (http.Handler, error) {
	if cfg.Registry == nil || cfg.Directory == nil || cfg.Catalog == nil || cfg.Composer == nil || cfg.Audit == nil || cfg.Evals == nil {
		return nil, errors.New("web: the site needs a registry, a directory, a catalog, a composer, an audit log and evaluations")
	}
	if cfg.Servers == nil {
		cfg.Servers = func() []crawl.ServerStatus { return nil }
	}
	if cfg.ComposeTimeout == 0 {
		cfg.ComposeTimeout = 2 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &site{Config: cfg, names: newLimiter(cfg.Now, nameBurst, nameEvery), addresses: newLimiter(cfg.Now, addressBurst, addressEvery)}
	var err error
	if s.public, err = publicURL(cfg.PublicURL); err != nil {
		return nil, err
	}
	if s.pages, err = newPages(); err != nil {
		return nil, err
	}
	e := echo.New()
	e.HideBanner = true
	e.IPExtractor = func(r *http.Request) string {
		if from := s.Proxies.Address(r); from.IsValid() {
			return from.String()
		}
		return "unknown" // all such share a limit
	}
	e.HTTPErrorHandler = s.fail
	for _, r := range routes {
		e.Add(r.method, r.path, s.admit(r))
	}
	if err := s.mountAPI(e); err != nil {
		return nil, err
	}
	return s.guard(e)
}

func publicURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("web: the public URL %q must be http or https with a host and no path, such as https://remit.example.com", text)
	}
	return u, nil
}
