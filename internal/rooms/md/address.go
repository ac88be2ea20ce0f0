package md

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Address is what ReadAddress found.
type Address struct {
	// Scheme is "http", "https", "mailto" or "tel", or empty for a path on this server.
	Scheme string
	// Host is where an address with http or https leads, without port, in lower
	// case; empty otherwise.
	Host string
}

// Local tells whether the address is a path on this server.
func (a Address) Local() bool { return a.Scheme == "" }

// ReadAddress reads an address that a client is to put into a link: an absolute
// one with a scheme of the list, or a path that begins with one slash. ok is false
// for everything else, and for every spelling that browsers read otherwise than
// this function does: a second slash in front ("//host" leads to another server),
// a backslash (browsers take it for a slash), control characters, blanks and
// characters without a shape anywhere (browsers drop some of them), an address
// without a host, and text of more than 2048 bytes.
func ReadAddress(s string) (a Address, ok bool) {
	if s == "" || len(s) > maxAddress || !utf8.ValidString(s) || strings.ContainsFunc(s, unfit) {
		return Address{}, false
	}
	if s[0] == '/' {
		return Address{}, !strings.HasPrefix(s, "//")
	}
	scheme, rest, found := strings.Cut(s, ":")
	if !found || !isScheme(scheme) {
		return Address{}, false
	}
	a.Scheme = strings.ToLower(scheme)
	switch a.Scheme {
	case "http", "https":
		behind, double := strings.CutPrefix(rest, "//")
		if !double {
			return Address{}, false
		}
		// Only what says where it leads is parsed: a stray per cent sign in the path
		// is no reason to refuse what people paste.
		u, err := url.Parse(a.Scheme + "://" + authority(behind))
		if err != nil || u.Hostname() == "" {
			return Address{}, false
		}
		a.Host = strings.ToLower(u.Hostname())
		return a, true
	case "mailto":
		return a, rest != "" && (alnum.has(rest[0]) || rest[0] >= utf8.RuneSelf)
	case "tel":
		return a, rest != "" && (alnum.has(rest[0]) || rest[0] == '+')
	}
	return Address{}, false
}

// isScheme tells whether s is written like the name of a scheme.
func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return s != ""
}

// unfit are the characters that no address has and that programs read differently.
func unfit(r rune) bool {
	return r <= ' ' || r == '\\' || r == utf8.RuneError || unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}
