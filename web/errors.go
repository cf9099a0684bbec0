package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/approval"
	"remit/catalog"
	"remit/composer"
	"remit/evals"
	"remit/identity"
	"remit/internal/visible"
	"remit/persona"
	"remit/policy"
	"remit/web/api"
)

type errorPage struct {
	frame
	Status   int
	Heading  string
	Text     string
	SignedIn bool
}

// fail is the one place that turns an error into an answer.
func (s *site) fail(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	r := c.Request()
	if strings.HasPrefix(r.URL.Path, api.Base+"/") {
		s.failAPI(c, err)
		return
	}
	script := strings.HasPrefix(r.URL.Path, "/api/")
	if errors.Is(err, errSignIn) && r.Method == http.MethodGet && !script {
		to := "/sign-in"
		if r.URL.RequestURI() != "/" {
			to += "?next=" + url.QueryEscape(r.URL.RequestURI())
		}
		_ = c.Redirect(http.StatusSeeOther, to)
		return
	}
	status, heading, text := explain(err)
	if status == http.StatusInternalServerError {
		s.Log.Error("a page failed", "method", r.Method, "route", c.Path(), "error", err)
	}
	if script {
		_ = c.JSON(status, map[string]string{"error": visible.Text(text)})
		return
	}
	by, _ := c.Get(frameKey).(identity.Principal)
	page := errorPage{frame: s.frame(c, by, heading, ""), Status: status, Heading: heading, Text: text, SignedIn: by.Person != ""}
	if err := s.render(c, status, "error", page); err != nil {
		s.Log.Error("the error page failed", "error", err)
		http.Error(c.Response(), heading, status)
	}
}

// explain says what went wrong in words for a person. What is unexpected stays in the log.
func explain(err error) (status int, heading, text string) {
	var tooLarge *http.MaxBytesError
	var routed *echo.HTTPError
	switch {
	case errors.Is(err, errSignIn):
		return http.StatusUnauthorized, "Please sign in", "Your session has ended. Sign in in another tab, come back with your browser's Back button and send the form again: nothing that you typed is lost."
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, "That is too much", "A form may have at most 1 MiB."
	case errors.Is(err, identity.ErrProvider):
		return http.StatusServiceUnavailable, "The identity provider does not answer", "Nobody new can sign in there now; sessions that are open go on. Try again in a minute. If it lasts, tell whoever runs Remit: the cause is in its log. An admin can let somebody in with an account of Remit's own: remit person link NAME."
	case errors.Is(err, errForm):
		return http.StatusBadRequest, "The form could not be read", "Go back, reload the page and try again."
	case errors.Is(err, persona.ErrNotFound), errors.Is(err, identity.ErrNotFound), errors.Is(err, persona.ErrNoTarget), errors.Is(err, errNoTool), errors.Is(err, composer.ErrUnknownTool), errors.Is(err, evals.ErrNoRun),
		errors.Is(err, approval.ErrNotFound), errors.Is(err, errNoConnections), errors.Is(err, errNoServer):
		return http.StatusNotFound, "Not found", "There is nothing here under that name. It may never have existed."
	case errors.Is(err, persona.ErrOwnWork), errors.Is(err, persona.ErrSecond):
		return http.StatusForbidden, "Your own work", err.Error()
	case errors.Is(err, approval.ErrOwnCall):
		return http.StatusForbidden, "An agent of yours", err.Error()
	case errors.Is(err, approval.ErrForbidden), errors.Is(err, persona.ErrForbidden), errors.Is(err, identity.ErrForbidden):
		return http.StatusForbidden, "Not allowed", err.Error()
	case errors.Is(err, persona.ErrDrifted), errors.Is(err, persona.ErrFrozen):
		return http.StatusConflict, "A tool has changed", err.Error()
	case errors.Is(err, persona.ErrState), errors.Is(err, persona.ErrSuspended), errors.Is(err, persona.ErrNotSuspended), errors.Is(err, persona.ErrNotFrozen), errors.Is(err, errStale),
		errors.Is(err, approval.ErrOver), errors.Is(err, approval.ErrUnseen):
		return http.StatusConflict, "This has moved on", err.Error()
	case errors.Is(err, persona.ErrInvalid), errors.Is(err, identity.ErrInvalid), errors.Is(err, policy.ErrInvalid), errors.Is(err, catalog.ErrEmptyQuery),
		errors.Is(err, catalog.ErrLikeness), errors.Is(err, composer.ErrJob), errors.Is(err, approval.ErrInvalid):
		return http.StatusUnprocessableEntity, "That does not work", err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "That took too long", "Remit stopped waiting. Try again, or with a shorter job."
	case errors.As(err, &routed) && routed.Code < 500:
		return routed.Code, http.StatusText(routed.Code), "There is no such page. Start from the list of personas."
	}
	return http.StatusInternalServerError, "Something went wrong", "Nothing was changed unless the page said so. The cause is in Remit's log; ask whoever runs it."
}

// expected says that err is about what a person sent, so that their form is shown again with it.
func expected(err error) bool {
	status, _, _ := explain(err)
	return status == http.StatusUnprocessableEntity || status == http.StatusConflict
}
