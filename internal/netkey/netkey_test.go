package netkey

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestOf(t *testing.T) {
	for address, want := range map[string]string{
		"":                          "",
		"nonsense:":                 "nonsense:",
		"192.0.2.7":                 "192.0.2.7",
		"::ffff:192.0.2.7":          "192.0.2.7",
		"64:ff9b::192.0.2.7":        "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":      "2001:db8:1:2::/64",
		"2001:db8:1:2::1":           "2001:db8:1:2::/64",
		"2001:db8:1:3::1":           "2001:db8:1:3::/64",
		"2001:DB8:1:2:FFFF::":       "2001:db8:1:2::/64",
		"fe80::1%eth0":              "fe80::/64",
		"::1":                       "::/64",
		"@":                         "@",
		"2001:db8:1:2:3:4:5:6:7":    "2001:db8:1:2:3:4:5:6:7",
		"[2001:db8::1]:80":          "[2001:db8::1]:80",
		"64:ff9b:1:2:3:4:192.0.2.7": "64:ff9b:1:2::/64",
	} {
		if got := Of(address); got != want {
			t.Errorf("Of(%q) = %q, want %q", address, got, want)
		}
	}
	if got := OfAddr(netip.Addr{}); got != "" {
		t.Errorf("no address: %q", got)
	}
}

// A17, the kind: whatever the last 64 bits are, the key is one; whatever
// differs in the first 64, the keys do; and an IPv4 address never shares a key
// with another.
func TestOneKeyForANetwork(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 17))
	for range 2000 {
		var a, b [16]byte
		for i := range a {
			a[i], b[i] = byte(r.Uint32()), byte(r.Uint32())
		}
		a[0], b[0] = 0x20, 0x20
		copy(b[:8], a[:8])
		x, y := OfAddr(netip.AddrFrom16(a)), OfAddr(netip.AddrFrom16(b))
		if x != y {
			t.Fatalf("one network, two keys: %s %s", x, y)
		}
		b[7-r.IntN(7)] ^= byte(1 + r.IntN(255))
		if y = OfAddr(netip.AddrFrom16(b)); x == y {
			t.Fatalf("two networks, one key: %s", x)
		}
		v4, w4 := netip.AddrFrom4([4]byte(a[:4])), netip.AddrFrom4([4]byte(a[4:8]))
		if v4 != w4 && OfAddr(v4) == OfAddr(w4) {
			t.Fatalf("%s and %s have one key", v4, w4)
		}
		if mapped := netip.AddrFrom16(v4.As16()); OfAddr(mapped) != OfAddr(v4) {
			t.Fatalf("%s is counted otherwise than %s", mapped, v4)
		}
	}
}
