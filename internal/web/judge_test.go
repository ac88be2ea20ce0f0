package web

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ddpserver/internal/growthtest"
	"ddpserver/internal/rpc"
)

func request(remote string, header http.Header) *http.Request {
	r := httptest.NewRequest("GET", "http://chat.example.com/websocket", nil)
	r.RemoteAddr = remote
	for k, v := range header {
		r.Header[k] = v
	}
	return r
}

func xff(values ...string) http.Header { return http.Header{"X-Forwarded-For": values} }

func TestAddress(t *testing.T) {
	for _, tc := range []struct {
		name    string
		count   int
		trusted string
		remote  string
		header  http.Header
		want    string
	}{
		{"no proxies", 0, "", "203.0.113.9:5000", xff("1.1.1.1"), "203.0.113.9"},
		{"trusted peer, count 0", 0, "10.0.0.1", "10.0.0.1:5000", xff("1.1.1.1"), "10.0.0.1"},
		{"count 1, foreign peer", 1, "10.0.0.1", "203.0.113.9:5000", xff("1.1.1.1"), "203.0.113.9"},
		{"count 1", 1, "10.0.0.1", "10.0.0.1:5000", xff("1.1.1.1, 2.2.2.2"), "2.2.2.2"},
		{"count 2, both trusted", 2, "10.0.0.0/8", "10.0.0.1:5000", xff("1.1.1.1, 2.2.2.2, 10.0.0.2"), "2.2.2.2"},
		{"count 2, client at the inner proxy", 2, "10.0.0.0/8", "10.0.0.1:5000", xff("1.1.1.1, 2.2.2.2"), "2.2.2.2"},
		{"count 3 over two lines", 3, "10.0.0.0/8", "10.0.0.1:5000", xff("9.9.9.9, 1.1.1.1", "10.0.0.3,10.0.0.2"), "1.1.1.1"},
		{"header missing", 1, "10.0.0.1", "10.0.0.1:5000", nil, "10.0.0.1"},
		{"header too short", 3, "10.0.0.0/8", "10.0.0.1:5000", xff("10.0.0.2"), "10.0.0.2"},
		{"garbage", 1, "10.0.0.1", "10.0.0.1:5000", xff("1.1.1.1, <script>"), "10.0.0.1"},
		{"garbage further left", 1, "10.0.0.1", "10.0.0.1:5000", xff("<script>, 1.1.1.1"), "1.1.1.1"},
		{"empty entry", 1, "10.0.0.1", "10.0.0.1:5000", xff("1.1.1.1,"), "10.0.0.1"},
		{"with port", 1, "10.0.0.1", "10.0.0.1:5000", xff("1.1.1.1:4711"), "1.1.1.1"},
		{"IPv6", 1, "fd00::/8", "[fd00::1]:5000", xff("[2001:db8::1]:443"), "2001:db8::1"},
		{"IPv6 in brackets", 1, "fd00::/8", "[fd00::1]:5000", xff("[2001:db8::1]"), "2001:db8::1"},
		{"mapped IPv4", 1, "10.0.0.1", "[::ffff:10.0.0.1]:5000", xff("::ffff:1.1.1.1"), "1.1.1.1"},
		{"zone", 0, "", "[fe80::1%eth0]:5000", nil, "fe80::1"},
		{"other headers", 1, "10.0.0.1", "10.0.0.1:5000", http.Header{"X-Real-Ip": {"1.1.1.1"}, "Forwarded": {"for=1.1.1.1"}}, "10.0.0.1"},
		{"socket file", 1, "10.0.0.1", "@", xff("1.1.1.1"), ""},
	} {
		var trusted []string
		if tc.trusted != "" {
			trusted = strings.Split(tc.trusted, ",")
		}
		p, err := ParseProxies(tc.count, trusted)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Address(request(tc.remote, tc.header)); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	if _, err := ParseProxies(1, []string{"proxy.local"}); err == nil {
		t.Error("a name was taken for an address")
	}
}

// S083: the header must cost linear time, however it looks.
func TestAddressIsLinear(t *testing.T) {
	p, _ := ParseProxies(32, []string{"0.0.0.0/0"})
	for _, value := range []string{strings.Repeat(" ,", 7500), strings.Repeat(" ", 15000), strings.Repeat(",", 15000), strings.Repeat("1.1.1.1,", 1900),
		strings.Repeat("[", 15000)} {
		r := request("10.0.0.1:1", xff(value, value, value))
		work := growthtest.Work(func() {
			for range 100 {
				p.Address(r)
			}
		})
		if d := work / 100; d > 5*time.Millisecond {
			t.Errorf("%.8q…: %v", value, d)
		}
	}
}

// The client's address cannot be chosen by the client (docs/security-tests.md S052): whatever
// it sends, the answer is the socket's address or one a trusted proxy vouched for.
func FuzzAddress(f *testing.F) {
	f.Add("1.1.1.1, 2.2.2.2", "3.3.3.3", uint8(2))
	f.Add(" ,, ,", "[::1]:1", uint8(1))
	f.Fuzz(func(t *testing.T, spoofed, second string, count uint8) {
		n := int(count % 8)
		p, _ := ParseProxies(n, []string{"10.0.0.0/8"})
		direct := p.Address(request("203.0.113.9:99", xff(spoofed, second)))
		if direct != "203.0.113.9" {
			t.Fatalf("a direct client chose %q", direct)
		}
		// One trusted proxy appends the client's real address.
		via := p.Address(request("10.0.0.1:99", xff(spoofed, second+", 203.0.113.9")))
		if want := "203.0.113.9"; n > 0 && via != want || n == 0 && via != "10.0.0.1" {
			t.Fatalf("count %d: through a proxy the client chose %q", n, via)
		}
		if free := p.Address(request("10.0.0.1:99", xff(spoofed))); free != "" {
			if _, err := netip.ParseAddr(free); err != nil {
				t.Fatalf("no address: %q", free)
			}
		}
	})
}

func TestOrigins(t *testing.T) {
	for _, tc := range []struct {
		list   []string
		origin []string
		host   string
		want   bool
	}{
		{nil, nil, "", true}, // not a browser
		{nil, []string{"https://chat.example.com"}, "", true},
		{nil, []string{"https://chat.example.com:443"}, "", true},
		{nil, []string{"HTTPS://CHAT.example.com"}, "", true}, // the same origin, in another spelling
		{nil, []string{"http://chat.example.com"}, "", false},
		{nil, []string{"https://chat.example.com:8443"}, "", false},
		{nil, []string{"https://chat.example.com.evil.example"}, "", false},
		{nil, []string{"https://evilchat.example.com"}, "", false},
		{nil, []string{"https://evil.example"}, "", false},
		{nil, []string{"https://evil.example"}, "evil.example", false}, // DNS rebinding
		{nil, []string{"null"}, "", false},
		{nil, []string{""}, "", false},
		{nil, []string{"https://chat.example.com", "https://evil.example"}, "", false},
		{nil, []string{"https://chat.example.com, https://evil.example"}, "", false},
		{nil, []string{"https://user@chat.example.com"}, "", false},
		{nil, []string{"https://chat.example.com/"}, "", true}, // programs send the address they dial
		{nil, []string{"wss://chat.example.com/websocket"}, "", true},
		{nil, []string{"wss://chat.example.com:443"}, "", true},
		{nil, []string{"ws://chat.example.com"}, "", false},
		{nil, []string{"wss://evil.example/https://chat.example.com"}, "", false},
		{nil, []string{"https:chat.example.com"}, "", false},
		{nil, []string{"//chat.example.com"}, "", false},
		{nil, []string{"chat.example.com"}, "", false},
		{nil, []string{"https://" + strings.Repeat("a", 400)}, "", false},
		{nil, []string{"ws://192.0.2.7:3000"}, "192.0.2.7:3000", true},
		{[]string{"loopback"}, []string{"ws://localhost:8080/websocket"}, "", true},
		{[]string{"loopback"}, []string{"capacitor://localhost"}, "", false},
		{[]string{"loopback"}, []string{"file://"}, "", false},
		{[]string{"https://app.example.org/"}, []string{"wss://app.example.org"}, "", true},
		{[]string{"wss://app.example.org"}, []string{"https://app.example.org"}, "", true},
		{[]string{"apps"}, []string{"capacitor://localhost"}, "", true},
		{[]string{"apps"}, []string{"ionic://localhost"}, "", true},
		{[]string{"apps"}, []string{"tauri://localhost"}, "", true},
		{[]string{"apps"}, []string{"file://"}, "", true},
		{[]string{"apps"}, []string{"null"}, "", false}, // any page can have it
		{[]string{"apps"}, []string{"https://evil.example"}, "", false},
		{[]string{"apps"}, []string{"chrome-extension://abc"}, "", false},
		{nil, []string{"http://localhost:8080"}, "", false},
		{nil, []string{"http://192.0.2.7:3000"}, "192.0.2.7:3000", true},
		{nil, []string{"http://192.0.2.7:3001"}, "192.0.2.7:3000", false},
		{nil, []string{"file://192.0.2.7:3000"}, "192.0.2.7:3000", false},
		{[]string{"loopback"}, []string{"http://localhost:8080"}, "", true},
		{[]string{"loopback"}, []string{"http://127.0.0.1:1"}, "", true},
		{[]string{"loopback"}, []string{"http://[::1]:1"}, "", true},
		{[]string{"loopback"}, []string{"http://app.localhost"}, "", true},
		{[]string{"loopback"}, []string{"http://localhost.evil.example"}, "", false},
		{[]string{"loopback"}, []string{"http://notlocalhost"}, "", false},
		{[]string{"loopback"}, []string{"http://127.0.0.1.evil.example"}, "", false},
		{[]string{"https://app.example.org"}, []string{"https://app.example.org"}, "", true},
		{[]string{"https://app.example.org"}, []string{"https://app.example.org:444"}, "", false},
		{[]string{"capacitor://localhost"}, []string{"capacitor://localhost"}, "", true},
		{[]string{"*"}, []string{"https://evil.example"}, "", true},
		{[]string{"*"}, []string{"null"}, "", true},
	} {
		o, err := NewOrigins("https://chat.example.com/team", tc.list)
		if err != nil {
			t.Fatal(err)
		}
		r := request("203.0.113.9:1", nil)
		if tc.host != "" {
			r.Host = tc.host
		}
		if tc.origin != nil {
			r.Header["Origin"] = tc.origin
		}
		if entry := Missing(r); entry != "" {
			if named, err := NewOrigins("https://chat.example.com", []string{entry}); err != nil || !named.Allowed(r) {
				t.Errorf("Origin %.60q is not allowed by %q: %v", tc.origin, entry, err)
			}
		}
		if got := o.Allowed(r); got != tc.want {
			t.Errorf("list %v, Origin %.60q, Host %q: %v, want %v", tc.list, tc.origin, r.Host, got, tc.want)
		}
	}
	if _, err := NewOrigins("https://x", []string{"app.example.org"}); err == nil {
		t.Error("an entry that is no origin was taken")
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add("https://chat.example.com")
	f.Add("http://[::1")
	f.Fuzz(func(t *testing.T, origin string) {
		o, _ := NewOrigins("https://chat.example.com", nil)
		r := request("203.0.113.9:1", http.Header{"Origin": {origin}})
		if !o.Allowed(r) {
			return
		}
		// A second reading of the text itself: a scheme, the host, and nothing but a port before the path.
		scheme, rest, _ := strings.Cut(strings.ToLower(origin), "://")
		host, _, _ := strings.Cut(strings.NewReplacer("?", "/", "#", "/").Replace(rest), "/")
		if scheme != "https" && scheme != "wss" || host != "chat.example.com" && host != "chat.example.com:443" && host != "chat.example.com:" {
			t.Fatalf("%q may connect", origin)
		}
	})
}

// A8: what is hashed of the user agent is what was sent: requests that differ in
// one byte of it, in where it is cut, in how often it is there or in whether it
// is there at all are different clients. The requests are read from bytes, as a
// socket brings them; neighbours are generated on purpose.
func TestA8AgentsNeverShareADigest(t *testing.T) {
	read := func(t *rapid.T, agents []string) *rpc.Peer {
		raw := "GET / HTTP/1.1\r\nHost: h\r\n"
		for _, a := range agents {
			raw += "User-Agent: " + a + "\r\n"
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw + "\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = "192.0.2.1:1"
		return Proxies{}.Peer(r)
	}
	agent := rapid.OneOf(
		rapid.Just(""), rapid.SampledFrom([]string{"x\xe8y", "x\xe9y", "x\uFFFDy", "a", "aa", "A", "a,a", "a, a"}),
		rapid.Map(rapid.IntRange(maxAgent-2, maxAgent+2), func(n int) string { return strings.Repeat("a", n) }),
		rapid.Map(rapid.ByteRange('b', 'f'), func(b byte) string { return strings.Repeat("a", maxAgent) + string(rune(b)) }),
		rapid.Map(rapid.SliceOfN(rapid.ByteRange(0x21, 0xff).Filter(func(b byte) bool { return b != 0x7f }), 1, 8), func(b []byte) string { return string(b) }),
	)
	lists := rapid.SliceOfN(agent, 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		a, b := lists.Draw(t, "one"), lists.Draw(t, "other")
		if len(a) > 0 && rapid.Bool().Draw(t, "alike") { // but for one agent of one list, as likely as not of the same length
			b = slices.Clone(a)
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = agent.Draw(t, "instead")
			if tail := rapid.IntRange(0, len(a)-1).Draw(t, "tail of"); len(a[tail]) > 1 && rapid.Bool().Draw(t, "last byte") {
				b = slices.Clone(a)
				b[tail] = b[tail][:len(b[tail])-1] + "z"
			}
		}
		if got := read(t, a).AgentDigest == read(t, b).AgentDigest; got != slices.Equal(a, b) {
			t.Fatalf("%q and %q: one client %v", a, b, got)
		}
	})
}

func TestPeer(t *testing.T) {
	p, _ := ParseProxies(1, []string{"10.0.0.1"})
	r := request("10.0.0.1:1", http.Header{
		"X-Forwarded-For": {"203.0.113.9"}, "User-Agent": {strings.Repeat("ü", 1000) + "\xff"},
		"X-2fa-Code": {"123456"}, "X-2fa-Method": {"email"},
	})
	got := p.Peer(r)
	if got.Address != "203.0.113.9" || got.Proof.Text() != "123456" || got.Proof.Factor != "email" || len(got.UserAgent) > maxAgent ||
		!strings.HasPrefix(got.UserAgent, "üü") {
		t.Errorf("%s", fmt.Sprintf("%.200v", *got))
	}
}
