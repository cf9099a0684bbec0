package identity

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"remit/policy"
)

// Bounds are what a key allows less than its persona, and from where. The zero value takes nothing away. They never add:
// a tool that the persona does not grant is not granted by being named here.
type Bounds struct {
	Tools     []string       `json:"tools,omitzero"`      // ids in the catalog, sorted; nil is every tool of the persona, and empty is none
	Limits    []policy.Limit `json:"limits,omitempty"`    // of all calls with the key together, beside those of each tool's policy
	Addresses []netip.Prefix `json:"addresses,omitempty"` // networks from which the key may be used; none means from everywhere
}

// Most of each kind in one key.
const (
	maxKeyTools     = 1000
	maxKeyLimits    = 8
	maxKeyAddresses = 64
)

// Grants says whether the bounds leave the tool, by its id in the catalog.
func (b Bounds) Grants(tool string) bool { return b.Tools == nil || slices.Contains(b.Tools, tool) }

// From says whether the key may be used from the address. One that is not known is in no network.
func (b Bounds) From(address netip.Addr) bool {
	return len(b.Addresses) == 0 || slices.ContainsFunc(b.Addresses, func(n netip.Prefix) bool { return n.Contains(address) })
}

// checked returns the bounds of a new key in one spelling, or why they cannot be: what would match nothing is a mistake.
func (b Bounds) checked() (Bounds, error) {
	invalid := func(format string, a ...any) (Bounds, error) {
		return Bounds{}, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, a...)...)
	}
	if b.Tools != nil {
		b.Tools = slices.Compact(slices.Sorted(slices.Values(b.Tools)))
		if len(b.Tools) < 1 || len(b.Tools) > maxKeyTools {
			return invalid("a key that is narrowed names 1 to %d tools", maxKeyTools)
		}
	}
	for _, tool := range b.Tools {
		if tool == "" || len(tool) > 500 || !utf8.ValidString(tool) || strings.ContainsFunc(tool, unprintable) {
			return invalid("%q is no tool's id", tool)
		}
	}
	if len(b.Limits) > maxKeyLimits || len(b.Addresses) > maxKeyAddresses {
		return invalid("a key has at most %d limits and %d networks", maxKeyLimits, maxKeyAddresses)
	}
	for _, l := range b.Limits {
		if err := l.Validate(); err != nil {
			return invalid("%v", err)
		}
		if l.By != "" {
			return invalid("a key's limits count its own calls")
		}
	}
	for _, n := range b.Addresses {
		if !n.IsValid() || n != n.Masked() || n.Addr().Is4In6() {
			return invalid("%s is no network", n)
		}
	}
	return b, nil
}

// detail adds the bounds to a record of the key.
func (b Bounds) detail(d map[string]string) {
	if b.Tools != nil {
		d["tools"] = strings.Join(b.Tools, ", ")
	}
	if len(b.Limits) > 0 {
		d["limits"] = strings.Join(texts(b.Limits), ", ")
	}
	if len(b.Addresses) > 0 {
		d["addresses"] = strings.Join(texts(b.Addresses), ", ")
	}
}

func texts[T fmt.Stringer](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.String()
	}
	return out
}
