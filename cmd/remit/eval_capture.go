package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"remit/catalog"
	"remit/evals"
	"remit/upstream"
)

type evalCaptureCmd struct {
	Servers string        `required:"" placeholder:"FILE" help:"File with one server a line: how its package is started."`
	Out     string        `required:"" placeholder:"FILE" help:"Where the catalog is written, one tool a line."`
	Only    []string      `placeholder:"SERVER" help:"List these servers only."`
	Digests string        `placeholder:"FILE" help:"Recorded digests to compare with, one tool a line."`
	Timeout time.Duration `default:"5m" help:"For each server, the download of its package included."`
}

// Help is what remit eval capture --help adds.
func (evalCaptureCmd) Help() string {
	return `Starts each server from its package over stdio, in an empty directory and two at a time, lists its tools and writes them
with the digest of each definition. No tool is called, and the credentials in the servers file are dummies. A server sees
PATH, HOME and locale, what its line sets, and the variables by which npm and go reach their registries: ` + strings.Join(packageEnv, ", ") + `.

What could be listed is written even when a server fails; the command then ends with an error that names it.`
}

// packageEnv are the variables of ours that npx and go need to find their packages; upstream passes none of them on.
var packageEnv = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"NODE_EXTRA_CA_CERTS", "NPM_CONFIG_REGISTRY", "NPM_CONFIG_USERCONFIG", "NPM_CONFIG_CACHE", "npm_config_registry", "npm_config_userconfig",
	"npm_config_cache", "GOPROXY", "GOSUMDB", "GOFLAGS", "GOPATH", "GOMODCACHE", "GOCACHE"}

// Run captures the catalog.
func (c evalCaptureCmd) Run(a *app) error {
	servers, err := evals.LoadCaptureServers(c.Servers)
	if err == nil {
		servers, err = c.chosen(servers)
	}
	if err != nil {
		return err
	}
	recorded := map[catalog.ID]catalog.Digest{}
	if c.Digests != "" {
		if recorded, err = evals.LoadDigests(c.Digests); err != nil {
			return err
		}
	}
	captured := evals.Capture{Servers: servers, List: c.list, Progress: a.captured}.Run(a.ctx)
	if err := a.ctx.Err(); err != nil {
		return fmt.Errorf("%s was not written: %w", c.Out, err)
	}
	var file bytes.Buffer
	tools := 0
	var failed []string
	for _, server := range captured {
		for _, t := range server.Tools {
			file.Write(append(t.Line, '\n'))
			tools++
		}
		if server.Err != nil {
			failed = append(failed, server.Server)
		}
	}
	if err := evals.WriteFile(c.Out, a.out, func(out io.Writer) error { _, err := file.WriteTo(out); return err }); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%d tools of %d servers written to %s\n", tools, len(servers)-len(failed), c.Out)
	if c.Digests != "" {
		a.compared(evals.CompareCapture(captured, recorded))
	}
	if len(failed) > 0 {
		return fmt.Errorf("%s could not be listed: the lines above say why; capture again with --only %s to try these alone",
			strings.Join(failed, ", "), strings.Join(failed, ","))
	}
	return nil
}

func (c evalCaptureCmd) chosen(servers []evals.CaptureServer) ([]evals.CaptureServer, error) {
	if len(c.Only) == 0 {
		return servers, nil
	}
	var out []evals.CaptureServer
	for _, name := range c.Only {
		i := slices.IndexFunc(servers, func(s evals.CaptureServer) bool { return s.Server == name })
		if i < 0 {
			return nil, fmt.Errorf("%s has no server %q", c.Servers, name)
		}
		out = append(out, servers[i])
	}
	return out, nil
}

// captured prints a server's outcome.
func (a *app) captured(c evals.Captured, done, total int) {
	took := c.Took.Round(100 * time.Millisecond)
	if c.Err != nil {
		fmt.Fprintf(a.err, "[%d/%d] %s failed after %s: %s\n", done, total, c.Server, took, plain(c.Err.Error()))
	} else {
		fmt.Fprintf(a.err, "[%d/%d] %s: %d tools in %s\n", done, total, c.Server, len(c.Tools), took)
	}
	for _, why := range c.LeftOut {
		fmt.Fprintf(a.err, "        left out: %s\n", plain(why))
	}
}

func (a *app) compared(c evals.CaptureChanges) {
	fmt.Fprintf(a.out, "against the recorded digests: %d the same, %d differ, %d missing, %d new\n", c.Same, len(c.Differ), len(c.Missing), len(c.Added))
	for _, part := range []struct {
		word string
		ids  []catalog.ID
	}{{"differs", c.Differ}, {"missing", c.Missing}, {"new", c.Added}} {
		for _, id := range part.ids {
			fmt.Fprintf(a.out, "  %s: %s\n", part.word, plain(string(id)))
		}
	}
}

// list starts the server for one listing.
func (c evalCaptureCmd) list(ctx context.Context, server evals.CaptureServer) (_ []json.RawMessage, err error) {
	dir, err := os.MkdirTemp("", "remit-capture-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for name, content := range server.Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	install, argv, env := server.Command(dir)
	set := map[string]string{}
	for _, name := range packageEnv {
		if value := os.Getenv(name); value != "" {
			set[name] = value
		}
	}
	maps.Copy(set, env)
	if err := c.install(ctx, dir, install, set); err != nil {
		return nil, err
	}
	pool, err := upstream.NewPool([]upstream.Config{{Name: server.Server, Command: argv[0], Args: argv[1:], Env: set, Dir: dir,
		ConnectTimeout: c.Timeout, ListTimeout: c.Timeout}}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	pool.Start(ctx)
	defer func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if stop := pool.Close(bound); err == nil {
			err = stop
		}
	}()
	s, _ := pool.Server(server.Server)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go giveUp(ctx, s, cancel)
	listing, err := s.List(ctx)
	if err == nil {
		return listing.Tools, nil
	}
	h := s.Health()
	if h.Err != "" {
		err = errors.New(h.Err)
	}
	said := slices.DeleteFunc(h.LastStderr, func(line string) bool { // of a stack trace the first line says it
		return line == "" || strings.HasPrefix(strings.TrimSpace(line), "at ")
	})
	if n := len(said); n > 0 {
		err = fmt.Errorf("%w; its last words: %s", err, strings.Join(said[max(0, n-4):], " | "))
	}
	return nil, err
}

// install runs the command, if there is one, with what a server would see.
func (c evalCaptureCmd) install(ctx context.Context, dir string, argv []string, env map[string]string) error {
	if len(argv) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("installing it: %w; its last words: %s", err, said[max(0, len(said)-500):])
	}
	return nil
}

// giveUp ends the wait for a server that could not be started three times.
func giveUp(ctx context.Context, s *upstream.Server, cancel context.CancelFunc) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if h := s.Health(); h.State == upstream.Unwell && h.Restarts >= 2 {
				cancel()
				return
			}
		}
	}
}

type evalDigestsCmd struct {
	Catalog string `arg:"" help:"File with one tool a line."`
}

// Run prints the digest of every tool of a catalog file, in its order.
func (c evalDigestsCmd) Run(a *app) error {
	tools, err := evals.LoadCatalog(c.Catalog, nil)
	if err != nil {
		return err
	}
	type line struct {
		ID     catalog.ID     `json:"id"`
		Digest catalog.Digest `json:"digest"`
	}
	lines := make([]line, len(tools))
	for i, t := range tools {
		lines[i] = line{t.ID, t.Digest}
	}
	return jsonLines(a.out, lines)
}
