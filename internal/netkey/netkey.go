// Package netkey gives the key under which limits count a client's address: an
// IPv4 address itself, an IPv6 address by its /64 network. Whoever has one IPv6
// address has all 2^64 of its network, so counting each one would limit nobody.
//
// It sets no limit and asks no name server.
package netkey

import (
	"net/netip"
	"strings"
)

// translated is the well-known prefix of NAT64 (RFC 6052): behind such a
// translator every IPv4 client has an address in this one /64.
var translated = netip.MustParsePrefix("64:ff9b::/96")

// site is how many bits of an IPv6 address one household or machine has to
// itself at least.
const site = 64

// Of is the key for limits of an address: an IPv4 address itself, also when it
// is written as IPv6 (mapped, or translated by NAT64), the /64 of any other IPv6
// address as "2001:db8:1:2::/64", without a zone. What is no address is its own
// key, so that nobody escapes a limit by being unreadable; "" stays "".
func Of(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return strings.Clone(address)
	}
	if a.Is4() {
		return address // there is one spelling of it only
	}
	return OfAddr(a)
}

// OfAddr is Of for a parsed address; the zero Addr gives "".
func OfAddr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	if translated.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:])).String()
	}
	return netip.PrefixFrom(a, site).Masked().String()
}
