package ejson

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
)

// numberOf is JavaScript's conversion of a decoded value to a number. Lists and
// objects, whose conversion goes through text, are NaN.
func numberOf(v any) float64 {
	switch x := v.(type) {
	case nil:
		return 0
	case float64:
		return x
	case bool:
		if x {
			return 1
		}
		return 0
	case string:
		s := strings.TrimSpace(x)
		if s == "" {
			return 0
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && !strings.ContainsAny(s, "_xXpPnN") {
			return f
		}
	}
	return math.NaN()
}

// base64Digit gives the value of a digit of the standard alphabet, or -1.
func base64Digit(c rune) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// binaryForm reads base64 with Meteor's leniency (docs/wire/ddp.md B1): padding
// may be missing, a foreign character counts as zero in the first two places of
// a group and leaves its byte out in the others, but "=" in the first two fails.
// Places are counted in UTF-16 units, as JavaScript counts them.
func binaryForm(s string) (any, error) {
	units := 0
	for _, r := range s {
		units += utf16.RuneLen(r)
	}
	size := units * 3 / 4
	if n := len(s); n > 0 && s[n-1] == '=' {
		if size--; n > 1 && s[n-2] == '=' {
			size--
		}
	}
	out := make([]byte, max(size, 0))
	at := 0
	put := func(b int) {
		// The length is settled beforehand; what does not fit is dropped.
		if at < len(out) {
			out[at] = byte(b)
		}
		at++
	}
	var first, second, third int
	i := 0
	for _, c := range s {
		for range utf16.RuneLen(c) { // both halves of a pair are foreign
			v := base64Digit(c)
			switch i % 4 {
			case 0:
				first = max(v, 0) << 2
			case 1:
				v = max(v, 0)
				put(first | v>>4)
				second = v & 15 << 4
			case 2:
				if v >= 0 {
					put(second | v>>2)
					third = v & 3 << 6
				}
			case 3:
				if v >= 0 {
					put(third | v)
				}
			}
			if c == '=' && i%4 < 2 {
				return nil, ErrValue
			}
			i++
		}
	}
	return out, nil
}

// maxPattern bounds the source of a regular expression in bytes, maxFlags what
// is read of its flags in UTF-16 units, as in Meteor.
const (
	maxPattern = 32 << 10
	maxFlags   = 50
)

// regexpForm makes a regular expression. The source is a text that nobody here
// reads; of the flags only g i m u y are kept, each once, in JavaScript's order.
func regexpForm(source, flags any) (any, error) {
	text, ok := source.(string)
	letters, okFlags := flags.(string)
	if !ok || !okFlags || len(text) > maxPattern {
		return nil, ErrValue
	}
	var has [5]bool
	units := 0
	for _, r := range letters {
		if units += utf16.RuneLen(r); units > maxFlags {
			break
		}
		if i := strings.IndexRune(regexpFlags, r); i >= 0 {
			has[i] = true
		}
	}
	kept := make([]byte, 0, len(has))
	for i, on := range has {
		if on {
			kept = append(kept, regexpFlags[i])
		}
	}
	return RegExp{Source: text, Flags: string(kept)}, nil
}

const regexpFlags = "gimuy"

// decimal tells whether a text is a number for the Decimal type.
func decimal(s string) bool {
	s = strings.TrimLeft(s, "+-")
	if s == "NaN" || s == "Infinity" {
		return true
	}
	l := lexer{b: []byte(s)}
	whole := l.digits()
	if l.i < len(s) && s[l.i] == '.' {
		l.i++
		whole = l.digits() || whole
	}
	if !whole {
		return false
	}
	if l.i < len(s) && s[l.i]|0x20 == 'e' {
		if l.i++; l.i < len(s) && (s[l.i] == '+' || s[l.i] == '-') {
			l.i++
		}
		if !l.digits() {
			return false
		}
	}
	return l.i == len(s)
}
