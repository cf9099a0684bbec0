package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const clientText = "\ufeff" + `{
  // as VS Code writes it
  "inputs": [{"id": "gh-token", "type": "promptString"}],
  "servers": {
    "GitHub (prod)": {"type": "http", "url": "https://g.example/mcp", "headers": {"Authorization": "Bearer ${input:gh-token}"}},
    "literal": {"type": "http", "url": "https://l.example/mcp?api_key=canary1&x=//not-a-comment", "headers": {"X-Api-Key": "canary2", "Accept-Language": "en"}},
    "db": {"command": "npx", "args": ["-y", "pg", "postgres://u:canary3@h/db", "--token", "canary4",], "env": {"PORT": 5, "API_TOKEN": "canary5", "MODE": "${env:MODE}",},},
    "old": {"type": "sse", "url": "https://o.example/sse"},
    "off": {"command": "x", "disabled": true},
    "ws": {"command": "x", "args": ["${workspaceFolder}/a"]},
    "both": {"command": "x", "url": "https://y.example"}, /* the
    end */
  },
}`

func imported(t *testing.T, text string) *Import {
	t.Helper()
	path := write(t, "mcp.json", text)
	servers, err := ReadClientFile(path)
	if err != nil {
		t.Fatal(err)
	}
	im := NewImport()
	im.Take(path, servers)
	return im
}

func TestImportTakesServersWithoutSecrets(t *testing.T) {
	im := imported(t, clientText)
	want := map[string]Upstream{
		"github-prod": {URL: "https://g.example/mcp", Headers: map[string]string{"Authorization": "Bearer ${GH_TOKEN}"}},
		"literal": {URL: "https://l.example/mcp?api_key=${LITERAL_API_KEY}&x=//not-a-comment",
			Headers: map[string]string{"X-Api-Key": "${LITERAL_X_API_KEY}", "Accept-Language": "en"}},
		"db": {Command: "npx", Args: []string{"-y", "pg", "${DB_ARG_3}", "--token", "${DB_ARG_5}"},
			Env: map[string]string{"PORT": "5", "API_TOKEN": "${API_TOKEN}", "MODE": "${MODE}"}},
	}
	if diff := cmp.Diff(want, im.Add); diff != "" {
		t.Error("servers (-want +got):\n" + diff)
	}
	if diff := cmp.Diff([]string{"API_TOKEN", "DB_ARG_3", "DB_ARG_5", "GH_TOKEN", "LITERAL_API_KEY", "LITERAL_X_API_KEY", "MODE"}, im.Set); diff != "" {
		t.Error("variables (-want +got):\n" + diff)
	}
	said := strings.Join(im.Lines, "\n")
	for _, want := range []string{"GitHub (prod): named github-prod", "old: left out: it uses the old SSE", "off: left out: it is disabled there",
		"ws: left out: it uses ${workspaceFolder}", "both: left out: it needs either"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in:\n%s", want, said)
		}
	}
	out, err := im.Merge("remit.yaml", nil, false)
	if err != nil || strings.Contains(said+string(out), "canary") {
		t.Errorf("error %v, or a secret in:\n%s\n%s", err, said, out)
	}
}

func TestImportNamesStayUnique(t *testing.T) {
	im := NewImport()
	im.Take("one.json", []ClientServer{{Name: "a b", Upstream: Upstream{Command: "x", Env: map[string]string{"T_KEY": "1"}}},
		{Name: "A/B", Upstream: Upstream{Command: "y", Env: map[string]string{"T_KEY": "2"}}}, {Name: "☃", Upstream: Upstream{Command: "z"}}})
	im.Take("two.json", []ClientServer{{Name: "a-b", Upstream: Upstream{Command: "x", Env: map[string]string{"T_KEY": "1"}}}})
	want := map[string]Upstream{
		"a-b":    {Command: "x", Env: map[string]string{"T_KEY": "${T_KEY}"}},
		"a-b-2":  {Command: "y", Env: map[string]string{"T_KEY": "${A_B_T_KEY}"}},
		"server": {Command: "z"},
	}
	if diff := cmp.Diff(want, im.Add); diff != "" {
		t.Errorf("servers (-want +got):\n%s\n%v", diff, im.Lines)
	}
}

func TestClientFileErrorsShowNoValues(t *testing.T) {
	for _, text := range []string{`{"mcpServers": {"a": {"command": 5, "x": "canary"}}}`, `{"mcpServers": {"a": "canary"}}`, `{"a": canary}`,
		`{"mcpServers": {"a": {"command": "canary"}, "a": {"command": "canary"}}}`, `{"canary": 1}`, `{"mcpServers": {}} canary`} {
		_, err := ReadClientFile(write(t, "c.json", text))
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want an error without the value", text, err)
		}
	}
}

func TestMergeKeepsEveryOtherByte(t *testing.T) {
	im := func() *Import {
		im := NewImport()
		im.Take("c.json", []ClientServer{{Name: "new", Upstream: Upstream{Command: "run", Args: []string{"- a", "b: c", "#d"}}},
			{Name: "old", Upstream: Upstream{URL: "https://n.example/mcp"}}})
		return im
	}
	added := func(indent string) string {
		return strings.ReplaceAll("~# imported from c.json\n~new:\n~  command: run\n~  args:\n~    - \"- a\"\n~    - \"b: c\"\n~    - \"#d\"\n", "~", indent)
	}
	oldNew := "  # imported from c.json\n  old:\n    url: https://n.example/mcp\n"
	for name, c := range map[string]struct {
		text  string
		force bool
		want  string
	}{
		"no file":       {"", false, "upstreams:\n" + added("  ") + oldNew},
		"no section":    {"listen: a:1 # c", false, "listen: a:1 # c\nupstreams:\n" + added("  ") + oldNew},
		"empty section": {"upstreams: {} # mine\nlisten: a:1\n", false, "upstreams: # mine\n" + added("  ") + oldNew + "listen: a:1\n"},
		"kept":          {"upstreams:\n  # first\n  old: # c\n    command: x\n\n# about listen\nlisten: a:1\n", false, "upstreams:\n  # first\n  old: # c\n    command: x\n" + added("  ") + "\n# about listen\nlisten: a:1\n"},
		"forced":        {"upstreams:\n  # first\n  old: # c\n    command: x\n  z: {command: y}\nlisten: a:1\n", true, "upstreams:\n  # first\n  z: {command: y}\n" + added("  ") + oldNew + "listen: a:1\n"},
		"deep indent":   {"upstreams:\n    old:\n        command: |-\n          x\n          y", false, "upstreams:\n    old:\n        command: |-\n          x\n          y\n" + added("    ")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := im().Merge("remit.yaml", []byte(c.text), c.force)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Error("merged (-want +got):\n" + diff)
			}
		})
	}
}

func TestMergeRefusesWhatItCannotExtend(t *testing.T) {
	for _, text := range []string{"upstreams: {z: {command: y}}\n", "{listen: 'a:1'}\n", "listen: a:1\n...\n", "lisen: x\n"} {
		im := imported(t, clientText)
		out, err := im.Merge("remit.yaml", []byte(text), false)
		if err == nil {
			t.Errorf("%q: got\n%s\nwant an error", text, out)
		}
	}
}

func TestWriteFileReplacesThroughLinks(t *testing.T) {
	path := write(t, "real.yaml", "old")
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	info, _ := os.Stat(path)
	if err != nil || string(got) != "new" || info.Mode().Perm() != 0o600 {
		t.Errorf("got %q, %v, %v; want new, 0600", got, err, info.Mode())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".remit-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
