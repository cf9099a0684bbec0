package composer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
	"remit/composer"
)

const toRefine = "Search tickets in Deskpoint and read the invoices of the customer in Ledgerly."

// TestRefine: a change adds and removes what it asks for and nothing else, whatever a new draft would choose besides.
func TestRefine(t *testing.T) {
	c := composer.New(composer.Config{Finder: smallCatalog(t)})
	was, err := c.Compose(t.Context(), toRefine)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, more, byHand, want string }{
		{"a write", "Also let it close tickets.", "", "+deskpoint/close_ticket"},
		{"a way out", "also let it post a message to the channel #ops", "", "+chirp/list_channels +chirp/post_message +chirp/read_channel_history"},
		{"a destructive tool that was asked for", "It should also be able to delete tickets.", "", "+deskpoint/delete_ticket"},
		{"not reading", "It should not look at invoices.", "", "-ledgerly/get_invoice -ledgerly/list_invoices"},
		{"not reading, in other words", "Don't let it read invoices", "", "-ledgerly/get_invoice -ledgerly/list_invoices"},
		{"not a product", "It should not use Ledgerly.", "", "-ledgerly/get_invoice -ledgerly/list_invoices -ledgerly/search_customers"},
		{"what is not granted", "It should not close tickets.", "", ""},
		{"what a person added", "It should not close tickets.", "deskpoint/close_ticket", "-deskpoint/close_ticket"},
		{"read only, after a person added", "Make it read only.", "deskpoint/close_ticket", "-deskpoint/close_ticket"},
		{"what a person added stays", "Also let it assign tickets.", "planora/create_event", "+deskpoint/assign_ticket"},
		{"nothing that a tool does", "Be polite and brief.", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			now, err := c.Compose(t.Context(), toRefine+"\n"+tc.more)
			if err != nil {
				t.Fatal(err)
			}
			granted := grants(was)
			var byHand []catalog.ID
			if tc.byHand != "" {
				byHand = []catalog.ID{catalog.ID(tc.byHand)}
				granted = append(granted, byHand...)
			}
			r, err := c.Refine(t.Context(), was, now, granted, byHand)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, refined(r)); diff != "" {
				t.Error(diff)
			}
			if got := now.Job[r.Change.Start:r.Change.End]; got != tc.more {
				t.Errorf("the change: got %q", got)
			}
		})
	}
}

func refined(r composer.Refinement) string {
	var out []string
	for _, a := range r.Added {
		out = append(out, "+"+string(a.Tool))
	}
	for _, m := range r.Removed {
		out = append(out, "-"+string(m.Tool))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestRefineOtherWords: words that are gone take their tools with them, and a person's removal stays.
func TestRefineOtherWords(t *testing.T) {
	c := composer.New(composer.Config{Finder: smallCatalog(t)})
	was, err := c.Compose(t.Context(), toRefine)
	if err != nil {
		t.Fatal(err)
	}
	now, err := c.Compose(t.Context(), "Search tickets in Deskpoint.")
	if err != nil {
		t.Fatal(err)
	}
	granted := slices.DeleteFunc(grants(was), func(id catalog.ID) bool { return id == "deskpoint/get_ticket" }) // by a person
	r, err := c.Refine(t.Context(), was, now, granted, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("-ledgerly/get_invoice -ledgerly/list_invoices -ledgerly/search_customers", refined(r)); diff != "" {
		t.Error(diff)
	}
	if !slices.ContainsFunc(r.Others, func(ch composer.Choice) bool { return ch.Tool == "deskpoint/get_ticket" }) {
		t.Errorf("got %+v, want what was removed by hand among what nobody asks for", r.Others)
	}
}

// TestRefineWithModel: what the model leaves out of the changed job goes, and what it adds without words of the change does not come.
func TestRefineWithModel(t *testing.T) {
	cat := smallCatalog(t)
	compose := func(job string, answers map[string]string) (composer.Draft, *composer.Composer) {
		c := composer.New(composer.Config{Finder: cat, Model: script(t, answers), ModelTime: time.Minute})
		d, err := c.Compose(t.Context(), job)
		if err != nil || d.Model.Failed != "" {
			t.Fatalf("%v %+v", err, d.Model)
		}
		return d, c
	}
	answers := func(needs []string, tools ...string) map[string]string {
		var n, ch []string
		for _, words := range needs {
			n = append(n, fmt.Sprintf(`{"words":%q,"search":%q,"effect":"read","object":"","product":""}`, words, words))
		}
		for _, tool := range tools {
			id, need, _ := strings.Cut(tool, "=")
			ch = append(ch, fmt.Sprintf(`{"tool":"{%s}","needs":[%q],"why":"It does.","limits":[],"arguments":[]}`, id, need))
		}
		return map[string]string{"needs": `{"needs":[` + strings.Join(n, ",") + `],"prohibitions":[]}`,
			"choose": `{"choices":[` + strings.Join(ch, ",") + `],"near_misses":[],"gaps":[]}`, "critique": `{"remove":[]}`}
	}
	was, _ := compose(toRefine, answers([]string{"Search tickets", "read the invoices"}, "deskpoint/search_tickets=n1", "ledgerly/list_invoices=n2", "ledgerly/get_invoice=n2"))
	now, c := compose(toRefine+"\nAlso let it close tickets.", answers([]string{"Search tickets", "read the invoices", "close tickets"},
		"deskpoint/search_tickets=n1", "ledgerly/list_invoices=n2", "deskpoint/close_ticket=n3", "ledgerly/search_customers=n2"))
	r, err := c.Refine(t.Context(), was, now, grants(was), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("+deskpoint/close_ticket -ledgerly/get_invoice", refined(r)); diff != "" {
		t.Error(diff)
	}
}

// TestExplain: every tool of the catalog has a reason, which names the words that count.
func TestExplain(t *testing.T) {
	cat := smallCatalog(t)
	c := composer.New(composer.Config{Finder: cat})
	job := toRefine + " Close tickets that are answered. Never delete tickets."
	for _, tc := range []struct {
		tool, reason, words string
		chosen              bool
	}{
		{"deskpoint/search_tickets", "its name says “tickets”", "Search tickets in Deskpoint", true},
		{"deskpoint/delete_ticket", "the job says “Never delete tickets”", "Never delete tickets", false},
		{"deskpoint/assign_ticket", "these words ask for no such change", "", false},
		{"webreach/fetch_page", "", "", false},
	} {
		e, err := c.Explain(t.Context(), job, catalog.ID(tc.tool))
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, w := range e.Words {
			words = append(words, job[w.Start:w.End])
		}
		if e.Chosen != tc.chosen || !strings.Contains(e.Reason, tc.reason) || tc.words != "" && !slices.Contains(words, tc.words) {
			t.Errorf("%s: got %+v for %q", tc.tool, e, words)
		}
	}
	for _, tool := range cat.Tools() {
		if e, err := c.Explain(t.Context(), job, tool.ID); err != nil || e.Reason == "" {
			t.Errorf("%s: got %+v, %v", tool.ID, e, err)
		}
	}
	if _, err := c.Explain(t.Context(), job, "no/tool"); !errors.Is(err, composer.ErrUnknownTool) {
		t.Errorf("got %v, want ErrUnknownTool", err)
	}
}
