package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/identity"
)

// flowCookie has what binds a sign-in at the provider to the browser that started it.
func (s *site) flowCookie(r *http.Request) string {
	if s.https(r) {
		return "__Host-remit-flow"
	}
	return "remit_flow"
}

// setFlow keeps the secret of a flow in the browser, or takes it away.
func (s *site) setFlow(c echo.Context, secret string) {
	cookie := &http.Cookie{Name: s.flowCookie(c.Request()), Value: secret, Path: "/", HttpOnly: true, Secure: s.https(c.Request()),
		SameSite: http.SameSiteLaxMode, MaxAge: int(identity.FlowMax.Seconds())}
	if secret == "" {
		cookie.MaxAge = -1
	}
	c.SetCookie(cookie)
}

// toProvider sends the browser to the provider. It is a link, not a form: a form's answer may not lead to another site.
func (s *site) toProvider(c echo.Context, _ identity.Principal) error {
	if s.Provider == nil {
		return echo.ErrNotFound
	}
	ctx := c.Request().Context()
	if !s.addresses.allow(c.RealIP()) {
		return s.notIn(c, http.StatusTooManyRequests, "Too many tries. Wait a minute and try again.")
	}
	state, secret, err := s.Directory.BeginFlow(ctx, local(c.QueryParam("next")))
	if errors.Is(err, identity.ErrBusy) {
		return s.notIn(c, http.StatusServiceUnavailable, "Too many sign-ins are under way. Wait some minutes and try again.")
	}
	if err != nil {
		return err
	}
	to, err := s.Provider.Start(ctx, state, secret)
	if err != nil {
		return s.providerFailed(err)
	}
	s.setFlow(c, secret)
	return c.Redirect(http.StatusSeeOther, to)
}

// fromProvider takes the provider's answer. Whatever is wrong with it, nobody is signed in and a session that was open stays.
func (s *site) fromProvider(c echo.Context, _ identity.Principal) error {
	if s.Provider == nil {
		return echo.ErrNotFound
	}
	ctx, answer := c.Request().Context(), c.QueryParams()
	if !s.addresses.allow(c.RealIP()) {
		return s.notIn(c, http.StatusTooManyRequests, "Too many tries. Wait a minute and try again.")
	}
	secret := ""
	if cookie, err := c.Cookie(s.flowCookie(c.Request())); err == nil {
		secret = cookie.Value
	}
	s.setFlow(c, "")
	state := answer.Get("state")
	next, err := s.Directory.EndFlow(ctx, state, secret)
	if err != nil {
		return s.refusedAnswer(c, err)
	}
	who, err := s.Provider.Finish(ctx, answer, state, secret)
	if errors.Is(err, identity.ErrAnswer) || errors.Is(err, identity.ErrDeclined) {
		s.Log.Warn("an answer of the identity provider was refused", "error", err)
		return s.refusedAnswer(c, s.Directory.RefuseProvided(err))
	}
	if err != nil {
		return s.providerFailed(err)
	}
	token, err := s.Directory.SignInByProvider(ctx, who)
	if err != nil {
		return s.refusedPerson(c, who, err)
	}
	if err := s.enter(c, token); err != nil {
		return err
	}
	return redirect(c, next, "")
}

// providerFailed logs what the page does not say.
func (s *site) providerFailed(err error) error {
	if errors.Is(err, identity.ErrProvider) {
		s.Log.Error("the identity provider failed", "error", err)
	}
	return err
}

// notIn is the sign-in page with what went wrong.
func (s *site) notIn(c echo.Context, status int, problem string) error {
	page := s.newSignIn(c, identity.Principal{}, "/")
	page.Error = problem
	if status == http.StatusTooManyRequests {
		c.Response().Header().Set("Retry-After", "60")
	}
	return s.render(c, status, "signin", page)
}

func (s *site) refusedAnswer(c echo.Context, err error) error {
	switch {
	case errors.Is(err, identity.ErrFlow):
		return s.notIn(c, http.StatusBadRequest, "This sign-in was not started in this browser and under this address, took longer than 10 minutes, or was finished before. Start again here.")
	case errors.Is(err, identity.ErrDeclined):
		return s.notIn(c, http.StatusForbidden, s.Provider.Label()+" did not sign you in. Start again here; if it says no again, ask whoever runs it.")
	case errors.Is(err, identity.ErrAnswer):
		return s.notIn(c, http.StatusForbidden, "The answer of "+s.Provider.Label()+" was not believed, so nobody was signed in. Start again here; if that does not help, whoever runs Remit finds the cause in its log.")
	}
	return err
}

// refusedPerson says to somebody whom the provider does know what keeps them out, and who can change it.
func (s *site) refusedPerson(c echo.Context, who identity.Provided, err error) error {
	switch {
	case errors.Is(err, identity.ErrNoRole):
		return s.notIn(c, http.StatusForbidden, "You are known to "+s.Provider.Label()+", but none of your groups gives you a role in Remit. Ask whoever manages your groups there, then sign in again.")
	case errors.Is(err, identity.ErrUnknown):
		return s.notIn(c, http.StatusForbidden, fmt.Sprintf("You are known to %s, but nobody has let you into Remit yet. Send an admin of Remit this line: remit person bind NAME --subject %s", s.Provider.Label(), shellWord(who.Subject)))
	case errors.Is(err, identity.ErrCredential):
		return s.notIn(c, http.StatusForbidden, "Your access to Remit was ended. Ask an admin of Remit.")
	}
	return err
}

// shellWord is text as one word of a shell.
func shellWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// postProviderLogout is OpenID Connect's back-channel logout: the provider itself asks, with a token that it signed.
func (s *site) postProviderLogout(c echo.Context, _ identity.Principal) error {
	if s.Provider == nil {
		return echo.ErrNotFound
	}
	refuse := func(status int, text string) error {
		return c.JSON(status, map[string]string{"error": "invalid_request", "error_description": text})
	}
	ctx := c.Request().Context()
	l, err := s.Provider.Logout(ctx, c.Request().PostForm.Get("logout_token"))
	if err == nil {
		err = s.Directory.ProviderLogout(ctx, l)
	}
	switch {
	case errors.Is(err, identity.ErrAnswer), errors.Is(err, identity.ErrCredential):
		if s.addresses.allow(c.RealIP()) { // else it could fill the log; the provider itself may log out many at once
			s.Log.Warn("a logout token was refused", "error", err)
		}
		return refuse(http.StatusBadRequest, "the logout token is not valid, or was used before")
	case errors.Is(err, identity.ErrProvider):
		s.Log.Error("a logout token could not be checked", "error", err)
		return refuse(http.StatusServiceUnavailable, "the token cannot be checked now; send it again")
	case err != nil:
		return err
	}
	return c.NoContent(http.StatusOK)
}
