package e2e_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"remit/internal/services"
)

// commands are the blocks of docs/operations.md below a heading, which the tests run as they are.
func commands(t *testing.T, heading string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("docs/operations.md has no %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n#")
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// TestBackupAndRestore does what docs/operations.md says, word by word, on either database: a backup while agents call, the loss of
// everything, and the way back. Then the record verifies and goes on, what was encrypted opens, and the agent's key calls its tool.
func TestBackupAndRestore(t *testing.T) {
	for _, engine := range []string{"SQLite", "PostgreSQL"} {
		t.Run(engine, func(t *testing.T) { backUpAndRestore(t, engine) })
	}
}

func backUpAndRestore(t *testing.T, engine string) {
	blocks := commands(t, "### Backup and restore: "+engine)
	if len(blocks) != 2 {
		t.Fatalf("there are %d blocks, want a backup and a restore", len(blocks))
	}
	in := install(t, "  crm: {command: "+binary+", args: [demo-server, crm]}\n")
	in.stop(syscall.SIGTERM)
	text, err := os.ReadFile(in.config)
	if err == nil {
		err = os.WriteFile(in.config, []byte(substitute(t, string(text), "[demo-server, crm]", "[demo-server, crm], env: {TOKEN: '${secret:TOKEN}'}")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	place := t.TempDir()
	env := append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "REMIT_CONFIG="+in.config, "DATA="+filepath.Join(in.dir, "data"), "BACKUP="+place)
	if engine == "PostgreSQL" {
		server, err := services.NewPostgres()
		if err != nil {
			t.Fatal(err)
		}
		database, err := server.Database("remit")
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(in.config, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "database: %s\n", database)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(database)
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, "PGHOST="+u.Query().Get("host"), "PGUSER=remit")
	}
	sh := func(script string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	sh("echo a-token | remit secret set TOKEN")
	in.start()
	w := peopled(in)
	waitFor(t, "crawling", func() bool { return strings.Contains(w.get(w.author, "/catalog"), "search_customers") })
	if !w.persona("steady", "Look up a customer in the CRM and add a note to their record.") {
		t.Fatal("the persona could not be approved")
	}
	key := strings.TrimSpace(in.cli("key", "create", "--agent", "bot", "--user", "zoe", "--persona", "steady"))
	for range 20 {
		w.call(key)
	}
	acknowledged := w.calls
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for running(stop) {
			w.call(key)
		}
	}()
	sh(blocks[0])
	close(stop)
	<-stopped
	in.stop(syscall.SIGTERM)
	if err := os.RemoveAll(filepath.Join(in.dir, "data")); err != nil {
		t.Fatal(err)
	}
	if engine == "PostgreSQL" {
		sh("dropdb remit")
	}
	sh(blocks[1])
	in.start()
	if out := in.cli("audit", "verify"); !regexp.MustCompile(`\d+ entries`).MatchString(out) {
		t.Errorf("the record: got %s", out)
	}
	if n := strings.Count(in.cli("audit", "export", "--format", "jsonl", "--decision", "allowed", "--kind", "tool.call"), `"kind":"tool.call"`); acknowledged != 20 || n < acknowledged {
		t.Errorf("of %d calls before the backup %d are in it", acknowledged, n)
	}
	before := w.calls
	waitFor(t, "the agent's key calls its tool", func() bool { w.call(key); return w.calls > before })
	for _, name := range []string{"audit.key", "secret.key"} {
		if info, err := os.Stat(filepath.Join(in.dir, "data", name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	in.cli("audit", "verify")
}
