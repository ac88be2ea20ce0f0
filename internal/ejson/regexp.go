package ejson

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// validPattern tells whether JavaScript would compile a pattern. It follows the
// grammar of ECMAScript with its annex B, which browsers and Node use: without
// the u flag nearly everything stands for itself. Names of \p{…} properties are
// not looked up; when in doubt a pattern passes. The work is linear.
func validPattern(source string, unicode bool) bool {
	p := pattern{s: source, unicode: unicode}
	p.survey()
	return p.valid()
}

// pattern is a check on its way through a source text.
type pattern struct {
	s       string
	i       int
	unicode bool
	// names are those of all groups, groups their number (survey).
	names  []string
	groups int
}

// groupKind says what may follow the end of an open group.
type groupKind uint8

const (
	plainGroup groupKind = iota
	lookahead            // takes a quantifier, but not with the u flag
	lookbehind           // takes none
)

// survey counts groups and collects their names, which escapes may refer to
// before they come.
func (p *pattern) survey() {
	class := false
	for i := 0; i < len(p.s); i++ {
		switch p.s[i] {
		case '\\':
			i++
		case '[':
			class = true
		case ']':
			class = false
		case '(':
			if class {
				continue
			}
			rest := p.s[i+1:]
			named := strings.HasPrefix(rest, "?<") && !strings.HasPrefix(rest, "?<=") && !strings.HasPrefix(rest, "?<!")
			if named {
				name, _, _ := strings.Cut(rest[2:], ">")
				p.names = append(p.names, name)
			}
			if named || !strings.HasPrefix(rest, "?") {
				p.groups++
			}
		}
	}
}

// next gives the next character and steps over it; 0 at the end.
func (p *pattern) next() rune {
	r, size := utf8.DecodeRuneInString(p.s[p.i:])
	p.i += size
	if size == 0 {
		return 0
	}
	return r
}

func (p *pattern) done() bool { return p.i >= len(p.s) }

func (p *pattern) eat(prefix string) bool {
	if !strings.HasPrefix(p.s[p.i:], prefix) {
		return false
	}
	p.i += len(prefix)
	return true
}

func (p *pattern) valid() bool {
	var open []groupKind
	seen := map[string]bool{}
	for !p.done() {
		quantifiable := true
		switch c := p.next(); c {
		case '|', '^', '$':
			quantifiable = false
		case '(':
			kind, ok := p.group(seen)
			if !ok {
				return false
			}
			open = append(open, kind)
			quantifiable = false
		case ')':
			if len(open) == 0 {
				return false
			}
			kind := open[len(open)-1]
			open = open[:len(open)-1]
			quantifiable = kind == plainGroup || kind == lookahead && !p.unicode
		case '[':
			if !p.class() {
				return false
			}
		case '\\':
			var ok bool
			if quantifiable, ok = p.escape(); !ok {
				return false
			}
		case '*', '+', '?':
			return false
		case '{':
			p.i--
			if found, _ := p.braces(); found || p.unicode {
				return false
			}
			p.i++
		case '}', ']':
			if p.unicode {
				return false
			}
		}
		if quantifiable && !p.quantifier() {
			return false
		}
	}
	return len(open) == 0
}

// group reads what follows an opening parenthesis.
func (p *pattern) group(seen map[string]bool) (groupKind, bool) {
	switch {
	case !p.eat("?"), p.eat(":"):
		return plainGroup, true
	case p.eat("="), p.eat("!"):
		return lookahead, true
	case p.eat("<="), p.eat("<!"):
		return lookbehind, true
	case !p.eat("<"):
		return plainGroup, false
	}
	name, _, found := strings.Cut(p.s[p.i:], ">")
	if !found || !validName(name) || seen[name] {
		return plainGroup, false
	}
	seen[name] = true
	p.i += len(name) + 1
	return plainGroup, true
}

func validName(name string) bool {
	for i, r := range name {
		switch {
		case r == '$', r == '_', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= utf8.RuneSelf, r == '\\':
		case r >= '0' && r <= '9' && i > 0:
		case strings.ContainsRune("u{}", r) && strings.Contains(name, `\u`):
		default:
			return false
		}
	}
	return name != ""
}

// quantifier reads one if it comes next; false means that it is wrong. What
// follows a quantifier must not be another, which valid sees by itself.
func (p *pattern) quantifier() bool {
	switch {
	case p.eat("*"), p.eat("+"), p.eat("?"):
	case strings.HasPrefix(p.s[p.i:], "{"):
		found, ordered := p.braces()
		if !found {
			return !p.unicode
		}
		if !ordered {
			return false
		}
	default:
		return true
	}
	p.eat("?")
	return true
}

// braces reads {n}, {n,} or {n,m}; without one it stays where it is.
func (p *pattern) braces() (found, ordered bool) {
	start := p.i
	p.i++
	low := p.digits()
	high := low
	if low != "" && p.eat(",") {
		if high = p.digits(); high == "" {
			high = low
		}
	}
	if low == "" || !p.eat("}") {
		p.i = start
		return false, false
	}
	low, high = strings.TrimLeft(low, "0"), strings.TrimLeft(high, "0")
	return true, len(low) < len(high) || len(low) == len(high) && low <= high
}

func (p *pattern) digits() string {
	start := p.i
	for !p.done() && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		p.i++
	}
	return p.s[start:p.i]
}

