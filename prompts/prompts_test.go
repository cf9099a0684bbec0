package prompts_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"remit/prompts"
)

func TestEmbedding(t *testing.T) {
	for _, tc := range []struct{ model, passage, query string }{
		{"text-embedding-3-small", "{{x}} & <y>", "{{x}} & <y>"},
		{"intfloat/e5-small-v2", "passage: {{x}} & <y>", "query: {{x}} & <y>"},
		{"intfloat/multilingual-e5-base", "passage: {{x}} & <y>", "query: {{x}} & <y>"},
		{"nomic-embed-text:latest", "search_document: {{x}} & <y>", "search_query: {{x}} & <y>"},
		{"Qwen/Qwen3-Embedding-0.6B", "{{x}} & <y>",
			"Instruct: Given what an agent has to do, retrieve the tools that can do it\nQuery:{{x}} & <y>"},
		{"BAAI/bge-small-en-v1.5", "{{x}} & <y>", "Represent this sentence for searching relevant passages: {{x}} & <y>"},
		{"mxbai-embed-large", "{{x}} & <y>", "Represent this sentence for searching relevant passages: {{x}} & <y>"},
		{"BAAI/bge-m3", "{{x}} & <y>", "{{x}} & <y>"},
	} {
		passage, query := prompts.Embedding(tc.model)
		for _, p := range []struct {
			prompt prompts.Prompt
			want   string
		}{{passage, tc.passage}, {query, tc.query}} {
			if got, err := p.prompt.Fill("{{x}} & <y>"); err != nil || got != p.want {
				t.Errorf("%s: got %q, %v, want %q", tc.model, got, err, p.want)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	plain, _ := prompts.Embedding("text-embedding-3-small")
	again, _ := prompts.Embedding("another")
	_, e5 := prompts.Embedding("e5-base")
	if plain.Version() != again.Version() || plain.Version() == e5.Version() {
		t.Errorf("got versions %s, %s, %s, want the first two alike", plain.Version(), again.Version(), e5.Version())
	}
	if got, want := len(plain.Version()), 12; got != want {
		t.Errorf("got a version of %d digits, want %d", got, want)
	}
}

func TestDigest(t *testing.T) {
	if got := prompts.Digest(); len(got) != len("sha256:")+64 || got != prompts.Digest() {
		t.Errorf("got %q, want one SHA-256", got)
	}
}

// TestComposing: every task's prompts render, the system prompt holds nothing of the parts, and the parts stand as they are.
func TestComposing(t *testing.T) {
	parts := map[string]string{"Job": `"{{.Needs}} job"`, "Needs": `{"id":"n1"}`, "Tools": `{"id":"t1"}`}
	for task, want := range map[string]string{
		"needs":    "<job>\n\"{{.Needs}} job\"\n</job>",
		"choose":   "<job>\n\"{{.Needs}} job\"\n</job>\n<needs>\n{\"id\":\"n1\"}\n</needs>\n<tools>\n{\"id\":\"t1\"}\n</tools>",
		"critique": "<job>\n\"{{.Needs}} job\"\n</job>\n<needs>\n{\"id\":\"n1\"}\n</needs>\n<tools>\n{\"id\":\"t1\"}\n</tools>",
	} {
		system, user := prompts.Set{}.Composing(task)
		if got, err := user.Render(parts); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", task, got, err, want)
		}
		if got, err := system.Render(nil); err != nil || len(got) < 200 || system.Version() == user.Version() {
			t.Errorf("%s: got the system prompt %q, %v", task, got, err)
		}
	}
}

// TestReadSet: a folder's prompts stand for those of their names, the others stay; another text is another digest and version.
func TestReadSet(t *testing.T) {
	folder := func(files map[string]string) string {
		dir := t.TempDir()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	s, err := prompts.ReadSet(folder(map[string]string{"choose.system.tmpl": "Choose few.", "notes.md": "not a prompt"}))
	if err != nil {
		t.Fatal(err)
	}
	system, user := s.Composing("choose")
	was, same := prompts.Set{}.Composing("choose")
	if got, err := system.Render(nil); err != nil || got != "Choose few." || system.Version() == was.Version() || user.Version() != same.Version() || s.Digest() == prompts.Digest() {
		t.Errorf("got %q, %v, want the folder's system prompt and the binary's other", got, err)
	}
	for _, tc := range []struct {
		files map[string]string
		want  string
	}{
		{map[string]string{}, "holds no prompt"},
		{map[string]string{"other.tmpl": "x"}, "other.tmpl: the composer has no prompt of that name"},
		{map[string]string{"choose.user.tmpl": "{{.Job"}, "choose.user.tmpl"},
		{map[string]string{"choose.user.tmpl": "{{.Secret}}"}, "choose.user.tmpl"},
	} {
		if _, err := prompts.ReadSet(folder(tc.files)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: got %v, want %q", tc.files, err, tc.want)
		}
	}
}
