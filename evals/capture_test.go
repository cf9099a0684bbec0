package evals

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
)

// listings answers as servers would.
type listings map[string][]string

func (l listings) list(_ context.Context, s CaptureServer) ([]json.RawMessage, error) {
	tools, ok := l[s.Server]
	if !ok {
		return nil, errors.New("it does not start")
	}
	var out []json.RawMessage
	for _, d := range tools {
		out = append(out, json.RawMessage(d))
	}
	return out, nil
}

// TestCapture: the written lines read back as the tools whose digests they carry, in the order of the servers.
func TestCapture(t *testing.T) {
	servers := []CaptureServer{{Server: "b"}, {Server: "none"}, {Server: "a"}, {Server: "empty"}}
	answers := listings{
		"b": {`{"name":"two","description":"a <b> & \u00e9","inputSchema":{"type":"object","properties":{"n":{"maximum":1.50}}},"outputSchema":{}}`,
			`{"name":"two","description":"again"}`, `{"name":"bad\n"}`, `{"name":"one","title":"One","annotations":{"readOnlyHint":true}}`},
		"a": {`{"name":"three","description":"x"}`}, "empty": {},
	}
	var done []int
	got := Capture{Servers: servers, List: answers.list, Progress: func(_ Captured, n, _ int) { done = append(done, n) }}.Run(t.Context())
	if want := []int{1, 2, 3, 4}; !slices.Equal(done, want) {
		t.Errorf("progress: got %v, want %v", done, want)
	}
	var file []byte
	ids, failed := []catalog.ID{}, []string{}
	digests := map[catalog.ID]catalog.Digest{}
	for _, c := range got {
		for _, tool := range c.Tools {
			ids, digests[tool.ID] = append(ids, tool.ID), tool.Digest
			file = append(append(file, tool.Line...), '\n')
		}
		if c.Err != nil {
			failed = append(failed, c.Server)
		}
	}
	if want := []catalog.ID{"b/two", "b/one", "a/three"}; !slices.Equal(ids, want) {
		t.Errorf("got tools %v, want %v", ids, want)
	}
	if want := []string{"none", "empty"}; !slices.Equal(failed, want) {
		t.Errorf("got failed servers %v, want %v", failed, want)
	}
	if len(got[0].LeftOut) != 2 {
		t.Errorf("got left out %q, want the second of a name and the unusable name", got[0].LeftOut)
	}
	path := filepath.Join(t.TempDir(), "catalog.jsonl")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	tools, err := LoadCatalog(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	read := map[catalog.ID]catalog.Digest{}
	for _, tool := range tools {
		read[tool.ID] = tool.Digest
	}
	if diff := cmp.Diff(digests, read); diff != "" {
		t.Errorf("digests (-written +read):\n%s", diff)
	}
	changes := CompareCapture(got, map[catalog.ID]catalog.Digest{"b/two": digests["b/two"], "b/one": "sha256:other", "b/gone": "sha256:0", "none/x": "sha256:0"})
	want := CaptureChanges{Same: 1, Differ: []catalog.ID{"b/one"}, Missing: []catalog.ID{"b/gone"}, Added: []catalog.ID{"a/three"}}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// TestShippedServers: the shipped servers and digests are of the same catalog.
func TestShippedServers(t *testing.T) {
	servers, err := LoadCaptureServers("suites/persona-servers.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	digests, err := LoadDigests("suites/persona-digests.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for id := range digests {
		server, _ := id.Split()
		count[server]++
	}
	if got, want := [3]int{len(servers), len(count), len(digests)}, [3]int{74, 74, 3422}; got != want {
		t.Errorf("got servers, servers with digests, digests %v, want %v", got, want)
	}
	for _, s := range servers {
		if count[s.Server] == 0 {
			t.Errorf("server %s has no recorded digest", s.Server)
		}
	}
}

func TestCaptureCommand(t *testing.T) {
	s := CaptureServer{Install: "npm i {dir}", Run: "npx -y  files@1 {dir}", Env: map[string]string{"FILE": "{dir}/f"}}
	install, argv, env := s.Command("/tmp/x")
	if diff := cmp.Diff([]string{"npm", "i", "/tmp/x"}, install); diff != "" {
		t.Errorf("install (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"npx", "-y", "files@1", "/tmp/x"}, argv); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
	if got, want := env["FILE"], "/tmp/x/f"; got != want || s.Env["FILE"] != "{dir}/f" {
		t.Errorf("got %q, want %q, and the server unchanged", got, want)
	}
}
