//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// lock keeps a second server off the data folder. The kernel drops the lock with the process, however that ends.
func lock(data string) (release func(), err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder cannot be created: %w; choose another with --data", err)
	}
	f, err := os.OpenFile(lockPath(data), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another remit serves the data folder %s: stop it first, or choose another with --data", data)
	}
	return func() { f.Close() }, nil
}
