package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"remit/web/api"
)

// remoteCommands are the commands that work with --server.
var remoteCommands = []string{
	"persona list", "persona show", "persona diff", "persona rollback", "persona narrow", "persona unused", "persona term",
	"persona export", "persona plan", "persona apply", "key create", "key list", "key revoke", "token list", "token revoke",
	"suspend", "resume", "suspended", "search", "reach tool", "reach server", "reach effect", "audit",
}

// to makes the commands ask the server.
func (a *app) to(server, token, command string) error {
	if !slices.ContainsFunc(remoteCommands, func(name string) bool { return command == name || strings.HasPrefix(command, name+" ") }) {
		return fmt.Errorf("this command works only on the machine that holds the data, without --server; those that work with it are: %s", strings.Join(remoteCommands, ", "))
	}
	var err error
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
