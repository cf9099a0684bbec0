package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/composer"
	"remit/identity"
	"remit/internal/invalid"
	"remit/persona"
)

// notes are what is kept beside the grants of a revision: what the composer found, how the draft was made of the one before, and
// the drafts before it, newest first. A composer.Draft is read from them, too.
type notes struct {
	composer.Draft
	Refined *refined  `json:",omitempty"`
	Earlier []earlier `json:",omitempty"`
}

// refined is what a change of the job changed in a draft.
type refined struct {
	Asked   string     // the words that were added to the job; empty where it was changed otherwise
	From    persona.ID `json:",omitempty"` // the persona that it was started from
	Added   []catalog.ID
	Removed []composer.Miss // their Reason says why
	Rules   []string        // that were added to tools that stay, or could not be, in words
}

// earlier is a draft that another one took the place of.
type earlier struct {
	Made   time.Time
	By     string
	How    string // it came about, in words
	Grants []persona.Grant
	Notes  composer.Draft
	// Refined is what made it of the draft before.
	Refined *refined `json:",omitempty"`
}

// Bounds of the drafts that are kept beside one.
const (
	maxEarlier      = 5
	maxEarlierBytes = 48 << 10
)

// notesOf reads a revision's notes. Notes that are no draft say nothing.
func notesOf(r persona.Revision) notes {
	var n notes
	if len(r.Notes) == 0 || json.Unmarshal(r.Notes, &n) != nil {
		n = notes{}
	}
	return n
}

// proposal is the draft as a revision, before which others were; the newest of them first. Drafts that are the same are kept once.
func proposal(grants []persona.Grant, n notes, before ...earlier) (persona.Proposal, error) {
	n.Earlier = nil
	for _, e := range before {
		same := func(o earlier) bool { return sameGrants(o.Grants, e.Grants) && o.Notes.Job == e.Notes.Job }
		if len(n.Earlier) < maxEarlier && !slices.ContainsFunc(n.Earlier, same) && !(sameGrants(grants, e.Grants) && n.Job == e.Notes.Job) {
			n.Earlier = append(n.Earlier, e)
		}
	}
	for {
		kept, err := json.Marshal(n.Earlier)
		if err != nil {
			return persona.Proposal{}, err
		}
		if len(kept) <= maxEarlierBytes {
			break
		}
		n.Earlier = n.Earlier[:len(n.Earlier)-1]
	}
	text, err := json.Marshal(n)
	return persona.Proposal{Job: n.Job, Grants: grants, Notes: text}, err
}

func sameGrants(a, b []persona.Grant) bool { return slices.EqualFunc(a, b, sameGrant) }

// asEarlier is a revision as the draft before another one.
func asEarlier(r persona.Revision) earlier {
	n := notesOf(r)
	n.Draft.Job = r.Job
	return earlier{Made: r.Created, By: r.Author, How: howOf(n), Grants: r.Grants, Notes: n.Draft, Refined: n.Refined}
}

// embeddedBefore is the embedded composer's draft beside a model's; none where there is none.
func embeddedBefore(d *composer.Draft, at time.Time, by identity.Principal) []earlier {
	if d == nil {
		return nil
	}
	return []earlier{{Made: at, By: by.Person, How: "By the composer's rules alone", Grants: grants(*d), Notes: *d}}
}

// howOf says in words how a draft came about.
func howOf(n notes) string {
	switch {
	case n.Refined != nil && n.Refined.Asked != "":
		return "“" + n.Refined.Asked + "”"
	case n.Refined != nil && n.Refined.From != "":
		return "Started from " + string(n.Refined.From)
	case n.Model != nil && n.Model.Failed == "":
		return "Chosen with " + n.Model.Name
	case n.Composer != "":
		return "Drafted from the job"
	}
	return "By hand"
}

