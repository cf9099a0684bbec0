package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/identity"
)

// access says who may ask for a route at all. What a person may change is decided by the registry and the directory.
type access int

const (
	anyone   access = iota
	signedIn        // any person, even without a role
	member          // a person with some role
	recorded        // a person with a role that may read the record: any but viewer
)

type route struct {
	method, path string
	access       access
	handle       func(*site, echo.Context, identity.Principal) error
}

// routes is everything that the site answers. Only POST changes anything, and the way back of a connection.
var routes = []route{
	{"GET", "/static/:name", anyone, (*site).static},
	{"GET", "/favicon.ico", anyone, (*site).favicon},
	{"GET", "/sign-in", anyone, (*site).signIn},
	{"POST", "/sign-in", anyone, (*site).postSignIn},
	{"GET", "/link/:token", anyone, (*site).link},
	{"POST", "/link/:token", anyone, (*site).postLink},
	{"GET", "/sign-in/provider", anyone, (*site).toProvider},
	{"GET", "/sign-in/callback", anyone, (*site).fromProvider},
	{"POST", "/sign-in/logout", anyone, (*site).postProviderLogout},
	{"POST", "/sign-out", signedIn, (*site).postSignOut},

	{"GET", "/", signedIn, (*site).personas},
	{"GET", "/new", signedIn, (*site).describe},
	{"POST", "/new", signedIn, (*site).postDescribe},
	{"GET", "/personas/:id", signedIn, (*site).draft},
	{"POST", "/personas/:id", signedIn, (*site).postDraft},
	{"POST", "/personas/:id/compose", signedIn, (*site).postCompose},
	{"POST", "/personas/:id/refine", signedIn, (*site).postRefine},
	{"GET", "/personas/:id/drafts", signedIn, (*site).drafts},
	{"POST", "/personas/:id/drafts", signedIn, (*site).postDrafts},
	{"GET", "/personas/:id/explain", signedIn, (*site).explain},
	{"POST", "/personas/:id/revise", signedIn, (*site).postRevise},
	{"GET", "/personas/:id/review", signedIn, (*site).review},
	{"POST", "/personas/:id/comments", signedIn, (*site).postComment},
	{"GET", "/personas/:id/served", signedIn, (*site).served},
	{"POST", "/personas/:id/approve", signedIn, (*site).postApprove},
	{"POST", "/personas/:id/send-back", signedIn, (*site).postSendBack},
	{"GET", "/personas/:id/live", signedIn, (*site).live},
	{"POST", "/personas/:id/keys", signedIn, (*site).postKey},
	{"POST", "/personas/:id/keys/:key/rotate", signedIn, (*site).postRotateKey},
	{"POST", "/personas/:id/keys/:key/revoke", signedIn, (*site).postRevokeKey},
	{"GET", "/personas/:id/diff", signedIn, (*site).diff},
	{"POST", "/personas/:id/rollback", signedIn, (*site).postRollback},
	{"POST", "/personas/:id/narrow", signedIn, (*site).postNarrow},
	{"GET", "/personas/:id/shadow", member, (*site).shadow},
	{"POST", "/personas/:id/shadow", signedIn, (*site).postShadow},
	{"POST", "/personas/:id/shadow/stop", signedIn, (*site).postNoShadow},
	{"POST", "/personas/:id/retire", signedIn, (*site).postRetire},
	{"GET", "/personas/:id/unused", member, (*site).unused},
	{"POST", "/personas/:id/unused", member, (*site).postUnused},
	{"POST", "/personas/:id/recertify", signedIn, (*site).postRecertify},
	{"POST", "/personas/:id/term", signedIn, (*site).postTerm},
	{"POST", "/personas/:id/users", signedIn, (*site).postUsers},
	{"POST", "/personas/:id/team", signedIn, (*site).postTeam},
	{"POST", "/thaw", signedIn, (*site).postThaw},
	{"POST", "/suspend", signedIn, (*site).postSuspend},
	{"POST", "/resume", signedIn, (*site).postResume},

	{"GET", "/catalog", signedIn, (*site).catalogue},
	{"GET", "/catalog/duplicates", signedIn, (*site).duplicates},
	{"GET", "/tool", signedIn, (*site).tool},
	{"GET", "/api/tools", signedIn, (*site).apiTools},
	{"GET", "/approvals", signedIn, (*site).approvals},
	{"GET", "/approvals/:id", signedIn, (*site).approval},
	{"POST", "/approvals/:id/approve", signedIn, (*site).postApproveCall},
	{"POST", "/approvals/:id/deny", signedIn, (*site).postDenyCall},
	{"GET", "/reach", member, (*site).reach},
	{"GET", "/servers", member, (*site).servers},
	{"POST", "/servers/:name/crawl", member, (*site).postCrawl},
	{"GET", "/evals", member, (*site).evaluations},
	{"GET", "/evals/compare", member, (*site).evalCompare},
	{"GET", "/evals/:id", member, (*site).evalRun},
	{"GET", "/evals/:id/report", member, (*site).evalReport},
	{"GET", "/audit", recorded, (*site).audit},
	{"GET", "/api/audit", recorded, (*site).apiAudit},
	{"POST", "/audit/verify", recorded, (*site).postVerify},
	{"GET", "/people", signedIn, (*site).people},
	{"POST", "/people", signedIn, (*site).postPerson},
	{"POST", "/people/:name/roles", signedIn, (*site).postRoles},
	{"POST", "/people/:name/teams", signedIn, (*site).postTeams},
	{"POST", "/people/:name/disable", signedIn, (*site).postDisable},
	{"POST", "/people/:name/link", signedIn, (*site).postNewLink},
	{"GET", "/account", signedIn, (*site).account},
	{"POST", "/account/password", signedIn, (*site).postPassword},
	{"POST", "/account/sessions/end", signedIn, (*site).postEndSession},
	{"GET", "/account/tokens", signedIn, (*site).tokens},
	{"POST", "/account/tokens", signedIn, (*site).postToken},
	{"POST", "/account/tokens/:key/revoke", signedIn, (*site).postRevokeToken},
	{"GET", "/connections", signedIn, (*site).connections},
	{"POST", "/connections/:server/connect", signedIn, (*site).postConnect},
	{"GET", "/connections/:server/callback", signedIn, (*site).connectCallback},
	{"POST", "/connections/:server/allow", signedIn, (*site).postAllow},
	{"POST", "/connections/:server/disconnect", signedIn, (*site).postDisconnect},
}

