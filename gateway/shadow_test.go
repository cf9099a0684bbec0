package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"remit/audit"
	"remit/catalog"
	"remit/gateway"
	"remit/identity"
	"remit/internal/strictjson"
	"remit/persona"
	"remit/policy"
	"remit/upstream"
)

// stage is everything around a gateway, in memory, with a clock that stands still.
type stage struct {
	audit.Log
	persona persona.Persona
	tools   map[catalog.ID]catalog.Tool
	now     time.Time
	bounds  identity.Bounds // of every key
	frozen  func(ctx context.Context, revision int) (bool, error)

	mu      sync.Mutex
	entries []audit.Entry
	called  []string
}

func (s *stage) Persona(context.Context, persona.ID) (persona.Persona, error) { return s.persona, nil }
func (s *stage) Suspensions(context.Context) ([]persona.Suspension, error)    { return nil, nil }
func (s *stage) Server(string) (gateway.Caller, bool)                         { return s, true }
func (s *stage) Begin(context.Context, audit.Entry) (audit.Ticket, error)     { return 1, nil }
func (s *stage) Finish(ctx context.Context, _ audit.Ticket, e audit.Entry) error {
	return s.Append(ctx, e)
}
func (s *stage) Frozen(ctx context.Context, _ persona.ID, revision int, _ persona.Pin) (since time.Time, frozen bool, err error) {
	if s.frozen != nil {
		frozen, err = s.frozen(ctx, revision)
	}
	return since, frozen, err
}
func (s *stage) Append(_ context.Context, e audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, e)
	return nil
}
func (s *stage) Watch(context.Context, string, func(), func()) error { return nil }

func (s *stage) Call(_ context.Context, c upstream.Call) (strictjson.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called = append(s.called, c.Tool+" "+c.Arguments.String())
	return strictjson.Unread(`{"content":[]}`), nil
}
func (s *stage) Authenticate(_ context.Context, secret string, _ netip.Addr) (identity.Principal, error) {
	return identity.Principal{Agent: "bot", User: "carol", Persona: "p", Key: secret, Bounds: s.bounds}, nil
}

