//go:build !unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// lock keeps a second server off the data folder with a file that only one process can create.
func lock(data string) (release func(), err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder cannot be created: %w; choose another with --data", err)
	}
	f, err := os.OpenFile(lockPath(data), os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("another remit serves the data folder %s; if none does, delete %s", data, lockPath(data))
	}
	if err != nil {
		return nil, err
	}
	return func() { f.Close(); os.Remove(lockPath(data)) }, nil
}
