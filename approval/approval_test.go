package approval

import (
	"errors"
	"strings"
	"testing"
	"time"

	"remit/audit"
	"remit/identity"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func desk() *Desk {
	return &Desk{Key: []byte(strings.Repeat("k", 32)), Now: func() time.Time { return noon }}
}

func request() Request {
	return Request{ID: "abc", Expires: noon.Add(time.Hour), Binding: Binding{Key: "k", Agent: "bot", User: "carol", Persona: "p", Revision: 2, Tool: "s/t", Digest: "d", Arguments: "a"}}
}

// A state is good for its very call and nothing else, and for no other installation.
func TestState(t *testing.T) {
	d, r := desk(), request()
	state := d.State(r)
	if id, err := d.Check(state, r.Binding); err != nil || id != "abc" {
		t.Errorf("got %q, %v", id, err)
	}
	for name, change := range map[string]func(*Binding){
		"key": func(b *Binding) { b.Key = "l" }, "agent": func(b *Binding) { b.Agent = "" }, "user": func(b *Binding) { b.User += "x" },
		"persona": func(b *Binding) { b.Persona = "q" }, "revision": func(b *Binding) { b.Revision = 3 }, "tool": func(b *Binding) { b.Tool = "s/u" },
		"digest": func(b *Binding) { b.Digest = "e" }, "arguments": func(b *Binding) { b.Arguments = "b" },
		"a boundary that moved": func(b *Binding) { b.Agent, b.User = "botc", "arol" },
	} {
		b := r.Binding
		change(&b)
		if _, err := d.Check(state, b); !errors.Is(err, ErrState) {
			t.Errorf("another %s: got %v", name, err)
		}
	}
	parts := strings.Split(state, ".")
	for _, bad := range []string{"", "v1", state + "A", state + ".", state[1:], strings.Replace(state, "abc", "abd", 1), strings.Join([]string{parts[0], parts[1], "99999999999", parts[3]}, "."),
		strings.Repeat("v1.", 100), strings.Replace(state, "v1", "v2", 1), state[:len(state)-1] + "="} {
		if _, err := d.Check(bad, r.Binding); !errors.Is(err, ErrState) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	other := desk()
	other.Key = []byte(strings.Repeat("l", 32))
	if _, err := other.Check(state, r.Binding); !errors.Is(err, ErrState) {
		t.Errorf("under another key: got %v", err)
	}
	later := desk()
	later.Now = func() time.Time { return noon.Add(26 * time.Hour) }
	if _, err := later.Check(state, r.Binding); !errors.Is(err, ErrState) {
		t.Errorf("much later: got %v", err)
	}
	for _, keyless := range []*Desk{{}, {Key: []byte("short")}} {
		if _, err := keyless.Check(keyless.State(r), r.Binding); keyless.State(r) != "" || !errors.Is(err, ErrState) {
			t.Errorf("without a key: got %q, %v", keyless.State(r), err)
		}
	}
}

func FuzzState(f *testing.F) {
	d, r := desk(), request()
	f.Add(d.State(r))
	f.Add("v1.abc.1.AA")
	f.Fuzz(func(t *testing.T, state string) {
		if id, err := d.Check(state, r.Binding); err == nil && (state != d.State(r) || id != r.ID) {
			t.Errorf("%q was taken for a state of %q", state, id)
		}
	})
}

func TestOwn(t *testing.T) {
	for _, tc := range []struct {
		user, person string
		own          bool
	}{
		{"carol", "carol", true}, {"Carol", "carol", true}, {"carol@example.com", "carol", true}, {"carol", "carol@example.com", true},
		{"Carol@Example.com", "carol@example.com", true}, {"carol@example.com", "carol@other.example", false}, {"carol", "dan", false},
		{"carola", "carol", false}, {"carol@example.com", "dan@example.com", false},
	} {
		if got := (Request{Binding: Binding{User: tc.user}}).Own(tc.person); got != tc.own {
			t.Errorf("%s for %s: got %v", tc.person, tc.user, got)
		}
	}
}

func TestMay(t *testing.T) {
	person := func(name string, roles ...identity.Role) identity.Principal {
		return identity.Principal{Person: name, Roles: roles}
	}
	for name, tc := range map[string]struct {
		by   identity.Principal
		solo bool
		want error
	}{
		"approver":                  {person("dan", identity.Approver), false, nil},
		"reviewer":                  {person("dan", identity.Reviewer), false, nil},
		"admin":                     {person("dan", identity.Admin), false, nil},
		"author":                    {person("dan", identity.Author), false, ErrForbidden},
		"nobody":                    {identity.Principal{}, true, ErrForbidden},
		"the agent":                 {identity.Principal{Agent: "bot", User: "carol", Key: "k", Roles: identity.Roles}, true, ErrForbidden},
		"its user":                  {person("carol", identity.Roles...), false, ErrOwnCall},
		"its user, single operator": {person("carol", identity.Admin), true, nil},
		"the operator":              {identity.Operator(), false, nil},
	} {
		if got := (&Desk{SingleOperator: tc.solo}).May(tc.by, request()); !errors.Is(got, tc.want) {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}

func TestAskWhatCannotBeShown(t *testing.T) {
	for name, text := range map[string]string{"too large": `"` + strings.Repeat("x", MaxText) + `"`, "another digest": `{}`} {
		b := request().Binding
		if name == "too large" {
			b.Arguments = audit.Digest([]byte(text))
		}
		if _, _, err := desk().Ask(t.Context(), b, []byte(text), 15); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// No program decides, whatever the roles of its management token.
func TestNoTokenDecides(t *testing.T) {
	person := identity.Principal{Person: "ravi", Roles: identity.Roles}
	token := identity.Principal{Person: "token:ci", Roles: identity.Roles, Token: "t", Owner: "ravi"}
	if !MayDecide(person) || MayDecide(token) {
		t.Errorf("got %v for a person and %v for a token, want true and false", MayDecide(person), MayDecide(token))
	}
}
