// Package prompts owns every text that is put before or around what a model reads. A prompt's version is kept with what
// it produced, so that a changed prompt is seen: vectors made with another version are rebuilt.
package prompts

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed embed/*.tmpl compose/*.tmpl
var files embed.FS

// Prompt is one template.
type Prompt struct{ file, text string }

// Set holds the prompts of the composer. The zero Set is the one in the binary.
type Set struct{ changed map[string]Prompt }

// ReadSet reads the prompts of a folder, which are called as those in prompts/compose are; the ones that it lacks are those in
// the binary. Errors name the file.
func ReadSet(dir string) (Set, error) {
	s := Set{changed: map[string]Prompt{}}
	found, err := filepath.Glob(filepath.Join(dir, "*.tmpl"))
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s holds no prompt: name the files as prompts/compose does, such as choose.system.tmpl", dir)
	}
	if err != nil {
		return s, err
	}
	for _, file := range found {
		name := filepath.Base(file)
		if _, err := files.ReadFile("compose/" + name); err != nil {
			return s, fmt.Errorf("%s: the composer has no prompt of that name", file)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return s, err
		}
		p := Prompt{file: name, text: string(text)}
		if _, err := p.Render(map[string]string{"Job": "", "Needs": "", "Tools": ""}); err != nil {
			return s, err
		}
		s.changed[name] = p
	}
	return s, nil
}

// Embedding returns the prompts that a family of embedding models was trained with, for the tools that are embedded and
// for what is searched. The family is told from the model's name; for an unknown one both are the bare text.
func Embedding(model string) (passage, query Prompt) {
	family := "plain"
	model = strings.ToLower(model)
	for _, f := range []struct{ name, mark string }{
		{"e5", "e5-"}, {"nomic", "nomic-embed"}, {"qwen", "qwen3-embedding"}, {"bge", "bge-"}, {"mxbai", "mxbai-embed"},
	} {
		if strings.Contains(model, f.mark) && !strings.Contains(model, "bge-m3") && !strings.Contains(model, "e5-mistral") {
			family = f.name
			break
		}
	}
	return load("embed/passage." + family + ".tmpl"), load("embed/query." + family + ".tmpl")
}

// Composing returns the prompts of a task of the composer, "needs", "choose" or "critique". system is ours alone; user holds
// what strangers wrote, each part as JSON, in which no text can end the part that it stands in.
func (s Set) Composing(task string) (system, user Prompt) {
	get := func(name string) Prompt {
		if p, ok := s.changed[name]; ok {
			return p
		}
		return load("compose/" + name)
	}
	return get(task + ".system.tmpl"), get(task + ".user.tmpl")
}

// load panics for a file that is not embedded: the names are in this file and the folders, and a test reads them all.
func load(file string) Prompt {
	text, err := files.ReadFile(file)
	if err != nil {
		panic(err)
	}
	return Prompt{file: path.Base(file), text: string(text)}
}

// Version is a digest of the prompt's text: 12 hex digits of its SHA-256.
func (p Prompt) Version() string {
	sum := sha256.Sum256([]byte(p.text))
	return hex.EncodeToString(sum[:6])
}

// Fill puts the text where the prompt wants it. The text is data: nothing in it is read as a template.
func (p Prompt) Fill(text string) (string, error) {
	return p.Render(map[string]string{"Text": text})
}

// Render puts each part where the prompt wants it. All parts are data, as in [Prompt.Fill].
func (p Prompt) Render(parts map[string]string) (string, error) {
	var b strings.Builder
	t, err := template.New(p.file).Option("missingkey=error").Parse(p.text)
	if err == nil {
		err = t.Execute(&b, parts)
	}
	if err != nil {
		return "", fmt.Errorf("prompt %s: %w", p.file, err)
	}
	return strings.TrimRight(b.String(), "\n"), nil
}

// Digest is the SHA-256 of every prompt, by name: it differs when any text that a model reads was changed.
func Digest() string { return Set{}.Digest() }

// Digest is the same with the prompts of the set.
func (s Set) Digest() string {
	hash := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		if p, ok := s.changed[d.Name()]; ok {
			text = []byte(p.text)
		}
		fmt.Fprintf(hash, "%q %q\n", path, text)
		return err
	})
	if err != nil {
		panic(err) // the files are in the binary
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil))
}
