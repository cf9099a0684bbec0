package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Merge returns the file's text with the imported servers in it; every other byte, comments too, stays. A server whose
// name is there already is left out and named in Lines, or replaced with force.
func (im *Import) Merge(path string, text []byte, force bool) ([]byte, error) {
	before, err := parse(path, text)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(text), "\n")
	names := slices.Sorted(maps.Keys(im.Add))
	for _, name := range names {
		if _, there := before.Upstreams[name]; !there {
			continue
		}
		if !force {
			im.say("%s: left out: %s has an upstream of that name; --force replaces it", name, path)
			delete(im.Add, name)
		}
	}
	im.Set = im.variables()
	if len(im.Add) == 0 {
		return text, nil
	}
	section, err := findSection(path, text)
	if err != nil {
		return nil, err
	}
	lines = section.without(lines, im.Add)
	out, err := section.insert(lines, im)
	if err != nil {
		return nil, err
	}
	return out, im.check(path, before, out)
}

// check reads the new text and compares it with what was meant.
func (im *Import) check(path string, before *File, out []byte) error {
	after, err := parse(path, out)
	if err != nil {
		return fmt.Errorf("the merged file would not be readable, nothing was written: %w", err)
	}
	want := maps.Clone(before.Upstreams)
	if want == nil {
		want = map[string]Upstream{}
	}
	maps.Copy(want, im.Add)
	if !reflect.DeepEqual(normal(want), normal(after.Upstreams)) || !reflect.DeepEqual(before.Options, after.Options) {
		return fmt.Errorf("%s is written in a way that cannot be extended line by line, nothing was changed: "+
			"write its upstreams as indented lines, or add the lines that --dry-run shows for an empty file by hand", path)
	}
	return nil
}

// normal makes absent and empty lists equal.
func normal(servers map[string]Upstream) map[string]string {
	out := map[string]string{}
	for name, u := range servers {
		text, _ := yaml.Marshal(u)
		out[name] = string(text)
	}
	return out
}

// section is where a file's upstreams are; line numbers count from 0.
type section struct {
	at     int            // of "upstreams:"; -1 when there is none
	inline bool           // "upstreams: {}" or without a value
	indent int            // of the names
	names  map[string]int // the line of each name
}

var emptyValue = regexp.MustCompile(`^([^:]*:)[ \t]*(\{[ \t]*\}|null|~)`)

func findSection(path string, text []byte) (section, error) {
	s := section{at: -1, indent: 2, names: map[string]int{}}
	doc, err := parser.ParseBytes(text, 0)
	if err != nil {
		return s, located(path, err)
	}
	root, err := onlyMapping(path, doc)
	if err != nil {
		return s, err
	}
	for _, pair := range pairs(root) {
		if keyText(pair) != "upstreams" {
			continue
		}
		s.at = line(pair.Key) - 1
		inner := pairs(pair.Value)
		if len(inner) == 0 {
			s.inline = true
			continue
		}
		if m, ok := pair.Value.(*ast.MappingNode); ok && m.IsFlowStyle {
			return s, fmt.Errorf("%s:%d: the upstreams are written within braces: write them as indented lines and import again", path, s.at+1)
		}
		for _, p := range inner {
			s.names[keyText(p)] = line(p.Key) - 1
			s.indent = p.Key.GetToken().Position.Column - 1
		}
	}
	return s, nil
}

// without removes the entries that will be replaced. Removed lines become empty strings, so that numbers stay true.
func (s section) without(lines []string, replaced map[string]Upstream) []string {
	lines = slices.Clone(lines)
	for name := range replaced {
		at, there := s.names[name]
		if !there {
			continue
		}
		for end := s.end(lines, at, s.indent); at < end; at++ {
			lines[at] = ""
		}
	}
	return lines
}

// end returns the line after the block that begins at line at with the indent; comments and empty lines that only
// follow it belong to what comes next.
func (s section) end(lines []string, at, indent int) int {
	end := at + 1
	for i := at + 1; i < len(lines); i++ {
		content := strings.TrimLeft(lines[i], " ")
		blank := strings.TrimSpace(content) == "" || content[0] == '#'
		if !blank && len(lines[i])-len(content) <= indent {
			break
		}
		if !blank {
			end = i + 1
		}
	}
	return end
}

func (s section) insert(lines []string, im *Import) ([]byte, error) {
	var block strings.Builder
	for _, name := range slices.Sorted(maps.Keys(im.Add)) {
		text, err := yaml.MarshalWithOptions(map[string]Upstream{name: im.Add[name]}, yaml.Indent(2), yaml.IndentSequence(true))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&block, "%*s# imported from %s\n", s.indent, "", filepath.Base(im.From[name]))
		for l := range strings.Lines(string(text)) {
			fmt.Fprintf(&block, "%*s%s", s.indent, "", l)
		}
	}
	at := len(lines)
	head := ""
	switch {
	case s.at < 0:
		head = "upstreams:\n"
	case s.inline:
		at = s.at + 1
		lines[s.at] = emptyValue.ReplaceAllString(lines[s.at], "$1")
	default:
		at = s.end(lines, s.at, 0)
	}
	if at > 0 {
		if last := lines[at-1]; last != "" && !strings.HasSuffix(last, "\n") {
			lines[at-1] += "\n"
		}
	}
	return []byte(strings.Join(lines[:at], "") + head + block.String() + strings.Join(lines[at:], "")), nil
}

// WriteFile replaces path at once or not at all, readable by its owner only.
func WriteFile(path string, text []byte) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // the link stays a link
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".remit-*.yaml") // 0600
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
