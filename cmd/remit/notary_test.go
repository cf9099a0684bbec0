package main

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	syslogformat "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/octetcounting"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"remit/audit"
)

// collector takes the record over TCP and keeps it as a file, one entry a line.
func collector(t *testing.T, address, file string) net.Listener {
	t.Helper()
	l := must(net.Listen("tcp", address))
	t.Cleanup(func() { l.Close() })
	out := must(os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600))
	t.Cleanup(func() { out.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				octetcounting.NewParser(syslogformat.WithListener(func(r *syslogformat.Result) {
					if m, ok := r.Message.(*rfc5424.SyslogMessage); ok && r.Error == nil && m.Message != nil {
						must(out.WriteString(*m.Message + "\n"))
					}
				})).Parse(bufio.NewReader(c))
			}()
		}
	}()
	return l
}

// The record of a running server is at a syslog collector, checkpoints too. The collector was down when the calls were made, and
// Remit was started anew; nothing is missing. Then the operator of the machine rewrites the whole record: what the collector has
// shows it.
func TestRecordIsSentAndProvesARewrite(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "kept.jsonl")
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	address := l.Addr().String()
	l.Close() // down
	t.Setenv("REMIT_CHECKPOINT_INTERVAL", "1s")
	s := startServeOf(t, "{url: http://127.0.0.1:1}\naudit-sinks: {siem: {url: tcp://"+address+"}}")
	if code, _, stderr := s.remit("person", "add", "eve", "--roles", "author"); code != exitOK {
		t.Fatal(stderr)
	}
	until(t, "the problem is seen", func() bool {
		_, said, _ := s.remit("audit", "sinks")
		return strings.Contains(said, "tcp://"+address) && strings.Contains(said, "cannot be reached")
	})
	if code, _, stderr := s.remit("audit", "prune", "--before", "400d"); code == exitOK || !strings.Contains(stderr, "nothing in the record is older") {
		t.Errorf("prune: %s", stderr)
	}
	_, public, _ := s.remit("audit", "key")
	collector(t, address, kept)
	until(t, "the sink has all", func() bool {
		var states []sinkState
		_, said, _ := s.remit("audit", "sinks", "--json")
		return json.Unmarshal([]byte(said), &states) == nil && len(states) == 1 && states[0].Behind == 0 && states[0].Problem == "" && states[0].Sent > 2
	})
	verify := []string{"audit", "verify", "--checkpoint", kept, "--public-key", strings.TrimSpace(public)}
	until(t, "a checkpoint after the addition is there", func() bool {
		text := string(must(os.ReadFile(kept)))
		added := strings.LastIndex(text, `"person.add"`)
		return added >= 0 && strings.Contains(text[added:], audit.Checkpointed)
	})
	until(t, "a checkpoint is there and agrees", func() bool {
		code, said, _ := s.remit(verify...)
		return code == exitOK && strings.Contains(said, "signed checkpoints agree with it")
	})
	s.stop()
	lines := strings.Split(strings.TrimSpace(string(must(os.ReadFile(kept)))), "\n")
	var v audit.Verifier
	for _, text := range lines {
		var e audit.Entry
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		if err := v.Add(e); err != nil {
			t.Errorf("what the collector has is no chain: %v", err)
		}
	}
	file := filepath.Join(s.data, "remit.db")
	if err := rewrite(file, "eve", "bob"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.data, "audit-checkpoints.jsonl")); err != nil {
		t.Fatal(err)
	}
	if code, said, stderr := s.remit("audit", "verify"); code != exitOK {
		t.Errorf("the chain alone must be sound: %s%s", said, stderr)
	}
	if code, _, stderr := s.remit(verify...); code != exitFailed || !strings.Contains(stderr, "the record was rewritten") {
		t.Errorf("got %d, %s", code, stderr)
	}
}

// Killed between the archive and the removal: nothing is lost, and the same command goes on.
func TestKilledBetweenArchiveAndRemoval(t *testing.T) {
	data := t.TempDir()
	file, archive := filepath.Join(data, "remit.db"), filepath.Join(data, "old.jsonl")
	old := `{"kind":"tool.call","tool":"crm/old","decision":"allowed","time":"2025-01-01T08:00:00Z"}`
	if err := record(file, []string{old, old, old}); err != nil {
		t.Fatal(err)
	}
	lock := must(sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(60000)"))
	defer lock.Close()
	hold := must(lock.Begin()) // nobody else can write
	remit := filepath.Join(t.TempDir(), "remit")
	if err := os.Symlink(must(os.Executable()), remit); err != nil {
		t.Fatal(err)
	}
	prune := func() *exec.Cmd {
		return exec.Command(remit, "audit", "prune", "--before", "2025-02-01", "--archive", archive, "--data", data)
	}
	first := prune()
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the archive is written", func() bool { _, err := os.Stat(archive); return err == nil })
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	if err := hold.Rollback(); err != nil {
		t.Fatal(err)
	}
	s := served{t: t}
	for _, check := range [][]string{{"audit", "verify", "--data", data}, {"audit", "verify", "--file", archive}} {
		if code, said, stderr := s.remit(check...); code != exitOK || !strings.HasPrefix(said, "3 entries verified") {
			t.Errorf("%v: %s%s", check, said, stderr)
		}
	}
	if said, err := prune().CombinedOutput(); err != nil || !strings.HasPrefix(string(said), "3 entries were removed") {
		t.Errorf("again: %v, %s", err, said)
	}
	if code, said, stderr := s.remit("audit", "verify", "--data", data); code != exitOK || !strings.Contains(said, "numbers 1 to 3 were removed") {
		t.Errorf("at the end: %s%s", said, stderr)
	}
}
