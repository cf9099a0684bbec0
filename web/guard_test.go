package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/composer"
	"remit/identity"
	"remit/internal/remote"
	"remit/web"
)

func TestCrossSitePostIsRefused(t *testing.T) {
	w := newWorld(t, shop())
	ann := w.as(t, "ann")
	for name, headers := range map[string]map[string]string{
		"cross-site":    {"Sec-Fetch-Site": "cross-site"},
		"same-site":     {"Sec-Fetch-Site": "same-site"},
		"older browser": {"Origin": "https://evil.example"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", w.URL+"/new", strings.NewReader(url.Values{"title": {"X"}, "job": {job}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for k, v := range headers {
			req.Header.Set(k, v)
		}
		ann.send(req)
		if ann.status != http.StatusForbidden || !strings.Contains(ann.body, "from another site") {
			t.Errorf("%s: got %d %s", name, ann.status, ann.body)
		}
	}
	all, err := w.store.Personas(t.Context())
	if err != nil || len(all) != 0 {
		t.Errorf("got %d personas, %v; want none", len(all), err)
	}
}

func TestHostAllowList(t *testing.T) {
	w := newWorld(t, shop())
	for host, want := range map[string]int{"localhost": 200, "LOCALHOST:80": 200, "127.0.0.1:9": 200, "[::1]:9": 200, "evil.example": 421, "127.0.0.1.evil.example": 421, "": 421} {
		r := httptest.NewRequest("GET", "/sign-in", nil)
		r.Host = host
		rec := httptest.NewRecorder()
		w.Config.Handler.ServeHTTP(rec, r)
		if rec.Code != want {
			t.Errorf("host %q: got %d, want %d", host, rec.Code, want)
		}
	}
}

func TestHeadersAndCookie(t *testing.T) {
	w := newWorld(t, shop())
	res, err := http.DefaultTransport.RoundTrip(formRequest(t, w.URL+"/sign-in", url.Values{"name": {"ann"}, "password": {password}, "next": {"//evil.example"}}))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	cookie := res.Cookies()[0]
	got := []any{cookie.Name, cookie.HttpOnly, cookie.SameSite, cookie.Path, res.Header.Get("Location"), res.Header.Get("X-Content-Type-Options"),
		res.Header.Get("Referrer-Policy"), res.Header.Get("Cache-Control")}
	want := []any{"remit_session", true, http.SameSiteLaxMode, "/", "/", "nosniff", "no-referrer", "no-store"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(res.Header.Get("Content-Security-Policy"), part) {
			t.Errorf("the policy lacks %q", part)
		}
	}
}

func formRequest(t *testing.T, to string, form url.Values) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

func TestTooLargeAForm(t *testing.T) {
	w := newWorld(t, shop())
	ann := w.as(t, "ann")
	ann.post("/new", url.Values{"title": {"X"}, "job": {strings.Repeat("x", 1<<20)}})
	ann.wants(413, "at most 1 MiB")
}

func TestAddressLimiter(t *testing.T) {
	w := newWorld(t, shop())
	refused := 0
	for try := range 70 { // each with another name
		r := formRequest(t, "http://localhost/link/"+strings.Repeat("x", try+1), nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header.Set("X-Forwarded-For", "192.0.2."+string(rune('0'+try%10)))
		rec := httptest.NewRecorder()
		w.Config.Handler.ServeHTTP(rec, r)
		if rec.Code == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("70 guesses from one address were all answered")
	}
}

// Behind a trusted proxy each client has its own limit, and a client cannot choose another address for itself.
func TestAddressLimiterBehindAProxy(t *testing.T) {
	w := newWorld(t, shop())
	proxies, err := remote.Trust([]string{"10.0.0.0/24"})
	if err != nil {
		t.Fatal(err)
	}
	site, err := web.New(web.Config{Registry: w.registry, Directory: w.directory, Catalog: w.catalog,
		Composer: composer.New(composer.Config{Finder: w.catalog}), Audit: w.store, Evals: w.store, Proxies: proxies})
	if err != nil {
		t.Fatal(err)
	}
	guess := func(peer, forwarded string) int {
		r := formRequest(t, "http://localhost/link/x", nil)
		r.RemoteAddr = peer + ":1"
		r.Header.Set("X-Forwarded-For", forwarded)
		rec := httptest.NewRecorder()
		site.ServeHTTP(rec, r)
		return rec.Code
	}
	refused := 0
	for try := range 80 {
		if guess("10.0.0.7", fmt.Sprintf("192.0.2.%d, 198.51.100.1", try)) == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("80 guesses of one client, which invents addresses before the proxy's, were all answered")
	}
	if got := guess("10.0.0.7", "198.51.100.2"); got != http.StatusUnauthorized {
		t.Errorf("another client behind the proxy: got %d, want its guess answered", got)
	}
	refused = 0
	for try := range 80 {
		if guess("10.0.9.9", fmt.Sprintf("192.0.2.%d", try)) == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("80 guesses from an address that is no trusted proxy were all answered")
	}
}

// Behind https the cookie has the prefix that browsers hold to secure pages of this host alone.
func TestCookieOverHTTPS(t *testing.T) {
	w := newWorld(t, shop())
	site, err := web.New(web.Config{Registry: w.registry, Directory: w.directory, Catalog: w.catalog,
		Composer: composer.New(composer.Config{Finder: w.catalog}), Audit: w.store, Evals: w.store, PublicURL: "https://remit.example"})
	if err != nil {
		t.Fatal(err)
	}
	r := formRequest(t, "http://remit.example/sign-in", url.Values{"name": {"ann"}, "password": {password}})
	r.Header.Set("Origin", "https://remit.example")
	rec := httptest.NewRecorder()
	site.ServeHTTP(rec, r)
	cookies := rec.Result().Cookies()
	if len(cookies) != 1 || cookies[0].Name != "__Host-remit" || !cookies[0].Secure || cookies[0].Domain != "" || cookies[0].Path != "/" {
		t.Fatalf("got %v (status %d)", cookies, rec.Code)
	}
	get := httptest.NewRequest("GET", "http://remit.example/account", nil)
	get.AddCookie(cookies[0])
	rec = httptest.NewRecorder()
	site.ServeHTTP(rec, get)
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), "My account") {
		t.Errorf("got %d", rec.Code)
	}
}

