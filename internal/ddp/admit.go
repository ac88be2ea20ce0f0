package ddp

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"ddpserver/internal/netkey"
	"ddpserver/internal/rpc"
)

// OwnOrigin allows requests without an Origin header, from the request's own
// host, and from loopback hosts, with any port and scheme. Anything else,
// "null" and repeated headers included, is foreign.
func OwnOrigin(r *http.Request) bool {
	list := r.Header["Origin"]
	if len(list) == 0 {
		return true
	}
	u, err := url.Parse(list[0])
	if len(list) > 1 || err != nil || u.Host == "" || u.User != nil {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	host := u.Hostname()
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// plainPeer is the default of Options.Peer.
func plainPeer(r *http.Request) *rpc.Peer {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return &rpc.Peer{
		Address: host, UserAgent: r.UserAgent(), AgentDigest: rpc.DigestAgent(r.Header["User-Agent"]),
		Proof: rpc.HeaderProof(r.Header),
	}
}

// enter counts a socket, unless there are too many. Addresses of one IPv6 network
// are one.
func (s *Server) enter(address string) bool {
	if s.limits.PerAddress > 0 {
		address = netkey.Of(address)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.limits
	if s.draining || l.Connections > 0 && s.open >= l.Connections || l.PerAddress > 0 && s.address[address] >= l.PerAddress {
		s.stats.refused.Add(1)
		return false
	}
	s.open++
	if l.PerAddress > 0 {
		s.address[address]++
	}
	return true
}

func (s *Server) leave(address string) {
	if s.limits.PerAddress > 0 {
		address = netkey.Of(address)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.limits.PerAddress > 0 {
		if s.address[address]--; s.address[address] == 0 {
			delete(s.address, address)
		}
	}
}
