//go:build unix && !linux

package upstream

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the child a process group of its own. Nothing here lets it
// die with us if we are killed: it sees its input close.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit waits until the process has ended and reaps it.
func awaitExit(cmd *exec.Cmd) { _ = cmd.Wait() } // its words are in ProcessState

func termGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) } // no such group: it is gone already

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
