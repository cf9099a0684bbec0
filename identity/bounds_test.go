package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"remit/policy"
)

func networks(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func TestBounds(t *testing.T) {
	hourly := policy.Limit{Calls: 1, Per: policy.Hour}
	for name, tc := range map[string]struct {
		bounds Bounds
		ok     bool
	}{
		"none":                  {Bounds{}, true},
		"all":                   {Bounds{Tools: []string{"crm/find"}, Limits: []policy.Limit{hourly}, Addresses: networks("10.0.0.0/8", "::/0")}, true},
		"no tool is left":       {Bounds{Tools: []string{}}, false},
		"a tool without a name": {Bounds{Tools: []string{""}}, false},
		"a hidden character":    {Bounds{Tools: []string{"crm/fi\u200bnd"}}, false},
		"a line break":          {Bounds{Tools: []string{"crm/find\ncrm/drop"}}, false},
		"too many tools":        {Bounds{Tools: numbers(maxKeyTools + 1)}, false},
		"no limit":              {Bounds{Limits: []policy.Limit{{}}}, false},
		"another's limit":       {Bounds{Limits: []policy.Limit{{Calls: 1, Per: policy.Hour, By: policy.ByTool}}}, false},
		"too many limits":       {Bounds{Limits: slices.Repeat([]policy.Limit{hourly}, maxKeyLimits+1)}, false},
		"no network":            {Bounds{Addresses: []netip.Prefix{{}}}, false},
		"bits outside":          {Bounds{Addresses: networks("10.0.0.1/8")}, false},
		"never met":             {Bounds{Addresses: networks("::ffff:10.0.0.0/104")}, false},
		"too many networks":     {Bounds{Addresses: slices.Repeat(networks("10.0.0.0/8"), maxKeyAddresses+1)}, false},
		"one tool, named twice": {Bounds{Tools: []string{"b/b", "a/a", "b/b"}}, true},
	} {
		got, err := tc.bounds.checked()
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ok %v", name, err, tc.ok)
		}
		if err == nil && (!slices.IsSorted(got.Tools) || len(slices.Compact(got.Tools)) != len(got.Tools)) {
			t.Errorf("%s: got %v", name, got.Tools)
		}
	}
}

func numbers(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint("s/", i))
	}
	return out
}

// Empty is not all: neither in memory nor after it was written and read.
func TestEmptyToolsAreNone(t *testing.T) {
	text, err := json.Marshal(Bounds{Tools: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	var read Bounds
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if read.Tools == nil || read.Grants("crm/find") || !(Bounds{}).Grants("crm/find") {
		t.Errorf("%s: got %#v, want no tool", text, read)
	}
}

func TestFrom(t *testing.T) {
	b := Bounds{Addresses: networks("203.0.113.0/24", "fe80::/10")}
	for text, want := range map[string]bool{"203.0.113.255": true, "203.0.114.0": false, "fe80::1": true, "::203.0.113.1": false} {
		if got := b.From(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	if b.From(netip.Addr{}) {
		t.Error("an unknown address is in a network")
	}
	if everywhere := (Bounds{Addresses: networks("0.0.0.0/0", "::/0")}); everywhere.From(netip.Addr{}) {
		t.Error("an unknown address is in every network")
	}
}

func TestParseExpiry(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"never": {}, "0": {}, "90d": now.Add(90 * 24 * time.Hour), "36h": now.Add(36 * time.Hour), "1h30m": now.Add(90 * time.Minute),
		"2026-12-31": time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC), "2026-12-31T18:00:00+02:00": time.Date(2026, 12, 31, 16, 0, 0, 0, time.UTC),
	} {
		if got, err := ParseExpiry(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "90", "-1h", "0h", "0d", "-1d", "1.5d", "d", "99999d", "5000d", "2026-11-26", "2026-02-30", "31.12.2026", "1000000h"} {
		if got, err := ParseExpiry(text, now); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, ErrInvalid)
		}
	}
}

func TestKeyState(t *testing.T) {
	now := time.Now()
	soon, past := now.Add(KeyWarning), now.Add(-time.Second)
	for want, k := range map[KeyState]Key{
		KeyLive: {Expires: soon.Add(time.Second)}, KeyExpiring: {Expires: soon}, KeyReplaced: {Expires: soon, ReplacedBy: "x"},
		KeyStopped: {Barred: true}, KeyExpired: {Expires: past, Barred: true}, KeyRevoked: {Expires: past, Revoked: past},
	} {
		if got := k.State(now); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if works := want == KeyLive || want == KeyExpiring || want == KeyReplaced; k.Live(now) != works {
			t.Errorf("%s: got live %v, want %v", want, k.Live(now), works)
		}
	}
}
