package store

import (
	"os"
	"syscall"
)

// openDurable opens a file each write to which is durable when it returns, past the page cache where the file system can.
func openDurable(path string) (*os.File, error) {
	if f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_DSYNC|syscall.O_DIRECT, private); err == nil {
		return f, nil
	}
	return os.OpenFile(path, os.O_WRONLY|syscall.O_DSYNC, private)
}
