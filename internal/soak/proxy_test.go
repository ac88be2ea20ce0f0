package soak

import (
	"fmt"
	"io"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// wire is a TCP proxy whose connections can be cut, slowed down and reset.
type wire struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

// newWire starts a proxy in front of an address.
func newWire(t testing.TB, upstream string) *wire {
	t.Helper()
	s := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard))
	w := &wire{t: t, proxy: toxiproxy.NewProxy(s, "wire", "127.0.0.1:0", upstream)}
	if err := w.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.heal()
		w.proxy.Stop()
	})
	return w
}

func (w *wire) addr() string { return w.proxy.Listen }

// poison makes the proxy do something bad: "latency", "timeout", "reset_peer",
// "bandwidth", "slicer" with their attributes, on answers ("downstream") or questions.
func (w *wire) poison(kind, stream, attributes string) {
	w.t.Helper()
	name := fmt.Sprint(kind, stream)
	_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"toxicity":1,"attributes":{%s}}`, name, kind, stream,
		attributes)))
	if err != nil {
		w.t.Fatal(err)
	}
}

// heal takes everything bad back.
func (w *wire) heal() {
	w.proxy.Toxics.ResetToxics(w.t.Context())
}

// cut refuses connections and ends those that are there, until join.
func (w *wire) cut() { w.proxy.Stop() }

func (w *wire) join() {
	w.t.Helper()
	if err := w.proxy.Start(); err != nil {
		w.t.Fatal(err)
	}
}
