//go:build unix

package services

import (
	"fmt"
	"net"
	"time"
)

// NewRedis starts a Redis on a loopback port. It keeps nothing on the disk: started again, it is empty.
func NewRedis() (*Server, error) {
	redis, err := find("redis-server", "redis-server", "/usr/bin")
	if err != nil {
		return nil, err
	}
	dir, err := folder("redis")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free now
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if err := l.Close(); err != nil {
		return nil, err
	}
	s, err := launch(dir, "KILL", func() error { return pong(address) }, redis, "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "")
	if err != nil {
		return nil, err
	}
	s.URL = "redis://" + address + "/0"
	return s, nil
}

// pong says why a Redis does not answer.
func pong(address string) error {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	answer := make([]byte, 7)
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	if _, err := c.Read(answer); err != nil || string(answer) != "+PONG\r\n" {
		return fmt.Errorf("got %q: %v", answer, err)
	}
	return nil
}
