//go:build unix

package upstream

import (
	"net"
	"syscall"
)

// endOf returns what tells of an idle connection that the other side has ended it, or sent what nobody asked for.
func endOf(c net.Conn) func() bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return func() bool { return false }
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return func() bool { return true }
	}
	var one [1]byte
	var state error
	look := func(fd uintptr) bool {
		_, _, state = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}
	return func() bool {
		if raw.Read(look) != nil {
			return true
		}
		return state != syscall.EAGAIN
	}
}
