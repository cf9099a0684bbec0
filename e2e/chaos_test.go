package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"remit/approval"
	"remit/audit"
	"remit/catalog"
	"remit/internal/fakemcp"
	"remit/persona"
	"remit/policy"
	"remit/web/api"
)

const (
	staleness    = time.Second      // max-staleness, as it is without a setting
	chaosFor     = 50 * time.Second // REMIT_CHAOS makes it longer
	killEvery    = 10 * time.Second // and twice that in a longer one
	perMinute    = 30               // calls of the tool that is limited
	limitCallers = 4                // who call it, one after the other each; so many calls can be on their way when Redis is started anew
)

// TestChaos has three replicas behind a plain round-robin balancer serve clients of both eras, while keys are revoked, calls approved, personas
// suspended, narrowed and widened, and while replicas are killed, PostgreSQL and Redis crash, and the network between a replica and
// its databases is cut. What a witness outside of Remit saw is then held against what was promised: no call passes that was to be refused for longer
// than the staleness; nothing acknowledged is lost, no call passes without its entry or twice; no limit is exceeded by more than its burst;
// and a rolling restart fails no call.
func TestChaos(t *testing.T) {
	lasts, kills := chaosFor, killEvery
	outages := 1
	if given := os.Getenv("REMIT_CHAOS"); given != "" {
		var err error
		if lasts, err = time.ParseDuration(given); err != nil {
			t.Fatal(err)
		}
		kills, outages = 2*kills, 2
	}
	cause := isolated()
	t.Logf("partitions are cut on a link between network namespaces and in relays: %v", cause == nil)
	if cause != nil {
		t.Logf("in relays alone, since namespaces cannot be made here: %v", cause)
	}
	server, err := fakemcp.New(fakemcp.Config{Name: "work", Tools: chaosTools()})
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness()
	f := newFleet(t, 3, cause == nil, w.before(server), "drain: 2s\napproval-wait: 3s\n")
	c := &chaos{t: t, fleet: f, witness: w}
	c.sign()
	c.personas()

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load, changes sync.WaitGroup
	began := time.Now()
	c.clients(ctx, &load)
	c.people(ctx, &changes)
	c.disturb(ctx, lasts, kills, outages)
	waitFor(t, "all replicas are back", f.allReady)
	f.heeds.Store(true)
	calm := time.Now()
	c.roll()
	rolled := time.Now()
	stop()
	load.Wait()
	changes.Wait()
	c.settle()
	c.judge(began, calm, rolled)
}

func chaosTools() (all []json.RawMessage) {
	for _, tool := range []string{"look", "note", "extra", "scarce", "refund"} {
		all = append(all, fmt.Appendf(nil, `{"name":%q,"description":"Does the %s of the work","inputSchema":{"type":"object","properties":{"n":{"type":"string"}},"required":["n"]}}`, tool, tool))
	}
	return all
}

// chaos is who acts in the test.
type chaos struct {
	t *testing.T
	*fleet
	*witness
	ada, ravi, dan *api.Client

	keys                             sync.Map // id of each issued key → whether its revocation was acknowledged
	requests                         sync.Map // id of each request of which a decision was sent → the n of its call
	decisions                        sync.Map // id of each request that was decided → acknowledged as approved
	revisions                        sync.Map // number of each revision of the persona "moving" that was acknowledged as live
	kills, restarts, cuts, unordered int
	revocations, suspensions, moves  atomic.Int64
}

// sign has people signed in.
func (c *chaos) sign() {
	for _, p := range []struct {
		at          **api.Client
		name, roles string
	}{{&c.ada, "ada", "author"}, {&c.ravi, "ravi", "reviewer,author"}, {&c.dan, "dan", "approver"}} {
		browser := c.in.browser(c.in.person(p.name, p.roles))
		at, err := url.Parse(c.url)
		if err != nil {
			c.t.Fatal(err)
		}
		client, err := api.NewClient(c.url, browser.Jar.Cookies(at)[0].Value)
		if err != nil {
			c.t.Fatal(err)
		}
		*p.at = client
	}
}