// newStage offers the tools a, b and c, each with a number n.
func newStage(t require) *stage {
	s := &stage{tools: map[catalog.ID]catalog.Tool{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	for _, name := range []string{"a", "b", "c"} {
		tool, err := catalog.Parse("s", fmt.Appendf(nil, `{"name":%q,"description":"Does %s.","inputSchema":{"type":"object","properties":{"n":{"type":"integer","maximum":100}}}}`, name, name))
		if err != nil {
			t.Fatalf("%v", err)
		}
		s.tools[tool.ID] = tool
	}
	return s
}

type require interface{ Fatalf(string, ...any) }

// grant is a tool of the stage under a name and a policy.
func (s *stage) grant(id catalog.ID, name string, p policy.Policy) persona.Grant {
	t := s.tools[id]
	return persona.Grant{Pin: persona.Pin{Tool: id, Digest: t.Digest, Definition: t.Definition}, Name: name, Policy: p}
}

// gateway serves the stage; change may adapt its configuration.
func (s *stage) gateway(change func(*gateway.Config)) *gateway.Gateway {
	c := gateway.Config{Personas: s, Keys: s, Upstreams: s, Audit: s, KeepArguments: true, Now: func() time.Time { return s.now },
		Current: func(id catalog.ID) (catalog.Tool, bool) { t, ok := s.tools[id]; return t, ok }}
	if change != nil {
		change(&c)
	}
	return gateway.New(c)
}

// ask calls a tool and returns the answer.
func ask(g *gateway.Gateway, key, tool, arguments string) string {
	w := httptest.NewRecorder()
	g.ServeHTTP(w, benchRequest("p", key, call(tool, arguments)))
	return w.Body.String()
}

func (s *stage) last() audit.Entry { return s.entries[len(s.entries)-1] }

// beside makes a persona whose first revision is live and whose second runs beside it.
func (s *stage) beside(live, shadow []persona.Grant) {
	s.persona = persona.Persona{ID: "p", Shadow: persona.Shadow{Revision: 2, Person: "rob", Since: s.now}, Revisions: []persona.Revision{
		{Number: 1, State: persona.Live, Grants: live}, {Number: 2, State: persona.Submitted, Grants: shadow}}}
}

var (
	anyRules = rapid.Custom(func(t *rapid.T) (p policy.Policy) {
		if rapid.Bool().Draw(t, "limited") {
			p.Limits = []policy.Limit{{Calls: rapid.IntRange(1, 3).Draw(t, "calls"), Per: rapid.SampledFrom([]policy.Period{policy.Minute, policy.Day}).Draw(t, "per"),
				By: rapid.SampledFrom([]policy.Scope{policy.ByKey, policy.ByPersona}).Draw(t, "by")}}
		}
		if rapid.Bool().Draw(t, "constrained") {
			p.Arguments = []policy.Constraint{{Path: "/n", Maximum: json.RawMessage(rapid.SampledFrom([]string{"1", "5"}).Draw(t, "maximum")), Optional: true}}
		}
		if rapid.Bool().Draw(t, "conditional") {
			p.Conditions = []policy.Condition{{CEL: rapid.SampledFrom([]string{"args.n != 3", `agent == "bot"`}).Draw(t, "cel")}}
		}
		if rapid.IntRange(0, 3).Draw(t, "hours") == 0 {
			p.Hours = []policy.Hours{{From: "08:00", To: rapid.SampledFrom([]string{"12:10", "18:00"}).Draw(t, "to")}}
		}
		return p
	})
	anyCall = rapid.Custom(func(t *rapid.T) [3]string {
		return [3]string{rapid.SampledFrom([]string{"k1", "k2"}).Draw(t, "key"), rapid.SampledFrom([]string{"a", "b", "c", "x", "none"}).Draw(t, "tool"),
			rapid.SampledFrom([]string{`{}`, `{"n":1}`, `{"n":3}`, `{"n":7}`, `{"n":101}`, `{"n":"3"}`, `{"n":2,"key":"AKIAIOSFODNN7EXAMPLE"}`}).Draw(t, "arguments")}
	})
)

func anyGrants(t *rapid.T, s *stage, label string) (out []persona.Grant) {
	for _, id := range []catalog.ID{"s/a", "s/b", "s/c"} {
		if rapid.Bool().Draw(t, label+" grants "+string(id)) {
			name := strings.TrimPrefix(string(id), "s/")
			if id == "s/c" {
				name = rapid.SampledFrom([]string{"c", "x"}).Draw(t, label+" names c") // agents of two revisions read other names
			}
			out = append(out, s.grant(id, name, anyRules.Draw(t, label+" rules")))
		}
	}
	return out
}

// damage breaks a shadow in ways that a database can.
func damage(t *rapid.T, s *stage) {
	shadow := &s.persona.Revisions[1]
	switch rapid.SampledFrom([]string{"", "", "", "definition", "policy", "state", "number", "freeze", "panic"}).Draw(t, "damage") {
	case "definition":
		for i := range shadow.Grants {
			shadow.Grants[i].Definition = json.RawMessage(`{"name":`)
		}
	case "policy":
		for i := range shadow.Grants {
			shadow.Grants[i].Policy.Concurrent = -1
		}
	case "state":
		shadow.State = persona.Draft
	case "number":
		s.persona.Shadow.Revision = 9
	case "freeze":
		s.frozen = func(_ context.Context, revision int) (bool, error) { return false, map[int]error{2: errDisk}[revision] }
	case "panic":
		s.frozen = func(_ context.Context, revision int) (bool, error) {
			if revision == 2 {
				panic("a defect")
			}
			return false, nil
		}
	}
}

// Whatever revision runs beside the live one, whole or damaged: every answer, every call of a server, and every decision in
// the record are what they are without it. So a shadow never allows, never refuses, and never uses up a limit.
func TestShadowChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		with, without := newStage(t), newStage(t)
		live := anyGrants(t, with, "live")
		with.beside(live, anyGrants(t, with, "shadow"))
		without.persona = persona.Persona{ID: "p", Revisions: []persona.Revision{{Number: 1, State: persona.Live, Grants: live}}}
		damage(t, with)
		quiet := func(c *gateway.Config) { c.Log = discarding }
		a, b := with.gateway(quiet), without.gateway(quiet)
		for range rapid.IntRange(1, 20).Draw(t, "calls") {
			c := anyCall.Draw(t, "call")
			with.now = with.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "pause")) * time.Second)
			without.now = with.now
			if got, want := ask(a, c[0], c[1], c[2]), ask(b, c[0], c[1], c[2]); got != want {
				t.Fatalf("%v: got %s, want %s", c, got, want)
			}
			got, want := with.last(), without.last()
			if got.Shadow.Revision != with.persona.Shadow.Revision || got.Shadow.Decision == "" {
				t.Fatalf("%v: got the shadow %+v", c, got.Shadow)
			}
			got.Shadow = audit.Shadow{}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%v: (-without +with)\n%s", c, diff)
			}
		}
		if diff := cmp.Diff(without.called, with.called); diff != "" {
			t.Fatalf("(-without +with)\n%s", diff)
		}
	})
}

