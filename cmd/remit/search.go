package main

import (
	"fmt"
	"strings"

	"remit/catalog"
)

type searchCmd struct {
	Query []string `arg:"" help:"Words, or a whole sentence."`
	Count int      `short:"n" default:"10" placeholder:"N" help:"Most results (default: 10)."`
	JSON  bool     `help:"Print one JSON object a line."`
}

// hit is a match as JSON shows it.
type hit struct {
	ID          catalog.ID       `json:"id"`
	Title       string           `json:"title,omitempty"`
	Description string           `json:"description,omitempty"`
	Effect      catalog.Effect   `json:"effect"`
	Tokens      int              `json:"tokens"`
	Digest      catalog.Digest   `json:"digest"`
	Score       float64          `json:"score"`
	Why         []catalog.Reason `json:"why"`
}

// Run searches what the last crawl stored.
func (c searchCmd) Run(a *app) error {
	if a.remote != nil {
		return c.remote(a)
	}
	cat, err := a.catalogue()
	if err != nil {
		return err
	}
	results, err := cat.Search(a.ctx, strings.Join(c.Query, " "), c.Count)
	if err != nil {
		return err
	}
	if results.Degraded != "" {
		fmt.Fprintf(a.err, "note: %s\n", plain(results.Degraded))
	}
	if c.JSON {
		hits := make([]hit, 0, len(results.Matches))
		for _, m := range results.Matches {
			hits = append(hits, hit{m.Tool.ID, m.Tool.Title, m.Tool.Description, m.Tool.Effect.Effect, m.Tool.Tokens, m.Tool.Digest, m.Score, m.Why})
		}
		return jsonLines(a.out, hits)
	}
	var rows [][]string
	for _, m := range results.Matches {
		rows = append(rows, []string{string(m.Tool.ID), string(m.Tool.Effect.Effect), fmt.Sprint(m.Tool.Tokens), fmt.Sprintf("%.2f", m.Score), why(m)})
	}
	return table(a.out, []string{"TOOL", "EFFECT", "TOKENS", "SCORE", "WHY"}, rows)
}

func why(m catalog.Match) string {
	var parts []string
	for _, r := range m.Why {
		part := r.Field
		if len(r.Terms) > 0 {
			part += ": " + strings.Join(r.Terms, " ")
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}
