package ddp

import "ddpserver/internal/ejson"

// version is a version of the protocol. pre2 behaves as 1; pre1 has no
// heartbeats (docs/wire/ddp.md A5).
type version uint8

const (
	none version = iota
	v1
	pre2
	pre1
)

// String is the version's name on the wire.
func (v version) String() string { return [...]string{"", "1", "pre2", "pre1"}[v] }

func versionOf(name string) version {
	switch name {
	case "1":
		return v1
	case "pre2":
		return pre2
	case "pre1":
		return pre1
	}
	return none
}

// negotiate chooses the version: that of the client if it is the first in its
// list that the server knows. Otherwise ok is false and v is what the server
// would have spoken.
func negotiate(want, support []byte) (v version, ok bool) {
	if !isString(want) || len(support) == 0 || support[0] != '[' {
		return v1, false
	}
	name, listed, strange := string(unquoted(want)), false, false
	elements, _ := ejson.Walk(support)
	for value, ok := elements.Next(); ok; value, ok = elements.Next() {
		if !isString(value) {
			strange = true
			continue
		}
		l := string(unquoted(value))
		listed = listed || l == name
		if v == none {
			v = versionOf(l)
		}
	}
	if strange || !listed || v == none {
		return v1, false
	}
	return v, v == versionOf(name)
}

// connect deals with a connect message, at once.
func (s *Session) connect(text []byte, e *envelope) {
	if s.connected {
		s.malformed("Already connected", compact(text, e))
		return
	}
	v, ok := negotiate(e.version.Of(text), e.support.Of(text))
	f := s.frames()
	if !ok {
		f.failed(v)
		s.put(f.buffer)
		s.end(Refused)
		return
	}
	s.connected, s.version, s.quiet = true, v, true
	s.mu.Lock()
	if s.ended || s.draining {
		s.mu.Unlock()
		putBuffer(f.buffer)
		return
	}
	s.live = true
	s.mu.Unlock()
	if c, ok := s.conn.(interface{ Connected() }); ok {
		c.Connected()
	}
	s.srv.connected(s)
	f.connected(s.ID())
	s.put(f.buffer)
	s.heartbeat()
	s.enqueue(&item{s: s, kind: kindHello})
}
