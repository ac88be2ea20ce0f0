// Package wiretest breaks connections in tests: a proxy in front of a real server, whose
// connections are cut, silenced, slowed down and reset. It is support for tests and no
// part of the server, and knows no protocol.
package wiretest

import (
	"fmt"
	"io"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Wire is a TCP proxy whose connections can be cut, slowed down and reset.
type Wire struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

// Start starts a proxy in front of an address, which ends with the test.
func Start(t testing.TB, upstream string) *Wire {
	t.Helper()
	s := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard))
	w := &Wire{t: t, proxy: toxiproxy.NewProxy(s, "wire", "127.0.0.1:0", upstream)}
	if err := w.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Heal()
		w.proxy.Stop()
	})
	return w
}

// Addr is where it listens.
func (w *Wire) Addr() string { return w.proxy.Listen }

// Poison makes the proxy do something bad: "latency", "timeout", "reset_peer",
// "bandwidth", "slicer" with their attributes, on answers ("downstream") or questions.
func (w *Wire) Poison(kind, stream, attributes string) {
	w.t.Helper()
	name := fmt.Sprint(kind, stream)
	_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"toxicity":1,"attributes":{%s}}`, name, kind, stream,
		attributes)))
	if err != nil {
		w.t.Fatal(err)
	}
}

// Heal takes everything bad back.
func (w *Wire) Heal() {
	w.proxy.Toxics.ResetToxics(w.t.Context())
}

// Cut refuses connections and ends those that are there, until Join.
func (w *Wire) Cut() { w.proxy.Stop() }

// Join takes connections again, at the same address.
func (w *Wire) Join() {
	w.t.Helper()
	if err := w.proxy.Start(); err != nil {
		w.t.Fatal(err)
	}
}