// refine makes the next draft of a revision whose job was changed: what the change asks for comes, what it rules out goes, and
// what people did stays.
func (s *site) refine(ctx context.Context, was persona.Revision, d composer.Draft, as refined) ([]persona.Grant, notes, error) {
	before := notesOf(was).Draft
	before.Job = was.Job
	var granted, byHand []catalog.ID
	for _, g := range was.Grants {
		granted = append(granted, g.Tool)
		if g.AddedBy != "" {
			byHand = append(byHand, g.Tool)
		}
	}
	r, err := s.Composer.Refine(ctx, before, d, granted, byHand)
	if err != nil {
		return nil, notes{}, err
	}
	as.Removed = r.Removed
	var next []persona.Grant
	for _, g := range was.Grants {
		_, offered := s.Catalog.Tool(g.Tool)
		if !offered || slices.ContainsFunc(r.Removed, func(m composer.Miss) bool { return m.Tool == g.Tool }) {
			continue
		}
		next = append(next, s.carried(g, was.Job, before, d, &as))
	}
	for _, g := range grants(composer.Draft{Choices: r.Added}) {
		next = append(next, g)
		as.Added = append(as.Added, g.Tool)
	}
	for _, ch := range r.Others {
		d.NearMisses = append(d.NearMisses, composer.Miss{Tool: ch.Tool, Effect: ch.Effect, Words: ch.Words, Score: ch.Score, Reason: "a new draft would take it; nothing in the change asks for it"})
	}
	d.NearMisses = append(slices.Clone(r.Removed), d.NearMisses...)
	return next, notes{Draft: d, Refined: &as}, nil
}

// carried is a grant as the next draft has it. A rule that the change states is added, unless a person wrote the tool's rules.
func (s *site) carried(g persona.Grant, job string, before, d composer.Draft, as *refined) persona.Grant {
	of := func(d composer.Draft) (composer.Choice, bool) {
		i := slices.IndexFunc(d.Choices, func(c composer.Choice) bool { return c.Tool == g.Tool })
		if i < 0 {
			return composer.Choice{}, false
		}
		return d.Choices[i], true
	}
	if !strings.HasPrefix(d.Job, job) {
		g.Words = nil // they are of the other text
	}
	now, ok := of(d)
	if !ok {
		return g
	}
	if g.AddedBy == "" {
		g.Words, g.Reason, g.Confidence = now.Words, now.Reason, now.Confidence
	}
	was, _ := of(before)
	if more := without(now.Policy.Words(), append(was.Policy.Words(), g.Policy.Words()...)); len(more) > 0 {
		text := fmt.Sprintf("%s: %s", g.Tool, strings.Join(more, "; "))
		if reflect.DeepEqual(was.Policy, g.Policy) {
			g.Policy = now.Policy
		} else {
			text += " was not added to the rules that a person wrote"
		}
		as.Rules = append(as.Rules, text)
	}
	return g
}

func without(list, out []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(text string) bool { return slices.Contains(out, text) })
}

// postRefine adds what was typed to the job and makes the next draft of it.
func (s *site) postRefine(c echo.Context, by identity.Principal) error {
	p, err := s.openDraft(c, by)
	if err != nil {
		return err
	}
	asked := jobText(c.Request().PostForm.Get("change"))
	was := p.Latest()
	job := was.Job + "\n" + asked
	if asked == "" {
		err = invalid.At("change", fmt.Errorf("%w: say what should be different, such as “also let it …” or “it should not …”", persona.ErrInvalid))
	} else {
		err = checkJob(by, job)
	}
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	return s.answer(c, by, drafting{job: job, save: s.onto(by, p, "refined", func(d composer.Draft, embedded *composer.Draft) (persona.Proposal, error) {
		kept, n, err := s.refine(ctx, was, d, refined{Asked: asked})
		if err != nil {
			return persona.Proposal{}, err
		}
		return proposal(kept, n, append([]earlier{asEarlier(was)}, notesOf(was).Earlier...)...)
	})})
}

// draftsPage has a persona's drafts side by side.
type draftsPage struct {
	frame
	head
	Base     string
	Editable bool
	Drafts   []draftColumn // the present one first
	Rows     []draftRow
}

type draftColumn struct {
	Number  int // 0 is the present draft
	How, By string
	Made    time.Time
	Job     string
	SameJob bool // as the present draft's
	Tools   int
	Tokens  int
	Added   int // against the present draft
	Removed int
}

