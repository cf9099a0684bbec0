//go:build !unix

package store

import (
	"errors"
	"os"
)

func mapShared(*os.File, int) ([]byte, error) { return nil, errors.ErrUnsupported }

// lockFile locks nothing here: only who is to wait for it gets the lock.
func lockFile(_ *os.File, wait bool) error {
	if !wait {
		return errors.ErrUnsupported
	}
	return nil
}
