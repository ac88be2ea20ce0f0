package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// Proxies says which proxies stand in front of the server. The zero value is none.
type Proxies struct {
	// Count is the number of proxies that append to X-Forwarded-For
	// (HTTP_FORWARDED_COUNT; docs/wire/ddp.md A16).
	Count int
	// Trusted are their addresses.
	Trusted []netip.Prefix
}

// ParseProxies reads addresses and networks such as 10.0.0.5 and 10.0.0.0/8.
func ParseProxies(count int, trusted []string) (Proxies, error) {
	p := Proxies{Count: count}
	for _, s := range trusted {
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			addr, err := netip.ParseAddr(s)
			if err != nil {
				return Proxies{}, err
			}
			prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		p.Trusted = append(p.Trusted, prefix.Masked())
	}
	return p, nil
}

// Address is the IP address of the client that sent r, without a port, or ""
// when the connection has none (a socket file).
//
// Without Count, or when the connection does not come from a trusted proxy, it
// is the other end of the connection, whatever the headers say. Otherwise it is
// the Count-th entry of X-Forwarded-For from the right, as in Meteor; but where
// an entry in between is no trusted proxy, that entry is the client, so a
// client that reaches an inner proxy directly cannot choose its address. A
// header that is missing, too short or unreadable gives the last address that a
// trusted proxy vouched for. Forwarded and X-Real-IP are never believed. The
// time is linear in what is read: Count entries from the right.
func (p Proxies) Address(r *http.Request) string {
	addr, _ := p.walk(r)
	if !addr.IsValid() {
		return ""
	}
	return addr.String()
}

// walk is Address. more says that it stopped at an address that is not trusted,
// behind one that is, although the header goes on.
func (p Proxies) walk(r *http.Request) (addr netip.Addr, more bool) {
	addr, ok := parseHop(r.RemoteAddr)
	if !ok {
		return netip.Addr{}, false
	}
	values := r.Header["X-Forwarded-For"]
	line := len(values) - 1
	for i := range p.Count {
		for line >= 0 && strings.TrimSpace(values[line]) == "" {
			line--
		}
		if line < 0 {
			break
		}
		if !p.trusts(addr) {
			return addr, i > 0
		}
		head, entry := "", values[line]
		if comma := strings.LastIndexByte(entry, ','); comma >= 0 {
			head, entry = entry[:comma], entry[comma+1:]
		}
		next, ok := parseHop(strings.TrimSpace(entry))
		if !ok {
			break
		}
		addr = next
		if head == "" {
			line--
		} else {
			values = append(values[:line:line], head)
		}
	}
	return addr, false
}

func (p Proxies) trusts(addr netip.Addr) bool {
	for _, t := range p.Trusted {
		if t.Contains(addr) {
			return true
		}
	}
	return false
}

// maxHop is longer than any address with a port in brackets.
const maxHop = 64

// parseHop reads an address with or without a port; IPv6 may have brackets.
func parseHop(s string) (netip.Addr, bool) {
	if len(s) > maxHop {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		ap, errPort := netip.ParseAddrPort(s)
		if errPort != nil {
			addr, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
			if err != nil {
				return netip.Addr{}, false
			}
		} else {
			addr = ap.Addr()
		}
	}
	return addr.Unmap().WithZone(""), true
}

// undeclared tells whether r seems to come through a proxy on this machine or in
// this network that was not declared: it has a header that such proxies add, and
// the other end, or a hop that the header names before HTTP_FORWARDED_COUNT ends, is
// no client of the Internet and not trusted.
func (p Proxies) undeclared(r *http.Request) bool {
	if len(r.Header["X-Forwarded-For"]) == 0 && len(r.Header["Forwarded"]) == 0 && len(r.Header["X-Real-Ip"]) == 0 {
		return false
	}
	addr, ok := parseHop(r.RemoteAddr)
	if !ok {
		return false
	}
	if p.Count > 0 && p.trusts(addr) {
		hop, more := p.walk(r)
		return more && inside(hop)
	}
	return inside(addr)
}

// inside tells whether an address is one of this machine or of a private network.
func inside(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast()
}
