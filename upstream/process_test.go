//go:build linux

package upstream

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"remit/internal/fakemcp"
	"remit/internal/strictjson"
)

// gone reports whether no process of that number runs; a zombie does not.
func gone(pid int) bool {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(raw), ") ")
	return strings.HasPrefix(after, "Z")
}

func spawnedBy(t *testing.T, s *Server) int {
	t.Helper()
	raw, err := s.Call(within(t), Call{Tool: "spawn"})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(textOf(t, raw))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestCloseEndsTheWholeGroup(t *testing.T) {
	for _, stubborn := range []bool{false, true} {
		p := start(t, overStdio("group", fakemcp.Config{Faults: fakemcp.Faults{IgnoreTerm: stubborn}}))
		s := p.servers["group"]
		h := until(t, s, "ready", isReady)
		grandchild := spawnedBy(t, s)
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		if err := p.Close(ctx); (err != nil) != stubborn {
			t.Errorf("stubborn %v: got %v", stubborn, err)
		}
		if !gone(h.PID) {
			t.Error("the child still runs")
		}
		waitFor(t, "the grandchild ends", func() bool { return gone(grandchild) })
		if got := s.Health().State; got != Stopped {
			t.Errorf("got %v, want stopped", got)
		}
		if _, err := s.Call(within(t), Call{Tool: "echo"}); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want closed", err)
		}
	}
}

func TestKilledServerComesBackWithoutItsGrandchildren(t *testing.T) {
	s := one(t, overStdio("killed", fakemcp.Config{}))
	h := until(t, s, "ready", isReady)
	grandchild := spawnedBy(t, s)
	if err := syscall.Kill(h.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, s, "ready again", func(now Health) bool { return now.State == Ready && now.PID != h.PID })
	waitFor(t, "the grandchild ends", func() bool { return gone(grandchild) })
}

func TestChildSeesOnlyItsEnvironment(t *testing.T) {
	t.Setenv("REMIT_SECRET_OF_OURS", "canary")
	c := overStdio("env", fakemcp.Config{})
	c.Env["GIVEN"] = "yes"
	raw, err := one(t, c).Call(within(t), Call{Tool: "env"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(textOf(t, raw)) {
		if _, own := c.Env[name]; !own && !strings.Contains(" "+strings.Join(inheritedEnv, " ")+" ", " "+name+" ") {
			t.Errorf("the child got %s", name)
		}
	}
	if !strings.Contains(textOf(t, raw), "GIVEN") {
		t.Error("the child did not get its own variable")
	}
}

func TestLastStderrIsCleanAndShort(t *testing.T) {
	c := overStdio("moan", fakemcp.Config{})
	c.Env["TOKEN"] = "canary-77aa"
	s := one(t, c)
	for i := range 30 {
		text, _ := json.Marshal(map[string]string{"text": "line " + strconv.Itoa(i) + " \x1b[31mred\x1b[0m canary-77aa " + strings.Repeat("z", 5000)})
		if _, err := s.Call(within(t), Call{Tool: "moan", Arguments: strictjson.Unread(text)}); err != nil {
			t.Fatal(err)
		}
	}
	h := until(t, s, "all lines", func(h Health) bool {
		return len(h.LastStderr) == 20 && strings.HasPrefix(h.LastStderr[19], "line 29 ")
	})
	for _, line := range h.LastStderr {
		if len(line) > 500 || !strings.Contains(line, "red [redacted] zzz") {
			t.Errorf("got %d bytes: %.60q", len(line), line)
		}
	}
}

func TestChildThatReadsNothingHoldsNobodyUp(t *testing.T) {
	c := overStdio("deaf", fakemcp.Config{Faults: fakemcp.Faults{IgnoreInput: true}})
	c.CallTimeout, c.MaxMessage = 300*time.Millisecond, 1<<20
	s := one(t, c)
	until(t, s, "ready", isReady)
	big, _ := json.Marshal(strings.Repeat("x", 900_000))
	for i := range 5 {
		began := time.Now()
		_, err := s.Call(within(t), Call{Tool: "slow", Arguments: strictjson.Unread(big)})
		if !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrUnavailable) {
			t.Errorf("call %d: got %v", i, err)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("call %d took %s", i, took)
		}
	}
}

// TestChildDiesWithUs kills a process that has a server as its child.
func TestChildDiesWithUs(t *testing.T) {
	if os.Getenv("REMIT_TEST_PARENT") != "" {
		s := one(t, overStdio("orphan", fakemcp.Config{Faults: fakemcp.Faults{IgnoreTerm: true}}))
		os.Stdout.WriteString("\npid " + strconv.Itoa(until(t, s, "ready", isReady).PID) + "\n")
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestChildDiesWithUs$")
	cmd.Env = append(os.Environ(), "REMIT_TEST_PARENT=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := 0
	for in := bufio.NewScanner(out); child == 0 && in.Scan(); {
		if text, ok := strings.CutPrefix(in.Text(), "pid "); ok {
			child, _ = strconv.Atoi(text)
		}
	}
	if child == 0 || gone(child) {
		t.Fatalf("no child: %d", child)
	}
	_ = cmd.Process.Kill() // it is ours and runs
	_ = cmd.Wait()         // killed, as it should be
	waitFor(t, "the child ends too", func() bool { return gone(child) })
}
