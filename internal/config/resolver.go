package config

import (
	"os"

	"github.com/alecthomas/kong"
)

// Source gives kong the values of the file for the flags of a command. It reads the file when the first of these flags
// asks, so that a command without settings does not stumble over a broken file. Kong asks its resolvers after it has
// read the environment and lets them win; Source therefore stays silent where a variable is set.
type Source struct{ file *File }

// File returns the file that was read; an empty one when the command has no settings.
func (s *Source) File() *File {
	if s.file == nil {
		return &File{}
	}
	return s.file
}

// Validate is part of kong.Resolver.
func (s *Source) Validate(*kong.Application) error { return nil }

// Resolve is part of kong.Resolver.
func (s *Source) Resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if len(flag.Envs) == 0 || flag.Name == "config" {
		return nil, nil // no setting of the file
	}
	if s.file == nil {
		path := ""
		for _, f := range ctx.Flags() {
			if f.Name == "config" {
				path, _ = ctx.FlagValue(f).(string)
			}
		}
		file, err := Load(Find(path))
		if err != nil {
			return nil, FileError{err}
		}
		s.file = file
	}
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	return s.file.values[flag.Name], nil
}

// FileError is an error in the file, as opposed to one on the command line.
type FileError struct{ error }

// Unwrap returns the error without the mark.
func (e FileError) Unwrap() error { return e.error }
