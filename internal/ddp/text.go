package ddp

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
)

// unquoted is the content of a JSON string, nil for any other value; a part of
// value when nothing in it is escaped.
func unquoted(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1]
	}
	content, _ := ejson.AppendText(nil, value)
	return content
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
