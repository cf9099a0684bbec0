package store

import "syscall"

// tcpUserTimeout is TCP_USER_TIMEOUT, which the frozen package syscall does not name.
const tcpUserTimeout = 18

// noticeLoss ends a connection whose other side has acknowledged nothing for 20 s.
func noticeLoss(network, address string, c syscall.RawConn) (err error) {
	if network == "unix" {
		return nil
	}
	control := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, 20_000)
	})
	if control != nil {
		return control
	}
	return err
}
