package e2e_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"remit/audit"
	"remit/internal/fakemcp"
	"remit/internal/services"
	"remit/persona"
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
	f := newFleet(t, 3, cause == nil, w.before(server), "drain: 5s\napproval-wait: 3s\n")
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

	keys                            sync.Map // id of each issued key → whether its revocation was acknowledged
	requests                        sync.Map // id of each request of which a decision was sent → the n of its call
	decisions                       sync.Map // id of each request that was decided → acknowledged as approved
	revisions                       sync.Map // number of each revision of the persona "moving" that was acknowledged as live
	kills, crashes, cuts            int
	revocations, suspensions, moves atomic.Int64
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
		for k := range 2 * outages {
			s := []*services.Server{c.postgres, c.redis}[k%2]
			if !at((float64(k) + 0.4) / float64(2*outages)) {
				return
			}
			c.must(s.Stop())
			pause(ctx, 2*time.Second)
			c.must(s.Start())
			c.crashes++
		}
	})
	busy.Go(func() {
		cuts := partitions[:2]
		if outages > 1 {
			cuts = partitions
		}
		for k, cut := range cuts {
			if !at((float64(k) + 0.6) / float64(len(cuts))) {
				return
			}
			i := k % len(c.replicas)
			apart.Store(int64(i + 1))
			c.replicas[i].deaf.Store(cut.from == announcements)
			c.must(c.replicas[i].cut(cut.from))
			pause(ctx, cut.lasts)
			c.replicas[i].deaf.Store(false)
			c.must(c.replicas[i].mend(cut.from))
			apart.Store(0)
			c.cuts++
		}
	})
	busy.Wait()
	<-ctx.Done()
}

// partitions are what a replica is cut off from, one after the other; "" is everything. Those of 40 s are so long that the others take
// the replica for dead.
var partitions = []struct {
	from  string
	lasts time.Duration
}{{"", 8 * time.Second}, {announcements, 8 * time.Second}, {"", 40 * time.Second}, {announcements, 40 * time.Second}, {"redis", 8 * time.Second}, {"postgres", 40 * time.Second}}

func (c *chaos) must(err error) {
	if err != nil {
		c.t.Error(err)
	}
}

// roll restarts one replica after the other in good order.
func (c *chaos) roll() {
	for i, r := range c.replicas {
		failures := r.failed.Load()
		if !r.kill(syscall.SIGTERM) {
			c.t.Errorf("replica %d was down when it was to be restarted", i)
		}
		waitFor(c.t, fmt.Sprintf("the restart of replica %d", i), r.back)
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

// book is what the record has of the test.
type book struct {
	entries   int
	calls     map[string][]audit.Decision // by n
	decisions map[audit.Decision]int
	decided   map[string]string // approval.approve or approval.deny, by request
	approved  map[string]int    // how often, by n
	denied    int
}

// book reads the record.
func (c *chaos) book() *book {
	b := &book{calls: map[string][]audit.Decision{}, decisions: map[audit.Decision]int{}, decided: map[string]string{}, approved: map[string]int{}}
	for line := range strings.Lines(c.in.cli("audit", "export", "--format", "jsonl")) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
		if e.Kind == "" {
			continue // the head, which is last
		}
		b.entries++
		switch e.Kind {
		case audit.ToolCall:
			var arguments struct{ N string }
			if err := json.Unmarshal([]byte(e.Arguments), &arguments); err != nil {
				c.t.Errorf("entry %d: the arguments are %q: %v", e.Seq, e.Arguments, err)
			}
			b.calls[arguments.N] = append(b.calls[arguments.N], e.Decision)
			b.decisions[e.Decision]++
		case "approval.approve", "approval.deny":
			if b.decided[e.Approval] != "" {
				c.t.Errorf("entry %d: %s was decided before", e.Seq, e.Approval)
			}
			b.decided[e.Approval] = e.Kind
			if n, sent := c.requests.Load(e.Approval); !sent {
				c.t.Errorf("entry %d: nobody decided on %s", e.Seq, e.Approval)
			} else if e.Kind == "approval.approve" {
				b.approved[n.(string)]++
			} else {
				b.denied++
			}
		}
	}
	return b
}

// judge holds what was seen against what is promised, and prints the counts.
func (c *chaos) judge(began, calm, rolled time.Time) {
	t, b := c.t, c.book()
	verified := strings.TrimSpace(c.in.cli("audit", "verify"))
	c.inRecord(t, b.calls)
	total := c.reached(t, b.approved)
	late := c.stale(t, staleness)
	peak := c.peak("scarce", time.Minute)
	if most := perMinute + limitCallers; peak > most {
		t.Errorf("%d calls of the limited tool began within a minute, want %d at most", peak, most)
	}
	c.kept(b.decided)
	all, _, longest := c.tally([]string{""}, began, rolled)
	_, fails, _ := c.tally([]string{"steady", "sdk"}, calm, rolled, answered)
	rolling, more, _ := c.tally([]string{""}, calm, rolled, answered, refused, turnedAway)
	if fails = append(fails, more...); len(fails) > 0 || rolling[answered] == 0 {
		t.Errorf("in the rolling restart %d calls were answered, and these failed:\n%s", rolling[answered], strings.Join(fails, "\n"))
	}
	starts, ends := int64(0), int64(0)
	for _, r := range c.replicas {
		starts += r.starts.Load()
		ends += r.failed.Load()
	}
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, row := range [][]any{
		{"lasted", rolled.Sub(began).Round(time.Second)},
		{"replicas: killed with -9, started, ended with another status than 0", c.kills, starts, ends},
		{"databases crashed and started again", c.crashes},
		{"partitions", c.cuts},
		{"keys revoked; personas suspended, narrowed", c.revocations.Load(), c.suspensions.Load(), c.moves.Load()},
		{"calls that a person approved, denied", sum(b.approved), b.denied},
		{"calls: answered, refused, turned away for a revoked key, none of these", all[answered], all[refused], all[turnedAway], all[failed]},
		{"longest call", longest.Round(time.Millisecond)},
		{"calls that reached the server", total},
		{"entries; of calls: allowed, refused, failed, unknown", b.entries, b.decisions[audit.Allowed], b.decisions[audit.Refused], b.decisions[audit.Failed], b.decisions[audit.Unknown]},
		{"times in which calls were to be refused; calls sent then", late.bans, late.tried},
		{"latest call that passed after such a time began: sent, arrived", late.sent.Round(time.Millisecond), late.arrived.Round(time.Millisecond)},
		{fmt.Sprintf("most calls in a minute where %d may be made", perMinute), peak},
		{"rolling restart: answered, refused, turned away, none of these", rolling[answered], rolling[refused], rolling[turnedAway], rolling[failed]},
	} {
		fmt.Fprintf(table, "%v\t%s\n", row[0], strings.Join(strings.Fields(fmt.Sprintln(row[1:]...)), ", "))
	}
	c.must(table.Flush())
	t.Logf("\n%s%s", &out, verified)
	if all[answered] == 0 || all[refused] == 0 || all[turnedAway] == 0 || c.kills == 0 || c.cuts == 0 || c.crashes < 2 || late.tried == 0 || peak == 0 || b.denied == 0 || len(b.approved) == 0 {
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
