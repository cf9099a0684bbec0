package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"remit/audit"
	"remit/credential"
	"remit/identity"
	"remit/store"
)

type secretCmd struct {
	Set   secretSetCmd   `cmd:"" help:"Keep a secret, read from standard input, for $${secret:NAME} in the configuration."`
	List  secretListCmd  `cmd:"" help:"List the names of the secrets. Their values are never shown again."`
	Rm    secretRmCmd    `cmd:"" help:"Delete a secret."`
	Rekey secretRekeyCmd `cmd:"" help:"Encrypt all secrets and tokens anew with a new key."`
}

// secrets runs do on the encrypted store.
func (a *app) secrets(do func(credential.Secrets) error) error {
	return a.withStore(func(s *store.Store) error {
		vault, err := a.vault(s)
		if err != nil {
			return err
		}
		return do(credential.Secrets{Vault: vault})
	})
}

type secretSetCmd struct {
	Name string `arg:"" help:"Its name: letters, digits and _ . -"`
}

func (c secretSetCmd) Run(a *app) error {
	value, err := a.readSecret("secret")
	if err != nil {
		return err
	}
	return a.secrets(func(s credential.Secrets) error {
		if err := s.Set(a.ctx, identity.Operator(), c.Name, value); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.out, "The secret %s is kept; write ${secret:%s} in the configuration. A running server takes it when it starts anew.\n", c.Name, c.Name)
		return err
	})
}

// readSecret reads a secret of the kind from standard input, without showing it on a terminal. The end of the line is no part of it.
func (a *app) readSecret(kind string) (string, error) {
	var text []byte
	var err error
	if f, ok := a.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(a.err, "The %s, which is not shown: ", kind)
		text, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.err)
	} else {
		text, err = io.ReadAll(io.LimitReader(a.in, 1<<20))
	}
	if err != nil {
		return "", fmt.Errorf("the %s cannot be read: %w", kind, err)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if value == "" {
		return "", fmt.Errorf("the %s is empty: send it on standard input, such as with < FILE", kind)
	}
	return value, nil
}

type secretListCmd struct{}

func (secretListCmd) Run(a *app) error {
	return a.secrets(func(s credential.Secrets) error {
		all, err := s.List(a.ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, v := range all {
			rows = append(rows, []string{v.Name, moment(v.Changed)})
		}
		return table(a.out, []string{"NAME", "CHANGED"}, rows)
	})
}

type secretRmCmd struct {
	Name string `arg:"" help:"Its name, as remit secret list shows it."`
}

func (c secretRmCmd) Run(a *app) error {
	return a.secrets(func(s credential.Secrets) error {
		if err := s.Remove(a.ctx, identity.Operator(), c.Name); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.out, "The secret %s is deleted.\n", c.Name)
		return err
	})
}

type secretRekeyCmd struct{}

// Run may be used while remit serve runs: that one finds the new key in the file.
func (secretRekeyCmd) Run(a *app) error {
	return a.withStore(func(s *store.Store) error {
		vault, err := a.vault(s)
		if err != nil {
			return err
		}
		id, err := vault.Rekey(a.ctx, audit.Entry{Time: time.Now(), Kind: "secret.key", Actor: identity.Operator().Actor(), Decision: audit.Changed})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "Everything is encrypted with key %s now; the one before opens nothing any more.\n", id)
		return err
	})
}
