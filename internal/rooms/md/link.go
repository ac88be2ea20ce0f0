package md

import "strings"

// reference handles "[label](address)". A label holds no "]"; it may be empty.
func (l *line) reference(i int) int {
	if !l.links {
		return i
	}
	if l.brackets == nil {
		l.brackets = nexts(l.s, ']')
	}
	j := int(l.brackets[i])
	if j < 0 || j+1 >= len(l.s) || l.s[j+1] != '(' {
		return i
	}
	a, known := l.hrefs[j]
	if !known {
		a = parenthesised(l.s, j+1)
		if l.hrefs == nil {
			l.hrefs = map[int]address{}
		}
		l.hrefs[j] = a
	}
	if a.end == 0 {
		return i
	}
	return l.link(i, a.end, a.src, l.s[i+1:j])
}

// angle handles "<address|label>".
func (l *line) angle(i int) int {
	if !l.links {
		return i
	}
	if l.angles == nil {
		l.angles = nexts(l.s, '>')
	}
	j, bar := int(l.angles[i]), i+1
	for bar < len(l.s) && strings.IndexByte(" \t<>|", l.s[bar]) < 0 {
		bar++
	}
	if j < 0 || bar+1 >= j || l.s[bar] != '|' {
		return i
	}
	src := safeAddress(l.s[i+1 : bar])
	if src == "" {
		return i
	}
	return l.link(i, j+1, src, l.s[bar+1:j])
}

// link emits a link with a label that may hold emphasis but no link.
func (l *line) link(i, end int, src, label string) int {
	kids := []Node{{Kind: Plain, Text: src}}
	if label != "" {
		kids = l.inline(label, false)
	}
	return l.emit(i, end, Node{Kind: Link, Text: src, Kids: kids})
}

// nexts gives for each index the next index of c, or -1.
func nexts(s string, c byte) []int32 {
	out := make([]int32, len(s))
	next := int32(-1)
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == c {
			next = int32(i)
		}
		out[i] = next
	}
	return out
}

// maxAddress bounds an address in bytes, maxParentheses those inside one.
const (
	maxAddress     = 2048
	maxParentheses = 8
)

// parenthesised reads an address between the parenthesis at s[i] and the one
// that matches it.
func parenthesised(s string, i int) address {
	depth := 0
	for j := i; j < len(s) && j-i < maxAddress; j++ {
		switch s[j] {
		case '(':
			if depth++; depth > maxParentheses {
				return address{}
			}
		case ')':
			if depth--; depth == 0 {
				if src := safeAddress(s[i+1 : j]); src != "" {
					return address{src: src, end: j + 1}
				}
				return address{}
			}
		case ' ', '\t':
			return address{}
		}
	}
	return address{}
}

// maxTried is how many times a text without blanks is looked at for an address,
// each time from a later beginning, before it counts as plain.
const maxTried = 8

// autolink handles an address that stands in the text by itself.
func (l *line) autolink(i int) int {
	if !l.links || l.tried == maxTried && i < l.run || wordBefore(l.s, i) || !hasScheme(l.s[i:]) {
		return i
	}
	if i >= l.run {
		l.tried = 0
		for l.run = i; l.run < len(l.s) && strings.IndexByte(" \t<>\"|`\\", l.s[l.run]) < 0; {
			l.run++
		}
	}
	end := min(l.run, i+maxAddress)
	end = i + len(trimAddress(l.s[i:end]))
	src := safeAddress(l.s[i:end])
	if src == "" {
		l.tried++
		return i
	}
	return l.emit(i, end, Node{Kind: Link, Text: src, Kids: []Node{{Kind: Plain, Text: l.s[i:end]}}})
}

func hasScheme(s string) bool {
	return hasFold(s, "http://") || hasFold(s, "https://") || hasFold(s, "www.")
}

func hasFold(s, prefix string) bool {
	return len(s) > len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// trimAddress leaves out the punctuation behind an address, and a closing
// parenthesis that was not opened in it.
func trimAddress(s string) string {
	opened, closed := strings.Count(s, "("), strings.Count(s, ")")
	for len(s) > 0 {
		switch c := s[len(s)-1]; {
		case strings.IndexByte(".,!?*_~'\":;=", c) >= 0:
		case c == ')' && closed > opened:
			closed--
		default:
			return s
		}
		s = s[:len(s)-1]
	}
	return s
}

// safeAddress gives the address as a client may put it into a link, or "" when
// it is none: only http, https, mailto and tel have a place there. An address
// without a scheme gets the page's ("//host/path").
func safeAddress(s string) string {
	if a, ok := ReadAddress(s); ok && !a.Local() && (a.Host == "" || host(s[len(a.Scheme)+len("://"):])) {
		return s
	}
	if _, ok := ReadAddress("https://" + s); ok && strings.IndexByte(authority(s), '.') > 0 && host(s) {
		return "//" + s
	}
	return ""
}

// authority is the part before the path, query or fragment.
func authority(s string) string {
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		s = s[:i]
	}
	return s
}

// host tells whether s starts with something like a host and, maybe, a port.
// A scheme ("javascript:alert(1)") does not pass: behind a colon only digits may stand.
func host(s string) bool {
	a := authority(s)
	if i := strings.LastIndexByte(a, '@'); i >= 0 {
		a = a[i+1:]
	}
	name, port, _ := strings.Cut(a, ":")
	if name == "" || strings.Trim(port, "0123456789") != "" && !strings.HasPrefix(a, "[") {
		return false
	}
	return isAlnum(name[0]) || name[0] >= 0x80 || name[0] == '['
}
