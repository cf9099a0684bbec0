//go:build !unix

package upstream

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup has no equivalent here: only the child itself is ended.
func ownGroup() *syscall.SysProcAttr { return nil }

// awaitExit waits until the process has ended and reaps it.
func awaitExit(cmd *exec.Cmd) { _ = cmd.Wait() } // its words are in ProcessState

// termGroup does nothing: there is no signal that asks.
func termGroup(int) {}

func killGroup(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill() // it may have ended already
	}
}
