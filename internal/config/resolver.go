package config

import (
	"os"

	"github.com/alecthomas/kong"
)

// Source gives kong the values of the file for the flags of a command. It reads the file when the first of these flags
// asks, and never for a command with the tag nosettings, which must not stumble over a broken file. Kong asks its resolvers after it has
// read the environment and lets them win; Source therefore stays silent where a variable is set.
// A variable that is set to nothing counts as not set.
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
	if command := ctx.Selected(); command != nil && command.Tag.Has("nosettings") {
		return nil, nil
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
	value, ok := s.file.values[flag.Name]
	for _, name := range flag.Envs {
		switch text, set := os.LookupEnv(name); {
		case text != "":
			return nil, nil
		case set && !ok && flag.HasDefault:
			return flag.Default, nil // kong took the empty text
		}
	}
	return value, nil
}

// FileError is an error in the file, as opposed to one on the command line.
type FileError struct{ error }

// Unwrap returns the error without the mark.
func (e FileError) Unwrap() error { return e.error }
