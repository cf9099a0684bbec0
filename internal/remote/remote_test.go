package remote_test

import (
	"net/http"
	"net/netip"
	"testing"

	"remit/internal/remote"
)

// Who is behind a proxy is what trusted proxies wrote, and nothing that a client made up.
func TestAddress(t *testing.T) {
	behind := []string{"10.0.0.0/24", "2001:db8:ffff::/48"}
	for name, tc := range map[string]struct {
		proxies   []string
		peer      string
		forwarded []string
		want      string // empty is none that is known
	}{
		"a client":                        {nil, "203.0.113.9:4711", nil, "203.0.113.9"},
		"IPv6":                            {nil, "[2001:db8::9]:4711", nil, "2001:db8::9"},
		"IPv4 in the form of IPv6":        {nil, "[::ffff:203.0.113.9]:4711", nil, "203.0.113.9"},
		"the hexadecimal form of it":      {nil, "[::ffff:cb00:7109]:4711", nil, "203.0.113.9"},
		"with a zone":                     {nil, "[fe80::9%eth0]:4711", nil, "fe80::9"},
		"no proxy is trusted":             {nil, "10.0.0.7:1", []string{"203.0.113.9"}, "10.0.0.7"},
		"not from a proxy":                {behind, "198.51.100.1:1", []string{"203.0.113.9"}, "198.51.100.1"},
		"behind a proxy":                  {behind, "10.0.0.7:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"a proxy in the form of IPv6":     {behind, "[::ffff:10.0.0.7]:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"an IPv6 proxy":                   {behind, "[2001:db8:ffff::1]:1", []string{"2001:db8::9"}, "2001:db8::9"},
		"forwarded in the form of IPv6":   {behind, "10.0.0.7:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"what the client invented":        {behind, "10.0.0.7:1", []string{"10.0.0.1, 192.0.2.1, 203.0.113.9"}, "203.0.113.9"},
		"in a header of its own":          {behind, "10.0.0.7:1", []string{"192.0.2.1", "203.0.113.9"}, "203.0.113.9"},
		"through two proxies":             {behind, "10.0.0.7:1", []string{"192.0.2.1, 203.0.113.9, 10.0.0.8"}, "203.0.113.9"},
		"the proxy itself":                {behind, "10.0.0.7:1", nil, "10.0.0.7"},
		"an empty header":                 {behind, "10.0.0.7:1", []string{""}, "10.0.0.7"},
		"a proxy for another":             {behind, "10.0.0.7:1", []string{"10.0.0.8"}, "10.0.0.8"},
		"with a port":                     {behind, "10.0.0.7:1", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		"IPv6 with a port":                {behind, "10.0.0.7:1", []string{"[2001:db8::9]:4711"}, "2001:db8::9"},
		"IPv6 in brackets":                {behind, "10.0.0.7:1", []string{"[2001:db8::9]"}, "2001:db8::9"},
		"a zone that was sent":            {behind, "10.0.0.7:1", []string{"fe80::9%25eth0"}, "fe80::9"},
		"a proxy that wrote no address":   {behind, "10.0.0.7:1", []string{"203.0.113.9, unknown"}, ""},
		"with an empty place":             {behind, "10.0.0.7:1", []string{"203.0.113.9,"}, ""},
		"octal":                           {behind, "10.0.0.7:1", []string{"0313.0.0161.011"}, ""},
		"a number":                        {behind, "10.0.0.7:1", []string{"3405803785"}, ""},
		"no address at all, as of a pipe": {nil, "@", nil, ""},
	} {
		p, err := remote.Trust(tc.proxies)
		if err != nil {
			t.Fatal(err)
		}
		got := p.Address(&http.Request{RemoteAddr: tc.peer, Header: http.Header{"X-Forwarded-For": tc.forwarded}})
		if want, _ := netip.ParseAddr(tc.want); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if _, err := remote.Trust([]string{"10.0.0.1"}); err == nil {
		t.Error("a proxy without a mask was taken for a network")
	}
}

func TestNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.0/24": "203.0.113.0/24", "203.0.113.9": "203.0.113.9/32", "2001:db8::/32": "2001:db8::/32", "::1": "::1/128",
		"::ffff:203.0.113.0/120": "203.0.113.0/24", "::ffff:203.0.113.9": "203.0.113.9/32", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0",
		"": "", "203.0.113.9/24": "", "203.0.113.0/33": "", "::ffff:0:0/90": "", "fe80::1%eth0": "", "fe80::/10%eth0": "",
		"203.0.113": "", "localhost": "", "10.0.0.0/8, 10.0.0.0/8": "", "010.0.0.1": "",
	} {
		got, err := remote.Network(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: got %s, %v, want %q", text, got, err, want)
		}
	}
}

// Whatever is in the header, an address that is found was in it or is the peer's, in plain form.
func FuzzAddress(f *testing.F) {
	for _, text := range []string{"203.0.113.9", "[::ffff:1.2.3.4]:80, 10.0.0.1", ",,", "fe80::1%x", "::", "[", "10.0.0.1"} {
		f.Add(text)
	}
	p, err := remote.Trust([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := p.Address(&http.Request{RemoteAddr: "10.0.0.7:1", Header: http.Header{"X-Forwarded-For": {text}}})
		if got.Is4In6() || got.Zone() != "" {
			t.Errorf("%q: got %s, which is not plain", text, got)
		}
		if direct := p.Address(&http.Request{RemoteAddr: "192.0.2.1:1", Header: http.Header{"X-Forwarded-For": {text}}}); direct != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("%q: got %s of a peer that is no proxy", text, direct)
		}
	})
}
