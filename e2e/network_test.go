package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// network is where a replica runs. Where the tests may make network namespaces (as root, on Linux), it is one: the replica reaches its
// databases over a link of two virtual Ethernet devices, and nothing else. Elsewhere it is the machine's own.
// Databases are reached through relays at the other end of the link.
type network struct {
	replica, databases *os.File // namespaces; nil for the machine's own
	relays             []*relay
}

// isolated says whether network namespaces may be made here; why not is in the error.
func isolated() error {
	n, err := newNetwork(true)
	if err == nil {
		n.close()
	}
	return err
}

func newNetwork(isolate bool) (n *network, err error) {
	n = &network{}
	if !isolate {
		return n, nil
	}
	for _, at := range []**os.File{&n.replica, &n.databases} {
		if *at, err = newNamespace(); err != nil {
			n.close()
			return nil, err
		}
	}
	for _, step := range []struct {
		in      *os.File
		command string
	}{
		{n.replica, fmt.Sprintf("link add back type veth peer name back netns /proc/%d/fd/%d", os.Getpid(), n.databases.Fd())},
		{n.replica, "link set lo up"},
		{n.replica, "address add 10.0.0.2/24 dev back"},
		{n.replica, "link set back up"},
		{n.databases, "address add 10.0.0.1/24 dev back"},
		{n.databases, "link set back up"},
	} {
		if err := ip(step.in, step.command); err != nil {
			n.close()
			return nil, err
		}
	}
	return n, nil
}

// newNamespace makes a network namespace that is gone when the file is closed and nobody is in it.
func newNamespace() (file *os.File, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread, which is in the namespace, ends with the goroutine
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			file, err = os.Open("/proc/thread-self/ns/net")
		}
	}()
	<-done
	return file, err
}

// within runs do in a namespace: sockets that it opens and processes that it starts belong there.
func within(namespace *os.File, do func() error) (err error) {
	if namespace == nil {
		return do()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err = enter(namespace); err == nil {
			err = do()
		}
	}()
	<-done
	return err
}

// enter has the calling goroutine in the namespace until it ends.
func enter(namespace *os.File) error {
	runtime.LockOSThread()
	if namespace == nil {
		return nil
	}
	return unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
}

func ip(namespace *os.File, command string) error {
	return within(namespace, func() error {
		out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", command, err, out)
		}
		return nil
	})
}

// listen opens a port that only this network's replica reaches, on its side or on that of the databases.
func (n *network) listen(side *os.File) (l net.Listener, err error) {
	address := "127.0.0.1:0"
	if n.databases != nil && side == n.databases {
		address = "10.0.0.1:0"
	}
	err = within(side, func() error {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}

// dial reaches the replica.
func (n *network) dial(ctx context.Context, kind, address string) (c net.Conn, err error) {
	err = within(n.replica, func() error {
		c, err = (&net.Dialer{}).DialContext(ctx, kind, address)
		return err
	})
	return c, err
}

// relay opens a port at which the replica reaches a database.
func (n *network) relay(t *testing.T, name string, dial func() (net.Conn, error)) string {
	l, err := n.listen(n.databases)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, dial: dial, gates: map[string]*gate{name: newGate(), announcements: newGate()}}
	n.relays = append(n.relays, r)
	go r.serve()
	return l.Addr().String()
}

// announcements are the connections on which PostgreSQL tells of changes, for cut and mend.
const announcements = "announcements"

// cut has nothing pass between the replica and the named (postgres, redis, announcements), or with no name on the link, and mend has it
// pass again. Connections stay open, and no side is told. A link that is down drops what is sent, as a cable that was pulled does; a relay
// that is cut keeps it, and acknowledges it, as a middle box that hangs. Where there is no link, no name means all relays.
func (n *network) cut(name string) error { return n.let(name, "down", (*gate).shut) }

func (n *network) mend(name string) error { return n.let(name, "up", (*gate).open) }

func (n *network) let(name, link string, do func(*gate)) error {
	if name == "" && n.databases != nil {
		return ip(n.databases, "link set back "+link)
	}
	for _, r := range n.relays {
		for what, g := range r.gates {
			if name == "" || name == what {
				do(g)
			}
		}
	}
	return nil
}

func (n *network) close() {
	for _, r := range n.relays {
		for _, g := range r.gates {
			g.open()
		}
		r.listener.Close()
	}
	for _, f := range []*os.File{n.replica, n.databases} {
		if f != nil {
			f.Close()
		}
	}
}

// relay passes bytes on between a port and where it dials.
type relay struct {
	listener net.Listener
	dial     func() (net.Conn, error)
	gates    map[string]*gate // announcements: for connections that listen for them; the other one for all
}

func (r *relay) serve() {
	for {
		from, err := r.listener.Accept()
		if err != nil {
			return // closed at the end of the test
		}
		go func() {
			var listens atomic.Bool
			wait := func() {
				for name, g := range r.gates {
					if name != announcements || listens.Load() {
						g.wait()
					}
				}
			}
			wait()
			to, err := r.dial()
			if err != nil {
				from.Close()
				return
			}
			go pass(to, from, func(sent []byte) {
				if bytes.Contains(sent, []byte("listen remit_")) {
					listens.Store(true)
				}
				wait()
			})
			pass(from, to, func([]byte) { wait() })
		}()
	}
}

// pass hands on what one side sends, each time after before, until it ends, which ends both.
func pass(to, from net.Conn, before func([]byte)) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		before(buffer[:n])
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// gate is shut or open.
type gate struct {
	mu     sync.Mutex
	opened chan struct{} // closed while it is open
}

func newGate() *gate {
	g := &gate{opened: make(chan struct{})}
	close(g.opened)
	return g
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.opened:
		g.opened = make(chan struct{})
	default:
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.opened:
	default:
		close(g.opened)
	}
}

func (g *gate) wait() {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	<-opened
}
