package catalog

import "strings"

const (
	maxPassage     = 1200 // bytes; small encoders read about 128 tokens
	maxDescription = 400  // bytes of it, so that the parameters' names have room
)

// PassageText is what of a tool is embedded: server and name in plain words, title, description, parameter names.
// Vectors are rebuilt when it changes.
func PassageText(t Tool) string {
	var b strings.Builder
	b.WriteString(strings.Join(Words(t.Server()), " ") + " " + strings.Join(Words(t.Name), " "))
	if t.Title != "" {
		b.WriteString(". " + cut(t.Title, 200))
	}
	if d := strings.TrimRight(cut(Plain(cut(t.Description, maxFieldText)), maxDescription), ". \n"); d != "" {
		b.WriteString(". " + d)
	}
	for i, p := range t.Params {
		if i == 0 {
			b.WriteString(". ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(strings.Join(Words(p.Name), " "))
		if b.Len() > maxPassage {
			break
		}
	}
	return strings.ToValidUTF8(cut(b.String(), maxPassage), "")
}
