package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"remit/internal/fakemcp"
	"remit/internal/fakeoauth"
	"remit/internal/fakeoidc"
	"remit/internal/fakeopenai"
	"remit/web/api"
)

// stage is what the actors of one script act on: a remit serve of the script's own, MCP servers that are not ours, people with
// browsers, and agents with keys. The scripts say:
//
//	upstream NAME FILE             an MCP server as fakemcp.Config in FILE says; $NAME is its URL; again: its tools change
//	serve                          remit serve --config remit.yaml; $site is where
//	person NAME ROLES              is added and signs in by link
//	visit NAME PATH                prints the page
//	submit NAME PATH ACTION [FIELD=VALUE...]   sends the page's form that has the action, with other values
//	live ID TOOL[=FILE]...         author drafts exactly these tools, with the policy in FILE, and reviewer approves
//	agent NAME ID [SECRET|FLAG...] has a new key of the persona, or the secret; $NAME is the secret, $NAME_id the key's id
//	rotate NAME NEW [FLAG...]      the key of the agent NAME is rotated; the agent NEW has the new one
//	issuer                         an identity provider on loopback; $issuer is its address. Before serve
//	arrives NAME SUBJECT [GROUP...]             signs in at the provider as a new person, with a browser
//	departs SUBJECT                             the provider renews no sign-in of theirs any more
//	bearer NAME ID SUBJECT [CLAIM=VALUE...]     the agent has an access token of the provider for the persona, with other claims; $NAME_client is
//	                               what stands for its client in the place of a key's id, if its person arrived
//	list NAME                      prints the answer to tools/list
//	call NAME TOOL ARGUMENTS [HEADER:VALUE...]
//	post NAME FILE [HEADER:VALUE...]           sends the bytes of the file
//	flood NAME N TOOL ARGUMENTS    N calls at once; prints how many were answered and refused
//	token NAME PERSON ROLES        PERSON makes a management token on their page; $NAME is its secret
//	api WHO METHOD PATH [BODY]     asks the management API as a token, an agent, or with WHO itself as the secret
//	remotely TOKEN ARG...          remit --server $site ARG..., on a machine without data; "! remotely" fails
//	model NAME [FAULT...]          a language model that is obedient, or sensible; before serve and remit eval run. Faults are as
//	                               fakeopenai calls them, for its next requests; $model is its URL
//	modelled                       prints what the model was asked so far
//	waiting NAME                   $id is the call of the agent that waits for a person, the newest
//	until PATTERN COMMAND ARG...   runs the command until its output matches, at most two minutes
//
// Of list, call, post, submit and api, what is refused (a status from 400, a JSON-RPC error, a result that is an error) fails: "! call".
type stage struct {
	mu     sync.Mutex
	fakes  map[string]*fakemcp.Server
	people map[string]*http.Client
	agents map[string]bearer
	issuer *fakeoidc.Provider
	known  map[string]string // people who arrived, by subject
	model  *fakeopenai.Server
}

type bearer struct{ secret, door, persona string }

type stageKey struct{}

func newStage(env *testscript.Env) {
	env.Values[accountsKey{}] = accounts{map[string]*fakeoauth.Provider{}, map[string]*fakeoauth.Resource{}}
	env.Values[stageKey{}] = &stage{fakes: map[string]*fakemcp.Server{}, people: map[string]*http.Client{}, agents: map[string]bearer{}, known: map[string]string{}}
}

var stageCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"upstream": acts(2, (*stage).upstream),
	"serve":    acts(0, (*stage).serve),
	"person":   acts(2, (*stage).person),
	"visit":    acts(2, (*stage).visit),
	"submit":   acts(3, (*stage).submit),
	"live":     acts(2, (*stage).live),
	"agent":    acts(2, (*stage).agent),
	"rotate":   acts(2, (*stage).rotate),
	"issuer":   acts(0, (*stage).identityProvider),
	"arrives":  acts(2, (*stage).arrives),
	"departs":  acts(1, (*stage).departs),
	"bearer":   acts(3, (*stage).accessToken),
	"list":     acts(1, (*stage).list),
	"call":     acts(3, (*stage).call),
	"post":     acts(2, (*stage).post),
	"flood":    acts(4, (*stage).flood),
	"token":    acts(3, (*stage).token),
	"api":      acts(3, (*stage).api),
	"remotely": acts(2, (*stage).remotely),
	"model":    acts(1, (*stage).languageModel),
	"modelled": acts(0, (*stage).modelled),
	"waiting":  acts(1, (*stage).waiting),
	"until":    acts(2, (*stage).until),
}

