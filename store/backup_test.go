package store

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"remit/internal/services"
)

// A backup that another process takes while calls go on has every call that was acknowledged before, and goes on as a database of its
// own. It writes over nothing, and a record that was edited is no backup.
func TestBackup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remit.db")
	serving, _ := journaling(t, path)
	call(t, serving, "crm/before")
	other, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			ticket, err := serving.Begin(t.Context(), toolCall(fmt.Sprintf("crm/%d", i)))
			if err == nil {
				err = serving.Finish(t.Context(), ticket, toolCall(fmt.Sprintf("crm/%d", i)))
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	to := filepath.Join(t.TempDir(), "backup.db")
	head, err := other.Backup(t.Context(), to)
	close(stop)
	<-stopped
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != private {
		t.Errorf("got %v, %v, want a file of its owner alone", info, err)
	}
	restored, _ := journaling(t, to)
	call(t, restored, "crm/after")
	if got := told(t, restored); int64(len(got)) < head.Seq || !slices.Contains(got, "crm/before allowed") || !slices.Contains(got, "crm/after allowed") {
		t.Errorf("got %d entries, want the %d of the backup, and one more", len(got), head.Seq)
	}

	if _, err := other.Backup(t.Context(), to); err == nil || !strings.Contains(err.Error(), "not written over") {
		t.Errorf("a second one: got %v", err)
	}
	if _, err := other.writer.Exec("update audit set body = replace(body, 'crm/before', 'crm/edited')"); err != nil {
		t.Fatal(err)
	}
	failed := filepath.Join(t.TempDir(), "failed.db")
	if _, err := other.Backup(t.Context(), failed); err == nil {
		t.Error("an edited record was backed up as if it were sound")
	}
	if left, err := fs.Glob(os.DirFS(filepath.Dir(failed)), "*"); err != nil || len(left) > 0 {
		t.Errorf("what failed left %v, %v", left, err)
	}
	shared, err := Open(t.Context(), services.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	if _, err := shared.Backup(t.Context(), failed); err == nil || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("PostgreSQL: got %v", err)
	}
}
