package main

import (
	"os"
	"path/filepath"
	"slices"

	"remit/credential"
	"remit/store"
	"remit/upstream"
)

// vault is the encrypted store in s. Its key is in a file or a variable, outside the database.
func (a *app) vault(s *store.Store) *credential.Vault {
	file := a.opts.SecretKeyFile
	if file == "" {
		file = filepath.Join(a.opts.Data, "secret.key")
	}
	return &credential.Vault{Store: s, Keys: credential.KeySource{Text: os.Getenv(credential.KeyVariable), File: file}}
}

// secret returns a secret for the configuration.
func (a *app) secret(name string) (value string, err error) {
	err = a.withStore(func(s *store.Store) error {
		value, err = credential.Secrets{Vault: a.vault(s)}.Value(a.ctx, name)
		return err
	})
	return value, err
}

// authorize gives the upstreams that have oauth their tokens. Without the key of what is encrypted nothing starts.
func (a *app) authorize(configs []upstream.Config, s *system) ([]upstream.Config, error) {
	vault := a.vault(s.store)
	if err := vault.Check(a.ctx); err != nil {
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
