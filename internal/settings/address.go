package settings

import "net/netip"

// The networks that shortened addresses are told by: those that an operator of a
// network gives to one customer or more.
const (
	shortIPv4 = 24
	shortIPv6 = 48
)

// KeptAddress is how much of an address, or of what was kept of one, a value of the
// setting SessionAddress allows. What is neither an address nor a network is nothing.
func KeptAddress(how, address string) string {
	if how != AddressFull && how != AddressShortened {
		return ""
	}
	net, ok := Network(address)
	if !ok {
		return ""
	}
	most := shortIPv6
	if net.Addr().Is4() {
		most = shortIPv4
	}
	if how == AddressShortened && net.Bits() > most {
		net = netip.PrefixFrom(net.Addr(), most).Masked()
	}
	if net.IsSingleIP() {
		return net.Addr().String()
	}
	return net.String()
}

// Network reads an address or a network; an address is the network of itself alone.
func Network(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), true
}
