package ejson

import (
	"iter"
	"unicode/utf8"
)

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

// Elements hands out the elements of a JSON array one by one, so that a text of
// a million small ones costs no list of them. Make it with Walk.
type Elements struct {
	raw []byte
	at  int // behind the element given out last; 0 at first
}

// Walk checks that raw is a JSON array and returns its elements. It fails with
// ErrMismatch for another JSON value, with ErrUTF8, ErrDepth or ErrSyntax for no
// JSON. Duplicate keys are not looked for. It allocates nothing that grows with raw.
func Walk(raw []byte) (Elements, error) {
	if !utf8.Valid(raw) {
		return Elements{}, ErrUTF8
	}
	l := lexer{b: raw}
	list := l.peek() == '['
	if err := l.skip(MaxDepth); err != nil {
		return Elements{}, err
	}
	if err := l.end(); err != nil {
		return Elements{}, err
	}
	if !list {
		return Elements{}, ErrMismatch
	}
	return Elements{raw: raw}, nil
}

// Next is the next element, a part of the text that was given to Walk; false
// after the last one.
func (e *Elements) Next() (Raw, bool) {
	if e.raw == nil {
		return nil, false
	}
	l := lexer{b: e.raw, i: e.at}
	var more bool
	if e.at == 0 {
		l.peek()
		l.i++
		more = !l.empty(']')
	} else {
		more, _ = l.more(']') // Walk has seen that it is well-formed
	}
	if !more {
		e.raw = nil
		return nil, false
	}
	l.peek()
	start := l.i
	_ = l.skip(MaxDepth)
	e.at = l.i
	return e.raw[start:l.i], true
}

// ObjectMembers are the members of a JSON object that was scanned, as they stand
// there: a key is a JSON string.
func ObjectMembers(raw []byte) iter.Seq2[Raw, Raw] {
	return func(yield func(key, value Raw) bool) {
		l := lexer{b: raw}
		if l.take('{') != nil || l.empty('}') {
			return
		}
		for more := true; more; {
			l.peek()
			from := l.i
			if _, _, err := l.text(); err != nil {
				return
			}
			key := raw[from:l.i]
			if l.take(':') != nil {
				return
			}
			l.peek()
			from = l.i
			if l.skip(MaxDepth) != nil || !yield(key, raw[from:l.i]) {
				return
			}
			more, _ = l.more('}')
		}
	}
}
