package web_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"remit/identity"
	"remit/internal/invalid"
	"remit/web/api"
)

// raw sends a request with these headers and returns the status and the problem.
func (w *apiWorld) raw(method, path, body string, header http.Header) (int, api.Problem) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.URL+api.Base+path, strings.NewReader(body))
	w.must(err)
	req.Header = header
	res, err := http.DefaultTransport.RoundTrip(req)
	w.must(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	w.must(err)
	var p api.Problem
	_ = json.Unmarshal(text, &p) // what is none has no code
	return res.StatusCode, p
}

// Attack: another site makes a signed-in reviewer's browser ask the API, by form or by script. The API does not look at cookies,
// for reading either.
func TestAPIIgnoresCookies(t *testing.T) {
	w := newAPIWorld(t)
	w.must(w.directory.AddPerson(t.Context(), identity.Operator(), "rex", identity.Roles, ""))
	id := w.persona("submitted")
	cookie := "remit_session=" + w.session("rex")
	for path, method := range map[string]string{"/personas": "GET", "/personas/" + id + "/retire": "POST", "/audit": "GET", "/me": "GET"} {
		status, p := w.raw(method, path, "", http.Header{"Cookie": {cookie}})
		if status != http.StatusUnauthorized || p.Code != "not-signed-in" {
			t.Errorf("%s %s with a cookie: got %d %s", method, path, status, p.Code)
		}
	}
}

// Attack: credentials in every wrong form. All failures read the same, and none is tried for ever; who has a valid token goes on.
func TestAPICredentials(t *testing.T) {
	w := newAPIWorld(t)
	w.must(w.directory.AddPerson(t.Context(), identity.Operator(), "rex", identity.Roles, ""))
	good := w.token(identity.Principal{Person: "rex", Roles: identity.Roles}, "ci", identity.Viewer)
	revoked := w.session("rex")
	w.must(w.directory.SignOut(t.Context(), revoked))
	agent, _, err := w.directory.IssueKey(t.Context(), identity.Operator(), identity.KeySpec{Agent: "bot", User: "zoe", Persona: w.persona("live")})
	w.must(err)
	_, want := w.raw("GET", "/personas", "", http.Header{})
	for name, header := range map[string][]string{
		"none": nil, "empty": {""}, "scheme only": {"Bearer"}, "basic": {"Basic " + good}, "two": {"Bearer " + good, "Bearer " + good}, "changed": {"Bearer " + good[:len(good)-1] + "z"},
		"cut": {"Bearer " + good[:20]}, "longer": {"Bearer " + good + "a"}, "agent": {"Bearer " + agent}, "session that ended": {"Bearer " + revoked},
		"two spaces": {"Bearer  " + good}, "list": {"Bearer " + good + ", Bearer " + good},
	} {
		w.past.Add(1)
		status, p := w.raw("GET", "/personas", "", http.Header{"Authorization": header})
		if status != http.StatusUnauthorized || p.Detail != want.Detail || p.Code != want.Code || p.Next != want.Next {
			t.Errorf("%s: got %d %+v, want what every failure answers", name, status, p)
		}
	}
	limited := false
	for range 100 {
		status, p := w.raw("GET", "/personas", "", http.Header{"Authorization": {"Bearer guess"}})
		limited = limited || status == http.StatusTooManyRequests && p.Code == "too-many-tries"
	}
	if !limited {
		t.Error("100 guesses of one address were all answered")
	}
	if status, _ := w.raw("GET", "/personas", "", http.Header{"Authorization": {"bearer " + good}}); status != http.StatusOK {
		t.Errorf("a valid token of the same address: got %d", status)
	}
}