// Guessing is slowed down for a name from many addresses and answers alike for names that do not exist.
func TestSignInLimiter(t *testing.T) {
	w := newWorld(t, shop())
	var last [2]string
	for i, name := range []string{"ann", "nobody"} {
		for try := range 12 {
			r := formRequest(t, "http://localhost/sign-in", url.Values{"name": {name}, "password": {"wrong wrong wrong"}})
			r.RemoteAddr = "10.0." + string(rune('1'+i)) + "." + string(rune('0'+try%10)) + ":1"
			r.Header.Set("X-Forwarded-For", "192.0.2.1")
			rec := httptest.NewRecorder()
			w.Config.Handler.ServeHTTP(rec, r)
			want := http.StatusUnauthorized
			if try >= 10 {
				want = http.StatusTooManyRequests
			}
			if rec.Code != want {
				t.Fatalf("%s, try %d: got %d, want %d", name, try+1, rec.Code, want)
			}
			if try == 0 {
				last[i] = strings.ReplaceAll(rec.Body.String(), name, "NAME")
			}
		}
	}
	if diff := cmp.Diff(last[0], last[1]); diff != "" {
		t.Errorf("a wrong password and an unknown name answer differently:\n%s", diff)
	}
}

// signIns are the entries of sign-ins, oldest first.
func (w *world) signIns(t *testing.T) (out []string) {
	t.Helper()
	entries, err := w.store.Entries(t.Context(), audit.Query{Kind: audit.SignIn, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(entries) {
		out = append(out, strings.TrimSpace(fmt.Sprint(e.Decision, " ", e.Person, e.Detail["person"], ": ", e.Reason, e.Detail["with"])))
	}
	return out
}

// Every way in and every try at one is in the record. What was typed as a name is not, if nobody has it: it may be a password.
func TestSignInsAreRecorded(t *testing.T) {
	w := newWorld(t, shop())
	try := func(path string, form url.Values) {
		w.Config.Handler.ServeHTTP(httptest.NewRecorder(), formRequest(t, "http://localhost"+path, form))
	}
	w.as(t, "ann")
	try("/sign-in", url.Values{"name": {"ann"}, "password": {"wrong wrong wrong"}})
	try("/sign-in", url.Values{"name": {password}, "password": {"ann"}})
	try("/link/invented", nil)
	link, err := w.directory.NewLink(t.Context(), identity.Operator(), "rob")
	if err != nil {
		t.Fatal(err)
	}
	try("/link/"+link, nil)
	if err := w.directory.SetDisabled(t.Context(), identity.Operator(), "vic", true); err != nil {
		t.Fatal(err)
	}
	try("/sign-in", url.Values{"name": {"vic"}, "password": {password}})
	want := []string{"allowed ann: password", "refused ann: the name and the password do not fit together",
		"refused unknown: the name and the password do not fit together", "refused unknown: there is no such one-time link",
		"allowed rob: one-time link", "refused vic: the person is disabled"}
	if diff := cmp.Diff(want, w.signIns(t)); diff != "" {
		t.Errorf("sign-ins (-want +got):\n%s", diff)
	}
}

// Attack: guesses from many addresses, so that the record fills the disk. Ten a second are written, the rest are counted.
func TestFloodOfSignIns(t *testing.T) {
	w := newWorld(t, shop())
	for try := range 300 {
		r := formRequest(t, "http://localhost/link/x", nil)
		r.RemoteAddr = fmt.Sprintf("10.0.%d.1:1", try%3) // so that the limit of an address is met, too
		w.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	w.directory.Flush()
	written, counted := 0, 0
	for _, line := range w.signIns(t) {
		written++
		var n int
		if _, err := fmt.Sscanf(line, "refused : %d more were refused", &n); err == nil {
			counted += n - 1
		}
	}
	if written+counted != 300 || written > 110 {
		t.Errorf("got %d entries that stand for %d refusals, want a few that stand for 300", written, written+counted)
	}
}

func TestOneTimeLink(t *testing.T) {
	w := newWorld(t, shop())
	root := w.as(t, "root")
	root.post("/people", url.Values{"name": {"zoe"}, "role": {"author"}})
	root.wants(200, "One-time link for zoe")
	token := root.body[strings.Index(root.body, "/link/")+len("/link/"):][:43]
	zoe := w.browser(t)
	for range 2 { // looking does not use it up
		zoe.get("/link/" + token)
		zoe.wants(200, `data-testid="use-link"`)
	}
	zoe.post("/link/"+token, url.Values{"password": {"short"}})
	zoe.wants(422, "not used up yet")
	zoe.post("/link/"+token, url.Values{"password": {password}})
	zoe.wants(200, "zoe", "Personas")
	w.browser(t).post("/link/"+token, nil)
	again := w.browser(t)
	again.post("/link/"+token, nil)
	again.wants(401, "used already")
	w.as(t, "zoe")

	zoe.post("/account/password", url.Values{"current": {"wrong wrong wrong"}, "password": {"another long one"}, "again": {"another long one"}})
	zoe.wants(403, "present password is not right")
	zoe.post("/account/password", url.Values{"current": {password}, "password": {"another long one"}, "again": {"another long one"}})
	zoe.wants(200, "Your password is changed")
	root.post("/people/zoe/disable", url.Values{"disabled": {"true"}})
	root.wants(200, "disabled")
	zoe.get("/catalog")
	zoe.wants(200, `id="sign-in"`)
	root.post("/people/root/roles", url.Values{"role": {"author"}})
	root.wants(422, "last admin")
}

// Attack: eve has a one-time link of zoe's and a session of hers. zoe sets a new password; an admin disables and enables
// her. The link ends with the first, the session with the second.
func TestStolenAccessEnds(t *testing.T) {
	w := newWorld(t, shop())
	root := w.as(t, "root")
	newLink := func() string {
		root.post("/people/ann/link", nil)
		root.wants(200, "One-time link for ann")
		return root.body[strings.Index(root.body, "/link/")+len("/link/"):][:43]
	}
	stolen := newLink()
	ann := w.as(t, "ann")
	ann.post("/account/password", url.Values{"current": {password}, "password": {"another long one"}, "again": {"another long one"}})
	ann.wants(200, "Your password is changed")
	eve := w.browser(t)
	eve.post("/link/"+stolen, nil)
	eve.wants(401, "used already")

	stolen = newLink()
	eve.post("/link/"+newLink(), nil)
	eve.wants(200, "Personas")
	root.post("/people/ann/disable", url.Values{"disabled": {"true"}})
	root.post("/people/ann/disable", url.Values{"disabled": {"false"}})
	root.wants(200, "Changed")
	eve.get("/catalog")
	eve.wants(200, `id="sign-in"`)
	eve.post("/link/"+stolen, nil)
	eve.wants(401, "used already")
}

func TestSignedOut(t *testing.T) {
	w := newWorld(t, shop())
	b := w.browser(t)
	b.get("/personas/p/review")
	b.wants(200, `name="next" value="/personas/p/review"`)
	b.post("/personas/p/approve", url.Values{"revision": {"1"}})
	b.wants(401, "Please sign in")
	b.get("/api/tools?q=mail")
	b.wants(401, `"error"`)
	ann := w.as(t, "ann")
	ann.post("/sign-out", nil)
	ann.get("/")
	ann.wants(200, `id="sign-in"`)
	ann.get("/nowhere")
	ann.wants(404, "Not Found")
	if _, err := w.directory.Session(t.Context(), "invented"); err == nil {
		t.Error(identity.ErrCredential)
	}
}

func TestToolSearch(t *testing.T) {
	w := newWorld(t, shop())
	ann := w.as(t, "ann")
	ann.get("/api/tools?q=" + url.QueryEscape("refund a payment"))
	ann.wants(200, `"id":"billing/refund_payment"`, `"effect":"external"`, "name has")
	ann.get("/api/tools?q=%21")
	ann.wants(422, "the search has no words")
	ann.get("/catalog?q=refund&effect=read")
	ann.lacks("billing/refund_payment")
	ann.get("/catalog?server=chat&page=99")
	ann.wants(200, "1 to 2 of 2", "chat/list_channels")
	ann.get("/tool?id=chat/nothing")
	ann.wants(404)
}
