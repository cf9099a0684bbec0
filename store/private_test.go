package store_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"remit/store"
)

func modes(t *testing.T, path string) (got [3]fs.FileMode) {
	t.Helper()
	for i, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		got[i] = info.Mode().Perm()
	}
	return got
}

// The database and what SQLite keeps beside it is its owner's alone, whatever the umask; one from before is made so.
func TestFilesArePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("rights are not modes there")
	}
	path := filepath.Join(t.TempDir(), "remit.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := [3]fs.FileMode{0o600, 0o600, 0o600}
	if got := modes(t, path); got != want {
		t.Errorf("a new database: got modes %o, want %o", got, want)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(path+suffix, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Restrict(path); err != nil {
		t.Error(err)
	}
	if got := modes(t, path); got != want {
		t.Errorf("an old database: got modes %o, want %o", got, want)
	}
	if err := store.Restrict(filepath.Join(t.TempDir(), "none.db")); err != nil {
		t.Errorf("no database yet: got %v", err)
	}
}
