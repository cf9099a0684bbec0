package web

import (
	"encoding/json"
	"fmt"
	"strings"
)

// snippet is a client's configuration, ready to be copied.
type snippet struct {
	ID     string
	Client string
	Where  string // the text goes
	Text   string
}

const keyPlaceholder = "YOUR_ACCESS_KEY"

// snippets holds the key only on the one page that shows it; otherwise a placeholder.
func snippets(name, endpoint, key string) []snippet {
	if key == "" {
		key = keyPlaceholder
	}
	bearer := "Bearer " + key
	type object = map[string]any
	// mcp-remote takes a header with a space from a variable only: clients split arguments differently.
	args := []string{"-y", "mcp-remote", endpoint, "--transport", "http-only", "--header", "Authorization:${REMIT_AUTH}"}
	if strings.HasPrefix(endpoint, "http:") {
		args = append(args, "--allow-http")
	}
	desktop := object{"mcpServers": object{name: object{"command": "npx", "args": args, "env": object{"REMIT_AUTH": bearer}}}}
	cursor := object{"mcpServers": object{name: object{"url": endpoint, "headers": object{"Authorization": bearer}}}}
	vscode := object{
		"servers": object{name: object{"type": "http", "url": endpoint, "headers": object{"Authorization": "Bearer ${input:remit-key}"}}},
		"inputs":  []object{{"type": "promptString", "id": "remit-key", "description": "Remit access key for " + name, "password": true}},
	}
	return []snippet{
		{"claude", "Claude Desktop", "claude_desktop_config.json (Settings → Developer → Edit Config)", indented(desktop)},
		{"cursor", "Cursor", ".cursor/mcp.json in a project, or ~/.cursor/mcp.json", indented(cursor)},
		{"vscode", "VS Code", ".vscode/mcp.json; VS Code asks for the key once and keeps it", indented(vscode)},
		{"curl", "curl", "any shell", fmt.Sprintf(curlText, endpoint, key)},
	}
}

func indented(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

const curlText = `URL='%s'
REMIT_KEY='%s'
mcp() { curl -sS "$URL" -H "Authorization: Bearer $REMIT_KEY" -H 'Content-Type: application/json' \
  -H 'Accept: application/json, text/event-stream' "$@"; }

SESSION=$(mcp -D - -o /dev/null -d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",
  "capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}' | tr -d '\r' | sed -n 's/^[Mm]cp-[Ss]ession-[Ii]d: //p')
mcp -H "Mcp-Session-Id: $SESSION" -H 'MCP-Protocol-Version: 2025-11-25' \
  -d '{"jsonrpc":"2.0","id":2,"method":"tools/list"}'`
