package web

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"ddpserver/internal/rpc"
)

// maxAgent bounds the user agent that is kept for a connection, to be shown; what
// was sent is hashed before it is cut.
const maxAgent = 512

// Peer describes the sender of a request. Conn and Door are left to the door.
func (p Proxies) Peer(r *http.Request) *rpc.Peer {
	return &rpc.Peer{
		Address:     p.Address(r),
		Proxied:     p.undeclared(r),
		UserAgent:   clip(r.UserAgent(), maxAgent),
		AgentDigest: rpc.DigestAgent(r.Header["User-Agent"]),
		Proof:       rpc.HeaderProof(r.Header),
	}
}

// clip shortens s to at most n bytes of valid UTF-8.
func clip(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = strings.Clone(s[:n])
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
