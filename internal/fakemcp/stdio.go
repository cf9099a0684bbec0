package fakemcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// EnvVar is the variable that holds the Config, as JSON, of a stdio child, or
// @ and the path of a file with it, since a variable has 128 KiB at most.
const EnvVar = "REMIT_FAKEMCP"

// Env is what turns a process that calls RunIfAsked into this server.
func Env(c Config) map[string]string {
	var raw bytes.Buffer
	e := json.NewEncoder(&raw)
	e.SetEscapeHTML(false) // definitions and results stay the bytes they are
	if err := e.Encode(c); err != nil {
		panic("fakemcp: a tool or result of the configuration is not JSON: " + err.Error())
	}
	// The race detector would have the process wait a second at its end.
	return map[string]string{EnvVar: raw.String(), "GORACE": "atexit_sleep_ms=0"}
}

// RunIfAsked becomes a stdio server, and does not return, if EnvVar is set.
// Call it first in TestMain; then os.Args[0] with Env is a server.
func RunIfAsked() {
	if os.Getenv(EnvVar) != "" {
		exit(Main(os.Args, os.Stdin, os.Stdout))
	}
}

// Main is a stdio server with the Config in EnvVar. It returns the exit
// status when its input ends.
func Main(_ []string, in io.Reader, out io.Writer) int {
	var c Config
	if raw := os.Getenv(EnvVar); raw != "" {
		text, err := []byte(raw), error(nil)
		if path, ok := strings.CutPrefix(raw, "@"); ok {
			text, err = os.ReadFile(path)
		}
		if err == nil {
			err = json.Unmarshal(text, &c)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "fakemcp: the configuration in", EnvVar, "is not valid:", err)
			return 2
		}
	}
	s, err := New(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if c.Faults.ExitAtStart {
		fmt.Fprintln(os.Stderr, "fakemcp: told to \x1b[31mexit\x1b[0m at the start")
		return 3
	}
	if c.Faults.IgnoreTerm {
		signal.Ignore(syscall.SIGTERM)
	}
	time.Sleep(c.Faults.StartDelay)
	if err := s.ServeStdio(in, out); err != nil {
		fmt.Fprintln(os.Stderr, "fakemcp:", err)
		return 1
	}
	if c.Faults.IgnoreTerm {
		select {}
	}
	return 0
}

// ServeStdio serves one client until in ends.
func (s *Server) ServeStdio(in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var mu sync.Mutex
	send := func(raw []byte) {
		mu.Lock()
		defer mu.Unlock()
		for i := range s.config.Faults.JunkLines {
			fmt.Fprintf(out, "junk line %d\n", i)
		}
		_, _ = out.Write(append(raw, '\n')) // a client that is gone misses it
	}
	joined := false
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		x, isRequest := s.read(line)
		if !isRequest {
			continue
		}
		if x.Method == "initialize" && !joined {
			joined = true
			defer s.join(send)()
		}
		x.send, x.die = send, func() { exit(3) }
		running.Go(func() { s.run(ctx, string(x.ID), x) })
		if s.config.Faults.IgnoreInput && x.Method == "tools/call" {
			select {}
		}
	}
}

// read takes a message of the client apart. What is no request is dealt with.
func (s *Server) read(raw []byte) (*exchange, bool) {
	x := &exchange{}
	if json.Unmarshal(raw, &x.message) != nil || string(x.message.Params) == "null" {
		return nil, false // the official TypeScript SDK drops null params like this too
	}
	_ = json.Unmarshal(x.message.Params, &x.params) // what cannot be read is missing
	if x.Method == "" || x.ID == nil {
		s.notified(x.message, x.params, "", raw)
		return nil, false
	}
	return x, true
}
