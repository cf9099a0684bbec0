package main

import (
	"errors"
	"fmt"

	"remit/web/api"
)

// errRemoteOnly: what is asked is known to a running server alone.
var errRemoteOnly = errors.New("this is for a running server: give --server URL before the command, or REMIT_SERVER")

type upstreamsCmd struct {
	JSON bool `help:"Print JSON."`
}

// Run lists the upstream servers of a running Remit.
func (c upstreamsCmd) Run(a *app) error {
	if a.remote == nil {
		return errRemoteOnly
	}
	all, err := list[api.Server](a, "/servers", nil)
	if err != nil {
		return err
	}
	return a.showServers(all, c.JSON)
}

func (a *app) showServers(all []api.Server, asJSON bool) error {
	if asJSON {
		return printJSON(a.out, all)
	}
	var rows [][]string
	for _, s := range all {
		state := s.State
		if s.Suspended != "" {
			state += ", suspended"
		}
		rows = append(rows, []string{s.Name, state, fmt.Sprint(s.Tools), moment(s.LastCrawl), fmt.Sprint(s.Restarts), orDash(s.Says), orDash(s.Error)})
	}
	return table(a.out, []string{"SERVER", "STATE", "TOOLS", "LAST CRAWL", "RECONNECTS", "SAYS IT IS", "ERROR"}, rows)
}

// remote has a running Remit list its servers' tools now.
func (c crawlCmd) remote(a *app) error {
	names := c.Server
	if len(names) == 0 {
		all, err := list[api.Server](a, "/servers", nil)
		if err != nil {
			return err
		}
		for _, s := range all {
			names = append(names, s.Name)
		}
	}
	var after []api.Server
	for _, name := range names {
		var s api.Server
		if err := a.remote.Post(a.ctx, path("servers", name, "crawl"), nil, &s); err != nil {
			return fmt.Errorf("server %s: %w", plain(name), err)
		}
		after = append(after, s)
	}
	return a.showServers(after, false)
}

type sessionCmd struct {
	Name string `arg:"" help:"Who signs in, with an account of Remit's own."`
}

// Run signs a person in and prints what they set as REMIT_TOKEN: with it they may do what a management token may not, such as deciding
// on calls. Whoever signs in at an identity provider does so on the pages.
func (c sessionCmd) Run(a *app) error {
	if a.remote == nil {
		return errRemoteOnly
	}
	password, err := a.readSecret("password")
	if err != nil {
		return err
	}
	var s api.Session
	if err := a.remote.Post(a.ctx, "/session", api.SignIn{Name: c.Name, Password: password}, &s); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "%s is signed in until %s at the latest; set this as REMIT_TOKEN:\n", plain(c.Name), moment(s.Expires))
	_, err = fmt.Fprintln(a.out, s.Token)
	return err
}

type accountCmd struct {
	List  accountListCmd  `cmd:"" help:"List your accounts at servers that are called with people's accounts, or with --all everybody's."`
	Allow accountAllowCmd `cmd:"" help:"Say which keys, and clients that you sign in to, may use your account."`
	End   accountEndCmd   `cmd:"" help:"End your account at a server."`
}

type accountListCmd struct {
	All  bool `help:"Who has an account where; for an admin."`
	JSON bool `help:"Print JSON."`
}

func (c accountListCmd) Run(a *app) error {
	if a.remote == nil {
		return errRemoteOnly
	}
	if c.All {
		all, err := list[api.Account](a, "/connections/accounts", nil)
		if err != nil || c.JSON {
			return errors.Join(err, a.jsonUnless(err, all))
		}
		var rows [][]string
		for _, c := range all {
			rows = append(rows, []string{c.Server, c.Person, moment(c.Changed)})
		}
		return table(a.out, []string{"SERVER", "PERSON", "CHANGED"}, rows)
	}
	all, err := list[api.Connection](a, "/connections", nil)
	if err != nil || c.JSON {
		return errors.Join(err, a.jsonUnless(err, all))
	}
	return a.showConnections(all)
}

// jsonUnless prints the value if nothing failed.
func (a *app) jsonUnless(err error, value any) error {
	if err != nil {
		return nil
	}
	return printJSON(a.out, value)
}

func (a *app) showConnections(all []api.Connection) error {
	var rows [][]string
	for _, c := range all {
		rows = append(rows, []string{c.Server, c.State, moment(c.Since), orDash(c.Issuer), "", "", ""})
		for _, k := range c.Keys {
			rows = append(rows, []string{"", "", "", "", k.ID, k.Agent + " as " + k.Persona, map[bool]string{true: "yes", false: "no"}[k.Allowed]})
		}
	}
	return table(a.out, []string{"SERVER", "STATE", "SINCE", "ACCOUNT AT", "KEY", "AGENT", "MAY USE IT"}, rows)
}

type accountAllowCmd struct {
	Server string   `arg:"" help:"The server."`
	Keys   []string `arg:"" optional:"" name:"key" help:"Ids as remit account list shows them, and no others from then on; none for none."`
}

func (c accountAllowCmd) Run(a *app) error {
	if a.remote == nil {
		return errRemoteOnly
	}
	var now api.Connection
	if err := a.remote.Post(a.ctx, path("connections", c.Server, "allow"), api.AllowKeys{Keys: append([]string{}, c.Keys...)}, &now); err != nil {
		return err
	}
	return a.showConnections([]api.Connection{now})
}

type accountEndCmd struct {
	Server string `arg:"" help:"The server."`
}

func (c accountEndCmd) Run(a *app) error {
	if a.remote == nil {
		return errRemoteOnly
	}
	var d api.Disconnected
	if err := a.remote.Delete(a.ctx, path("connections", c.Server), &d); err != nil {
		return err
	}
	if d.Problem != "" {
		fmt.Fprintf(a.err, "The server that gave the access could not be told to end it; look at your account there: %s\n", plain(d.Problem))
	}
	_, err := fmt.Fprintf(a.out, "No call uses your account at %s any more.\n", plain(c.Server))
	return err
}
