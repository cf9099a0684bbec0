package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	strict "github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"remit/identity"
	"remit/internal/invalid"
	"remit/internal/strictjson"
	"remit/web/api"
)

// endpoint is one route of the management API: what the OpenAPI document says of it and what answers.
type endpoint struct {
	method, path, id, summary string
	access                    access
	params                    []param
	in, out                   reflect.Type // of the bodies; in is nil where none is sent
	answer                    func(*site, ask) (any, error)
}

// param is a parameter of the address.
type param struct {
	name, about string
	required    bool
}

// ask is one request of the API.
type ask struct {
	echo.Context
	by identity.Principal
}

func (a ask) ctx() context.Context { return a.Request().Context() }

// number reads a parameter that is a number, from 1 on; 0 when it is left out.
func (a ask) number(name string, most int) (int, error) {
	text := a.QueryParam(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, badParam(name, "%s is %q: give a number from 1 to %d", name, text, most)
	}
	return n, nil
}

// reads is a route without a body.
func reads[Out any](method, path, id, summary string, who access, do func(*site, ask) (Out, error), params ...param) endpoint {
	return endpoint{method, path, id, summary, who, params, nil, reflect.TypeFor[Out](),
		func(s *site, a ask) (any, error) { return do(s, a) }}
}

// sends is a POST with a body.
func sends[In, Out any](path, id, summary string, who access, do func(*site, ask, In) (Out, error)) endpoint {
	return endpoint{http.MethodPost, path, id, summary, who, nil, reflect.TypeFor[In](), reflect.TypeFor[Out](),
		func(s *site, a ask) (any, error) {
			in, err := readBody[In](a)
			if err != nil {
				return nil, err
			}
			return do(s, a, in)
		}}
}

var revisionParam = param{"revision", "number of a revision", false}

