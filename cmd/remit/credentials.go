package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"remit/credential"
	"remit/internal/config"
	"remit/store"
	"remit/upstream"
)

// vault is the encrypted store in s. Its key is outside the database: in a file, or in a variable, which may also refer to it.
func (a *app) vault(s *store.Store) (*credential.Vault, error) {
	file := a.opts.SecretKeyFile
	if file == "" {
		file = filepath.Join(a.opts.Data, "secret.key")
	}
	given := os.Getenv(credential.KeyVariable)
	text, err := config.Expand(given)
	if err == nil && text == "" && given != "" { // which must not count as unset: a key would be made
		err = errors.New("what it refers to is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", credential.KeyVariable, err)
	}
	return &credential.Vault{Store: s, Keys: credential.KeySource{Text: text, File: file}}, nil
}

// secret returns a secret for the configuration.
func (a *app) secret(name string) (value string, err error) {
	err = a.withStore(func(s *store.Store) error {
		vault, err := a.vault(s)
		if err == nil {
			value, err = credential.Secrets{Vault: vault}.Value(a.ctx, name)
		}
		return err
	})
	return value, err
}

// authorize gives the upstreams that have oauth their tokens. Without the key of what is encrypted nothing starts.
func (a *app) authorize(configs []upstream.Config, s *system) ([]upstream.Config, error) {
	vault, err := a.vault(s.store)
	if err == nil {
		err = vault.Check(a.ctx)
	}
	if err != nil {
		return nil, err
	}
	networks, err := credential.Networks(a.opts.OAuthNetworks)
	if err != nil {
		return nil, err
	}
	deps := credential.Deps{Vault: vault, People: s.store, Keys: s.store, Record: s.store, Networks: networks}
	if s.provider != nil && a.opts.OIDC.Renew > 0 {
		s.signIns = &credential.SignIns{Vault: vault, People: s.store, Refresh: s.provider.Refresh}
		deps.Subjects, deps.Issuer = s.signIns, s.provider.Issuer
	}
	all, connections, err := credential.New(a.credentials, deps)
	if err != nil {
		return nil, err
	}
	s.connections = connections
	if connections.Any() || s.signIns != nil {
		if err := vault.Open(a.ctx); err != nil {
			return nil, err
		}
	}
	configs = slices.Clone(configs)
	for i, c := range configs {
		if auth, ok := all[c.Name]; ok {
			configs[i].Auth = auth
		}
	}
	return configs, nil
}
