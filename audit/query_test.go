package audit_test

import (
	"testing"
	"time"

	"remit/audit"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"2026-11-20": "2026-11-20T00:00:00Z", "2026-11-20T08:00:00+02:00": "2026-11-20T06:00:00Z", "36h": "2026-11-23T23:00:00Z", "2d": "2026-11-23T11:00:00Z",
		"-2d": "", "d": "", "1.5d": "",
		"": "0001-01-01T00:00:00Z", "yesterday": "", "-1h": "", "2026-13-01": "", "20": "",
	} {
		got, err := audit.ParseTime(text, now)
		if err != nil && want != "" || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%q: got %v, %v, want %q", text, got, err, want)
		}
	}
}
