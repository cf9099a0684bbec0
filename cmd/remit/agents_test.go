package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"remit/identity"
	"remit/internal/fakeoidc"
)

func (s *stage) agent(ts *testscript.TestScript, args []string) bool {
	if len(args) > 2 && !strings.HasPrefix(args[2], "--") {
		s.hold(ts, args[0], args[1], args[2])
		return false
	}
	flags := append([]string{"key", "create", "--agent", args[0], "--user", "zoe", "--persona", args[1], "--config", "remit.yaml"}, args[2:]...)
	s.hold(ts, args[0], args[1], strings.TrimSpace(run(ts, "remit", flags...)))
	return false
}

func (s *stage) rotate(ts *testscript.TestScript, args []string) bool {
	flags := append([]string{"key", "rotate", ts.Getenv(args[0] + "_id"), "--config", "remit.yaml"}, args[2:]...)
	s.hold(ts, args[1], s.agents[args[0]].persona, strings.TrimSpace(run(ts, "remit", flags...)))
	return false
}

// hold gives an agent the secret of a key.
func (s *stage) hold(ts *testscript.TestScript, name, id, secret string) {
	s.agents[name] = bearer{secret, "/k/", id}
	ts.Setenv(name, secret)
	if parts := strings.Split(secret, "_"); len(parts) == 3 {
		ts.Setenv(name+"_id", parts[1])
	}
}

func (s *stage) identityProvider(ts *testscript.TestScript, _ []string) bool {
	s.issuer = fakeoidc.Start()
	s.issuer.Renewable = true
	ts.Defer(s.issuer.Close)
	ts.Setenv("issuer", s.issuer.URL)
	ts.Setenv("REMIT_OIDC_ISSUER", s.issuer.URL)
	ts.Setenv("REMIT_OIDC_CLIENT_ID", fakeoidc.ClientID)
	ts.Setenv("REMIT_OIDC_CLIENT_SECRET", fakeoidc.Secret)
	return false
}

func (s *stage) arrives(ts *testscript.TestScript, args []string) bool {
	s.issuer.Do(func() {
		s.issuer.Claims = fakeoidc.Claims{"sub": args[1], "preferred_username": args[0], "groups": args[2:]}
	})
	if s.people[args[0]] == nil {
		jar, err := cookiejar.New(nil)
		ts.Check(err)
		s.people[args[0]] = &http.Client{Jar: jar}
	}
	s.known[args[1]] = args[0]
	status, page := s.send(ts, args[0], http.MethodGet, "/sign-in/provider", nil)
	fmt.Fprintln(ts.Stdout(), words(page))
	return status >= 400
}

func (s *stage) departs(_ *testscript.TestScript, args []string) bool {
	s.issuer.Do(func() { s.issuer.Ended[args[0]] = true })
	return false
}

func (s *stage) accessToken(ts *testscript.TestScript, args []string) bool {
	claims := fakeoidc.Claims{"sub": args[2], "client_id": args[0], "scope": "remit:" + args[1]}
	for _, pair := range args[3:] {
		claim, value, _ := strings.Cut(pair, "=")
		claims[claim] = value
	}
	c := bearer{secret: s.issuer.AccessToken(ts.Getenv("site")+"/p/"+args[1]+"/mcp", claims), door: "/p/", persona: args[1]}
	s.agents[args[0]] = c
	ts.Setenv(args[0], c.secret)
	client, _ := claims["client_id"].(string)
	ts.Setenv(args[0]+"_client", identity.Bearer{Issuer: s.issuer.URL, Client: client}.ID(s.known[args[2]], args[1]))
	return false
}

func (s *stage) list(ts *testscript.TestScript, args []string) bool {
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + meta + `}}`
	return s.ask(ts, args[0], body, append([]string{"Mcp-Method:tools/list"}, args[1:]...))
}

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

func (s *stage) call(ts *testscript.TestScript, args []string) bool {
	body, header := callOf(args[1], args[2])
	return s.ask(ts, args[0], body, append(header, args[3:]...))
}

func callOf(tool, arguments string) (body string, header []string) {
	name, _ := json.Marshal(tool) // of a string: no error
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%s,"arguments":%s,%s}}`, name, arguments, meta),
		[]string{"Mcp-Method:tools/call", "Mcp-Name:" + tool}
}

func (s *stage) post(ts *testscript.TestScript, args []string) bool {
	return s.ask(ts, args[0], ts.ReadFile(args[1]), args[2:])
}

func (s *stage) ask(ts *testscript.TestScript, name, body string, header []string) bool {
	answer, refused, err := s.exchange(ts.Getenv("site"), name, body, header)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), answer)
	return refused
}

// exchange sends a message as an agent does, in the stateless era unless the headers say otherwise.
func (s *stage) exchange(site, name, body string, header []string) (answer string, refused bool, err error) {
	s.mu.Lock()
	c, ok := s.agents[name]
	s.mu.Unlock()
	if !ok {
		return "", false, fmt.Errorf("there is no agent %s", name)
	}
	req, err := http.NewRequest(http.MethodPost, site+c.door+c.persona+"/mcp", strings.NewReader(body))
	if err != nil {
		return "", false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+c.secret)
	req.Header.Set("MCP-Protocol-Version", "2026-07-28")
	for _, h := range header {
		field, value, _ := strings.Cut(h, ":")
		req.Header.Set(field, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", false, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	var said struct {
		Error  json.RawMessage
		Result struct{ IsError bool }
	}
	if res.Header.Get("Content-Type") == "application/json" {
		err = json.Unmarshal(raw, &said)
	}
	return fmt.Sprintf("%d %s", res.StatusCode, raw), res.StatusCode >= 400 || said.Error != nil || said.Result.IsError, err
}

func (s *stage) flood(ts *testscript.TestScript, args []string) bool {
	var n, refused int
	if _, err := fmt.Sscan(args[1], &n); err != nil {
		ts.Fatalf("how many? %v", err)
	}
	body, header := callOf(args[2], args[3])
	site, together, results := ts.Getenv("site"), make(chan struct{}, 64), make(chan error, n)
	for range n {
		together <- struct{}{}
		go func() {
			_, no, err := s.exchange(site, args[0], body, header)
			<-together
			if s.mu.Lock(); no {
				refused++
			}
			s.mu.Unlock()
			results <- err
		}()
	}
	for range n {
		ts.Check(<-results)
	}
	fmt.Fprintf(ts.Stdout(), "%d answered, %d refused\n", n-refused, refused)
	return false
}
