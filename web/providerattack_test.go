package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"remit/identity"
	"remit/internal/fakeoidc"
	"remit/web"
)

// callback goes to the provider in the browser and returns the address to which it sends the browser back.
func (e *elsewhere) callback(t *testing.T, b *browser) string {
	t.Helper()
	stop := *b.client
	back := ""
	stop.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if req.URL.Path == "/sign-in/callback" {
			back = req.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	res, err := stop.Get(b.base + "/sign-in/provider")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if back == "" {
		t.Fatalf("the provider did not send the browser back: %s", res.Status)
	}
	return back
}

// Attack: login CSRF. Mallory starts a sign-in, does not finish it, and makes Ann's browser open the answer, so that Ann
// goes on as Mallory. Ann stays who she is. Nor does it work when Ann has a sign-in of her own under way.
func TestForeignAnswerSignsNobodyIn(t *testing.T) {
	e := newElsewhere(t, create, nil)
	e.says(fakeoidc.Claims{"sub": "mallory", "preferred_username": "mallory", "groups": "remit-authors"})
	mallory := e.browser(t)
	ann := e.as(t, "ann")
	ann.get(e.callback(t, mallory))
	ann.wants(400, "not started in this browser")
	ann.get("/account")
	ann.wants(200, "<strong>ann</strong>")
	own := e.callback(t, ann)
	ann.get(e.callback(t, mallory))
	ann.wants(400, "not started in this browser")
	ann.get(own) // her own is spoilt as well, not hijacked
	ann.wants(400)
	ann.get("/account")
	ann.wants(200, "<strong>ann</strong>")
}

// Attack: an answer is used twice, too late, or a stolen code is put into the thief's own sign-in.
func TestReplayedAnswers(t *testing.T) {
	e := newElsewhere(t, create, nil)
	e.says(fakeoidc.Claims{"preferred_username": "zoe", "groups": "remit-authors"})
	zoe := e.browser(t)
	used := e.callback(t, zoe)
	jar := zoe.client.Jar.Cookies(&url.URL{Scheme: "http", Host: strings.TrimPrefix(e.URL, "http://")})
	zoe.get(used)
	zoe.wants(200, "zoe")
	thief := e.browser(t)
	thief.client.Jar.SetCookies(&url.URL{Scheme: "http", Host: strings.TrimPrefix(e.URL, "http://")}, jar) // even with her cookie
	thief.get(used)
	thief.wants(400, "was finished before")

	late := e.callback(t, zoe)
	e.later(identity.FlowMax)
	zoe.get(late)
	zoe.wants(400, "longer than 10 minutes")

	stolen, err := url.Parse(e.callback(t, zoe))
	if err != nil {
		t.Fatal(err)
	}
	mine, err := url.Parse(e.callback(t, thief))
	if err != nil {
		t.Fatal(err)
	}
	q := mine.Query()
	q.Set("code", stolen.Query().Get("code"))
	thief.get("/sign-in/callback?" + q.Encode())
	thief.wants(403, "not believed")
	thief.get("/account")
	thief.wants(200, `data-testid="sign-in-provider"`)
}

// A session fixed beforehand is not the one that a sign-in opens.
func TestProviderSessionIsFresh(t *testing.T) {
	e := newElsewhere(t, create, nil)
	e.says(fakeoidc.Claims{"preferred_username": "zoe", "groups": "remit-authors"})
	b := e.as(t, "ann")
	at, err := url.Parse(e.URL)
	if err != nil {
		t.Fatal(err)
	}
	before := cookieNamed(b.client.Jar.Cookies(at), "remit_session")
	back := e.callback(t, b)
	b.get(back)
	b.wants(200, "zoe")
	if after := cookieNamed(b.client.Jar.Cookies(at), "remit_session"); after == before || after == "" {
		t.Errorf("the session's token stayed %q", after)
	}
	if _, err := e.directory.Session(t.Context(), before); !errors.Is(err, identity.ErrCredential) {
		t.Errorf("the session before: got %v, want it ended", err)
	}
	if left := cookieNamed(b.client.Jar.Cookies(at), "remit_flow"); left != "" {
		t.Errorf("the flow's cookie stayed: %q", left)
	}
}

func cookieNamed(all []*http.Cookie, name string) string {
	for _, c := range all {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func TestFlowCookieOverHTTPS(t *testing.T) {
	e := newElsewhere(t, create, func(c *web.Config) { c.PublicURL = "https://remit.example" })
	r := httptest.NewRequest("GET", "http://remit.example/sign-in/provider", nil)
	rec := httptest.NewRecorder()
	e.Config.Handler.ServeHTTP(rec, r)
	c := rec.Result().Cookies()
	if len(c) != 1 || c[0].Name != "__Host-remit-flow" || !c[0].Secure || !c[0].HttpOnly || c[0].SameSite != http.SameSiteLaxMode || c[0].MaxAge != 600 || c[0].Domain != "" {
		t.Errorf("got %v (status %d)", c, rec.Code)
	}
	to, err := url.Parse(rec.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	if q.Get("redirect_uri") != e.provider.Redirect || q.Get("code_challenge_method") != "S256" || len(q.Get("nonce")) != 43 || len(q.Get("state")) != 43 ||
		strings.Contains(to.String(), c[0].Value) {
		t.Errorf("the browser is sent to %s", to)
	}
}
