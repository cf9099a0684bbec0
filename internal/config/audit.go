package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Audit are the settings of the record.
type Audit struct {
	AuditKey           string        `yaml:"audit-key" env:"REMIT_AUDIT_KEY" default:"" placeholder:"REFERENCE" help:"Ed25519 key that signs the record, as $${NAME} or $${file:/path} (default: audit.key in the data folder, made at first start)."`
	AuditPublicKeys    []string      `yaml:"audit-public-keys" env:"REMIT_AUDIT_PUBLIC_KEYS" default:"" placeholder:"KEY" help:"Public parts of keys that signed the record before (default: none)."`
	AuditCheckpoints   string        `yaml:"audit-checkpoints" env:"REMIT_AUDIT_CHECKPOINTS" default:"" placeholder:"FILE" help:"Where signed checkpoints are added; another machine's disk proves the most (default: audit-checkpoints.jsonl in the data folder)."`
	CheckpointInterval time.Duration `yaml:"checkpoint-interval" env:"REMIT_CHECKPOINT_INTERVAL" default:"1h" placeholder:"TIME" help:"Longest time between the checkpoints of a record that grows (default: 1h)."`
	CheckpointEntries  int64         `yaml:"checkpoint-entries" env:"REMIT_CHECKPOINT_ENTRIES" default:"10000" placeholder:"N" help:"Most entries between two checkpoints (default: 10000)."`
	AuditRetention     Days          `yaml:"audit-retention" env:"REMIT_AUDIT_RETENTION" default:"" placeholder:"DAYS" help:"How long entries are kept, such as 400d, 2d at least (default: for ever)."`
	AuditArchive       string        `yaml:"audit-archive" env:"REMIT_AUDIT_ARCHIVE" default:"" placeholder:"DIR" help:"Folder that entries are written to before audit-retention removes them (default: none, they are gone)."`
}

func (a Audit) validate() error {
	switch {
	case a.CheckpointInterval < time.Second:
		return fmt.Errorf("checkpoint-interval is %s: it must be at least 1s", a.CheckpointInterval)
	case a.CheckpointEntries < 1:
		return fmt.Errorf("checkpoint-entries is %d: it must be at least 1", a.CheckpointEntries)
	case a.AuditRetention != 0 && a.AuditRetention < 2:
		return errors.New("audit-retention is too short: limits need the last 2d")
	case a.AuditArchive != "" && a.AuditRetention == 0:
		return errors.New("audit-archive needs audit-retention: nothing is removed without it")
	}
	return nil
}

// Days is a number of days, written 400d; 0 stands for no limit.
type Days int

// UnmarshalText reads it.
func (d *Days) UnmarshalText(text []byte) error {
	if len(text) == 0 || string(text) == "0" {
		*d = 0
		return nil
	}
	digits, ok := strings.CutSuffix(string(text), "d")
	n, err := strconv.ParseUint(digits, 10, 15)
	if err != nil || !ok {
		return fmt.Errorf("%q is no number of days: write it like 400d", text)
	}
	*d = Days(n)
	return nil
}

// MarshalText writes it.
func (d Days) MarshalText() ([]byte, error) {
	if d == 0 {
		return nil, nil
	}
	return fmt.Appendf(nil, "%dd", int(d)), nil
}

// Duration is d as a time.
func (d Days) Duration() time.Duration { return time.Duration(d) * 24 * time.Hour }

// Sink is a place outside that every entry of the record is sent to.
type Sink struct {
	URL     string            `yaml:"url" help:"tcp://, tls://, udp://, unix:// or unixgram:// for syslog (RFC 5424), http:// or https:// for OpenTelemetry logs (OTLP)."`
	Headers map[string]string `yaml:"headers,omitempty" help:"Headers sent to an http or https url. Write secrets as $${NAME} or $${file:/path}."`
	CA      string            `yaml:"ca,omitempty" help:"File with the certificates that the receiver's is checked against (default: the system's)."`
	Cert    string            `yaml:"cert,omitempty" help:"File with a certificate that the receiver asks for."`
	Key     string            `yaml:"key,omitempty" help:"File with the key of cert."`
	Timeout time.Duration     `yaml:"timeout,omitempty" default:"10s" help:"Longest wait for one batch of entries to be taken."`
}

// SinkNames returns the names of the sinks, sorted.
func (f *File) SinkNames() []string { return slices.Sorted(maps.Keys(f.Sinks)) }

// ExpandedSinks returns the sinks with every reference replaced.
func (f *File) ExpandedSinks() (map[string]Sink, error) {
	out := map[string]Sink{}
	var errs []error
	for _, name := range f.SinkNames() {
		k := f.Sinks[name]
		expand := func(text string) string {
			value, err := Expand(text)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: audit-sinks: %s: %w", f.Path, name, err))
			}
			return value
		}
		k.URL, k.Headers, k.Timeout = expand(k.URL), maps.Clone(k.Headers), cmp.Or(k.Timeout, 10*time.Second)
		for header, value := range k.Headers {
			k.Headers[header] = expand(value)
		}
		out[name] = k
	}
	return out, errors.Join(errs...)
}
