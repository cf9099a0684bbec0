package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/net/html"

	"remit/internal/fakemcp"
	"remit/internal/fakeoauth"
)

// accounts are the authorization servers of a script and the upstreams that take their tokens. The scripts say:
//
//	provider NAME                  an authorization server; $NAME is its issuer; again: its tokens are refused, and have to be renewed
//	exchanges NAME                 it takes the identity provider's access tokens in exchange for its own
//	provider NAME down             it is down
//	provider NAME refuses ERROR    it gives no token any more
//	protected NAME PROVIDER FILE   an MCP server as in FILE that takes the provider's tokens; $NAME is its URL
//	worker NAME ID USER            an agent that has a new key of the persona, for the user
//	connect PERSON SERVER [AS]     connects the person's account (PERSON@SERVER, or AS) for all their keys
//	mixed                          fails if a session of one user carried another's token; prints every token that is good now
type accounts struct {
	providers map[string]*fakeoauth.Provider
	resources map[string]*fakeoauth.Resource
}

type accountsKey struct{}

var accountCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"provider":  acts(1, (*stage).provider),
	"exchanges": acts(1, (*stage).exchanges),
	"protected": acts(3, (*stage).protected),
	"worker":    acts(3, (*stage).worker),
	"connect":   acts(2, (*stage).connect),
	"mixed":     acts(0, (*stage).mixed),
}

func accountsOf(ts *testscript.TestScript) accounts { return ts.Value(accountsKey{}).(accounts) }

func (s *stage) provider(ts *testscript.TestScript, args []string) bool {
	all := accountsOf(ts).providers
	p, ok := all[args[0]]
	switch {
	case !ok:
		p = fakeoauth.Start()
		ts.Defer(p.Close)
		all[args[0]] = p
		ts.Setenv(args[0], p.URL)
		s.fakes[args[0]] = nil // whose URL commands are told
	case len(args) == 1:
		p.Forget()
	case args[1] == "down":
		p.Close()
	case args[1] == "refuses":
		p.Forget()
		p.Do(func() { p.Refuse = args[2] })
	}
	return false
}

func (s *stage) exchanges(ts *testscript.TestScript, args []string) bool {
	p := accountsOf(ts).providers[args[0]]
	p.Do(func() {
		p.Subject = func(token, kind string) string {
			if subject := s.issuer.Holder(token); subject != "" && kind == "access_token" {
				return subject + "@crm"
			}
			return ""
		}
	})
	return false
}

func (s *stage) protected(ts *testscript.TestScript, args []string) bool {
	var c fakemcp.Config
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[2])), &c))
	fake, err := fakemcp.New(c)
	ts.Check(err)
	r := accountsOf(ts).providers[args[1]].Protect(fake)
	r.Do(func() { r.Open = c.Instructions == "lists for everybody" })
	ts.Defer(r.Close)
	s.fakes[args[0]] = fake
	accountsOf(ts).resources[args[0]] = r
	ts.Setenv(args[0], r.URL)
	return false
}

func (s *stage) worker(ts *testscript.TestScript, args []string) bool {
	secret := run(ts, "remit", "key", "create", "--agent", args[0], "--user", args[2], "--persona", args[1], "--config", "remit.yaml")
	return s.agent(ts, []string{args[0], args[1], strings.TrimSpace(secret)})
}

var wayOn = regexp.MustCompile(`href="([^"]*)"[^>]*data-testid="leave"`)

// connect does what a person does with a browser: chooses all keys, goes on to the authorization server and comes back.
func (s *stage) connect(ts *testscript.TestScript, args []string) bool {
	name, server := args[0], args[1]
	_, page := s.send(ts, name, http.MethodGet, "/connections", nil)
	action := "/connections/" + server + "/connect"
	form := inputs(page, action)
	form["key"] = keysIn(page)
	status, page := s.send(ts, name, http.MethodPost, action, form)
	m := wayOn.FindStringSubmatch(page)
	if m == nil {
		fmt.Fprintln(ts.Stdout(), status, words(page))
		return true
	}
	for _, p := range accountsOf(ts).providers {
		p.Do(func() {
			if p.User = name + "@" + server; len(args) > 2 {
				p.User = args[2]
			}
		})
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(html.UnescapeString(m[1]))
	ts.Check(err)
	res.Body.Close()
	back, err := res.Location()
	ts.Check(err)
	ts.Setenv("back", back.RequestURI())
	status, page = s.send(ts, name, http.MethodGet, back.RequestURI(), nil)
	fmt.Fprintln(ts.Stdout(), status, words(page))
	return status >= 400
}

var keyField = regexp.MustCompile(`name="key" value="([^"]*)"`)

func keysIn(page string) (ids []string) {
	for _, m := range keyField.FindAllStringSubmatch(page, -1) {
		ids = append(ids, m[1])
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (s *stage) mixed(ts *testscript.TestScript, _ []string) bool {
	for name, r := range accountsOf(ts).resources {
		if mixed := r.Mixed(); mixed != nil {
			fmt.Fprintln(ts.Stdout(), name, mixed)
			return true
		}
	}
	for _, p := range accountsOf(ts).providers {
		fmt.Fprintln(ts.Stdout(), strings.Join(p.Tokens(), "\n"))
	}
	return false
}
