package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// private is the mode of the database and of the files beside it: whoever reads them can act as the operator.
const private fs.FileMode = 0o600

// create makes the file, so that its mode is not the process's umask's. SQLite gives -wal and -shm the mode of the database.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, private)
	if err != nil {
		return err
	}
	return f.Close()
}

// Restrict takes the rights on an existing database, and on the files that SQLite keeps beside it, from everybody but their
// owner. An error says which file others can still reach.
func Restrict(path string) error {
	var problems []error
	files := []string{path, path + "-wal", path + "-shm", path + "-journal"}
	for which := range journalFiles {
		files = append(files, journalPath(path, which))
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err == nil && info.Mode().Perm()&^private != 0 {
			err = os.Chmod(file, private)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("other accounts may be able to read it; as its owner run chmod 600 %s: %w", file, err))
		}
	}
	return errors.Join(problems...)
}
