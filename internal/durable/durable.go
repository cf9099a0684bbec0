// Package durable makes files outlive a crash of the machine.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Name makes the name of a file as durable as its content: without it a new file may be gone after a crash.
func Name(file string) error {
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
