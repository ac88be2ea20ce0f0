package md_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rooms/md"
)

func TestReadAddress(t *testing.T) {
	for s, want := range map[string]md.Address{
		"/path?x=1#y": {}, "/": {}, "/a//b": {}, "/avatar/ann": {},
		"https://Other.Example/x": {Scheme: "https", Host: "other.example"}, "HTTP://a.example:80": {Scheme: "http", Host: "a.example"},
		"https://a.example/100%": {Scheme: "https", Host: "a.example"}, "https://münchen.example/ö": {Scheme: "https", Host: "münchen.example"},
		"https://[::1]:8080/x": {Scheme: "https", Host: "::1"}, "https://u@b.example": {Scheme: "https", Host: "b.example"},
		"mailto:ann@a.example": {Scheme: "mailto"}, "tel:+49": {Scheme: "tel"},
	} {
		if a, ok := md.ReadAddress(s); !ok || a != want || a.Local() != (s[0] == '/') {
			t.Errorf("%q: %+v, %t", s, a, ok)
		}
	}
	for _, s := range []string{
		"", "x", "//other.example", "///other.example", "/\\other.example", "\\\\other.example", "\\/other.example", "/\t/other.example", "/\n/other.example",
		"\t//other.example",
		" //other.example", "/\u200b/x", "/\u202ex", "/\u00a0/x", "/\u0085x", "/\x00x", "/\xff",
		"javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", " javascript:alert(1)", "javascript://a.example/%0aalert(1)", "data:text/html,x",
		"vbscript:x",
		"blob:https://a.example/x", "file:///etc/passwd", "filesystem:x", "view-source:https://a.example", "ws://a.example", "ftp://a.example", "intent://x",
		"ms-word:x",
		"https:", "https:/a.example", "https:a.example", "https://", "https:///a.example", "https://?x", "https://#x", "https://:80", "https://u@",
		"https:\\\\a.example",
		"https://a.example\\@b.example", "https://a example", "https://a%zz.example", "http://[::1", ":x", "://x", "1:x", "?x", "#x", "mailto:", "mailto:/", "tel:",
		"/" + strings.Repeat("x", 2048),
	} {
		if a, ok := md.ReadAddress(s); ok {
			t.Errorf("%q was read as %+v", s, a)
		}
	}
}

// leads is where a browser goes from a page of https://here.example (WHATWG URL
// standard, as far as schemes and hosts are concerned): "" with a host of its own
// scheme for every scheme that runs or shows something else.
func leads(s string) (scheme, host string) {
	s = strings.Trim(s, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f ")
	s = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s)
	scheme = "https"
	if name, rest, ok := strings.Cut(s, ":"); ok && name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789+-.") == "" &&
		(name[0]|0x20) >= 'a' && (name[0]|0x20) <= 'z' {
		if scheme = strings.ToLower(name); scheme != "http" && scheme != "https" {
			return scheme, ""
		}
		s = "//" + strings.TrimLeft(strings.ReplaceAll(rest, "\\", "/"), "/") // any number of slashes, none too
	}
	s = strings.ReplaceAll(s, "\\", "/")
	if !strings.HasPrefix(s, "//") {
		return scheme, "here.example"
	}
	s = strings.TrimLeft(s, "/")
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	return scheme, s
}

// withoutPort is the host of an authority without name and password.
func withoutPort(s string) string {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		s, _, _ = strings.Cut(inner, "]")
		return s
	}
	s, _, _ = strings.Cut(s, ":")
	return s
}

// agrees checks that a browser goes where ReadAddress said, so that nothing passes
// as local that is not.
func agrees(t *testing.T, s string) {
	t.Helper()
	a, ok := md.ReadAddress(s)
	if !ok {
		return
	}
	scheme, host := leads(s)
	switch {
	case a.Local():
		if scheme != "https" || host != "here.example" {
			t.Errorf("%q passes as local and leads to %s %s", s, scheme, host)
		}
	case scheme != a.Scheme:
		t.Errorf("%q passes as %s and is %s", s, a.Scheme, scheme)
	case a.Host != "" && withoutPort(strings.ToLower(host)) != a.Host:
		t.Errorf("%q passes as leading to %s and leads to %s", s, a.Host, host)
	}
}

// The kind behind "//other.example passes as local": addresses put together from
// what readers of addresses disagree about (A19).
func TestA19AddressesLeadWhereTheyAreReadTo(t *testing.T) {
	parts := []string{"/", "//", "\\", ":", "@", "#", "?", ".", "%2f", "%5c", "[", "]", "\t", "\n", "\r", " ", "\x00", "\u200b", "\uff0f", "\u2044", "\u3002",
		"http", "https", "HTTPS", "javascript", "data", "mailto", "tel", "other.example", "here.example", "80", "a", "::1"}
	r := rand.New(rand.NewPCG(19, 19))
	accepted := 0
	for range 200000 {
		var b strings.Builder
		for range 1 + r.IntN(7) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		agrees(t, b.String())
		if _, ok := md.ReadAddress(b.String()); ok {
			accepted++
		}
		if t.Failed() {
			return
		}
	}
	if accepted < 1000 {
		t.Errorf("only %d of the addresses were read at all", accepted)
	}
}

// What is a link in a tree leads to a server over the page's scheme or over http, to a
// mailbox or to a telephone, in every place in which an address may stand (A19).
func TestA19LinksOfTreesLeadToServers(t *testing.T) {
	parts := []string{"/", "//", "\\", ":", "@", "#", "?", ".", "%2f", "[", "]", "(", ")", "\t", " ", "\x00", "\u200b", "\uff0f", "\u3002", "-", "_", "+", "|",
		"http", "https", "HTTPS", "javascript", "JavaScript", "data", "vbscript", "file", "mailto", "tel",
		"other.example.org", "com.app", "localhost", "80", "a", "alert(1)", "\u0130"}
	places := []string{"%s", "[x](%s)", "![x](%s)", "<%s|x>", "*[x](%s)*", "||%s||", "- %s", "> [x](%s) y"}
	r := rand.New(rand.NewPCG(19, 20))
	links := 0
	for range 200000 {
		var b strings.Builder
		for range 1 + r.IntN(7) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		text := strings.Replace(places[r.IntN(len(places))], "%s", b.String(), 1)
		md.Parse(text, time.Time{}).Walk(func(n *md.Node) {
			if n.Kind != md.Link && n.Kind != md.Image {
				return
			}
			links++
			if scheme, _ := leads(n.Text); !slices.Contains([]string{"http", "https", "mailto", "tel"}, scheme) {
				t.Errorf("%q has a link to %q, which is %s", text, n.Text, scheme)
			}
		})
		if t.Failed() {
			return
		}
	}
	if links < 1000 {
		t.Errorf("only %d links", links)
	}
}

func FuzzReadAddress(f *testing.F) {
	for _, s := range []string{"//x", "/\\x", "https://a.example\\@b", "javascript:x", "/x", "mailto:a@b"} {
		f.Add(s)
	}
	f.Fuzz(agrees)
}