// errSignIn asks for a sign-in; the error page turns it into a redirect where that loses nothing.
var errSignIn = errors.New("sign in first; your session may have ended")

// admit finds out who is asking and reads the form before a handler runs.
func (s *site) admit(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		var by identity.Principal
		if token := s.token(c); token != "" {
			var err error
			by, err = s.Directory.Session(c.Request().Context(), token)
			if err != nil && !errors.Is(err, identity.ErrCredential) {
				return err
			}
		}
		c.Set(frameKey, by) // for the error page's navigation only
		if r.access != anyone && by.Person == "" {
			return errSignIn
		}
		if err := admits(r.access, by); err != nil {
			return err
		}
		if r.method == http.MethodPost {
			if err := c.Request().ParseForm(); err != nil {
				return fmt.Errorf("%w: %w", errForm, err)
			}
		}
		return r.handle(s, c, by)
	}
}

// admits says whether somebody who is known may ask for what has the access.
func admits(to access, by identity.Principal) error {
	if to >= member && len(by.Roles) == 0 {
		return fmt.Errorf("%w: this needs a role; ask an admin for one", identity.ErrForbidden)
	}
	if to == recorded && !readsRecord(by) {
		return fmt.Errorf("%w: the record is for people with another role than viewer, such as auditor", identity.ErrForbidden)
	}
	return nil
}

// readsRecord says whether somebody may read the record: who only views may not.
func readsRecord(by identity.Principal) bool {
	return slices.ContainsFunc(by.Roles, func(r identity.Role) bool { return r != identity.Viewer })
}

var errForm = errors.New("the form could not be read")

// redirect answers a change with the page to look at next, a path of this site.
func redirect(c echo.Context, path string, notice string) error {
	if notice != "" {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		path += sep + "did=" + url.QueryEscape(notice)
	}
	return c.Redirect(http.StatusSeeOther, path)
}

// local returns target if it is a path of this site, else "/".
func local(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(target, "/") ||
		strings.HasPrefix(target, "//") || strings.ContainsAny(target, "\\\r\n\t") || strings.HasPrefix(u.Path, "//") {
		return "/"
	}
	return target
}