// The record says what a shadow would have decided about the same calls if it had been live.
func TestShadowDecidesAsIfLive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		beside, alone := newStage(t), newStage(t)
		shadow := anyGrants(t, beside, "shadow")
		beside.beside(anyGrants(t, beside, "live"), shadow)
		alone.persona = persona.Persona{ID: "p", Revisions: []persona.Revision{{Number: 1, State: persona.Live, Grants: shadow}}}
		a, b := beside.gateway(nil), alone.gateway(nil)
		for range rapid.IntRange(1, 20).Draw(t, "calls") {
			c := anyCall.Draw(t, "call")
			beside.now = beside.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "pause")) * time.Second)
			alone.now = beside.now
			name := c[1]
			for _, g := range beside.persona.Revisions[0].Grants { // an agent of the shadow calls the same tool by its other name
				if g.Name == name {
					name = ""
					for _, own := range shadow {
						if own.Tool == g.Tool {
							name = own.Name
						}
					}
				}
			}
			ask(a, c[0], c[1], c[2])
			got := beside.last().Shadow
			if name == "" {
				if got.Policy != "find" {
					t.Fatalf("%v: got %+v, want a tool that is not granted", c, got)
				}
				continue
			}
			ask(b, c[0], name, c[2])
			e := alone.last()
			if want := (audit.Shadow{Revision: 2, Decision: e.Decision, Policy: e.Policy, Reason: e.Reason}); got != want {
				t.Fatalf("%v: got %+v, want %+v", c, got, want)
			}
		}
	})
}

// A shadow that breaks, hangs or cannot read says that it could not decide; the call goes on.
func TestShadowThatCannotDecide(t *testing.T) {
	for name, tc := range map[string]struct {
		frozen func(context.Context) (bool, error)
		want   string
	}{
		"error": {func(context.Context) (bool, error) { return false, errDisk }, "cannot be read now"},
		"panic": {func(context.Context) (bool, error) { panic("secret-of-a-call") }, "it broke off; Remit's log has more"},
		"hangs": {func(ctx context.Context) (bool, error) { <-ctx.Done(); return false, ctx.Err() }, "cannot be read now"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			all := []persona.Grant{s.grant("s/a", "a", policy.Policy{})}
			s.beside(all, all)
			s.frozen = func(ctx context.Context, revision int) (bool, error) {
				if revision == 2 {
					return tc.frozen(ctx)
				}
				return false, nil
			}
			log, text := logged()
			got := ask(s.gateway(func(c *gateway.Config) { c.Log = log }), "k", "a", "{}")
			e := s.last()
			if !strings.Contains(got, `"content":[]`) || e.Decision != audit.Allowed || e.Shadow.Decision != audit.Undecided || !strings.Contains(e.Shadow.Reason, tc.want) {
				t.Errorf("got %s, %s and %+v", got, e.Decision, e.Shadow)
			}
			if strings.Contains(text.String(), "secret-of-a-call") || strings.Contains(text.String(), "defect") != (name == "panic") {
				t.Errorf("got in the log: %s", text)
			}
		})
	}
}