// personas makes one for each thing that is tried.
func (c *chaos) personas() {
	ctx := c.t.Context()
	waitFor(c.t, "listing the server", func() bool {
		var found api.Hits
		return c.ada.Get(ctx, "/tools", nil, &found) == nil && len(found.Tools) == len(chaosTools())
	})
	for id, tools := range map[persona.ID][]api.Want{
		"steady": {{Tool: "work/look"}, {Tool: "work/note"}},
		"moving": moving,
		"scarce": {{Tool: "work/scarce", Policy: policy.Policy{Limits: []policy.Limit{{Calls: perMinute, Per: policy.Minute}}}}},
		"asking": {{Tool: "work/refund", Policy: policy.Policy{Approval: &policy.Approval{Minutes: 5}}}},
	} {
		if err := c.ada.Post(ctx, "/personas", api.Create{ID: id, Title: string(id), Job: chaosJob, Tools: tools}, &api.Persona{}); err != nil {
			c.t.Fatal(err)
		}
		if err := c.widen(ctx, id, tools); err != nil {
			c.t.Fatal(err)
		}
	}
}

const chaosJob = "Do the work that the server offers."

var moving = []api.Want{{Tool: "work/look"}, {Tool: "work/extra"}}

// widen goes one step after the other towards a live revision with the tools.
func (c *chaos) widen(ctx context.Context, id persona.ID, tools []api.Want) error {
	path := "/personas/" + string(id)
	for {
		var p api.Persona
		if err := c.ada.Get(ctx, path, nil, &p); err != nil {
			return err
		}
		latest := p.Revisions[len(p.Revisions)-1]
		if err := c.ada.Get(ctx, path, url.Values{"revision": {fmt.Sprint(latest.Number)}}, &p); err != nil {
			return err
		}
		var err error
		switch {
		case latest.State == persona.Live && len(p.Revision.Tools) == len(tools):
			c.revisions.Store(latest.Number, true)
			return nil
		case latest.State == persona.Draft:
			err = c.ada.Post(ctx, path+"/submit", api.Number{Revision: latest.Number}, &p)
		case latest.State == persona.Submitted:
			seen := persona.Digests{}
			for _, g := range p.Revision.Tools {
				seen[g.Tool] = g.Digest
			}
			err = c.ravi.Post(ctx, path+"/approve", api.Approve{Revision: latest.Number, Seen: seen}, &p)
		default:
			err = c.ada.Post(ctx, path+"/draft", api.Revise{Job: chaosJob, Tools: tools}, &p)
		}
		if err != nil {
			return err
		}
	}
}

// acknowledged repeats a change until it is acknowledged, or is seen to hold; false when the test ended before.
func acknowledged(ctx context.Context, change func() error, holds func() bool) bool {
	for ctx.Err() == nil {
		if change() == nil || holds() {
			return true
		}
		pause(ctx, 100*time.Millisecond)
	}
	return false
}

// key issues one. It returns nothing when the test ended before.
func (c *chaos) key(ctx context.Context, id persona.ID) (k api.IssuedKey) {
	acknowledged(ctx, func() error {
		return c.ravi.Post(ctx, "/keys", api.NewKey{Persona: string(id), Agent: "bot", User: "zoe"}, &k)
	}, func() bool { return false })
	if k.ID != "" {
		c.keys.Store(k.ID, false)
	}
	return k
}

// people revoke, approve and change without pause until the context ends.
func (c *chaos) people(ctx context.Context, busy *sync.WaitGroup) {
	busy.Go(func() {
		for ctx.Err() == nil {
			c.suspension(ctx)
			c.narrowing(ctx)
		}
	})
	busy.Go(func() {
		for ctx.Err() == nil {
			c.decide(ctx)
			pause(ctx, 200*time.Millisecond)
		}
	})
}

