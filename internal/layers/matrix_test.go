package layers

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityMatrix: each row of the fail-closed matrix names tests or scripts that show it, and they are there.
func TestSecurityMatrix(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, matrix, _ := strings.Cut(string(text), "## The fail-closed matrix")
	matrix, _, _ = strings.Cut(matrix, "\n## ")
	known := shownBy(t)
	rows := 0
	for _, row := range strings.Split(matrix, "\n") {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != 3 || cells[0] == "what fails" {
			continue
		}
		rows++
		names := quoted.FindAllStringSubmatch(cells[2], -1)
		if len(names) == 0 {
			t.Errorf("nothing shows %q", cells[0])
		}
		for _, name := range names {
			if !known[name[1]] {
				t.Errorf("%q is shown by %s, which is nowhere", cells[0], name[1])
			}
		}
	}
	if rows < 20 {
		t.Errorf("got %d rows of the matrix", rows)
	}
}

var (
	quoted   = regexp.MustCompile("`([^`]+)`")
	testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// shownBy is the names of all tests and scripts of the repository.
func shownBy(t *testing.T) map[string]bool {
	known := map[string]bool{}
	err := filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".txtar"):
			known[path.Base(filepath.ToSlash(name))] = true
		case strings.HasSuffix(name, "_test.go"):
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
				known[m[1]] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return known
}
