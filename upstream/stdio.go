package upstream

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/mark3labs/mcp-go/client/transport"
)

// dialStdio starts the server's process. mcp-go speaks the protocol on two
// streams that we stand behind: its reader has no limit and its writer waits
// for a child that does not read.
func dialStdio(ctx context.Context, cfg *Config, secret *redactor, log *slog.Logger, onChanged func()) (*conn, error) {
	child, err := startProcess(cfg)
	if err != nil {
		return nil, err
	}
	c := newConn(cfg, secret, log, onChanged)
	c.pid = child.pid
	c.stderr = &tail{secret: secret}
	out := newOutbox(cfg.Name, child.stdin, 2*cfg.MaxMessage)
	c.reply = func(raw []byte) { _, _ = out.Write(append(raw, '\n')) } // a server that reads no answer gets none
	c.wire = transport.NewIO(&answers{conn: c, in: newLines(child.stdout, cfg.MaxMessage)}, out, nil)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		c.stderr.read(child.stderr)
	}()
	c.tasks.Go(func() {
		<-child.exited
		c.fail(faultf(ErrUnavailable, "server %s: its process ended (%s): look at its last error lines; it is started again after a pause", cfg.Name, child.status))
	})
	c.stop = func(ctx context.Context) {
		_ = c.wire.Close() // closes the child's input; only a second close can fail
		child.stop(ctx)
		out.wait()
		<-heard // the last words are the ones that matter
		closeAll([]*os.File{child.stdout, child.stderr})
	}
	return c, c.wire.Start(ctx)
}

// answers is the stream that mcp-go reads: the answers to our requests, one a
// line, and nothing else that a child may print.
type answers struct {
	conn *conn
	in   *lines
	rest []byte
}

func (a *answers) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		line, over, err := a.in.next()
		switch {
		case err != nil:
			a.conn.fail(faultf(ErrUnavailable, "server %s closed its output: look at its last error lines; it is started again after a pause", a.conn.cfg.Name))
			return 0, io.EOF
		case over != nil:
			a.conn.tooLarge(over.id)
		case len(line) > 0:
			if envelope := a.conn.receive(line, nil); envelope != nil {
				a.rest = append(envelope, '\n')
			}
		}
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// outbox writes to a child without ever waiting for it: what the child has
// not read yet is kept up to a limit, and beyond it Write fails.
type outbox struct {
	name  string
	file  *os.File
	limit int
	mu    sync.Mutex
	more  *sync.Cond
	queue [][]byte
	size  int
	ended bool
	done  chan struct{}
}

func newOutbox(name string, file *os.File, limit int) *outbox {
	o := &outbox{name: name, file: file, limit: limit, done: make(chan struct{})}
	o.more = sync.NewCond(&o.mu)
	go o.run()
	return o
}

func (o *outbox) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return 0, os.ErrClosed
	}
	if o.size > 0 && o.size+len(p) > o.limit {
		return 0, faultf(ErrUnavailable, "server %s does not read its input: it may hang; restart it", o.name)
	}
	o.queue = append(o.queue, append([]byte(nil), p...))
	o.size += len(p)
	o.more.Signal()
	return len(p), nil
}

// Close closes the child's input and drops what it has not read.
func (o *outbox) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.more.Signal()
	return o.file.Close()
}

func (o *outbox) run() {
	defer close(o.done)
	for {
		o.mu.Lock()
		for len(o.queue) == 0 && !o.ended {
			o.more.Wait()
		}
		if o.ended {
			o.mu.Unlock()
			return
		}
		next := o.queue[0]
		o.queue = o.queue[1:]
		o.mu.Unlock()
		_, err := o.file.Write(next)
		o.mu.Lock()
		o.size -= len(next)
		o.ended = o.ended || err != nil
		o.mu.Unlock()
	}
}

func (o *outbox) wait() { <-o.done }