func (c *chaos) suspension(ctx context.Context) {
	stopped := func() bool {
		var all api.List[api.Suspension]
		return c.ravi.Get(ctx, "/suspensions", nil, &all) == nil && len(all.Items) > 0
	}
	if !acknowledged(ctx, func() error {
		return c.ravi.Post(ctx, "/suspensions", api.Suspend{Kind: persona.OnePersona, Name: "moving", Reason: "to see"}, &api.Done{})
	}, stopped) {
		return
	}
	lift := c.banned("moving suspended")
	c.suspensions.Add(1)
	pause(ctx, 3*time.Second)
	lift()
	acknowledged(ctx, func() error {
		return c.ravi.Post(ctx, "/suspensions/resume", api.Resume{Kind: persona.OnePersona, Name: "moving"}, &api.Done{})
	}, func() bool {
		var all api.List[api.Suspension]
		return c.ravi.Get(ctx, "/suspensions", nil, &all) == nil && len(all.Items) == 0
	})
	pause(ctx, time.Second)
}

func (c *chaos) narrowing(ctx context.Context) {
	var p api.Persona
	if !acknowledged(ctx, func() error {
		return c.ravi.Post(ctx, "/personas/moving/narrow", api.Narrow{Remove: []catalog.ID{"work/extra"}}, &p)
	}, func() bool {
		return c.ravi.Get(ctx, "/personas/moving", nil, &p) == nil && len(p.Revision.Tools) == 1
	}) {
		return
	}
	lift := c.banned("moving without extra")
	c.revisions.Store(p.Live, true)
	c.moves.Add(1)
	pause(ctx, 3*time.Second)
	lift()
	acknowledged(ctx, func() error { return c.widen(ctx, "moving", moving) }, func() bool { return false })
	pause(ctx, time.Second)
}

// decide approves the calls that wait, but denies those whose n ends with 0.
func (c *chaos) decide(ctx context.Context) {
	var waiting api.List[api.Approval]
	if c.dan.Get(ctx, "/approvals", nil, &waiting) != nil {
		return // tried again soon
	}
	for _, w := range waiting.Items {
		var whole api.Approval
		var arguments struct{ N string }
		if c.dan.Get(ctx, "/approvals/"+w.ID, nil, &whole) != nil || whole.State != approval.Pending || json.Unmarshal(whole.Arguments, &arguments) != nil {
			continue
		}
		deny := strings.HasSuffix(arguments.N, "0")
		move := "/approve"
		if deny {
			move = "/deny"
		}
		c.requests.Store(w.ID, arguments.N)
		if c.dan.Post(ctx, "/approvals/"+w.ID+move, api.Decide{Seen: whole.Seen}, &whole) == nil {
			c.decisions.Store(w.ID, !deny)
		}
	}
}

// clients call without pause until the context ends: official ones, whose process lives all the time, and those that count exactly.
func (c *chaos) clients(ctx context.Context, busy *sync.WaitGroup) {
	for _, sdk := range [][3]string{{"v1", "", "look"}, {"v2", "2025-11-25", "note"}, {"v2", "2026-07-28", "look"}} {
		name := "sdk" + sdk[0] + strings.ReplaceAll(sdk[1], "-", "")
		key := c.key(ctx, "steady").Secret
		busy.Go(func() { c.sdk(ctx, name, sdk[0], sdk[1], sdk[2], key) })
	}
	for i := range 4 {
		modern := i%2 == 0
		for _, one := range []struct {
			name    string
			persona persona.ID
			tools   []string
			every   time.Duration
			under   map[string][]string
		}{
			{"steady", "steady", []string{"look", "note"}, 80 * time.Millisecond, nil},
			{"moving", "moving", []string{"look", "extra"}, 120 * time.Millisecond, map[string][]string{"look": {"moving suspended"}, "extra": {"moving suspended", "moving without extra"}}},
			{"scarce", "scarce", []string{"scarce"}, 300 * time.Millisecond, nil},
		} {
			a := c.agent(fmt.Sprintf("%s%d", one.name, i), one.persona, modern)
			busy.Go(func() {
				a.secret = c.key(ctx, one.persona).Secret
				every(ctx, one.every, func(n int) {
					tool := one.tools[n%len(one.tools)]
					a.call(tool, a.name+fmt.Sprintf("x%d", n), one.under[tool]...)
				})
			})
		}
		if i < 2 {
			busy.Go(func() { c.revoked(ctx, c.agent(fmt.Sprintf("revoked%d", i), "steady", modern)) })
			busy.Go(func() { c.asking(ctx, c.agent(fmt.Sprintf("asking%d", i), "asking", modern)) })
		}
	}
}

