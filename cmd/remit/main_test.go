package main

import (
	"bufio"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"

	"remit/audit"
	"remit/internal/fakemcp"
	"remit/internal/services"
	"remit/store"
)

func TestMain(m *testing.M) {
	fakemcp.RunIfAsked()
	testscript.Main(m, map[string]func(){
		"remit": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"sqlite": func() { // sqlite FILE STATEMENT: the attacker with the database file, or with the database that is configured
			db, err := openRaw(os.Args[1])
			if err == nil {
				_, err = db.Exec(os.Args[2])
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
		"rewrite": func() { // rewrite FILE OLD NEW: the attacker who seals the whole chain anew
			if err := rewrite(os.Args[1], os.Args[2], os.Args[3]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
		"scrape": func() { // scrape ARG...: remit serve with these, its metrics once, and its end
			if err := scrape(os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
		"record": func() { // record FILE ENTRY...: what a gateway writes into its record
			if err := record(os.Args[1], os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
	})
}

func scrape(args []string) error {
	serve := exec.Command("remit", append([]string{"serve"}, args...)...)
	serve.Stderr = os.Stderr
	out, err := serve.StdoutPipe()
	if err != nil {
		return err
	}
	if err := serve.Start(); err != nil {
		return err
	}
	defer func() {
		_ = serve.Process.Signal(os.Interrupt) // it may have ended
		_, _ = io.Copy(os.Stdout, out)
		_ = serve.Wait() // which may say that it was interrupted before it was ready
	}()
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.HasPrefix(lines.Text(), "Remit serves "); {
		fmt.Println(lines.Text())
		url, found := strings.CutPrefix(lines.Text(), "Metrics are at ")
		if !found {
			continue
		}
		for _, path := range []string{"/metrics", "/k/x/mcp"} {
			answer, err := http.Get(strings.TrimSuffix(url, "/metrics") + path)
			if err != nil {
				return err
			}
			fmt.Println(answer.Status)
			if _, err = io.Copy(os.Stdout, answer.Body); err != nil {
				return err
			}
			answer.Body.Close()
		}
		return nil
	}
	return errors.New("it serves no metrics")
}

func record(file string, texts []string) error {
	db, err := store.Open(context.Background(), cmp.Or(os.Getenv("REMIT_DATABASE"), file))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, text := range texts {
		var e audit.Entry
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return err
		}
		if err := db.Append(context.Background(), e); err != nil {
			return err
		}
	}
	return nil
}

// openRaw opens the database of a script as an attacker has it.
func openRaw(file string) (*sql.DB, error) {
	if postgres := os.Getenv("REMIT_DATABASE"); postgres != "" {
		db, err := sql.Open("pgx", postgres+"&default_query_exec_mode=simple_protocol")
		if err == nil { // what scripts say in SQLite's words
			_, err = db.Exec("create or replace function json_extract(text, text) returns text language sql as $$ select $1::json ->> substr($2, 3) $$")
		}
		return db, err
	}
	return sql.Open("sqlite", file+"?_pragma=busy_timeout(60000)")
}

// commands are what scripts say beside the binary's own.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	all := maps.Clone(stageCommands)
	maps.Copy(all, accountCommands)
	return all
}

func rewrite(file, old, new string) error {
	db, err := openRaw(file)
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.Query("select body from audit order by seq")
	if err != nil {
		return err
	}
	defer rows.Close()
	var texts []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		texts = append(texts, strings.ReplaceAll(text, old, new))
	}
	if _, err := db.Exec("delete from audit; update audit_head set seq = 0, hash = ''"); err != nil {
		return err
	}
	return record(file, texts)
}

// TestScripts reads as a manual: one file a story, with who acts in its header.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: scripts, Cmds: commands(), Setup: setup})
}

const scripts = "testdata/script"

func setup(env *testscript.Env) error {
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("XDG_CONFIG_HOME", "")
	env.Setenv("XDG_DATA_HOME", "")
	env.Setenv("REMIT_EMBEDDINGS_URL", "off") // loading the encoder takes most of a command's time; a script that needs it takes it back
	env.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector holds each process for a second at its end
	newStage(env)
	return nil
}

// TestAttacksOnReplicas plays the attacks on PostgreSQL and Redis, all but those that are about the database file.
func TestAttacksOnReplicas(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(scripts, "attack-*.txtar"))
	if err != nil || len(files) < 15 {
		t.Fatal(files, err)
	}
	files = slices.DeleteFunc(files, func(f string) bool {
		return slices.Contains([]string{"attack-other-account.txtar", "attack-others-account.txtar"}, filepath.Base(f))
	})
	testscript.Run(t, testscript.Params{Files: files, Cmds: commands(), Setup: func(env *testscript.Env) error {
		redis, err := services.NewRedis() // each script its own: they have personas of the same names
		if err != nil {
			return err
		}
		env.Setenv("REMIT_DATABASE", services.Postgres(t))
		env.Setenv("REMIT_REDIS", redis.URL)
		env.Setenv("REMIT_MAX_STALENESS", "0s") // scripts ask at once what holds from the next request on
		return setup(env)
	}})
}
