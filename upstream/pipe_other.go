//go:build !unix

package upstream

import "net"

// endOf cannot tell here: a request on a connection that the other side has ended fails.
func endOf(net.Conn) func() bool { return func() bool { return false } }
