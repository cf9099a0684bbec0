package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/approval"
	"remit/catalog"
	"remit/composer"
	"remit/evals"
	"remit/identity"
	"remit/internal/invalid"
	"remit/internal/visible"
	"remit/persona"
	"remit/web/api"
)

// kinds of problem, the first that fits. Codes stay as they are: programs decide by them.
var problems = []struct {
	is         []error
	code, next string
}{
	{[]error{errBearer}, "not-signed-in", "send a management token, or a session of POST " + api.Base + "/session, as Authorization: Bearer"},
	{[]error{errManyTries}, "too-many-tries", "wait a minute and try again with a valid token"},
	{[]error{identity.ErrMachine}, "needs-a-person", "have a person who is signed in do it on Remit's pages"},
	{[]error{persona.ErrOwnWork, persona.ErrSecond, approval.ErrOwnCall}, "own-work", "ask another reviewer"},
	{[]error{persona.ErrForbidden, identity.ErrForbidden, approval.ErrForbidden}, "forbidden", "ask an admin for the role, or somebody who has it to do it"},
	{[]error{persona.ErrNotFound, identity.ErrNotFound, persona.ErrNoTarget, errNoTool, evals.ErrNoRun, approval.ErrNotFound, errNoConnections, errNoServer}, "not-found", "list what there is, and check the spelling"},
	{[]error{persona.ErrDrifted}, "tool-changed", "read the tool as it is now (GET " + api.Base + "/tool?id=SERVER/TOOL), then ask again with its digest"},
	{[]error{persona.ErrFrozen}, "tool-frozen", "a reviewer confirms it on the tool's page, or a new revision is approved"},
	{[]error{errStale}, "stale", "read it again and repeat the change"},
	{[]error{persona.ErrState, persona.ErrSuspended, persona.ErrNotSuspended, persona.ErrNotFrozen, approval.ErrOver, approval.ErrUnseen}, "state", "read it again and decide anew"},
	{[]error{persona.ErrInvalid, identity.ErrInvalid, catalog.ErrEmptyQuery, composer.ErrJob, approval.ErrInvalid}, "invalid", "correct it and ask again"},
}

// byStatus are the codes of what has no error of its own.
var byStatus = map[int][2]string{
	http.StatusBadRequest:            {"bad-json", "send one JSON value, without duplicate members"},
	http.StatusNotFound:              {"no-such-route", "GET " + api.Base + "/openapi.json says which routes there are"},
	http.StatusMethodNotAllowed:      {"no-such-route", "GET " + api.Base + "/openapi.json says which routes there are"},
	http.StatusRequestEntityTooLarge: {"too-large", "send less"},
	http.StatusUnsupportedMediaType:  {"media-type", "set Content-Type: application/json"},
	http.StatusGatewayTimeout:        {"timeout", "try again, or with a shorter job"},
	http.StatusInternalServerError:   {"internal", "nothing was changed unless the answer says so; the cause is in Remit's log"},
}

// problem is err as the API answers it.
func problem(err error) api.Problem {
	p := api.Problem{}
	var text string
	p.Status, p.Title, text = explain(err)
	if body, ok := errors.AsType[errBody](err); ok {
		p.Status, text = body.status, body.text
	}
	_, inParam := errors.AsType[paramError](err)
	if _, inBody := errors.AsType[memberError](err); inParam || inBody {
		p.Status, p.Code, p.Next, text = http.StatusUnprocessableEntity, "invalid", "correct it and ask again; GET "+api.Base+"/openapi.json says what there is", err.Error()
	}
	for _, k := range problems {
		if p.Code == "" && anyOf(err, k.is) {
			p.Code, p.Next = k.code, k.next
		}
	}
	switch p.Code {
	case "not-signed-in":
		p.Status, text = http.StatusUnauthorized, "the bearer token is missing or not valid"
	case "too-many-tries":
		p.Status, text = http.StatusTooManyRequests, err.Error()
	case "":
		known, ok := byStatus[p.Status]
		if !ok {
			known = byStatus[http.StatusInternalServerError]
		}
		p.Code, p.Next = known[0], known[1]
		if p.Code == "no-such-route" {
			text = "there is no such route, or not with this method"
		}
	}
	p.Type, p.Title, p.Detail = "urn:remit:problem:"+p.Code, titleOf(p.Code), visible.Text(text)
	if field := invalid.Field(err); field != "" {
		pointer := "/" + field
		if _, ok := errors.AsType[paramError](err); ok {
			pointer = field // of the address
		}
		p.Errors = []api.Field{{Pointer: visible.Text(pointer), Detail: p.Detail}}
	}
	return p
}

func anyOf(err error, targets []error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// titleOf is a code in words: "tool-changed" is "Tool changed".
func titleOf(code string) string {
	words := strings.ReplaceAll(code, "-", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}

// failAPI answers a request of the API that failed.
func (s *site) failAPI(c echo.Context, err error) {
	p := problem(err)
	if p.Status == http.StatusInternalServerError {
		s.Log.Error("the API failed", "method", c.Request().Method, "route", c.Path(), "error", err)
	}
	h := c.Response().Header()
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="remit"`)
	case http.StatusTooManyRequests:
		h.Set("Retry-After", "60")
	}
	h.Set(echo.HeaderContentType, "application/problem+json")
	if err := c.JSON(p.Status, p); err != nil {
		s.Log.Error("the API's answer failed", "error", err)
	}
}
