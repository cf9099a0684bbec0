//go:build unix

// Package services starts a real PostgreSQL and a real Redis for tests, each in a folder of its own that is deleted at the end.
// A server ends with the process that started it, however that ends. What is not installed fails the test with the next step.
package services

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// patience bounds a start. It is for slow machines: a server is there within a second.
const patience = time.Minute

// supervise runs a server until its standard input ends, and then takes it and its folder away. The line "stop" ends the server with
// its signal, "start" starts it again; each is answered with a line.
const supervise = `dir=$1; signal=$2; shift 2
run() { "$@" >>"$dir/log" 2>&1 </dev/null & pid=$!; echo up; }
run "$@"
while read word; do
	case $word in
	start) run "$@" ;;
	stop) kill -s $signal $pid; wait $pid; echo down ;;
	esac
done
kill -s $signal $pid 2>/dev/null; wait $pid; rm -rf "$dir"`

// Server is a server that was started.
type Server struct {
	URL string // of the server, or of a database of it

	dir     string
	orders  io.Writer
	answers *bufio.Reader
	up      func() error // nil when it answers
}

// running holds every server that was started: the input of one that is forgotten would be closed, which ends it.
var running sync.Map

// launch starts a server in dir, which the signal ends at once, and waits until it answers.
func launch(dir, signal string, up func() error, argv ...string) (*Server, error) {
	cmd := exec.Command("sh", append([]string{"-c", supervise, "supervise", dir, signal}, argv...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: unprivileged()}
	orders, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{dir: dir, orders: orders, answers: bufio.NewReader(answers), up: up}
	running.Store(s, true)
	return s, s.wait()
}

// wait reads the supervisor's answer, and then waits until the server answers.
func (s *Server) wait() error {
	if _, err := s.answers.ReadString('\n'); err != nil {
		return err
	}
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = s.up(); err == nil {
			return nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return fmt.Errorf("the server in %s does not answer: %w\n%s", s.dir, err, log)
}

// Stop ends the server without warning, as a crash does. What it acknowledged is on the disk.
func (s *Server) Stop() error {
	if _, err := io.WriteString(s.orders, "stop\n"); err != nil {
		return err
	}
	_, err := s.answers.ReadString('\n')
	return err
}

// Start starts the server again after Stop.
func (s *Server) Start() error {
	if _, err := io.WriteString(s.orders, "start\n"); err != nil {
		return err
	}
	return s.wait()
}

// folder makes a folder that the server's account owns.
func folder(name string) (string, error) {
	dir, err := os.MkdirTemp("", "remit-"+name)
	if c := unprivileged(); err == nil && c != nil {
		err = os.Chown(dir, int(c.Uid), int(c.Gid))
	}
	return dir, err
}

// unprivileged is the account that servers run as when the tests run as root, which PostgreSQL refuses; nil means the same.
func unprivileged() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, uidErr := strconv.Atoi(u.Uid)
			gid, gidErr := strconv.Atoi(u.Gid)
			if uidErr == nil && gidErr == nil {
				return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
			}
		}
	}
	return nil
}

// find returns the path of a program, also where Debian keeps it off the PATH.
func find(name, pkg string, elsewhere string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, err := filepath.Glob(filepath.Join(elsewhere, name))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("%s is not installed, and these tests need it: run make deps, or install the package %s", name, pkg)
	}
	return found[len(found)-1], nil
}