// escape reads what follows a backslash outside a class.
func (p *pattern) escape() (quantifiable, ok bool) {
	if p.done() {
		return false, false
	}
	switch c := p.s[p.i]; {
	case c == 'b' || c == 'B':
		p.i++
		return false, true
	case c == 'k' && (p.unicode || len(p.names) > 0):
		p.i++
		name, _, found := strings.Cut(p.s[p.i:], ">")
		if !found || !strings.HasPrefix(name, "<") || !slices.Contains(p.names, name[1:]) {
			return false, false
		}
		p.i += len(name) + 1
		return true, true
	case c >= '1' && c <= '9' && p.unicode:
		digits := p.digits()
		return true, len(digits) < 9 && atoi(digits) <= p.groups
	}
	_, ok = p.character()
	return true, ok
}

func atoi(digits string) (n int) {
	for _, d := range digits {
		n = n*10 + int(d-'0')
	}
	return n
}

// set is the value of an escape that stands for many characters.
const set = rune(-1)

// character reads what follows a backslash and gives the character it stands for.
func (p *pattern) character() (rune, bool) {
	if p.done() {
		return 0, false
	}
	switch c := p.next(); c {
	case 'd', 'D', 's', 'S', 'w', 'W':
		return set, true
	case 't':
		return '\t', true
	case 'n':
		return '\n', true
	case 'v':
		return '\v', true
	case 'f':
		return '\f', true
	case 'r':
		return '\r', true
	case 'c':
		if !p.done() && isLetter(p.s[p.i]) {
			return p.next() & 31, true
		}
		p.i-- // a lone \c is a backslash followed by c
		return '\\', !p.unicode
	case 'x':
		return p.hex(2, c)
	case 'u':
		return p.unicodeEscape()
	case 'p', 'P':
		return p.property(c)
	default:
		return p.otherEscape(c)
	}
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func (p *pattern) otherEscape(c rune) (rune, bool) {
	switch {
	case c >= '0' && c <= '7' && !p.unicode:
		// Octal, up to three digits and 0o377; references fall in here too, whose
		// value matters only as the end of a range.
		n := c - '0'
		for range 2 {
			if p.done() || p.s[p.i] < '0' || p.s[p.i] > '7' || n*8+rune(p.s[p.i]-'0') > 0o377 {
				break
			}
			n = n*8 + rune(p.s[p.i]-'0')
			p.i++
		}
		return n, true
	case c == '0':
		return 0, p.done() || p.s[p.i] < '0' || p.s[p.i] > '9'
	case p.unicode:
		return c, strings.ContainsRune(`^$\.*+?()[]{}|/`, c)
	case c == 'k' && len(p.names) > 0:
		return c, false
	}
	return c, true
}

// hex reads n digits; without them the letter stands for itself, but not with
// the u flag.
func (p *pattern) hex(n int, letter rune) (rune, bool) {
	var r rune
	for i := range n {
		d := -1
		if p.i+i < len(p.s) {
			d = strings.IndexByte("0123456789abcdef", p.s[p.i+i]|0x20)
		}
		if d < 0 {
			return letter, !p.unicode
		}
		r = r<<4 | rune(d)
	}
	p.i += n
	return r, true
}

func (p *pattern) unicodeEscape() (rune, bool) {
	if !p.unicode || !p.eat("{") {
		r, ok := p.hex(4, 'u')
		if p.unicode && ok && r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(p.s[p.i:], `\u`) {
			// A pair of surrogates is one character.
			start := p.i
			p.i += 2
			if low, _ := p.hex(4, 'u'); low >= 0xdc00 && low < 0xe000 {
				return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, true
			}
			p.i = start
		}
		return r, ok
	}
	text, _, found := strings.Cut(p.s[p.i:], "}")
	if !found || text == "" {
		return 0, false
	}
	p.i += len(text) + 1
	var r rune
	for i := range len(text) {
		d := strings.IndexByte("0123456789abcdef", text[i]|0x20)
		if d < 0 {
			return 0, false
		}
		if r = r<<4 | rune(d); r > utf8.MaxRune {
			return 0, false
		}
	}
	return r, true
}

func (p *pattern) property(letter rune) (rune, bool) {
	if !p.unicode {
		return letter, true
	}
	if !p.eat("{") {
		return 0, false
	}
	name, _, found := strings.Cut(p.s[p.i:], "}")
	if !found || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=") != "" || name == "" || !isLetter(name[0]) {
		return 0, false
	}
	p.i += len(name) + 1
	return set, true
}

// class reads a character class after its opening bracket.
func (p *pattern) class() bool {
	p.eat("^")
	for {
		if p.done() {
			return false
		}
		if p.eat("]") {
			return true
		}
		low, ok := p.classAtom()
		if !ok {
			return false
		}
		if !strings.HasPrefix(p.s[p.i:], "-") || strings.HasPrefix(p.s[p.i:], "-]") {
			continue
		}
		p.i++
		if p.done() {
			return false
		}
		high, ok := p.classAtom()
		switch {
		case !ok, p.unicode && (low == set || high == set):
			return false
		case low != set && high != set && low > high:
			return false
		}
	}
}

func (p *pattern) classAtom() (rune, bool) {
	c := p.next()
	if c != '\\' {
		return c, true
	}
	if p.eat("b") {
		return '\b', true
	}
	if p.eat("-") {
		return '-', true
	}
	if !p.unicode && !p.done() && p.s[p.i] == 'c' {
		// In a class digits and the underscore may follow \c as well.
		if p.i+1 < len(p.s) && (isLetter(p.s[p.i+1]) || p.s[p.i+1] == '_' || p.s[p.i+1] >= '0' && p.s[p.i+1] <= '9') {
			p.i++
			return p.next() & 31, true
		}
		return '\\', true
	}
	return p.character()
}
