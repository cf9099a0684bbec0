package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/url"
	"os"

	"remit/audit"
	"remit/audit/notary"
	"remit/store"
)

type auditVerifyCmd struct {
	Checkpoint string   `placeholder:"FILE" help:"Hold the chain against the signed checkpoints in this file: that of audit-checkpoints, one note, or entries that a log collector kept."`
	PublicKey  []string `placeholder:"KEY" sep:"none" help:"Key that the signatures are checked with, as remit audit key printed it; may be given more than once (default: that of this installation)."`
	File       string   `placeholder:"FILE" help:"Verify an archive or an export without filters instead of the record."`
}

// Run verifies the chain.
func (c auditVerifyCmd) Run(a *app) error {
	if c.File != "" {
		return c.verifyFile(a)
	}
	return a.withStore(func(s *store.Store) error {
		verify, err := c.verification(a, s)
		if err != nil {
			return err
		}
		v, err := verify()
		if err != nil {
			return fmt.Errorf("the record is not what was written: %w; compare it with a backup", err)
		}
		return a.showVerified(v, c.Checkpoint != "")
	})
}

// verification uses this installation's key and last checkpoint unless others are given.
func (c auditVerifyCmd) verification(a *app, s *store.Store) (func() (notary.Verified, error), error) {
	var ours []string
	if len(c.PublicKey) == 0 {
		n, err := a.notary(s)
		if err != nil {
			return nil, err
		}
		if c.Checkpoint == "" {
			return func() (notary.Verified, error) { return n.Verify(a.ctx) }, nil
		}
		ours = n.Public()
	}
	k, err := c.checks(ours)
	return func() (notary.Verified, error) {
		return notary.Verify(a.ctx, s, k.keys, k.against, func(audit.Entry) error { return nil })
	}, err
}

// checks is what signatures are checked with, and what the chain is held against.
type checks struct {
	keys    []string
	against []notary.Checkpoint
}

func (c auditVerifyCmd) checks(ours []string) (k checks, err error) {
	if k.keys = c.PublicKey; len(k.keys) == 0 {
		k.keys = ours
	}
	if c.Checkpoint != "" {
		k.against, err = notary.ReadFile(k.keys, c.Checkpoint)
	}
	return k, err
}

func (a *app) showVerified(v notary.Verified, against bool) error {
	fmt.Fprintf(a.out, "%d entries verified; the last has the hash %s\n", v.Head.Seq-v.Start.Seq, v.Head.Hash)
	if v.Start.Seq > 0 {
		fmt.Fprintf(a.out, "numbers 1 to %d were removed, as entry %d says: by %s on %s; the last of them had the hash %s\n",
			v.Cut.Last.Seq, v.Cut.Seq, plain(who(v.Cut.Actor)), moment(v.Cut.Time), v.Cut.Last.Hash)
	}
	if !against {
		return nil
	}
	fmt.Fprintf(a.out, "%d signed checkpoints agree with it\n", v.Compared)
	if v.Older > 0 {
		fmt.Fprintf(a.out, "%d are of entries that were removed since: verify their archive with --file\n", v.Older)
	}
	if v.Compared == 0 {
		return errors.New("no checkpoint is of an entry that is left: the record is sound in itself, but nothing shows that it was not rewritten")
	}
	return nil
}

// verifyFile verifies a chain in a file, wherever it begins.
func (c auditVerifyCmd) verifyFile(a *app) error {
	if c.Checkpoint != "" && len(c.PublicKey) == 0 {
		return errors.New("--checkpoint with --file needs --public-key: give what remit audit key prints")
	}
	k, err := c.checks(nil)
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return fmt.Errorf("the file cannot be read: %w", err)
	}
	defer f.Close()
	v, err := notary.VerifyLines(bufio.NewReader(f), k.keys, k.against)
	if err != nil {
		return fmt.Errorf("%s is not what was written: %w", c.File, err)
	}
	fmt.Fprintf(a.out, "%d entries verified, number %d to %d; the last has the hash %s\n", v.Head.Seq-v.Start.Seq, v.Start.Seq+1, v.Head.Seq, v.Head.Hash)
	if c.Checkpoint == "" {
		return nil
	}
	if v.Compared == 0 {
		return errors.New("no checkpoint is of an entry in the file")
	}
	_, err = fmt.Fprintf(a.out, "%d signed checkpoints agree with it\n", v.Compared)
	return err
}

// destination is a sink's address without what may be secret in it.
func destination(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "-"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
