package web

import (
	"net/http"
	"testing"

	"ddpserver/internal/growthtest"
)

// decoders are the headers that say where somebody is and comes from.
func decoders() []growthtest.Decoder {
	proxies, err := ParseProxies(1<<20, []string{"0.0.0.0/0", "::/0"})
	if err != nil {
		panic(err)
	}
	origins, err := NewOrigins("https://chat.example.com", []string{"loopback"})
	if err != nil {
		panic(err)
	}
	header := func(h http.Header) *http.Request {
		return &http.Request{RemoteAddr: "10.0.0.1:1", Host: "chat.example.com", Header: h}
	}
	return []growthtest.Decoder{
		{Name: "Address", Do: func(text string) { proxies.Address(header(http.Header{"X-Forwarded-For": {text}})) }},
		{Name: "Address of many lines", Do: func(text string) {
			lines := make([]string, 0, len(text)/8+1)
			for ; len(text) > 8; text = text[8:] {
				lines = append(lines, text[:8])
			}
			proxies.Address(header(http.Header{"X-Forwarded-For": lines}))
		}},
		{Name: "parseHop", Do: func(text string) { parseHop(text) }},
		{Name: "Peer", Do: func(text string) {
			proxies.Peer(header(http.Header{"User-Agent": {text}, "X-2fa-Code": {text}, "X-2fa-Method": {text}}))
		}},
		{Name: "Origins", Do: func(text string) { origins.Allowed(header(http.Header{"Origin": {text}})) }},
		{Name: "parseOrigin", Do: func(text string) { parseOrigin("https://" + text) }},
		{Name: "Origins behind a scheme", Do: func(text string) { origins.Allowed(header(http.Header{"Origin": {"https://" + text}})) }},
	}
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