// acts makes a command of a method: what it returns is whether it was refused.
func acts(least int, do func(*stage, *testscript.TestScript, []string) (refused bool)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if len(args) < least {
			ts.Fatalf("got %d arguments, want %d or more", len(args), least)
		}
		if refused := do(ts.Value(stageKey{}).(*stage), ts, args); refused != neg {
			ts.Fatalf("refused: got %v, want %v", refused, neg)
		}
	}
}

func (s *stage) upstream(ts *testscript.TestScript, args []string) bool {
	var c fakemcp.Config
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &c))
	if fake, ok := s.fakes[args[0]]; ok {
		fake.SetTools(c.Tools)
		return false
	}
	fake, err := fakemcp.New(c)
	ts.Check(err)
	server := httptest.NewServer(fake)
	ts.Defer(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.fakes[args[0]] = fake
	ts.Setenv(args[0], server.URL)
	return false
}

// command is a process in the script's world.
func command(ts *testscript.TestScript, name string, args ...string) *exec.Cmd {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if at := filepath.Join(dir, name); executable(at) {
			cmd := exec.Command(at, args...)
			cmd.Dir = ts.Getenv("WORK")
			for _, key := range []string{"PATH", "HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "REMIT_EMBEDDINGS_URL", "GORACE"} {
				cmd.Env = append(cmd.Env, key+"="+ts.Getenv(key))
			}
			for upstream := range ts.Value(stageKey{}).(*stage).fakes {
				cmd.Env = append(cmd.Env, upstream+"="+ts.Getenv(upstream))
			}
			for _, setting := range []string{"REMIT_OIDC_ISSUER", "REMIT_OIDC_CLIENT_ID", "REMIT_OIDC_CLIENT_SECRET", "REMIT_MODEL_URL", "REMIT_MODEL_NAME", "REMIT_DATABASE", "REMIT_REDIS", "REMIT_MAX_STALENESS"} {
				if value := ts.Getenv(setting); value != "" {
					cmd.Env = append(cmd.Env, setting+"="+value)
				}
			}
			return cmd
		}
	}
	ts.Fatalf("there is no command %s", name)
	return nil
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode()&0o111 != 0
}

func run(ts *testscript.TestScript, name string, args ...string) string {
	out, err := command(ts, name, args...).Output()
	if exit, ok := err.(*exec.ExitError); ok {
		ts.Fatalf("%s %v: %v\n%s", name, args, err, exit.Stderr)
	}
	ts.Check(err)
	return string(out)
}

func (s *stage) serve(ts *testscript.TestScript, _ []string) bool {
	cmd := command(ts, "remit", "serve", "--config", "remit.yaml", "--listen", "127.0.0.1:0", "--log-level", "error")
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			ts.Logf("remit serve ended with %v", err)
		}
		ts.Logf("remit serve said: %s", complaints.String())
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := servesAt.FindStringSubmatch(lines.Text()); m != nil {
			ts.Setenv("site", m[1])
			go io.Copy(io.Discard, out)
			return false
		}
	}
	return true
}

func (s *stage) person(ts *testscript.TestScript, args []string) bool {
	said := run(ts, "remit", "person", "add", args[0], "--roles", args[1], "--config", "remit.yaml")
	at := strings.Index(said, "/link/")
	if at < 0 {
		ts.Fatalf("remit person add printed no link: %s", said)
	}
	jar, err := cookiejar.New(nil)
	ts.Check(err)
	s.people[args[0]] = &http.Client{Jar: jar}
	status, page := s.send(ts, args[0], http.MethodPost, strings.Fields(said[at:])[0], url.Values{})
	if status != http.StatusOK {
		ts.Fatalf("signing in: got status %d\n%s", status, page)
	}
	return false
}

