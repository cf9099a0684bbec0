package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"remit/identity"
	"remit/internal/config"
	"remit/internal/demo"
	"remit/upstream"
)

type demoCmd struct{}

// demoPeople are who the demo's story needs, with what they do.
var demoPeople = []struct {
	name  string
	roles []identity.Role
	does  string
}{
	{"ada", []identity.Role{identity.Author}, "describes the job and submits the draft"},
	{"ravi", []identity.Role{identity.Reviewer}, "reviews it, approves it and hands out the key"},
	{"root", []identity.Role{identity.Admin}, "adds people"},
}

func (demoCmd) Run(a *app) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "remit-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	a.opts.Data = dir
	a.source = &config.Source{} // nothing of it goes where the configuration sends a real record
	a.opts.AuditKey, a.opts.AuditCheckpoints, a.opts.AuditRetention, a.opts.AuditArchive = "", "", 0, ""
	var configs []upstream.Config
	for _, name := range demo.Names() {
		configs = append(configs, upstream.Config{Name: name, Command: self, Args: []string{"demo-server", name}})
	}
	return a.serve(configs, a.logFrom(slog.LevelWarn), func(s *system, address string) error {
		fmt.Fprintf(a.out, "\nA small company's tool servers run behind it: %d of them, from customers to chat. Nothing is kept when you stop.\n\nSign in, each link once:\n", len(configs))
		for _, p := range demoPeople {
			if err := s.people.AddPerson(a.ctx, identity.Operator(), p.name, p.roles, ""); err != nil {
				return err
			}
			link, err := s.people.NewLink(a.ctx, identity.Operator(), p.name)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "  %-5s %-46s %s\n", p.name, p.does, linkURL(address, link))
		}
		fmt.Fprintf(a.out, "\nA job to try:\n  %s\n\nStop with Ctrl-C.\n", demo.Job)
		return nil
	})
}

type demoServerCmd struct {
	Name string `arg:"" help:"Which server."`
}

func (c demoServerCmd) Run(a *app) error { return demo.Serve(a.ctx, c.Name, a.in, a.out) }
