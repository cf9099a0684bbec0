//go:build unix

package store

import (
	"io"
	"os"
	"syscall"
)

// mapShared maps the first bytes of a file that others write to.
func mapShared(f *os.File, size int) ([]byte, error) {
	if info, err := f.Stat(); err != nil || info.Size() < int64(size) {
		return nil, io.ErrUnexpectedEOF
	}
	return syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
}

// lockFile takes the lock of an open file, which ends with the process or the file.
func lockFile(f *os.File, wait bool) error {
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	return syscall.Flock(int(f.Fd()), how)
}
