package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"remit/internal/config"
)

type importCmd struct {
	Files  []string `arg:"" name:"file" help:"Claude Desktop's, Claude Code's, Cursor's or VS Code's file of MCP servers."`
	Into   string   `default:"remit.yaml" placeholder:"FILE" help:"File to add the upstreams to (default: remit.yaml)."`
	DryRun bool     `help:"Print the file instead of writing it."`
	Force  bool     `help:"Replace upstreams of the same name."`
}

func (c importCmd) Run(a *app) error {
	im := config.NewImport()
	for _, file := range c.Files {
		servers, err := config.ReadClientFile(file)
		if err != nil {
			return err
		}
		im.Take(file, servers)
	}
	text, err := os.ReadFile(c.Into)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	merged, err := im.Merge(c.Into, text, c.Force)
	if err != nil {
		return err
	}
	for _, line := range im.Lines {
		fmt.Fprintln(a.err, plain(line))
	}
	switch {
	case c.DryRun:
		_, err = a.out.Write(merged)
	case len(im.Add) == 0:
		_, err = fmt.Fprintf(a.out, "Nothing to add; %s is as it was.\n", c.Into)
	default:
		if err = config.WriteFile(c.Into, merged); err == nil {
			_, err = fmt.Fprintf(a.out, "%d upstreams added to %s.\n", len(im.Add), c.Into)
		}
	}
	if err != nil || len(im.Set) == 0 {
		return err
	}
	say := a.out
	if c.DryRun {
		say = a.err // what is printed is the file alone
	}
	fmt.Fprintln(say, "Set these environment variables before remit serve; their values were not copied:")
	for _, name := range im.Set {
		fmt.Fprintln(say, "  "+name)
	}
	return nil
}
