// Command remit drafts, reviews and serves the least-privilege set of tools for an agent's job.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"remit/catalog"
	"remit/credential"
	"remit/evals"
	"remit/internal/config"
	"remit/internal/telemetry"
	"remit/web/api"
)

func main() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1 // the error says what to do next
	exitUsage   = 2 // the command line is wrong
	exitPlanned = 2 // of remit persona plan: there are changes
	exitMissed  = 3 // the answer is printed and is not what was asked for: a suite misses a minimum, or calls would change
)

type cli struct {
	Config string `env:"REMIT_CONFIG" placeholder:"FILE" help:"Configuration file (default: ./remit.yaml, then ~/.config/remit/remit.yaml)."`
	config.Options

	Serve     serveCmd     `cmd:"" help:"Serve the pages and every persona's endpoint."`
	Health    healthCmd    `cmd:"" help:"Ask the Remit that serves at the listen address whether it is ready; for probes."`
	Demo      demoCmd      `cmd:"" help:"Serve a small company's demo tools to three people, on data that is thrown away."`
	Crawl     crawlCmd     `cmd:"" help:"List the tools of every upstream now."`
	Search    searchCmd    `cmd:"" help:"Search the catalog."`
	Catalog   catalogCmd   `cmd:"" help:"Look for sprawl in the catalog."`
	Import    importCmd    `cmd:"" nosettings:"" help:"Take the servers of other MCP clients' files over into the configuration."`
	Conf      configCmd    `cmd:"" name:"config" help:"Show the settings in force, or the JSON Schema of the file."`
	Person    personCmd    `cmd:"" help:"Add and change the people who sign in."`
	Token     tokenCmd     `cmd:"" help:"Create, list and revoke management tokens, for CI and other programs."`
	Key       keyCmd       `cmd:"" help:"Create, list, rotate and revoke Agent Access Keys."`
	Secret    secretCmd    `cmd:"" help:"Keep secrets of the configuration encrypted, and change their key."`
	Persona   personaCmd   `cmd:"" help:"List and show personas, roll back and narrow what is live."`
	Tool      toolCmd      `cmd:"" help:"List and confirm tools that are frozen."`
	Suspend   suspendCmd   `cmd:"" help:"Stop a persona, a server or a tool everywhere, at once."`
	Resume    resumeCmd    `cmd:"" help:"Let a persona, a server or a tool go on that is suspended."`
	Suspended suspendedCmd `cmd:"" help:"List what is suspended, since when, by whom and why."`
	Upstreams upstreamsCmd `cmd:"" help:"How the upstream servers of a running Remit are; with --server."`
	Session   sessionCmd   `cmd:"" help:"Sign in to a running Remit as a person, for what management tokens may not do; with --server."`
	Account   accountCmd   `cmd:"" help:"Your accounts at servers that are called with people's accounts; with --server."`
	Approval  approvalCmd  `cmd:"" help:"Decide on single calls of agents that wait for a person."`
	Shadow    shadowCmd    `cmd:"" help:"Run a revision beside the live one and see what it would change."`
	Replay    replayCmd    `cmd:"" help:"What a revision would have done with past calls."`
	Audit     auditCmd     `cmd:"" help:"Read, export and verify the record."`
	Store     storeCmd     `cmd:"" help:"Back up what Remit keeps, or move it to another database."`
	Reach     reachCmd     `cmd:"" help:"Who can call a tool, and what breaks without it."`
	Eval      evalCmd      `cmd:"" help:"Measure search, drafts and the gateway against suites."`
	Version   versionCmd   `cmd:"" nosettings:"" help:"Print the version."`

	DemoServer demoServerCmd `cmd:"" nosettings:"" hidden:"" help:"One of the demo's tool servers, on standard input and output."`
}

// app is one run of the command line.
type app struct {
	ctx      context.Context // ends with the first SIGINT or SIGTERM; the second ends the process
	in       io.Reader
	out, err io.Writer
	opts     config.Options
	source   *config.Source

	credentials []credential.Config // of the upstreams that have oauth

	telemetry *telemetry.Telemetry // nil but while serving
	remote    *api.Client          // of --server; nil without it
}

// ended is how kong stops after --help.
type ended int

// Main runs the command line and returns the exit code.
func Main(args []string, in io.Reader, out, errs io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			stop, ok := r.(ended)
			if !ok {
				panic(r)
			}
			code = int(stop)
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	var c cli
	a := &app{ctx: ctx, in: in, out: out, err: errs, source: &config.Source{}}
	server, args := serverOf(args)
	parser, err := kong.New(&c, kong.Name("remit"), kong.Description("Describe an agent's job; get one MCP endpoint that can do that job and nothing else.\n\nWith --server URL before the command, or REMIT_SERVER, it manages the Remit there, as the management token in REMIT_TOKEN."),
		kong.Writers(out, errs), kong.Exit(func(code int) { panic(ended(code)) }), kong.Vars(config.Vars()), kong.Vars{"likeness": fmt.Sprint(catalog.DefaultLikeness)}, kong.Resolvers(a.source),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}), kong.Bind(a))
	if err != nil {
		return a.fail(err, exitFailed)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	run, err := parser.Parse(args)
	if file, ok := errors.AsType[config.FileError](err); ok {
		return a.fail(file.Unwrap(), exitFailed)
	}
	if err != nil {
		return a.fail(fmt.Errorf("%w; remit --help lists what there is", err), exitUsage)
	}
	a.opts = c.Options
	if server != "" {
		if err := a.to(server, os.Getenv("REMIT_TOKEN"), run.Command()); err != nil {
			return a.fail(err, exitFailed)
		}
	}
	if err := run.Run(); errors.Is(err, errPlanned) {
		return exitPlanned
	} else if errors.Is(err, evals.ErrMissed) || errors.Is(err, errWouldChange) {
		return a.fail(err, exitMissed)
	} else if err != nil {
		return a.fail(err, exitFailed)
	}
	return exitOK
}

func (a *app) fail(err error, code int) int {
	fmt.Fprintf(a.err, "remit: %s\n", strings.TrimSpace(err.Error()))
	return code
}

// log writes to standard error from the configured level up.
func (a *app) log() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(a.opts.LogLevel)) // the flag allows only names that it knows
	return a.logFrom(level)
}

func (a *app) logFrom(level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if a.opts.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.err, options))
	}
	return slog.New(slog.NewTextHandler(a.err, options))
}

type versionCmd struct{}

func (versionCmd) Run(a *app) error {
	_, err := fmt.Fprintf(a.out, "remit %s, %s\n", version(), runtime.Version())
	return err
}

// version is that of the module, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(len(s.Value), 12)]
		}
	}
	return "(devel)"
}
