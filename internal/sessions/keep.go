package sessions

import (
	"net/netip"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Settings is what the package reads of the runtime settings; *settings.Service has it.
type Settings interface {
	Int(id string) int
	String(id string) string
}

// Keeper makes what is kept of a client when it logs in and when a use of its session
// is noted, for accounts.Options: its program and system, and its address as the
// setting Accounts_Sessions_Address says at that moment.
func Keeper(s Settings) func(p *rpc.Peer) *user.Origin {
	return func(p *rpc.Peer) *user.Origin {
		o := parseAgent(p.UserAgent)
		o.Door, o.Address = string(p.Door), kept(s.String(settings.SessionAddress), p.Address)
		return &o
	}
}

// The networks that shortened addresses are told by: those that an operator of a
// network gives to one customer or more.
const (
	shortIPv4 = 24
	shortIPv6 = 48
)

// kept is how much of an address, or of what was kept of one, the setting allows. What
// is neither an address nor a network is nothing.
func kept(how, address string) string {
	if how != settings.AddressFull && how != settings.AddressShortened {
		return ""
	}
	net, ok := network(address)
	if !ok {
		return ""
	}
	most := shortIPv6
	if net.Addr().Is4() {
		most = shortIPv4
	}
	if how == settings.AddressShortened && net.Bits() > most {
		net = netip.PrefixFrom(net.Addr(), most).Masked()
	}
	if net.IsSingleIP() {
		return net.Addr().String()
	}
	return net.String()
}

// network reads an address or a network; an address is the network of itself alone.
func network(text string) (netip.Prefix, bool) {
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
