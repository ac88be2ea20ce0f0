package md

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// run remembers how far a class of characters goes on from one place: whoever looks from
// a later place inside finds the same end.
type run struct{ from, end int }

// of is the end of the run that i is in, which step extends one character at a time
// (it returns i when no more of it follows).
func (r *run) of(i int, step func(i int) int) int {
	if i < r.from || i >= r.end {
		r.from, r.end = i, i
		for n := step(i); n > r.end; n = step(n) {
			r.end = n
		}
	}
	return r.end
}

// ascii is a class of ASCII characters.
type ascii [128]bool

func classOf(chars string) (c ascii) {
	for i := range len(chars) {
		c[chars[i]] = true
	}
	return c
}

func (c *ascii) has(b byte) bool { return b < 128 && c[b] }

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

var (
	alnum     = classOf(letters + digits)
	schemed   = classOf(letters + digits + "+-")
	shortCode = classOf(letters + digits + "-_+.")
	userInfo  = classOf(letters + digits + "$&+_#?-")
	language  = classOf(letters + digits + " _-.")
	// trailing is what an address in the text does not end with.
	trailing = classOf(`.,!%~*"':;()=`)
	// closers is the same for an address in parentheses.
	closers = classOf(`.,!%*"':;=`)
	// unnamed are the characters that no host has.
	unnamed = classOf(`.,!%~*"':;()=` + `$@&+#?` + "\n\r \t" + "\\/|><`[]")
	// ended are those that end one even behind a hyphen.
	ended   = classOf("\n\r \t" + "\\/|><%`[]")
	mailed  = classOf("!#$%&'*+/=?^_`{|}~-")
	escaped = classOf("*_~`#.")
)

func (p *parser) at(i int, c byte) bool { return i < len(p.s) && p.s[i] == c }

func (p *parser) has(i int, prefix string) bool { return strings.HasPrefix(p.s[i:], prefix) }

// lineEnd is the length of the end of a line at i, or 0.
func (p *parser) lineEnd(i int) int {
	switch {
	case i >= len(p.s):
		return 0
	case p.s[i] == '\n':
		return 1
	case p.s[i] == '\r':
		if p.at(i+1, '\n') {
			return 2
		}
		return 1
	}
	return 0
}

// blanks is the index behind the blanks at i.
func (p *parser) blanks(i int) int {
	return p.blankRun.of(i, func(j int) int {
		if p.at(j, ' ') || p.at(j, '\t') {
			return j + 1
		}
		return j
	})
}

func (p *parser) many(i int, c *ascii) int {
	for i < len(p.s) && c.has(p.s[i]) {
		i++
	}
	return i
}

// size is the length of the character at i.
func (p *parser) size(i int) int {
	if p.s[i] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(p.s[i:])
	return n
}

// wordly tells whether c is a character to which "@" and "#" may be attached.
func wordly(c byte) bool {
	return c >= ' ' && c <= '\'' || c >= '+' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= utf8.RuneSelf
}

// nameChar tells whether names of users and rooms have the character.
func nameChar(r rune) bool {
	if r < utf8.RuneSelf {
		return alnum.has(byte(r)) || r == '-' || r == '_' || r == '.'
	}
	return letter(r)
}

// letter tells whether r is a letter or a digit of the first plane, where the published
// parser looks for them.
func letter(r rune) bool {
	if r < utf8.RuneSelf {
		return alnum.has(byte(r))
	}
	return r <= 0xFFFF && r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// mailChar tells whether a word of the part of an address before "@" begins so.
func mailChar(r rune) bool {
	return letter(r) || r > 0xFFFF || r >= 0x80 && unicode.IsMark(r) || pictured(r)
}

// pictured are the signs outside of letters that are taken for emoji in addresses.
func pictured(r rune) bool {
	switch {
	case r < 0xA9:
		return false
	case r == 0xA9, r == 0xAE, r == 0x203C, r == 0x2049, r == 0x2122, r == 0x2139, r == 0x200D, r == 0x24C2,
		r == 0x2328, r == 0x23CF, r == 0x25B6, r == 0x25C0, r == 0x2934, r == 0x2935, r == 0x2B50, r == 0x2B55,
		r == 0x3030, r == 0x303D, r == 0x3297, r == 0x3299, r == 0x25AA, r == 0x25AB, r == 0x2B1B, r == 0x2B1C:
		return true
	}
	return r >= 0x2190 && r <= 0x21FF || r >= 0x231A && r <= 0x231B || r >= 0x23E9 && r <= 0x23F3 || r >= 0x23F8 && r <= 0x23FA ||
		r >= 0x25FB && r <= 0x25FE || r >= 0x2600 && r <= 0x27BF || r >= 0x2B05 && r <= 0x2B07
}

// names is the index behind the name at i, i when there is none.
func (p *parser) names(i int) int {
	return p.nameRun.of(i, func(i int) int {
		if i < len(p.s) {
			if r, n := utf8.DecodeRuneInString(p.s[i:]); nameChar(r) {
				return i + n
			}
		}
		return i
	})
}

func (p *parser) alnums(i int) int {
	return p.alnumRun.of(i, func(i int) int {
		if i < len(p.s) && alnum.has(p.s[i]) {
			return i + 1
		}
		return i
	})
}
