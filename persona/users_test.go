package persona_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/identity"
	"remit/persona"
)

func many(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("n%03d", i))
	}
	return names
}

func TestSetUsers(t *testing.T) {
	w := newWorld(t)
	w.goLive(t, "crm/find")
	ctx := t.Context()
	first := identity.Users{Groups: []string{"a b", "c"}, People: []string{"zoe"}}
	for _, step := range []struct {
		name       string
		by         identity.Principal
		id         persona.ID
		seen, want identity.Users
		err        error
		get        identity.Users
	}{
		{name: "an author", by: ada, id: "support", want: first, err: persona.ErrForbidden},
		{name: "nobody", id: "support", want: first, err: persona.ErrForbidden},
		{name: "no persona", by: ravi, id: "ghost", want: first, err: persona.ErrNotFound},
		{name: "a reviewer", by: ravi, id: "support", want: identity.Users{Groups: []string{" c\r", "", "a b", "c"}, People: []string{"zoe"}}, get: first},
		{name: "an old page", by: ravi, id: "support", want: identity.Users{People: []string{"yan"}}, err: persona.ErrState, get: first},
		{name: "a hidden character", by: ravi, id: "support", seen: first, want: identity.Users{Groups: []string{"a\u200bb"}}, err: persona.ErrInvalid, get: first},
		{name: "too long", by: ravi, id: "support", seen: first, want: identity.Users{People: []string{strings.Repeat("a", persona.MaxUserName+1)}}, err: persona.ErrInvalid, get: first},
		{name: "too many", by: ravi, id: "support", seen: first, want: identity.Users{People: many(persona.MaxUsers + 1)}, err: persona.ErrInvalid, get: first},
		{name: "none", by: identity.Principal{Person: "root", Roles: []identity.Role{identity.Admin}}, id: "support", seen: first},
	} {
		err := w.SetUsers(ctx, step.by, step.id, step.seen, step.want)
		if !errors.Is(err, step.err) || (err == nil) != (step.err == nil) {
			t.Errorf("%s: got %v, want %v", step.name, err, step.err)
		}
		p, err := w.store.Persona(ctx, "support")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.get, p.Users); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}
