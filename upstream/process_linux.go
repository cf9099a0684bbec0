package upstream

import (
	"os/exec"
	"syscall"
	"unsafe"
)

// ownGroup gives the child a process group of its own and lets it die with us.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits until the process has ended and leaves it to be reaped.
func awaitExit(cmd *exec.Cmd) {
	const (
		byPID  = 1          // P_PID
		exited = 0x4        // WEXITED
		keep   = 0x01000000 // WNOWAIT
	)
	var info [128]byte // siginfo_t, of which nothing is read
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPID, uintptr(cmd.Process.Pid),
			uintptr(unsafe.Pointer(&info[0])), exited|keep, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}

func termGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) } // no such group: it is gone already

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