// A shadow's limits know the calls before it began, and count anew when it is started again.
func TestShadowLimits(t *testing.T) {
	s := newStage(t)
	limited := policy.Policy{Limits: []policy.Limit{{Calls: 2, Per: policy.Day}}, Concurrent: 1}
	s.beside([]persona.Grant{s.grant("s/a", "a", policy.Policy{})}, []persona.Grant{s.grant("s/a", "a", limited)})
	g := s.gateway(func(c *gateway.Config) { c.History = once{s.now.Add(-time.Hour)} })
	var got []audit.Decision
	for i := range 4 {
		if i == 3 {
			s.persona.Shadow.Since = s.now.Add(time.Second)
		}
		ask(g, "k", "a", "{}")
		got = append(got, s.last().Shadow.Decision)
	}
	if diff := cmp.Diff([]audit.Decision{audit.Allowed, audit.Refused, audit.Refused, audit.Allowed}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(s.called) != 4 {
		t.Errorf("got %d calls of the server, want 4", len(s.called))
	}
}

// once is one call before.
type once struct{ at time.Time }

func (o once) Begun(context.Context, policy.Subject, time.Time, int) ([]time.Time, error) {
	return []time.Time{o.at}, nil
}

// Recorded arguments are masked, whatever the grant says of secrets, bounded, and none where that is asked for.
func TestRecordedArguments(t *testing.T) {
	mail := policy.Policy{Mask: []policy.Mask{{Detector: "email", Mode: policy.Redact}}}
	for name, tc := range map[string]struct {
		off       bool
		arguments string
		want      string
	}{
		"plain":  {false, `{"z":1, "n":2}`, `{"n":2,"z":1}`},
		"masked": {false, `{"to":"ada@example.com"}`, `{"to":"[redacted:email]"}`},
		"secret": {false, `{"key":"AKIAIOSFODNN7EXAMPLE"}`, `{"key":"[redacted:api_key]"}`},
		"long":   {false, `{"text":"` + strings.Repeat("x", 5000) + `"}`, ""},
		"off":    {true, `{"n":2}`, ""},
	} {
		s := newStage(t)
		s.persona = persona.Persona{ID: "p", Revisions: []persona.Revision{{Number: 1, State: persona.Live, Grants: []persona.Grant{s.grant("s/a", "a", mail)}}}}
		g := s.gateway(func(c *gateway.Config) { c.KeepArguments = !tc.off })
		for _, tool := range []string{"a", "ungranted"} {
			ask(g, "k", tool, tc.arguments)
			if got := s.last().Arguments; got != tc.want {
				t.Errorf("%s of %s: got %q, want %q", name, tool, got, tc.want)
			}
		}
	}
}

var discarding = slog.New(slog.DiscardHandler)

// logged is a log and what was written to it.
func logged() (*slog.Logger, *bytes.Buffer) {
	var text bytes.Buffer
	return slog.New(slog.NewTextHandler(&text, nil)), &text
}

// A shadow asks no person: where somebody would have to approve the call, it cannot tell.
func TestShadowAsksNobody(t *testing.T) {
	s := newStage(t)
	s.beside([]persona.Grant{s.grant("s/a", "a", policy.Policy{})}, []persona.Grant{s.grant("s/a", "a", policy.Policy{Approval: &policy.Approval{Minutes: 5}})})
	got := ask(s.gateway(nil), "k", "a", "{}")
	if e := s.last(); !strings.Contains(got, `"content":[]`) || e.Decision != audit.Allowed || e.Shadow.Decision != audit.Undecided || !strings.Contains(e.Shadow.Reason, "a person would have to approve") {
		t.Errorf("got %s, %s and %+v", got, e.Decision, e.Shadow)
	}
}

// What bounds a key bounds it under a shadow, too, and no other revision would lift it.
func TestShadowOfANarrowKey(t *testing.T) {
	s := newStage(t)
	a, b, c := s.grant("s/a", "a", policy.Policy{}), s.grant("s/b", "b", policy.Policy{}), s.grant("s/c", "c", policy.Policy{})
	a2 := a
	a2.Name = "other"
	s.beside([]persona.Grant{a, b}, []persona.Grant{a2, b, c})
	s.bounds = identity.Bounds{Tools: []string{"s/a"}, Limits: []policy.Limit{{Calls: 1, Per: policy.Hour}}}
	g := s.gateway(nil)
	judge := gateway.NewJudge(s.persona, s.persona.Revisions[1])
	for _, step := range []struct{ tool, live, shadow, past string }{
		{"a", "allowed ", "allowed ", "allowed "},
		{"b", "refused key/tools", "refused key/tools", "refused key/tools"},
		{"c", "refused find", "refused key/tools", "allowed "}, // what bounds the key is not in the record
		{"a", "refused key/limits", "refused key/limits", "refused key/limits"},
	} {
		ask(g, "k", step.tool, "{}")
		e := s.last()
		if got := string(e.Decision) + " " + e.Policy; got != step.live {
			t.Errorf("%s: got %s, want %s", step.tool, got, step.live)
		}
		if got := string(e.Shadow.Decision) + " " + e.Shadow.Policy; got != step.shadow {
			t.Errorf("%s, the shadow: got %s (%s), want %s", step.tool, got, e.Shadow.Reason, step.shadow)
		}
		e.Shadow = audit.Shadow{}
		if past := judge.Decide(t.Context(), e); string(past.Decision)+" "+past.Policy != step.past {
			t.Errorf("%s, on the past: got %+v, want %s", step.tool, past, step.past)
		}
	}
}
