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

// textOf is JavaScript's String() of a decoded value.
func textOf(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(x)
	case float64:
		return string(appendNumber(nil, x))
	case string:
		return x
	case []any:
		parts := make([]string, len(x))
		for i, e := range x {
			if e != nil {
				parts[i] = textOf(e)
			}
		}
		return strings.Join(parts, ",")
	}
	return "[object Object]"
}

// base64Digit gives the value of a digit of the standard alphabet, or -1.
func base64Digit(c uint16) int {
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

// binaryForm reads base64 with Meteor's leniency (spec meteor-ddp B1): padding
// may be missing, a foreign character counts as zero in the first two places of
// a group and leaves its byte out in the others, but "=" in the first two fails.
func binaryForm(arg any) (any, error) {
	s, ok := arg.(string)
	if !ok {
		return nil, ErrValue
	}
	units := utf16.Encode([]rune(s))
	size := len(units) * 3 / 4
	if n := len(units); n > 0 && units[n-1] == '=' {
		if size--; n > 1 && units[n-2] == '=' {
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
	for i, c := range units {
		v := base64Digit(c)
		switch i % 4 {
		case 0, 1:
			if c == '=' {
				return nil, ErrValue
			}
			v = max(v, 0)
			if i%4 == 0 {
				first = v << 2
				continue
			}
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
	}
	return out, nil
}

// regexpForm makes a regular expression: flags are cut to 50 characters, only
// g i m u y are kept, each once, in the order JavaScript lists them.
func regexpForm(source, flags any) (any, error) {
	f, ok := flags.(string)
	if !ok {
		return nil, ErrValue
	}
	units := utf16.Encode([]rune(f))
	if len(units) > 50 {
		units = units[:50]
	}
	kept := ""
	for _, flag := range "gimuy" {
		for _, c := range units {
			if c == uint16(flag) {
				kept += string(flag)
				break
			}
		}
	}
	pattern := textOf(source)
	if !validPattern(pattern, strings.Contains(kept, "u")) {
		return nil, ErrValue
	}
	return RegExp{Source: sourceText(pattern), Flags: kept}, nil
}

// sourceText is the property "source" of a pattern: slashes outside classes and
// line ends are escaped, the empty pattern is "(?:)".
func sourceText(pattern string) string {
	if pattern == "" {
		return "(?:)"
	}
	if !strings.ContainsAny(pattern, "/\n\r\u2028\u2029") {
		return pattern
	}
	var b strings.Builder
	escaped, class := false, false
	for _, r := range pattern {
		name, lineEnd := lineEnds[r]
		switch {
		case lineEnd && escaped:
			b.WriteString(name[1:])
		case lineEnd:
			b.WriteString(name)
		case r == '/' && !escaped && !class:
			b.WriteString(`\/`)
		default:
			b.WriteRune(r)
		}
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == '[':
			class = true
		case r == ']':
			class = false
		}
	}
	return b.String()
}

var lineEnds = map[rune]string{'\n': `\n`, '\r': `\r`, '\u2028': `\u2028`, '\u2029': `\u2029`}

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