func every(ctx context.Context, d time.Duration, do func(n int)) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(n)
		}
	}
}

// revoked is an agent that does not stop when its key was revoked.
func (c *chaos) revoked(ctx context.Context, a *agent) {
	n := 0
	for ctx.Err() == nil {
		key := c.key(ctx, a.persona)
		a.secret, a.session = key.Secret, ""
		own, end := context.WithCancel(ctx)
		var busy sync.WaitGroup
		busy.Go(func() {
			every(own, 60*time.Millisecond, func(int) { n++; a.call("note", fmt.Sprintf("%sx%d", a.name, n), "key "+key.ID) })
		})
		pause(ctx, time.Second)
		if acknowledged(ctx, func() error { return c.ravi.Delete(ctx, "/keys/"+key.ID, &api.Done{}) }, func() bool { return c.state(ctx, key.ID) == "revoked" }) {
			c.banned("key " + key.ID) // for ever
			c.keys.Store(key.ID, true)
			c.revocations.Add(1)
		}
		pause(ctx, 3*time.Second)
		end()
		busy.Wait()
	}
}

// state is that of a key; empty when nobody knows.
func (c *chaos) state(ctx context.Context, id string) string {
	var all api.List[api.Key]
	if c.ravi.Get(ctx, "/keys", url.Values{"persona": {"steady"}}, &all) != nil {
		return ""
	}
	for _, k := range all.Items {
		if k.ID == id {
			return string(k.State)
		}
	}
	return ""
}

// asking is an agent whose calls wait for a person, and which repeats each until it is made or denied.
func (c *chaos) asking(ctx context.Context, a *agent) {
	a.secret = c.key(ctx, a.persona).Secret
	for n := 0; ctx.Err() == nil; n++ {
		for ctx.Err() == nil {
			got := a.call("refund", fmt.Sprintf("%sx%d", a.name, n))
			if got.outcome == answered || strings.Contains(got.text, "Denied") {
				break
			}
			pause(ctx, 50*time.Millisecond)
		}
		pause(ctx, 300*time.Millisecond)
	}
}

// agent is a client of one era, written here so that every answer is counted.
type agent struct {
	*chaos
	name            string
	persona         persona.ID
	modern          bool
	secret, session string
	http            *http.Client
}

func (c *chaos) agent(name string, id persona.ID, modern bool) *agent {
	return &agent{chaos: c, name: name, persona: id, modern: modern, http: &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{}}}
}

// call makes one, and tells the witness.
func (a *agent) call(tool, n string, under ...string) *asked {
	c := &asked{n: n, client: a.name, tool: tool, under: under}
	headers := map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool}
	meta := `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	if !a.modern {
		if a.session == "" {
			_, header, _ := a.post(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"chaos","version":"1"}}}`, nil)
			a.session = header.Get("Mcp-Session-Id")
		}
		meta, headers = "", map[string]string{"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": a.session}
	}
	c.sent = time.Now()
	status, _, text := a.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":"tools/call","params":{"name":%q,"arguments":{"n":%q}%s}}`, fmt.Sprint(n, " ", c.sent.UnixNano()), tool, n, meta), headers)
	c.ended, c.text = time.Now(), fmt.Sprint(status, " ", text)
	if c.outcome = outcomeOf(text); status == http.StatusUnauthorized {
		c.outcome = turnedAway
	}
	if status == http.StatusNotFound {
		a.session = ""
	}
	a.called(c)
	return c
}

