package web_test

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"remit/identity"
)

var keyText = regexp.MustCompile(`remit_[a-z2-7]{10}_[a-z2-7]{59}`)

// A reviewer makes a key that is narrower than its persona, on the page; what cannot be meant keeps what was typed.
func TestNarrowKey(t *testing.T) {
	w := newWorld(t, shop())
	w.submitted(t, "ann")
	rob := w.approved(t)
	form := func(change map[string]string) url.Values {
		f := url.Values{"agent": {"bot"}, "user": {"zoe"}, "expires": {"30"}, "on": {""}, "scope": {"some"}, "tool": {"crm/get_customer"},
			"limits": {"100/hour, 5/second"}, "addresses": {"203.0.113.0/24 2001:db8::1"}}
		for name, value := range change {
			if f[name] = []string{value}; value == "-" {
				delete(f, name)
			}
		}
		return f
	}
	for name, tc := range map[string]struct {
		change map[string]string
		text   string
	}{
		"no tool":               {map[string]string{"tool": "-"}, "tick the tools"},
		"both":                  {map[string]string{"scope": "all"}, "choose one of the two"},
		"a tool it has not":     {map[string]string{"tool": "crm/delete_customer"}, "does not grant"},
		"no limit":              {map[string]string{"limits": "many"}, "is no limit"},
		"no network":            {map[string]string{"addresses": "203.0.113.9/24"}, "has bits outside its network"},
		"a day that is over":    {map[string]string{"on": "2020-01-01"}, "within the next ten years"},
		"no day":                {map[string]string{"on": "tomorrow"}, "says no expiry"},
		"expires, but not when": {map[string]string{"expires": ""}, "says no expiry"},
		"nobody":                {map[string]string{"user": " "}, "1 to 100 printable characters"},
	} {
		rob.post("/personas/p/keys", form(tc.change))
		rob.wants(422, tc.text, `value="bot"`)
		if keyText.MatchString(rob.body) {
			t.Errorf("%s: a key was made", name)
		}
	}
	rob.get("/personas/p/live")
	rob.wants(200, "There are no keys yet")

	rob.post("/personas/p/keys", form(map[string]string{"on": time.Now().Add(72 * time.Hour).UTC().Format(time.DateOnly)}))
	rob.wants(200, "crm/get_customer", "at most 100 an hour", "at most 5 a second", "from 203.0.113.0/24", "from 2001:db8::1/128", `data-testid="expires-soon"`, `data-testid="expiring"`)
	secret := keyText.FindString(rob.body)
	who, err := w.directory.Authenticate(t.Context(), secret, netip.MustParseAddr("203.0.113.9"))
	if err != nil || who.Bounds.Grants("billing/list_invoices") || !who.Bounds.Grants("crm/get_customer") {
		t.Fatalf("got %+v, %v", who, err)
	}
	if _, err := w.directory.Authenticate(t.Context(), secret, netip.MustParseAddr("198.51.100.1")); err == nil {
		t.Error("it may be used from elsewhere")
	}
	rob.get("/personas/p/live")
	rob.wants(200, "from 203.0.113.9")
}

// A key is rotated on the page: the new secret is shown once, both keys name each other, and the list finds either.
func TestRotateKey(t *testing.T) {
	w := newWorld(t, shop())
	w.submitted(t, "ann")
	rob, ann := w.approved(t), w.as(t, "ann")
	rob.post("/personas/p/keys", url.Values{"agent": {"bot"}, "user": {"zoe"}, "expires": {"90"}, "scope": {"all"}})
	old := strings.Split(keyText.FindString(rob.body), "_")[1]
	path := "/personas/p/keys/" + old + "/rotate"
	ann.get("/personas/p/live")
	ann.lacks(`data-testid="rotate"`)
	ann.post(path, url.Values{"overlap": {"24h"}})
	ann.wants(403, "reviewer or admin")
	rob.post("/personas/p/keys/nope/rotate", url.Values{"overlap": {"24h"}})
	rob.wants(404)
	rob.post(path, url.Values{"overlap": {"9000h"}})
	rob.wants(422, "how long the old key goes on")
	rob.post(path, url.Values{"overlap": {"24h"}})
	rob.wants(200, "It takes the place of "+old, "Bearer remit_", "replaces "+old)
	secret := keyText.FindString(rob.body)
	next := strings.Split(secret, "_")[1]
	rob.post(path, url.Values{"overlap": {"0"}})
	rob.wants(422, "rotated already; rotate "+next)
	rob.get("/personas/p/live?state=replaced")
	rob.wants(200, "by "+next, "key-"+old)
	rob.lacks(`data-testid="key-` + next)
	rob.lacks(secret)
	rob.get("/personas/p/live?agent=bot&user=zoe&state=live")
	rob.wants(200, "key-"+next)
	rob.get("/personas/p/live?user=nobody")
	rob.wants(200, "No key is like that")
	rob.get("/personas/p/live?state=dead")
	rob.wants(422, "there is no state")

	if err := w.directory.AddPerson(t.Context(), identity.Operator(), "zoe", nil, ""); err != nil {
		t.Fatal(err)
	}
	if err := w.directory.SetDisabled(t.Context(), identity.Operator(), "zoe", true); err != nil {
		t.Fatal(err)
	}
	rob.get("/personas/p/live")
	rob.wants(200, "stopped with its user")
	rob.lacks(`data-testid="rotate"`)
	rob.post("/personas/p/keys", url.Values{"agent": {"bot"}, "user": {"zoe"}, "expires": {"90"}, "scope": {"all"}})
	rob.wants(422, "zoe is disabled")
	rob.get("/audit?persona=p")
	rob.wants(200, "key.rotate", "replaced_by")
}