// endpoints is everything that the API answers, below api.Base. Only POST and DELETE change anything.
var endpoints = []endpoint{
	sends("/session", "signIn", "Sign a person in by name and password; the answer is what they send as the bearer token.", anyone, (*site).apiSignIn),
	reads("DELETE", "/session", "signOut", "End the session that is sent.", signedIn, (*site).apiSignOut),
	reads("GET", "/me", "me", "Who is asking.", signedIn, (*site).apiMe),

	reads("GET", "/personas", "listPersonas", "All personas.", signedIn, (*site).apiPersonas),
	sends("/personas", "createPersona", "A persona with a draft: of the tools that are given, or drafted from the job.", signedIn, (*site).apiCreate),
	reads("GET", "/personas/:id", "showPersona", "A persona with one revision: the one that is asked for, or the live one, or the latest.", signedIn, (*site).apiPersona, revisionParam),
	sends("/personas/:id/draft", "revisePersona", "The next draft, or another state of it: of the tools that are given, or drafted from the job.", signedIn, (*site).apiRevise),
	sends("/personas/:id/plan", "planPersona", "What a draft would change against what further revisions are written from. Nothing is changed.", signedIn, (*site).apiPlan),
	sends("/personas/:id/submit", "submitRevision", "Fix a draft and ask for its review.", signedIn, (*site).apiSubmit),
	sends("/personas/:id/approve", "approveRevision", "Make a submitted revision live. For a signed-in reviewer who did not work on it.", signedIn, (*site).apiApprove),
	sends("/personas/:id/send-back", "sendRevisionBack", "Refuse a submitted revision with a comment.", signedIn, (*site).apiSendBack),
	sends("/personas/:id/rollback", "rollback", "Make a revision live again that was live before.", signedIn, (*site).apiRollback),
	sends("/personas/:id/narrow", "narrow", "Take tools away from what is live, at once.", signedIn, (*site).apiNarrow),
	reads("POST", "/personas/:id/retire", "retire", "End a persona.", signedIn, (*site).apiRetire),
	sends("/personas/:id/team", "setTeam", "Which team owns a persona. For an admin.", signedIn, (*site).apiSetTeam),
	sends("/personas/:id/term", "setTerm", "Until when a persona may be used. To prolong is for a signed-in reviewer who did not work on what is live.", signedIn, (*site).apiTerm),
	sends("/personas/:id/recertify", "recertify", "Confirm what is live after looking at it again. For a signed-in reviewer who did not work on it.", signedIn, (*site).apiRecertify),
	reads("GET", "/personas/:id/diff", "diffRevisions", "What one revision changes against another.", signedIn, (*site).apiDiff,
		param{"from", "number of the revision to compare from", true}, param{"to", "number of the revision to compare to", true}),
	reads("GET", "/personas/:id/unused", "findUnused", "Which granted tools nobody calls, and what is tried and refused.", member, (*site).apiUnused, param{"days", "how many days to look back, 1 to 3650; 30 when left out", false}),
	reads("GET", "/personas/:id/shadow", "showShadow", "What the revision that runs beside the live one would change.", member, (*site).apiShadow, revisionParam),
	sends("/personas/:id/shadow", "startShadow", "Run a revision beside the live one.", signedIn, (*site).apiStartShadow),
	reads("DELETE", "/personas/:id/shadow", "stopShadow", "End the shadow.", signedIn, (*site).apiStopShadow),

	reads("GET", "/keys", "listKeys", "Access keys of agents.", signedIn, (*site).apiKeys, param{"persona", "only keys of this persona", false},
		param{"agent", "only keys of this agent", false}, param{"user", "only keys that work for this user", false}, param{"state", "only keys in this state", false}),
	sends("/keys", "issueKey", "An access key; its secret is in this answer only.", signedIn, (*site).apiIssueKey),
	reads("DELETE", "/keys/:id", "revokeKey", "End a key: its next call is refused.", signedIn, (*site).apiRevokeKey),
	sends("/keys/:id/rotate", "rotateKey", "A key in the place of another, with its bounds; its secret is in this answer only.", signedIn, (*site).apiRotateKey),
	reads("GET", "/tokens", "listTokens", "Management tokens: one's own, and for an admin everybody's.", signedIn, (*site).apiTokens),
	sends("/tokens", "issueToken", "A management token; its secret is in this answer only. For a signed-in person.", signedIn, (*site).apiIssueToken),
	reads("DELETE", "/tokens/:id", "revokeToken", "End a management token: its next request is refused.", signedIn, (*site).apiRevokeToken),

	reads("GET", "/suspensions", "listSuspensions", "What is suspended.", signedIn, (*site).apiSuspensions),
	sends("/suspensions", "suspend", "Stop a persona, a server or a tool everywhere, at once.", signedIn, (*site).apiSuspend),
	sends("/suspensions/resume", "resume", "Let it go on.", signedIn, (*site).apiResume),
	reads("GET", "/frozen", "listFrozen", "Tools of live revisions that changed and wait for a person.", signedIn, (*site).apiFrozen),
	sends("/frozen/thaw", "thaw", "Confirm a tool that is again what was approved. For a signed-in reviewer.", signedIn, (*site).apiThaw),

	reads("GET", "/approvals", "listApprovals", "Calls that wait for a person, oldest first, without arguments.", signedIn, (*site).apiApprovals, param{"state", "all: also what is over, newest first", false}),
	reads("GET", "/approvals/:id", "showApproval", "A call with its exact arguments. For a signed-in person who decides on calls.", signedIn, (*site).apiApproval),
	sends("/approvals/:id/approve", "approveCall", "Let a call be made, once. For a signed-in person for whom the agent does not work.", signedIn, (*site).apiApproveCall),
	sends("/approvals/:id/deny", "denyCall", "Refuse a call. For a signed-in person for whom the agent does not work.", signedIn, (*site).apiDenyCall),

	reads("GET", "/servers", "listServers", "The upstream servers, and how they are.", member, (*site).apiServers),
	reads("POST", "/servers/:name/crawl", "crawlServer", "List a server's tools now. The answer says how that went.", member, (*site).apiCrawl),
	reads("GET", "/connections", "listConnections", "One's own accounts at servers that are called with people's accounts. They are connected on the pages.", signedIn, (*site).apiConnections),
	reads("GET", "/connections/accounts", "listAccounts", "Who has an account where. For an admin.", signedIn, (*site).apiAccounts),
	sends("/connections/:server/allow", "allowKeys", "Which keys, and clients that one signs in to, may use one's account from the next call on.", signedIn, (*site).apiAllow),
	reads("DELETE", "/connections/:server", "disconnect", "End one's account at a server.", signedIn, (*site).apiDisconnect),

	reads("GET", "/tools", "searchTools", "Search the catalog; without words, all of it.", signedIn, (*site).apiCatalog,
		param{"q", "words, or a sentence", false}, param{"limit", "most results of a search, 1 to 100; 10 when left out", false}),
	reads("GET", "/tool", "showTool", "One tool with its whole definition.", signedIn, (*site).apiOneTool, param{"id", "SERVER/TOOL", true}),
	reads("GET", "/reach", "findReach", "Who can call a tool, a tool of a server, or tools of an effect; one of the three is given.", member, (*site).apiReach,
		param{"tool", "SERVER/TOOL", false}, param{"server", "a server's name", false}, param{"effect", "read, write, external or destructive", false}),
	reads("GET", "/audit", "readRecord", "The record, newest first, in pages.", recorded, func(s *site, a ask) (api.Record, error) { return s.readRecord(a.Context, a.by) }, recordParams()...),
	reads("GET", "/evals", "listEvals", "Evaluation runs that were kept.", member, (*site).apiEvals),

	reads("GET", "/people", "listPeople", "Everybody who may sign in.", signedIn, (*site).apiPeople),
	sends("/people", "addPerson", "Add somebody. They come in by a link that a signed-in admin makes.", signedIn, (*site).apiAddPerson),
	sends("/people/:name/roles", "setRoles", "Replace somebody's roles.", signedIn, (*site).apiSetRoles),
	sends("/people/:name/teams", "setTeams", "Replace the teams that somebody is in.", signedIn, (*site).apiSetTeams),
	sends("/people/:name/disable", "disablePerson", "End somebody's access at once, or restore it.", signedIn, (*site).apiDisable),
}