// outcomeOf reads an answer, which may be an event stream.
func outcomeOf(text string) outcome {
	if data := strings.LastIndex(text, "data: {"); data >= 0 {
		text = strings.TrimSpace(text[data+len("data: "):])
	}
	var m struct {
		Result *struct{ IsError bool }
		Error  *struct{ Code int }
	}
	switch err := json.Unmarshal([]byte(text), &m); {
	case err == nil && m.Result != nil && !m.Result.IsError:
		return answered
	case err == nil && (m.Result != nil || m.Error != nil && m.Error.Code == -32602):
		return refused
	}
	return failed
}

func (a *agent) post(body string, headers map[string]string) (status int, header http.Header, text string) {
	req, err := http.NewRequest(http.MethodPost, a.url+"/k/"+string(a.persona)+"/mcp", bytes.NewReader([]byte(body)))
	if err != nil {
		a.t.Error(err)
		return 0, nil, ""
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", "Bearer "+a.secret)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := a.http.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, res.Header, fmt.Sprintf("%s… %v", answer, err)
	}
	return res.StatusCode, res.Header, string(answer)
}

// sdk runs an official client until the context ends, and tells the witness what it says.
func (c *chaos) sdk(ctx context.Context, name, sdk, version, tool, key string) {
	cmd := exec.Command(node, "chaos.mjs", sdk, c.url+"/k/steady/mcp", key, tool, version, name)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		c.t.Error(err)
		return
	}
	output, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.t.Error(err)
		return
	}
	defer context.AfterFunc(ctx, func() { input.Close() })()
	for lines := bufio.NewScanner(output); lines.Scan(); {
		var said struct {
			N, Text, Error string
			Sent, Ended    int64
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			c.t.Errorf("%s said %s: %v", name, lines.Text(), err)
			continue
		}
		outcome := failed
		if said.Error == "" {
			outcome = outcomeOf(`{"result":` + said.Text + `}`)
		}
		c.called(&asked{n: said.N, client: name, tool: tool, sent: time.UnixMilli(said.Sent), ended: time.UnixMilli(said.Ended), outcome: outcome, text: said.Text + said.Error})
	}
	if err := cmd.Wait(); err != nil {
		c.t.Errorf("%s: %v", name, err)
	}
}

// disturb kills, stops and cuts for so long.
func (c *chaos) disturb(ctx context.Context, lasts, kills time.Duration, outages int) {
	began := time.Now()
	ctx, end := context.WithTimeout(ctx, lasts)
	defer end()
	at := func(part float64) bool {
		pause(ctx, time.Until(began.Add(time.Duration(part*float64(lasts)))))
		return ctx.Err() == nil
	}
	must := func(err error) {
		if err != nil {
			c.t.Error(err)
		}
	}
	var apart atomic.Int64 // 1 + the replica that is cut off, which is not killed meanwhile
	var busy sync.WaitGroup
	busy.Go(func() {
		every(ctx, kills, func(n int) {
			i := n % len(c.replicas)
			if int64(i+1) == apart.Load() {
				i = (i + 1) % len(c.replicas)
			}
			if c.replicas[i].kill(syscall.SIGKILL) {
				c.kills++
			}
		})
	})
	busy.Go(func() { // a database at a time
		for k := range outages {
			for i, s := range []interface {
				Stop() error
				Start() error
			}{c.postgres, c.redis} {
				if !at((float64(k) + 0.2 + 0.5*float64(i)) / float64(outages)) {
					return
				}
				must(s.Stop())
				pause(ctx, 2*time.Second)
				must(s.Start())
				c.restarts++
			}
		}
	})
	busy.Go(func() {
		cuts := []struct {
			name  string // none is the link
			lasts time.Duration
		}{{"", 8 * time.Second}, {announcements, 8 * time.Second}}
		if outages > 1 {
			cuts = append(cuts, cuts[0], cuts[1])
			cuts[2].lasts, cuts[3].lasts = 40*time.Second, 40*time.Second
			cuts = append(cuts, cuts[0], cuts[0])
			cuts[4].name, cuts[5].name, cuts[5].lasts = "redis", "postgres", 40*time.Second
		}
		for k, cut := range cuts {
			if !at((float64(k) + 0.6) / float64(len(cuts))) {
				return
			}
			i := k % len(c.replicas)
			apart.Store(int64(i + 1))
			must(c.replicas[i].cut(cut.name))
			pause(ctx, cut.lasts)
			must(c.replicas[i].mend(cut.name))
			apart.Store(0)
			c.cuts++
		}
	})
	busy.Wait()
	<-ctx.Done()
}

