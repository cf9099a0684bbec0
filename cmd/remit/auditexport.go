package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"remit/audit"
	"remit/store"
)

type auditExportCmd struct {
	auditFilters
	Format string `enum:"jsonl,csv" default:"jsonl" help:"jsonl, whose last line is the head of the chain, or csv (default: jsonl)."`
}

// Run streams what fits, so that a record of any length goes through little memory.
func (c auditExportCmd) Run(a *app) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(a.out)
	write := exportJSON
	if c.Format == "csv" {
		write = exportCSV
	}
	return a.withStore(func(s *store.Store) error {
		err := write(out, func(each func(audit.Entry) error) (audit.Head, error) { return s.Export(a.ctx, q, each) })
		if err != nil {
			return fmt.Errorf("the export is not complete: %w", err)
		}
		return out.Flush()
	})
}

// entries hands over each entry and returns the head of the chain.
type entries func(each func(audit.Entry) error) (audit.Head, error)

// exportJSON writes entries as they were sealed. The last line tells a whole file from one that was cut.
func exportJSON(out io.Writer, all entries) error {
	e := json.NewEncoder(out)
	head, err := all(func(entry audit.Entry) error { return e.Encode(entry) })
	if err != nil {
		return err
	}
	return e.Encode(map[string]audit.Head{"head": head})
}

var exportHead = []string{"seq", "time", "kind", "person", "agent", "user", "key", "persona", "revision", "tool", "digest", "decision", "reason", "policy",
	"micros", "argument_bytes", "argument_digest", "result_bytes", "result_digest", "upstream_micros", "protocol", "client", "client_version", "trace",
	"arguments", "shadow_revision", "shadow_decision", "shadow_policy", "shadow_reason", "detail", "prev", "hash"}

func exportCSV(out io.Writer, all entries) error {
	w := csv.NewWriter(out)
	if err := w.Write(exportHead); err != nil {
		return err
	}
	_, err := all(func(e audit.Entry) error {
		detail := ""
		if len(e.Detail) > 0 {
			text, err := json.Marshal(e.Detail)
			if err != nil {
				return err
			}
			detail = string(text)
		}
		row := []string{fmt.Sprint(e.Seq), e.Time.Format(time.RFC3339Nano), e.Kind, e.Person, e.Agent, e.User, e.Key, e.Persona, number(e.Revision),
			e.Tool, e.Digest, string(e.Decision), e.Reason, e.Policy, number(e.Micros), number(e.ArgumentBytes), e.ArgumentDigest, number(e.ResultBytes),
			e.ResultDigest, number(e.UpstreamMicros), e.Protocol, e.Client, e.ClientVersion, e.Trace, e.Arguments,
			number(e.Shadow.Revision), string(e.Shadow.Decision), e.Shadow.Policy, e.Shadow.Reason, detail, e.Prev, e.Hash}
		for i := range row {
			row[i] = cell(row[i])
		}
		return w.Write(row)
	})
	if err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// number is empty for what the entry does not say.
func number[T int | int64](n T) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// cell keeps a spreadsheet from taking text, which agents and servers can choose, for a formula.
func cell(text string) string {
	if first, _ := utf8.DecodeRuneInString(text); text != "" && strings.ContainsRune("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20", first) {
		return "'" + text
	}
	return text
}
