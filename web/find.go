package web

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"remit/catalog"
	"remit/identity"
	"remit/internal/visible"
)

// find searches the catalog, and says in words why each tool matched.
func (s *site) find(ctx context.Context, query string, k int) (found []miss, degraded string, err error) {
	results, err := s.Catalog.Search(ctx, query, k)
	if err != nil {
		return nil, "", err
	}
	for _, m := range results.Matches {
		found = append(found, miss{card: s.card(m.Tool.ID, m.Tool.Digest, m.Tool.Definition), Why: why(m)})
	}
	return found, results.Degraded, nil
}

func why(m catalog.Match) string {
	var parts []string
	for _, r := range m.Why {
		if r.Field == "meaning" {
			parts = append(parts, "close in meaning")
		} else {
			parts = append(parts, r.Field+" has “"+strings.Join(r.Terms, "”, “")+"”")
		}
	}
	return strings.Join(parts, "; ")
}

// apiTool is a tool as the page's script shows it: text only, with hidden characters spelt out.
type apiTool struct {
	ID          string `json:"id"`
	Shown       string `json:"shown"` // the id to read
	Description string `json:"description"`
	Effect      string `json:"effect"`
	Why         string `json:"why"`
	Tokens      int    `json:"tokens"`
}

func (s *site) apiTools(c echo.Context, _ identity.Principal) error {
	found, degraded, err := s.find(c.Request().Context(), c.QueryParam("q"), 8)
	if err != nil {
		return err
	}
	tools := []apiTool{}
	for _, f := range found {
		tools = append(tools, apiTool{ID: string(f.ID), Shown: visible.Text(string(f.ID)), Description: visible.Text(f.Description),
			Effect: string(f.Judgement.Effect), Why: visible.Text(f.Why), Tokens: f.Tokens})
	}
	return c.JSON(http.StatusOK, map[string]any{"tools": tools, "degraded": visible.Text(degraded)})
}