// roll restarts one replica after the other in good order.
func (c *chaos) roll() {
	for i, r := range c.replicas {
		starts, failures := r.starts.Load(), r.failed.Load()
		if !r.kill(syscall.SIGTERM) {
			c.t.Errorf("replica %d was down when it was to be restarted", i)
		}
		waitFor(c.t, fmt.Sprintf("the restart of replica %d", i), func() bool { return r.starts.Load() > starts && r.ready.Load() })
		if r.failed.Load() > failures {
			c.t.Errorf("replica %d did not end in good order", i)
		}
	}
}

// settle waits until the calls of those that died are in the record.
func (c *chaos) settle() {
	db, err := sql.Open("pgx", c.database)
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	waitFor(c.t, "recording the calls of replicas that died", func() bool {
		var open int
		return db.QueryRow("select count(*) from audit_intent").Scan(&open) == nil && open == 0
	})
}

// judge holds what was seen against what is promised, and prints the counts.
func (c *chaos) judge(began, calm, rolled time.Time) {
	t := c.t
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, record, decisions := 0, recorded{}, map[audit.Decision]int{}
	decided, approved, denied := map[string]string{}, map[string]int{}, 0 // by request, and by n
	for line := range strings.Lines(c.in.cli("audit", "export", "--format", "jsonl")) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		entries++
		switch e.Kind {
		case audit.ToolCall:
			var arguments struct{ N string }
			if err := json.Unmarshal([]byte(e.Arguments), &arguments); err != nil {
				t.Errorf("entry %d: the arguments are %q: %v", e.Seq, e.Arguments, err)
			}
			record[arguments.N] = append(record[arguments.N], e.Decision)
			decisions[e.Decision]++
		case "approval.approve", "approval.deny":
			if decided[e.Approval] != "" {
				t.Errorf("entry %d: %s decided on again", e.Seq, e.Approval)
			}
			decided[e.Approval] = e.Kind
			if n, sent := c.requests.Load(e.Approval); !sent {
				t.Errorf("entry %d: nobody decided on %s", e.Seq, e.Approval)
			} else if e.Kind == "approval.approve" {
				approved[n.(string)]++
			} else {
				denied++
			}
		}
	}
	verified := strings.TrimSpace(c.in.cli("audit", "verify"))
	c.inRecord(t, record)
	total := c.reached(t, approved)
	late := c.stale(t, staleness)
	peak := c.peak("scarce", time.Minute)
	if most := perMinute + limitCallers; peak > most {
		t.Errorf("%d calls of the limited tool began within a minute, want %d at most", peak, most)
	}
	c.kept(decided)

	all, _, longest := c.tally("", began, rolled)
	rolling, fails := map[outcome]int{}, []string{}
	for _, client := range []string{"steady", "sdk"} {
		counts, failed, _ := c.tally(client, calm, rolled)
		for o, n := range counts {
			rolling[o] += n
		}
		fails = append(fails, failed...)
	}
	if len(fails) > 0 || rolling[answered] == 0 {
		t.Errorf("in the rolling restart %d calls were answered, %d refused and %d failed:\n%s", rolling[answered], rolling[refused], rolling[failed], strings.Join(fails, "\n"))
	}
	starts, unordered := int64(0), int64(0)
	for _, r := range c.replicas {
		starts += r.starts.Load()
		unordered += r.failed.Load()
	}
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range [][2]any{
		{"lasted", rolled.Sub(began).Round(time.Second)},
		{"replicas killed with -9", c.kills},
		{"starts of replicas; ends with another status than 0, kills included", fmt.Sprint(starts, "; ", unordered)},
		{"PostgreSQL and Redis crashed and started", c.restarts},
		{"partitions", c.cuts},
		{"keys revoked", c.revocations.Load()},
		{"personas suspended and narrowed", fmt.Sprint(c.suspensions.Load(), " and ", c.moves.Load())},
		{"calls approved and denied by a person", fmt.Sprint(sum(approved), " and ", denied)},
		{"calls: answered, refused, turned away for a revoked key, without such an answer", fmt.Sprint(all[answered], ", ", all[refused], ", ", all[turnedAway], ", ", all[failed])},
		{"longest call", longest.Round(time.Millisecond)},
		{"calls that reached the server", total},
		{"entries in the record; of calls", fmt.Sprint(entries-1, "; ", decisions)},
		{"times in which calls were to be refused; calls sent then", fmt.Sprint(late.bans, "; ", late.tried)},
		{"latest call that passed after such a time began: sent, arrived", fmt.Sprint(late.sent.Round(time.Millisecond), ", ", late.arrived.Round(time.Millisecond))},
		{fmt.Sprintf("most calls in a minute where %d may be made", perMinute), peak},
		{"rolling restart: answered, refused, failed", fmt.Sprint(rolling[answered], ", ", rolling[refused], ", ", rolling[failed])},
	} {
		fmt.Fprintf(table, "%v\t%v\n", row[0], row[1])
	}
	if err := errors.Join(table.Flush()); err != nil {
		t.Error(err)
	}
	t.Logf("\n%s%s", &b, verified)
	if all[answered] == 0 || all[refused] == 0 || all[turnedAway] == 0 || all[failed] == 0 || c.kills == 0 || c.cuts == 0 || c.restarts < 2 || late.tried == 0 || peak == 0 || denied == 0 || len(approved) == 0 {
		t.Error("too little happened")
	}
}

