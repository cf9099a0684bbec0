package main

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"remit/web/api"
)

// remoteCommands are the commands that work with --server.
var remoteCommands = []string{
	"persona list", "persona show", "persona diff", "persona rollback", "persona narrow", "persona unused", "persona term", "persona team",
	"persona export", "persona plan", "persona apply", "key create", "key list", "key rotate", "key revoke", "token list", "token revoke",
	"suspend", "resume", "suspended", "approval list", "approval show", "approval approve", "approval deny", "upstreams", "crawl", "account list", "account allow",
	"account end", "session", "search", "reach tool", "reach server", "reach effect", "audit list",
}

// serverOf takes --server URL from before the command, or REMIT_SERVER. It is no flag of all commands: remit audit has one of
// that name, which chooses entries.
func serverOf(args []string) (server string, rest []string) {
	if len(args) > 0 {
		if value, ok := strings.CutPrefix(args[0], "--server="); ok {
			return value, args[1:]
		}
		if args[0] == "--server" && len(args) > 1 {
			return args[1], args[2:]
		}
	}
	return os.Getenv("REMIT_SERVER"), args
}

// to makes the commands ask the server.
func (a *app) to(server, token, command string) error {
	if !slices.ContainsFunc(remoteCommands, func(name string) bool { return command == name || strings.HasPrefix(command, name+" ") }) {
		return fmt.Errorf("this command works only on the machine that holds the data, without --server and REMIT_SERVER; those that work with it are: %s", strings.Join(remoteCommands, ", "))
	}
	var err error
	if command == "session" || strings.HasPrefix(command, "session ") { // it asks for the password instead
		a.remote, err = api.NewClient(server, "none")
		return err
	}
	a.remote, err = api.NewClient(server, token)
	return err
}

// path is one of the API, of parts that are escaped.
func path(parts ...string) string {
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "/" + strings.Join(parts, "/")
}

// list reads the items of a list.
func list[T any](a *app, path string, query url.Values) ([]T, error) {
	var l api.List[T]
	err := a.remote.Get(a.ctx, path, query, &l)
	return l.Items, err
}
