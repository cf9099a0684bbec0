package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"

	"remit/audit"
	"remit/internal/fakemcp"
	"remit/store"
)

func TestMain(m *testing.M) {
	fakemcp.RunIfAsked()
	testscript.Main(m, map[string]func(){
		"remit": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"sqlite": func() { // sqlite FILE STATEMENT: the attacker with the database file
			db, err := sql.Open("sqlite", os.Args[1])
			if err == nil {
				_, err = db.Exec(os.Args[2])
			}
			if err != nil {
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

func record(file string, texts []string) error {
	db, err := store.Open(context.Background(), file)
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

// TestScripts reads as a manual: one file a story, with who acts in its header.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  filepath.Join("testdata", "script"),
		Cmds: stageCommands,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CONFIG_HOME", "")
			env.Setenv("XDG_DATA_HOME", "")
			newStage(env)
			return nil
		},
	})
}