func sum(counts map[string]int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

// kept says whether every acknowledged write is there.
func (c *chaos) kept(decided map[string]string) {
	t, ctx := c.t, c.t.Context()
	var keys api.List[api.Key]
	var p api.Persona
	for path, into := range map[string]any{"/keys": &keys, "/personas/moving": &p} {
		if err := c.ravi.Get(ctx, path, nil, into); err != nil {
			t.Fatal(err)
		}
	}
	states := map[string]string{}
	for _, k := range keys.Items {
		states[k.ID] = string(k.State)
	}
	c.keys.Range(func(id, revoked any) bool {
		if got := states[id.(string)]; got == "" || revoked.(bool) && got != "revoked" {
			t.Errorf("key %s is %q; it was acknowledged, and revoked: %v", id, got, revoked)
		}
		return true
	})
	c.decisions.Range(func(id, approved any) bool {
		want := "approval.deny"
		if approved.(bool) {
			want = "approval.approve"
		}
		if got := decided[id.(string)]; got != want {
			t.Errorf("request %s: the record has %q, want %s", id, got, want)
		}
		return true
	})
	c.revisions.Range(func(number, _ any) bool {
		if n := number.(int); len(p.Revisions) < n || p.Revisions[n-1].State != persona.Live && p.Revisions[n-1].State != persona.Approved {
			t.Errorf("revision %d was live, and is not among %v", n, p.Revisions)
		}
		return true
	})
}