// send asks the site for a page as a person's browser does.
func (s *stage) send(ts *testscript.TestScript, name, method, path string, form url.Values) (int, string) {
	client, ok := s.people[name]
	if !ok {
		ts.Fatalf("there is no person %s", name)
	}
	req, err := http.NewRequest(method, ts.Getenv("site")+path, strings.NewReader(form.Encode()))
	ts.Check(err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := client.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	return res.StatusCode, string(body)
}

func (s *stage) visit(ts *testscript.TestScript, args []string) bool {
	status, page := s.send(ts, args[0], http.MethodGet, args[1], nil)
	fmt.Fprintln(ts.Stdout(), words(page))
	return status >= 400
}

func (s *stage) submit(ts *testscript.TestScript, args []string) bool {
	_, page := s.send(ts, args[0], http.MethodGet, args[1], nil)
	form := inputs(page, args[2])
	given := map[string]bool{}
	for _, pair := range args[3:] {
		field, value, _ := strings.Cut(pair, "=")
		if !given[field] {
			form.Del(field)
		}
		given[field] = true
		form.Add(field, value)
	}
	status, answer := s.send(ts, args[0], http.MethodPost, args[2], form)
	fmt.Fprintln(ts.Stdout(), words(answer))
	return status >= 400
}

func (s *stage) live(ts *testscript.TestScript, args []string) bool {
	id, author, reviewer := args[0], "author", "reviewer"
	for _, role := range []string{author, reviewer} {
		if s.people[role] == nil {
			s.person(ts, []string{role, role})
		}
	}
	status, page := s.send(ts, author, http.MethodPost, "/new", url.Values{"id": {id}, "title": {id}, "job": {"Do what the tools of " + id + " do."}})
	if status >= 400 {
		ts.Fatalf("describing: got status %d\n%s", status, words(page))
	}
	path := "/personas/" + id
	want := map[string]string{}
	for _, tool := range args[1:] {
		tool, policy, given := strings.Cut(tool, "=")
		if want[tool] = ""; given {
			want[tool] = ts.ReadFile(policy)
		}
		_, page = s.send(ts, author, http.MethodGet, path, nil)
		form := inputs(page, path)
		form.Set("add", tool)
		status, page = s.send(ts, author, http.MethodPost, path, form)
		if status >= 400 {
			ts.Fatalf("adding %s: got status %d\n%s", tool, status, words(page))
		}
	}
	form := inputs(page, path)
	for field := range form {
		tool, ok := strings.CutPrefix(field, "policy:")
		policy, granted := want[tool]
		switch {
		case ok && granted:
			form.Set(field, policy)
		case ok:
			form.Add("remove", tool)
		}
	}
	for _, move := range []string{"save", "submit"} {
		if form.Set("move", move); move == "submit" {
			form = inputs(page, path)
			form.Set("move", move)
		}
		if status, page = s.send(ts, author, http.MethodPost, path, form); status >= 400 {
			ts.Fatalf("to %s: got status %d\n%s", move, status, words(page))
		}
	}
	return s.submit(ts, []string{reviewer, path + "/review", path + "/approve"})
}

func (s *stage) token(ts *testscript.TestScript, args []string) bool {
	form := url.Values{"name": {args[0]}, "role": strings.Split(args[2], ","), "expires": {"30"}}
	status, page := s.send(ts, args[1], http.MethodPost, "/account/tokens", form)
	secret := regexp.MustCompile(`remitmt_[a-z2-7_]+`).FindString(page)
	if status != http.StatusOK || secret == "" {
		fmt.Fprintln(ts.Stdout(), words(page))
		return true
	}
	ts.Setenv(args[0], secret)
	return false
}

func (s *stage) api(ts *testscript.TestScript, args []string) bool {
	secret := ts.Getenv(args[0])
	if secret == "" {
		secret = args[0]
	}
	var body io.Reader
	if len(args) > 3 {
		body = strings.NewReader(args[3])
	}
	req, err := http.NewRequest(args[1], ts.Getenv("site")+"/api/v1"+args[2], body)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultTransport.RoundTrip(req)
	ts.Check(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d %s\n", res.StatusCode, raw)
	return res.StatusCode >= 300
}

func remotely(ts *testscript.TestScript, args []string) *exec.Cmd {
	cmd := command(ts, "remit", append([]string{"--server", ts.Getenv("site")}, args[1:]...)...)
	cmd.Env = append(cmd.Env, "REMIT_TOKEN="+ts.Getenv(args[0]), "REMIT_DATA="+filepath.Join(ts.Getenv("WORK"), "elsewhere"))
	return cmd
}

func (s *stage) remotely(ts *testscript.TestScript, args []string) bool {
	out, err := remotely(ts, args).Output()
	fmt.Fprint(ts.Stdout(), string(out))
	exit, failed := err.(*exec.ExitError)
	if failed {
		fmt.Fprintf(ts.Stdout(), "exit code %d\n%s", exit.ExitCode(), exit.Stderr)
	} else {
		ts.Check(err)
	}
	return failed
}

func (s *stage) waiting(ts *testscript.TestScript, args []string) bool {
	var held []api.Approval
	ts.Check(json.Unmarshal([]byte(run(ts, "remit", "approval", "list", "--json", "--config", "remit.yaml")), &held))
	for _, h := range held {
		if h.Agent == args[0] {
			ts.Setenv("id", h.ID)
			return false
		}
	}
	return true
}

func (s *stage) until(ts *testscript.TestScript, args []string) bool {
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); <-tick.C {
		var cmd *exec.Cmd
		if args[1] == "remotely" {
			cmd = remotely(ts, args[2:])
		} else {
			cmd = command(ts, args[1], args[2:]...)
		}
		if out, _ := cmd.Output(); want.Match(out) { // one that fails does not match yet
			return false
		}
	}
	ts.Fatalf("no output of %v matched %s within two minutes", args[1:], want)
	return true
}
