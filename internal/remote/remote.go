// Package remote owns which address a request comes from, also behind reverse proxies, and how networks are written.
package remote

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks of reverse proxies whose X-Forwarded-For is believed. Whoever connects from one can say to come
// from anywhere, so they should hold nothing but proxies.
type Proxies []netip.Prefix

// Trust reads the networks (CIDR).
func Trust(networks []string) (Proxies, error) {
	var out Proxies
	for _, text := range networks {
		n, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("the trusted proxy %q must be a network, such as 10.0.0.0/8", text)
		}
		out = append(out, plain(n))
	}
	return out, nil
}

// Address is where the request comes from, never in the IPv6 form of an IPv4 address and without a zone. An X-Forwarded-For
// is read from its end, as far as trusted proxies wrote it: what a client put before that is its own invention. It is the
// zero Addr, which is in no network, when what a trusted proxy wrote is no address.
func (p Proxies) Address(r *http.Request) netip.Addr {
	from := address(r.RemoteAddr)
	if !p.contain(from) {
		return from
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if len(hops) == 1 && strings.TrimSpace(hops[0]) == "" {
		return from // a proxy that asks for itself
	}
	for i := len(hops) - 1; i >= 0 && p.contain(from); i-- {
		from = address(strings.TrimSpace(hops[i]))
	}
	return from
}

func (p Proxies) contain(a netip.Addr) bool {
	for _, n := range p {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// address reads an address with or without a port and brackets; the zero Addr if it is none.
func address(text string) netip.Addr {
	with, err := netip.ParseAddrPort(text) // as a peer's is: nearly all are
	a := with.Addr()
	if err != nil {
		a, _ = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")) // the zero Addr if it is none
	}
	return a.Unmap().WithZone("")
}

// Network reads a network (CIDR) or a single address, exactly: bits outside the network are refused, since they show that
// something else was meant.
func Network(text string) (netip.Prefix, error) {
	n, err := netip.ParsePrefix(text)
	if a, alone := netip.ParseAddr(text); err != nil && alone == nil && a.Zone() == "" {
		n, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is no network: write it such as 203.0.113.0/24 or 2001:db8::/32, or one address", text)
	case n != n.Masked():
		return netip.Prefix{}, fmt.Errorf("%q has bits outside its network: write %s, or one address alone", text, n.Masked())
	case n.Addr().Is4In6() && n.Bits() < 96:
		return netip.Prefix{}, fmt.Errorf("%q mixes IPv4 and IPv6: write a network of either", text)
	}
	return plain(n), nil
}

// plain is the network of the addresses as [Proxies.Address] gives them.
func plain(n netip.Prefix) netip.Prefix {
	if n.Addr().Is4In6() && n.Bits() >= 96 {
		n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
	}
	return n.Masked()
}