// A token has at most the roles that its creator has now, is named apart from people, and belongs to one person for good.
func TestTokenFollowsItsCreator(t *testing.T) {
	w := newAPIWorld(t)
	for _, name := range []string{"rex", "sue"} {
		w.must(w.directory.AddPerson(t.Context(), identity.Operator(), name, []identity.Role{identity.Author, identity.Reviewer}, ""))
	}
	rex := identity.Principal{Person: "rex", Roles: []identity.Role{identity.Author, identity.Reviewer}}
	ci := w.token(rex, "ci", identity.Author, identity.Reviewer)
	me := func() (me api.Me, status int) {
		status, text := w.ask(ci, "GET", "/me", "/me", nil)
		_ = json.Unmarshal([]byte(text), &me)
		return me, status
	}
	if got, _ := me(); got.Name != "token:ci" || got.Owner != "rex" || !got.Machine || len(got.Roles) != 2 {
		t.Errorf("got %+v", got)
	}
	w.must(w.directory.SetRoles(t.Context(), identity.Operator(), "rex", []identity.Role{identity.Author}))
	if got, _ := me(); len(got.Roles) != 1 || got.Roles[0] != identity.Author {
		t.Errorf("after its creator lost a role: got %v", got.Roles)
	}
	for name, tc := range map[string]struct {
		by   identity.Principal
		spec identity.TokenSpec
		want string
	}{
		"another's name":   {identity.Principal{Person: "sue", Roles: rex.Roles}, identity.TokenSpec{Name: "ci", Roles: rex.Roles, Expires: w.now().Add(time.Hour)}, "somebody else has, or had, a token of that name"},
		"a role of others": {rex, identity.TokenSpec{Name: "x", Roles: []identity.Role{identity.Admin}, Expires: w.now().Add(time.Hour)}, "you do not have the role admin yourself"},
		"an approver":      {identity.Operator(), identity.TokenSpec{Name: "x", Roles: []identity.Role{identity.Approver}, Expires: w.now().Add(time.Hour)}, "there is no role \"approver\" for tokens"},
		"for ever":         {rex, identity.TokenSpec{Name: "x", Roles: rex.Roles}, "expire in the past"},
		"too long":         {rex, identity.TokenSpec{Name: "x", Roles: rex.Roles, Expires: w.now().Add(400 * 24 * time.Hour)}, "at most 366 days"},
		"a person's name":  {rex, identity.TokenSpec{Name: "token:ci", Roles: rex.Roles, Expires: w.now().Add(time.Hour)}, "a token's name"},
		"no roles":         {rex, identity.TokenSpec{Name: "x", Expires: w.now().Add(time.Hour)}, "without roles"},
	} {
		if _, _, err := w.directory.IssueToken(t.Context(), tc.by, tc.spec); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
	w.token(rex, "ci", identity.Author) // to take the first one's place
	w.past.Add(301 * 60)
	if _, status := me(); status != http.StatusUnauthorized {
		t.Errorf("after it expired: got %d", status)
	}
}

// What is not valid names its field, and says what to do.
func TestAPIProblems(t *testing.T) {
	w := newAPIWorld(t)
	w.must(w.directory.AddPerson(t.Context(), identity.Operator(), "rex", identity.Roles, ""))
	bearer := http.Header{"Authorization": {"Bearer " + w.session("rex")}, "Content-Type": {"application/json"}}
	draft := w.persona("draft")
	for _, tc := range []struct {
		method, path, body string
		status             int
		code, pointer      string
	}{
		{"POST", "/personas", `{"title":"","job":"j","tools":[{"tool":"crm/get_customer"}],"id":"x"}`, 422, "invalid", "/title"},
		{"POST", "/personas", `{"title":"t","id":"X","job":"j","tools":[{"tool":"crm/get_customer"}]}`, 422, "invalid", "/id"},
		{"POST", "/personas", `{"title":"t","job":" ","tools":[]}`, 422, "invalid", "/job"},
		{"POST", "/personas", `{"title":"t","job":""}`, 422, "invalid", "/job"},
		{"POST", "/personas", `{"title":"t","job":"j","tools":[{"tool":"crm/get_customer"},{"tool":"crm/none"}]}`, 422, "invalid", "/tools/1"},
		{"POST", "/personas", `{"title":"t","job":"j","tools":[{"tool":"crm/get_customer","name":"not a name"}]}`, 422, "invalid", "/tools/0/name"},
		{"POST", "/personas", `{"title":"t","job":"j","tools":[{"tool":"crm/get_customer","digest":"other"}]}`, 409, "tool-changed", "/tools/0/digest"},
		{"POST", "/personas", `{"title":"t","job":"j","tools":[{"tool":"crm/get_customer","policy":{"timeout_seconds":-1}}]}`, 422, "invalid", "/tools/0/policy"},
		{"POST", "/personas", `{"title":"t","job":"j","tools":[{"tool":"crm/get_customer","polic":{}}]}`, 422, "invalid", "/tools/0/polic"},
		{"POST", "/personas", `{"title":7}`, 422, "invalid", "/title"},
		{"POST", "/personas", `{"title":"t"} {}`, 400, "bad-json", ""},
		{"POST", "/personas", strings.Repeat("[", 1000), 400, "bad-json", ""},
		{"POST", "/personas", `"` + strings.Repeat("a", 2<<20) + `"`, 413, "too-large", ""},
		{"POST", "/personas/" + draft + "/draft", `{"base":"1.1","job":"j","tools":[]}`, 409, "stale", ""},
		{"POST", "/personas/" + draft + "/approve", `{"revision":1,"seen":{}}`, 409, "state", ""},
		{"POST", "/personas/none/submit", `{"revision":1}`, 404, "not-found", ""},
		{"POST", "/keys", `{"persona":"` + draft + `","agent":"","user":"zoe"}`, 422, "invalid", "/agent"},
		{"POST", "/keys", `{"persona":"` + draft + `","agent":"b","user":"zoe","expires":"2020-01-01T00:00:00Z"}`, 422, "invalid", "/expires"},
		{"POST", "/keys", `{"persona":"none","agent":"b","user":"zoe"}`, 404, "not-found", "/persona"},
		{"POST", "/people", `{"name":"../x","roles":[]}`, 422, "invalid", "/name"},
		{"POST", "/people", `{"name":"x","roles":["king"]}`, 422, "invalid", "/roles"},
		{"POST", "/tokens", `{"name":"x","roles":["approver"],"expires":"2099-01-01T00:00:00Z"}`, 422, "invalid", "/expires"},
		{"GET", "/personas/" + draft + "?revision=9", "", 422, "invalid", "revision"},
		{"GET", "/audit?since=yesterday", "", 422, "invalid", "since"},
		{"GET", "/audit?until=soon", "", 422, "invalid", "until"},
		{"GET", "/reach?tool=a&server=b", "", 422, "invalid", "tool"},
		{"GET", "/tool", "", 422, "invalid", "id"},
		{"GET", "/nowhere", "", 404, "no-such-route", ""},
		{"PUT", "/personas", "", 405, "no-such-route", ""},
	} {
		status, p := w.raw(tc.method, tc.path, tc.body, bearer)
		pointer := ""
		if len(p.Errors) > 0 {
			pointer = p.Errors[0].Pointer
		}
		if status != tc.status || p.Status != status || p.Code != tc.code || pointer != tc.pointer || p.Next == "" || p.Detail == "" || p.Type != "urn:remit:problem:"+tc.code {
			t.Errorf("%s %s %.80s: got %d %+v, want %d %s %q", tc.method, tc.path, tc.body, status, p, tc.status, tc.code, tc.pointer)
		}
	}
	form := http.Header{"Authorization": bearer["Authorization"], "Content-Type": {"application/x-www-form-urlencoded"}}
	if status, p := w.raw("POST", "/personas", "title=t", form); status != http.StatusUnsupportedMediaType || p.Code != "media-type" {
		t.Errorf("a form: got %d %s", status, p.Code)
	}
}

// People sign in for the API as on the page: under the same limits, and what they get is a session.
func TestAPISignIn(t *testing.T) {
	w := newAPIWorld(t)
	status, text := w.ask("", "POST", "/session", "/session", api.SignIn{Name: "rob", Password: password})
	var s api.Session
	w.must(json.Unmarshal([]byte(text), &s))
	if status != http.StatusOK || len(s.Token) != identity.SessionTokenLen {
		t.Fatalf("got %d %s", status, text)
	}
	id := w.persona("submitted")
	if status, text := w.ask(s.Token, "POST", "/personas/:id/approve", "/personas/"+id+"/approve", api.Approve{Revision: 1, Seen: w.digests("p1")}); status != http.StatusOK {
		t.Errorf("a signed-in reviewer approves: got %d %s", status, text)
	}
	refused := map[int]int{}
	for try := range 14 {
		status, _ := w.ask("", "POST", "/session", "/session", api.SignIn{Name: "rob", Password: fmt.Sprint("wrong wrong ", try)})
		refused[status]++
	}
	if refused[http.StatusUnauthorized] == 0 || refused[http.StatusTooManyRequests] == 0 {
		t.Errorf("14 wrong passwords: got %v", refused)
	}
}

func TestFieldNamesAddUp(t *testing.T) {
	err := invalid.At("tools/1", fmt.Errorf("it: %w", invalid.At("policy", io.EOF)))
	if got := invalid.Field(err); got != "tools/1/policy" || err.Error() != "it: EOF" || invalid.At("x", nil) != nil || invalid.Field(io.EOF) != "" {
		t.Errorf("got %q, %v", got, err)
	}
}
