package main

import (
	"fmt"

	"remit/catalog"
)

type catalogCmd struct {
	Duplicates duplicatesCmd `cmd:"" help:"List tools of different servers that do the same thing."`
}

type duplicatesCmd struct {
	Min     float64 `default:"${likeness}" placeholder:"DEGREE" help:"Least likeness of a group's tools, 0.5 to 1 (default: ${likeness})."`
	Catalog string  `placeholder:"FILE" help:"File with one tool a line, instead of what the last crawl stored."`
	JSON    bool    `help:"Print one JSON object."`
}

// Validate is called by kong.
func (c duplicatesCmd) Validate() error {
	if !(c.Min >= catalog.MinLikeness && c.Min <= 1) {
		return fmt.Errorf("min is %v: %w", c.Min, catalog.ErrLikeness)
	}
	return nil
}

// Run lists the groups, and the pairs of servers that overlap.
func (c duplicatesCmd) Run(a *app) error {
	cat, err := c.load(a)
	if err != nil {
		return err
	}
	groups, err := cat.Duplicates(a.ctx, c.Min)
	if err != nil {
		return err
	}
	if groups.Degraded != "" {
		fmt.Fprintf(a.err, "note: %s\n", plain(groups.Degraded))
	}
	if c.JSON {
		return printJSON(a.out, sprawlOf(groups))
	}
	return a.showGroups(groups, cat.Tokens())
}

func (c duplicatesCmd) load(a *app) (*catalog.Catalog, error) {
	if c.Catalog == "" {
		return a.catalogue()
	}
	_, cat, err := a.loadTools(c.Catalog)
	return cat, err
}

// showGroups prints the groups for a person.
func (a *app) showGroups(groups catalog.Groups, all int) error {
	if len(groups.Groups) == 0 {
		_, err := fmt.Fprintln(a.out, "No two servers have a tool that does the same thing.")
		return err
	}
	var rows [][]string
	for _, g := range groups.Groups {
		for i, t := range g.Tools {
			wasted, likeness := "", ""
			if i == 0 {
				wasted, likeness = fmt.Sprint(g.Wasted), fmt.Sprintf("%.2f", g.Likeness)
			}
			rows = append(rows, []string{wasted, likeness, string(t.ID), string(t.Effect.Effect), fmt.Sprint(t.Tokens)})
		}
	}
	if err := table(a.out, []string{"WASTED", "LIKENESS", "TOOL", "EFFECT", "TOKENS"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, o := range groups.Overlaps {
		rows = append(rows, []string{fmt.Sprint(o.Groups), fmt.Sprint(o.Wasted), o.A, o.B})
	}
	fmt.Fprintln(a.out)
	if err := table(a.out, []string{"IN COMMON", "WASTED", "SERVER", "AND"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "\n%d groups; %d of the catalog's %d tokens are for tools that a cheaper one could stand for.\n",
		len(groups.Groups), groups.Wasted, all)
	return err
}

// sprawl is what JSON shows of the groups.
type sprawl struct {
	Groups   []sprawlGroup   `json:"groups"`
	Overlaps []sprawlOverlap `json:"overlaps"`
	Wasted   int             `json:"wasted_tokens"`
	Degraded string          `json:"degraded,omitempty"`
}

type sprawlGroup struct {
	Tools    []sprawlTool `json:"tools"` // the cheapest first
	Likeness float64      `json:"likeness"`
	Wasted   int          `json:"wasted_tokens"`
}

type sprawlTool struct {
	ID     catalog.ID     `json:"id"`
	Effect catalog.Effect `json:"effect"`
	Tokens int            `json:"tokens"`
	Digest catalog.Digest `json:"digest"`
}

type sprawlOverlap struct {
	Servers [2]string `json:"servers"`
	Groups  int       `json:"groups"`
	Wasted  int       `json:"wasted_tokens"`
}

func sprawlOf(groups catalog.Groups) sprawl {
	out := sprawl{Groups: []sprawlGroup{}, Overlaps: []sprawlOverlap{}, Wasted: groups.Wasted, Degraded: groups.Degraded}
	for _, g := range groups.Groups {
		one := sprawlGroup{Likeness: g.Likeness, Wasted: g.Wasted}
		for _, t := range g.Tools {
			one.Tools = append(one.Tools, sprawlTool{t.ID, t.Effect.Effect, t.Tokens, t.Digest})
		}
		out.Groups = append(out.Groups, one)
	}
	for _, o := range groups.Overlaps {
		out.Overlaps = append(out.Overlaps, sprawlOverlap{[2]string{o.A, o.B}, o.Groups, o.Wasted})
	}
	return out
}
