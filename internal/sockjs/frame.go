package sockjs

import (
	"bytes"
	"strconv"
	"sync"
	"unicode/utf8"

	"ddpserver/internal/ejson"
)

// Frames from server to client.
const (
	openFrame      = "o"
	heartbeatFrame = "h"
)

// closeFrame is c[code,"reason"].
func closeFrame(code int, reason string) []byte {
	b := strconv.AppendInt([]byte("c["), int64(code), 10)
	b = ejson.AppendString(append(b, ','), reason)
	return append(b, ']')
}

// Close codes of SockJS itself.
const (
	codeStillOpen = 2010
	codeBroken    = 3000
)

// appendMessages appends a["m1","m2",…].
func appendMessages(dst []byte, messages [][]byte) []byte {
	dst = append(dst, 'a', '[')
	for i, m := range messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(dst, m)
	}
	return append(dst, ']')
}

// appendQuoted appends a message as a JSON string in which everything is escaped
// that some browser or proxy loses: besides control characters those that need
// surrogates, U+200C–200F, U+2028–202F, U+2060–206F and U+FFF0–FFFF.
func appendQuoted(dst, m []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(m); {
		c := m[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(m[i:])
			if lost(r) {
				dst = append(dst, m[start:i]...)
				dst = appendUnits(dst, r)
				start = i + size
			}
			i += size
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, m[start:i]...)
		dst = appendEscaped(dst, c)
		i++
		start = i
	}
	dst = append(dst, m[start:]...)
	return append(dst, '"')
}

func lost(r rune) bool {
	switch {
	case r < 0x200c:
		return false
	case r <= 0x200f, r >= 0x2028 && r <= 0x202f, r >= 0x2060 && r <= 0x206f, r >= 0xfff0:
		return true
	}
	return false
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return appendUnit(dst, rune(c))
}

// appendUnits appends a character as one or two \uXXXX.
func appendUnits(dst []byte, r rune) []byte {
	if r >= 0x10000 {
		r -= 0x10000
		dst = appendUnit(dst, 0xd800|r>>10)
		r = 0xdc00 | r&0x3ff
	}
	return appendUnit(dst, r)
}

func appendUnit(dst []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// posts are the messages of one frame or body that a client sent: the elements of
// a list, or a single value. They are made one by one, when they are wanted: a
// list of a million ones would cost thirty times its text.
type posts struct {
	list   ejson.Elements
	single ejson.Raw
}

// postsOf checks what a client sent.
func postsOf(raw []byte, listOnly bool) (posts, error) {
	list, err := ejson.Walk(raw)
	if err == ejson.ErrMismatch && !listOnly {
		return posts{single: bytes.TrimSpace(raw)}, nil
	}
	return posts{list: list}, err
}

// next is the next message that is not empty; nil after the last. One that is
// not a string is coerced to text, which no DDP message is.
func (p *posts) next() []byte {
	for {
		e, ok := p.single, p.single != nil
		if p.single = nil; !ok {
			if e, ok = p.list.Next(); !ok {
				return nil
			}
		}
		m, ok := ejson.AppendText(nil, e)
		if !ok {
			m = coerced(e)
		}
		if len(m) > 0 {
			return m
		}
	}
}

// coerced is a value as JavaScript would write it into a text, near enough.
func coerced(e ejson.Raw) []byte {
	if e[0] == '{' || e[0] == '[' {
		return []byte("[object Object]")
	}
	return append([]byte(nil), e...)
}

// buffers keeps what frames are built in.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// keptBuffer is the largest buffer that is kept.
const keptBuffer = 64 << 10

func getBuffer() *[]byte { return buffers.Get().(*[]byte) }

func putBuffer(b *[]byte) {
	if cap(*b) <= keptBuffer {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}
