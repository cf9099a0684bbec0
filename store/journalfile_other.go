//go:build !linux

package store

import "os"

// openDurable opens a file each write to which is durable when it returns.
func openDurable(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_SYNC, private)
}
