package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"remit/audit"
	"remit/store"
)

const writerOn = "REMIT_TEST_WRITER"

// TestMain is also a replica that writes until it is killed, and says what was acknowledged.
func TestMain(m *testing.M) {
	if where := os.Getenv(writerOn); where != "" {
		if err := writer(where, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func writer(where, name string) error {
	s, err := store.Open(context.Background(), where)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(what, id string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, id)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%s-%d-%d", name, i, n)
				e := audit.Entry{Kind: audit.ToolCall, Persona: "support", Tool: "crm/find", Decision: audit.Allowed, Call: audit.Call{Trace: id}}
				ticket, err := s.Begin(context.Background(), e)
				if err == nil {
					say("begun", id)
					err = s.Finish(context.Background(), ticket, e)
				}
				if err == nil {
					say("finished", id)
				}
			}
		})
	}
	all.Wait()
	return nil
}

// Three replicas write one record at once and are killed, one before the others. The chain is whole; every call that was acknowledged is in it
// once, as it ended or, where its replica died before, as unknown.
func TestWritersThatAreKilled(t *testing.T) {
	e := engines(t)[1]
	s := e.open(t)
	defer s.Close()
	var mu sync.Mutex
	said := map[string]string{}
	count := func(name string) (n int) {
		mu.Lock()
		defer mu.Unlock()
		for id, what := range said {
			if what == "finished" && strings.HasPrefix(id, name+"-") {
				n++
			}
		}
		return n
	}
	var readers sync.WaitGroup
	var kills []func()
	killAll := func() {
		for _, kill := range kills {
			kill()
		}
	}
	defer killAll()
	names := []string{"a", "b", "c"}
	for _, name := range names {
		cmd := exec.Command(os.Args[0], name)
		cmd.Env, cmd.Stderr = append(os.Environ(), writerOn+"="+e.where), os.Stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if what, id, ok := strings.Cut(lines.Text(), " "); ok {
					mu.Lock()
					said[id] = what
					mu.Unlock()
				}
			}
			_ = cmd.Wait() // it was killed
		})
		kills = append(kills, func() { _ = cmd.Process.Kill() }) // it may have ended
	}
	eventually(t, func() bool { return count("a") >= 100 && count("b") >= 100 && count("c") >= 100 })
	if n, err := s.Recover(t.Context()); n != 0 || err != nil {
		t.Errorf("calls of replicas that live were taken for lost: %d, %v", n, err)
	}
	if _, err := s.Verify(t.Context()); err != nil {
		t.Errorf("while they write: %v", err)
	}
	kills[0]()
	b, c := count("b"), count("c")
	eventually(t, func() bool { return count("b") >= b+50 && count("c") >= c+50 }) // what it held is let go of
	killAll()
	readers.Wait()
	if _, err := e.raw(t).Exec("update replica set beat = 0"); err != nil { // half a minute later
		t.Fatal(err)
	}
	lost, err := s.Recover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head, err := s.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]audit.Decision{}
	if _, err := s.Export(t.Context(), audit.Query{Kind: audit.ToolCall}, func(e audit.Entry) error {
		if _, twice := found[e.Trace]; twice {
			return fmt.Errorf("%s is in the record twice", e.Trace)
		}
		found[e.Trace] = e.Decision
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for id, what := range said {
		if d, ok := found[id]; !ok || what == "finished" && d != audit.Allowed {
			t.Errorf("%s was acknowledged as %s, and the record has %q", id, what, d)
		}
	}
	t.Logf("%d entries, %d calls acknowledged, %d recorded as unknown", head.Seq, len(said), lost)
}

// One replica leads at a time. It stops when its lease went to another, and another leads when one leaves.
func TestLead(t *testing.T) {
	for _, e := range engines(t) {
		t.Run(e.name, func(t *testing.T) {
			a := e.open(t)
			defer a.Close()
			began, ended := make(chan context.Context, 10), make(chan error, 10)
			do := func(ctx context.Context) error {
				began <- ctx
				<-ctx.Done()
				return nil
			}
			ctx, end := context.WithCancel(t.Context())
			go func() { ended <- a.Lead(ctx, "x", do) }()
			first := <-began
			if e.name == "postgres" {
				b := e.open(t)
				defer b.Close()
				go func() { ended <- b.Lead(ctx, "x", do) }()
				if _, err := e.raw(t).Exec("update lease set holder = 'c', fence = fence + 1"); err != nil {
					t.Fatal(err)
				}
				<-first.Done()
				if len(began) > 0 {
					t.Error("two lead at once")
				}
				if _, err := e.raw(t).Exec("update lease set expires = 0"); err != nil {
					t.Fatal(err)
				}
				<-began
				defer func() { <-ended }()
			}
			end()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if len(began) > 0 {
				t.Error("two lead at once")
			}
		})
	}
}
