package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"

	"remit/internal/fakemcp"
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
	})
}

// TestScripts reads as a manual: one file a story, with who acts in its header.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CONFIG_HOME", "")
			env.Setenv("XDG_DATA_HOME", "")
			return nil
		},
	})
}
