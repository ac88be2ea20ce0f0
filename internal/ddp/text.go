package ddp

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
)

// Helpers over text that the scanner has found to be JSON.

// stringEnd is the index behind the string that begins at i.
func stringEnd(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// eachMember visits the top-level members of the object text until visit
// returns false; it tells whether it saw all.
func eachMember(text []byte, visit func(key, value []byte) bool) bool {
	i := bytes.IndexByte(text, '{') + 1
	for {
		for text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r' || text[i] == ',' {
			i++
		}
		if text[i] == '}' {
			return true
		}
		from := i
		i = stringEnd(text, i)
		key := text[from:i]
		for text[i] != ':' {
			i++
		}
		i++
		from = i
		i = valueEnd(text, i)
		if !visit(key, bytes.TrimSpace(text[from:i])) {
			return false
		}
	}
}

// eachElement visits the elements of the array text.
func eachElement(text []byte, visit func(value []byte)) {
	for i := 1; ; i++ {
		from := i
		i = valueEnd(text, i)
		if value := bytes.TrimSpace(text[from:i]); len(value) > 0 {
			visit(value)
		}
		if text[i] == ']' {
			return
		}
	}
}

// valueEnd is the index behind the member or element at i, blanks included.
func valueEnd(text []byte, i int) int {
	depth := 0
	for {
		switch text[i] {
		case '"':
			i = stringEnd(text, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
}

// unescaped is the content of a string without its quotes; raw itself when
// nothing is escaped.
func unescaped(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	quoted := make([]byte, 0, len(raw)+2)
	quoted = append(quoted, '"')
	quoted = append(quoted, raw...)
	quoted = append(quoted, '"')
	var s string
	if err := ejson.Unmarshal(quoted, &s); err != nil {
		return raw
	}
	return []byte(s)
}

// unquoted is the content of a JSON string, nil for any other value.
func unquoted(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	return unescaped(value[1 : len(value)-1])
}

// isString tells whether a raw value is there and a string.
func isString(value []byte) bool { return len(value) > 0 && value[0] == '"' }

// names keeps one string for each method and publication name, so that a call
// allocates none. It is bounded, for names come from strangers.
type names struct {
	known atomic.Pointer[map[string]string]
	mu    sync.Mutex
}

const maxNames = 2048

// unknownName matches the refusals of unknown methods and publications.
var unknownName = fault.Num(404, "")

func (n *names) of(name []byte) string {
	if m := n.known.Load(); m != nil {
		if s, ok := (*m)[string(name)]; ok {
			return s
		}
	}
	return string(name)
}

// learn keeps a name, unless err says that nothing has it.
func (n *names) learn(name string, err error) {
	if err != nil && errors.Is(err, unknownName) {
		return
	}
	if m := n.known.Load(); m != nil {
		if _, ok := (*m)[name]; ok {
			return
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	old := n.known.Load()
	next := make(map[string]string, 64)
	if old != nil {
		if len(*old) >= maxNames {
			return
		}
		for k, v := range *old {
			next[k] = v
		}
	}
	next[name] = name
	n.known.Store(&next)
}
