package ejson

import "unicode/utf8"

// Split cuts a JSON array into the texts of its elements, which stay parts of
// raw. It fails with ErrMismatch for another JSON value, with ErrUTF8, ErrDepth
// or ErrSyntax for no JSON. Duplicate keys are not looked for.
func Split(raw []byte) ([]Raw, error) {
	if !utf8.Valid(raw) {
		return nil, ErrUTF8
	}
	l := lexer{b: raw}
	if l.peek() != '[' {
		if err := l.skip(MaxDepth); err != nil {
			return nil, err
		}
		if err := l.end(); err != nil {
			return nil, err
		}
		return nil, ErrMismatch
	}
	l.i++
	list := []Raw{}
	if l.empty(']') {
		return list, l.end()
	}
	for {
		l.peek()
		start := l.i
		if err := l.skip(MaxDepth - 1); err != nil {
			return nil, err
		}
		list = append(list, raw[start:l.i])
		more, err := l.more(']')
		if err != nil {
			return nil, err
		}
		if !more {
			return list, l.end()
		}
	}
}

// AppendText appends the value of a JSON string, which must be all of raw; ok is
// false when raw is something else.
func AppendText(dst []byte, raw Raw) (out []byte, ok bool) {
	l := lexer{b: raw}
	span, escaped, err := l.text()
	if err != nil || l.end() != nil || !utf8.Valid(raw) {
		return dst, false
	}
	if !escaped {
		return append(dst, span...), true
	}
	return unescape(dst, span), true
}