type draftRow struct {
	ID      catalog.ID
	Effect  catalog.Judgement
	Gone    bool
	Cells   []draftCell // one a draft
	Differs bool
}

type draftCell struct {
	In    bool
	Rules []string
	Other bool // its rules are not the present draft's
}

func (s *site) drafts(c echo.Context, by identity.Principal) error {
	p, err := s.persona(c, by)
	if err != nil {
		return err
	}
	h, err := s.newHead(c, by, p, "draft")
	if err != nil {
		return err
	}
	r := p.Latest()
	page := draftsPage{frame: s.frame(c, by, "Drafts: "+p.Title, "personas"), head: h, Base: base(r), Editable: h.mayEdit(by, r)}
	all := append([]earlier{asEarlier(r)}, notesOf(r).Earlier...)
	for i, e := range all {
		column := draftColumn{Number: i, How: e.How, By: e.By, Made: e.Made, Job: e.Notes.Job, SameJob: e.Notes.Job == r.Job, Tools: len(e.Grants)}
		for _, g := range e.Grants {
			now, _ := s.Catalog.Tool(g.Tool)
			column.Tokens += now.Tokens
			if !grantsTool(r.Grants, g.Tool) {
				column.Added++
			}
		}
		for _, g := range r.Grants {
			if !grantsTool(e.Grants, g.Tool) {
				column.Removed++
			}
		}
		page.Drafts = append(page.Drafts, column)
	}
	page.Rows = s.draftRows(all)
	return s.render(c, http.StatusOK, "drafts", page)
}

func grantsTool(list []persona.Grant, id catalog.ID) bool {
	return slices.ContainsFunc(list, func(g persona.Grant) bool { return g.Tool == id })
}

// draftRows has every tool of the drafts once, those that differ first.
func (s *site) draftRows(all []earlier) []draftRow {
	var rows []draftRow
	seen := map[catalog.ID]bool{}
	for _, e := range all {
		for _, g := range e.Grants {
			if seen[g.Tool] {
				continue
			}
			seen[g.Tool] = true
			now, offered := s.Catalog.Tool(g.Tool)
			row := draftRow{ID: g.Tool, Effect: now.Effect, Gone: !offered}
			for _, other := range all {
				var cell draftCell
				if i := slices.IndexFunc(other.Grants, func(o persona.Grant) bool { return o.Tool == g.Tool }); i >= 0 {
					cell = draftCell{In: true, Rules: other.Grants[i].Policy.Words()}
				}
				if len(row.Cells) > 0 {
					first := row.Cells[0]
					cell.Other = cell.In && first.In && !slices.Equal(cell.Rules, first.Rules)
					row.Differs = row.Differs || cell.Other || cell.In != first.In
				}
				row.Cells = append(row.Cells, cell)
			}
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b draftRow) int {
		switch {
		case a.Differs == b.Differs:
			return 0
		case a.Differs:
			return -1
		}
		return 1
	})
	return rows
}

// postDrafts takes one of the earlier drafts; the present one is kept among them.
func (s *site) postDrafts(c echo.Context, by identity.Principal) error {
	p, err := s.openDraft(c, by)
	if err != nil {
		return err
	}
	r := p.Latest()
	before := notesOf(r).Earlier
	number, _ := strconv.Atoi(c.Request().PostForm.Get("take")) // what is no number is the present draft
	if number < 1 || number > len(before) {
		return errStale
	}
	take := before[number-1]
	others := append([]earlier{asEarlier(r)}, slices.Delete(slices.Clone(before), number-1, number)...)
	kept := slices.DeleteFunc(slices.Clone(take.Grants), func(g persona.Grant) bool { _, offered := s.Catalog.Tool(g.Tool); return !offered })
	next, err := proposal(kept, notes{Draft: take.Notes, Refined: take.Refined}, others...)
	if err != nil {
		return err
	}
	next.Onto = r.Created
	if err := s.Registry.Revise(c.Request().Context(), by, p.ID, next); err != nil {
		return err
	}
	return redirect(c, "/personas/"+string(p.ID), "taken")
}
