package upstream

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// inheritedEnv are the only variables of ours that a child gets. None of
// them holds a secret.
var inheritedEnv = []string{
	"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "SHELL", "TMPDIR", "TZ", "USER",
	"APPDATA", "COMSPEC", "LOCALAPPDATA", "PATHEXT", "SYSTEMROOT", "TEMP", "TMP", "USERPROFILE",
}

// How long a child may take to end once its input is closed, and again once
// it got SIGTERM, before SIGKILL.
const (
	closeGrace = 2 * time.Second
	termGrace  = 3 * time.Second
	drainGrace = time.Second
)

// process is a running child with its whole process group.
type process struct {
	pid            int
	stdin          *os.File
	stdout, stderr *os.File
	exited         chan struct{} // closed when the child and its group are gone
	status         string        // how it ended; read after exited

	mu     sync.Mutex
	reaped bool
}

// startProcess starts the child. One thread starts it, waits for it and
// stays until it has ended: Linux kills the child when the thread that
// started it ends, which is when we die, however that happens.
func startProcess(cfg *Config) (*process, error) {
	cmd := exec.Command(cfg.Command, cfg.Args...)
	cmd.Dir = cfg.Dir
	cmd.Env = childEnv(cfg.Env)
	cmd.SysProcAttr = ownGroup()
	p := &process{exited: make(chan struct{})}
	ours, theirs, err := p.pipes(cmd)
	defer closeAll(theirs)
	if err == nil {
		started := make(chan error, 1)
		go p.live(cmd, started)
		err = <-started
	}
	if err != nil {
		closeAll(ours)
		return nil, startFault(cfg, err)
	}
	return p, nil
}

func startFault(cfg *Config, err error) error {
	reason := "check its path and permissions"
	var exit *exec.Error
	var path *os.PathError
	switch {
	case errors.As(err, &exit):
		err = exit.Err
	case errors.As(err, &path):
		err = path.Err
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		reason = "install it, or give its full path; check that its directory exists"
	}
	return faultf(ErrUnavailable, "server %s: command %q does not start (%v): %s", cfg.Name, clean(cfg.Command, 100), err, reason)
}

func (p *process) pipes(cmd *exec.Cmd) (ours, theirs []*os.File, err error) {
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			return ours, theirs, err
		}
		if i == 0 {
			p.stdin, cmd.Stdin = w, r
			ours, theirs = append(ours, w), append(theirs, r)
			continue
		}
		ours, theirs = append(ours, r), append(theirs, w)
		if i == 1 {
			p.stdout, cmd.Stdout = r, w
		} else {
			p.stderr, cmd.Stderr = r, w
		}
	}
	return ours, theirs, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // a pipe; nothing is lost
	}
}

// live is the child's thread.
func (p *process) live(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil
	awaitExit(cmd)
	p.mu.Lock()
	killGroup(p.pid) // before the child is reaped, so that its number is still its own
	p.reaped = true
	p.mu.Unlock()
	_ = cmd.Wait() // its words are in ProcessState
	p.status = cmd.ProcessState.String()
	// What the child has written is still read; whoever escaped from the
	// group with our pipes cannot hold us up.
	deadline := time.Now().Add(drainGrace)
	_ = p.stdout.SetReadDeadline(deadline)
	_ = p.stderr.SetReadDeadline(deadline)
	close(p.exited)
}

// stop ends the process, whose input the caller has closed: it may end by
// itself, then it is asked, then it is killed. When ctx ends it is killed at once.
func (p *process) stop(ctx context.Context) {
	if !p.ended(ctx, closeGrace) {
		p.signal(termGroup)
		if ctx.Err() != nil || !p.ended(ctx, termGrace) {
			p.signal(killGroup)
			<-p.exited
		}
	}
}

func (p *process) ended(ctx context.Context, grace time.Duration) bool {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (p *process) signal(send func(pid int)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		send(p.pid)
	}
}

func childEnv(own map[string]string) []string {
	env := []string{}
	for _, name := range inheritedEnv {
		if value, ok := os.LookupEnv(name); ok {
			if _, replaced := own[name]; !replaced {
				env = append(env, name+"="+value)
			}
		}
	}
	for name, value := range own {
		env = append(env, name+"="+value)
	}
	return env
}
