package ejson

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// lexer walks over JSON text. It accepts exactly RFC 8259; the caller has
// checked the text to be UTF-8.
type lexer struct {
	b []byte
	i int
}

// peek skips white space and gives the next byte, or 0 at the end.
func (l *lexer) peek() byte {
	for l.i < len(l.b) {
		switch c := l.b[l.i]; c {
		case ' ', '\t', '\n', '\r':
			l.i++
		default:
			return c
		}
	}
	return 0
}

// take consumes c, which must come next.
func (l *lexer) take(c byte) error {
	if l.peek() != c {
		return ErrSyntax
	}
	l.i++
	return nil
}

// more consumes the separator after a member: a comma (true) or the end (false).
func (l *lexer) more(end byte) (bool, error) {
	switch l.peek() {
	case ',':
		l.i++
		return true, nil
	case end:
		l.i++
		return false, nil
	}
	return false, ErrSyntax
}

// empty consumes end if it comes next.
func (l *lexer) empty(end byte) bool {
	if l.peek() != end {
		return false
	}
	l.i++
	return true
}

// end checks that nothing follows.
func (l *lexer) end() error {
	l.peek()
	if l.i != len(l.b) {
		return ErrSyntax
	}
	return nil
}

func (l *lexer) literal(word string) error {
	if len(l.b)-l.i < len(word) || string(l.b[l.i:l.i+len(word)]) != word {
		return ErrSyntax
	}
	l.i += len(word)
	return nil
}

// plain marks the bytes that stand for themselves inside a string.
var plain = func() (t [256]bool) {
	for i := range t {
		t[i] = i >= ' ' && i != '"' && i != '\\'
	}
	return
}()

// text consumes a string and gives what stands between its quotes; escaped says
// that it has to be unescaped.
func (l *lexer) text() (span []byte, escaped bool, err error) {
	if l.peek() != '"' {
		return nil, false, ErrSyntax
	}
	b, i := l.b, l.i+1
	start := i
	for {
		for i < len(b) && plain[b[i]] {
			i++
		}
		if i == len(b) {
			return nil, false, ErrSyntax
		}
		switch b[i] {
		case '"':
			l.i = i + 1
			return b[start:i], escaped, nil
		case '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return nil, false, ErrSyntax
			}
			escaped = true
			i += n
		default:
			return nil, false, ErrSyntax
		}
	}
}

// escapeLen is the length of the escape at the start of b, 0 for a wrong one.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if hex4(b[2:]) >= 0 {
			return 6
		}
	}
	return 0
}

// stringValue consumes a string and gives its value.
func (l *lexer) stringValue() (string, error) {
	span, escaped, err := l.text()
	if err != nil {
		return "", err
	}
	if !escaped {
		return string(span), nil
	}
	return string(unescape(make([]byte, 0, len(span)), span)), nil
}

// hex4 reads four hexadecimal digits, or gives -1.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// unescape appends the value of a span that text has checked. A lone surrogate
// becomes U+FFFD.
func unescape(dst, span []byte) []byte {
	for {
		at := bytes.IndexByte(span, '\\')
		if at < 0 {
			return append(dst, span...)
		}
		dst = append(dst, span[:at]...)
		c := span[at+1]
		span = span[at+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex4(span)
			span = span[4:]
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(span) >= 6 && span[0] == '\\' && span[1] == 'u' {
					low = hex4(span[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					span = span[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
}

// digits consumes a run of digits and tells whether there was one.
func (l *lexer) digits() bool {
	start := l.i
	for l.i < len(l.b) && l.b[l.i] >= '0' && l.b[l.i] <= '9' {
		l.i++
	}
	return l.i > start
}

// number consumes a number and gives its text.
func (l *lexer) number() ([]byte, error) {
	start := l.i
	if l.i < len(l.b) && l.b[l.i] == '-' {
		l.i++
	}
	first := l.i
	if !l.digits() || l.b[first] == '0' && l.i > first+1 {
		return nil, ErrSyntax
	}
	if l.i < len(l.b) && l.b[l.i] == '.' {
		if l.i++; !l.digits() {
			return nil, ErrSyntax
		}
	}
	if l.i < len(l.b) && l.b[l.i]|0x20 == 'e' {
		if l.i++; l.i < len(l.b) && (l.b[l.i] == '+' || l.b[l.i] == '-') {
			l.i++
		}
		if !l.digits() {
			return nil, ErrSyntax
		}
	}
	return l.b[start:l.i], nil
}

// float is the double of a number's text; too large ones are infinite, as in
// JavaScript.
func float(text []byte) float64 {
	if len(text) < 16 {
		if n, ok := smallInt(text); ok {
			return float64(n)
		}
	}
	f, _ := strconv.ParseFloat(string(text), 64)
	return f
}

// smallInt reads up to 15 digits without a sign, fraction or exponent.
func smallInt(text []byte) (n int64, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// skip consumes one value without looking for duplicate keys.
func (l *lexer) skip(depth int) error {
	switch c := l.peek(); c {
	case '{', '[':
		return l.skipNested(c, depth)
	case '"':
		_, _, err := l.text()
		return err
	case 't':
		return l.literal("true")
	case 'f':
		return l.literal("false")
	case 'n':
		return l.literal("null")
	}
	_, err := l.number()
	return err
}

func (l *lexer) skipNested(open byte, depth int) error {
	if depth <= 0 {
		return ErrDepth
	}
	l.i++
	end := open + 2 // ']' and '}' stand two after their openings
	if l.empty(end) {
		return nil
	}
	for {
		if open == '{' {
			if _, _, err := l.text(); err != nil {
				return err
			}
			if err := l.take(':'); err != nil {
				return err
			}
		}
		if err := l.skip(depth - 1); err != nil {
			return err
		}
		if more, err := l.more(end); !more {
			return err
		}
	}
}
