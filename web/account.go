package web

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"remit/identity"
)

type accountPage struct {
	frame
	HasPassword bool      // the present one is asked for
	Provider    string    // where the person signs in instead of by password; empty for an account of Remit's own
	Vouched     time.Time // until when the provider vouches for the person
	Sessions    []sessionRow
	Error       string
}

type sessionRow struct {
	identity.Session
	Here bool // the one that asks
}

func (s *site) account(c echo.Context, by identity.Principal) error {
	return s.renderAccount(c, by, http.StatusOK, "")
}

func (s *site) renderAccount(c echo.Context, by identity.Principal, status int, problem string) error {
	me, err := s.Directory.Store.Person(c.Request().Context(), by.Person)
	if err != nil {
		return err
	}
	page := accountPage{frame: s.frame(c, by, "My account", "account"), HasPassword: me.Password != "", Error: problem}
	if me.Provided() {
		page.Provider, page.Vouched = me.Issuer, me.Vouched
	}
	open, err := s.Directory.Sessions(c.Request().Context(), by)
	if err != nil {
		return err
	}
	for _, each := range open {
		page.Sessions = append(page.Sessions, sessionRow{each, each.Is(s.token(c))})
	}
	return s.render(c, status, "account", page)
}

// Name is what signed in, as its owner would: Firefox on Linux. What it is not made for stays as it came.
func (r sessionRow) Name() string {
	first := func(pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if strings.Contains(r.Browser, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	what := first("Edg/", "Edge", "Firefox/", "Firefox", "Chrome/", "Chrome", "Safari/", "Safari")
	where := first("Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows", "Macintosh", "macOS", "Linux", "Linux")
	switch {
	case r.Browser == "":
		return "unknown"
	case what == "" || where == "":
		return r.Browser
	}
	return what + " on " + where
}

// Others says whether there is a session beside the one that asks.
func (p accountPage) Others() bool { return len(p.Sessions) > 1 }

// postEndSession ends one of one's own sessions, or all but this one.
func (s *site) postEndSession(c echo.Context, by identity.Principal) error {
	ctx, form := c.Request().Context(), c.Request().PostForm
	var err error
	if form.Has("others") {
		err = s.Directory.EndOtherSessions(ctx, by, s.token(c))
	} else {
		err = s.Directory.EndSession(ctx, by, form.Get("session"))
	}
	if err != nil {
		return err
	}
	return redirect(c, "/account", "ended")
}

// postPassword asks for the present password, so that a browser left open does not give the account away.
func (s *site) postPassword(c echo.Context, by identity.Principal) error {
	ctx, form := c.Request().Context(), c.Request().PostForm
	me, err := s.Directory.Store.Person(ctx, by.Person)
	if err != nil {
		return err
	}
	if form.Get("password") != form.Get("again") {
		return s.renderAccount(c, by, http.StatusUnprocessableEntity, "The two new passwords differ.")
	}
	if me.Password != "" {
		if !s.names.allow(cutName(by.Person)) {
			if err := s.Directory.TooManyTries(ctx, by.Person); err != nil {
				return err
			}
			return s.renderAccount(c, by, http.StatusTooManyRequests, "Too many tries. Wait a minute and try again.")
		}
		err := s.Directory.CheckPassword(ctx, by.Person, form.Get("current"))
		if errors.Is(err, identity.ErrCredential) {
			return s.renderAccount(c, by, http.StatusForbidden, "The present password is not right.")
		}
		if err != nil {
			return err
		}
	}
	err = s.Directory.SetPassword(ctx, by, by.Person, form.Get("password"), s.token(c))
	if err != nil && expected(err) {
		status, _, text := explain(err)
		return s.renderAccount(c, by, status, text)
	}
	if err != nil {
		return err
	}
	return redirect(c, "/account", "password")
}