func recordParams() (all []param) {
	for _, name := range slices.Concat(auditFields, auditMore) {
		all = append(all, param{name, "only entries with this " + strings.ReplaceAll(name, "_", " "), false})
	}
	return append(all, param{"before", "only entries before the one with this number", false}, param{"limit", "most entries, 1 to 1,000; 100 when left out", false})
}

// mountAPI adds the routes of the API.
func (s *site) mountAPI(e *echo.Echo) error {
	document, err := openAPI()
	if err != nil {
		return err
	}
	e.GET(api.Base+"/openapi.json", func(c echo.Context) error { return c.JSONBlob(http.StatusOK, document) })
	for _, r := range endpoints {
		e.Add(r.method, api.Base+r.path, s.serve(r))
	}
	return nil
}

// serve finds out who is asking and what, and writes the answer.
func (s *site) serve(r endpoint) echo.HandlerFunc {
	return func(c echo.Context) error {
		a := ask{Context: c}
		if r.access != anyone {
			var err error
			if a.by, err = s.bearer(c); err != nil {
				return err
			}
			if err := admits(r.access, a.by); err != nil {
				return err
			}
		}
		var names []string
		for _, p := range r.params {
			if names = append(names, p.name); p.required && c.QueryParam(p.name) == "" {
				return badParam(p.name, "%s is missing: give the %s", p.name, p.about)
			}
		}
		if err := s.knownParams(c, names); err != nil {
			return err
		}
		out, err := r.answer(s, a)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, out)
	}
}

// errBearer answers every request without a usable credential alike.
var errBearer = errors.New("the bearer token is missing or not valid")

// errManyTries answers an address that failed too often.
var errManyTries = errors.New("too many requests of this address had no valid token")

// bearer is who sends the request: a program by its management token, or a person by the session that POST /session opened.
// Cookies are not looked at, so that no other site's page can make a browser ask.
func (s *site) bearer(c echo.Context) (identity.Principal, error) {
	fields := c.Request().Header.Values("Authorization")
	if len(fields) != 1 {
		return identity.Principal{}, s.strange(c)
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return identity.Principal{}, s.strange(c)
	}
	find := s.Directory.AuthenticateToken
	if len(token) == identity.SessionTokenLen {
		find = s.Directory.Session
	}
	by, err := find(c.Request().Context(), token)
	if errors.Is(err, identity.ErrCredential) {
		return by, s.strange(c)
	}
	return by, err
}

// strange counts a request without a usable credential. A valid one of the same address goes on to be answered.
func (s *site) strange(c echo.Context) error {
	if !s.addresses.allow(c.RealIP()) {
		return errManyTries
	}
	return errBearer
}

// errBody is a body that cannot be read at all.
type errBody struct {
	status int
	text   string
}

func (e errBody) Error() string { return e.text }

// memberError is what is wrong with a member of the body.
type memberError string

func (e memberError) Error() string { return string(e) }

// bodyLimits bound what a request may say.
var bodyLimits = strictjson.Limits{Bytes: maxBody, Depth: 32, Names: 20_000}

// readBody reads JSON that has one meaning, and only members that are known.
func readBody[In any](a ask) (in In, err error) {
	if kind, _, err := mime.ParseMediaType(a.Request().Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return in, errBody{http.StatusUnsupportedMediaType, "the body must be application/json"}
	}
	raw, err := io.ReadAll(a.Request().Body)
	if err != nil {
		return in, err
	}
	if err := strictjson.Check(raw, bodyLimits); err != nil {
		return in, errBody{http.StatusBadRequest, err.Error()}
	}
	err = strict.Unmarshal(raw, &in, strict.RejectUnknownMembers(true))
	if semantic, ok := errors.AsType[*strict.SemanticError](err); ok {
		return in, invalid.At(strings.TrimPrefix(string(semantic.JSONPointer), "/"), memberError(said(semantic)))
	}
	return in, err
}

// said is what is wrong with a member, without Go's types.
func said(err *strict.SemanticError) string {
	switch {
	case errors.Is(err, strict.ErrUnknownName):
		return "there is no such member"
	case err.Err != nil:
		return err.Err.Error()
	}
	return fmt.Sprintf("it cannot be a JSON %s", err.JSONKind)
}
