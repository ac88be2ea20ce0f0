package ddp

import "encoding/binary"

// tracker follows the frame headers that pass by on their way to the library.
// It is there for two things the library does not tell: whether it holds bytes
// that it has not used yet, and a close frame whose payload is a single byte,
// which RFC 6455 (5.5.1) does not allow and which looks to it like one without
// a payload.
type tracker struct {
	skip     uint64 // payload bytes that still pass
	messages uint32 // final data frames that began to pass
	have     uint8  // header bytes seen
	head     [10]byte
	last     bool // the frame that passed last ends a message
	half     bool // such a close frame passed
}

// quiet tells whether nothing has passed behind the message whose number is n.
func (t *tracker) quiet(n uint32) bool {
	return t.have == 0 && t.skip == 0 && t.messages == n && (t.last || n == 0)
}

func (t *tracker) pass(p []byte) {
	for len(p) > 0 {
		if t.skip > 0 {
			n := min(t.skip, uint64(len(p)))
			t.skip -= n
			p = p[n:]
			continue
		}
		if int(t.have) < len(t.head) {
			t.head[t.have] = p[0]
		}
		t.have++
		p = p[1:]
		if t.have >= 2 && int(t.have) == t.size() {
			t.frame()
		}
	}
}

// size is the length of the header, once its second byte is there.
func (t *tracker) size() int {
	n := 2
	switch t.head[1] & 0x7f {
	case 126:
		n = 4
	case 127:
		n = 10
	}
	if t.head[1]&0x80 != 0 {
		n += 4 // the mask
	}
	return n
}

func (t *tracker) frame() {
	n := uint64(t.head[1] & 0x7f)
	switch n {
	case 126:
		n = uint64(binary.BigEndian.Uint16(t.head[2:]))
	case 127:
		n = binary.BigEndian.Uint64(t.head[2:])
	}
	t.half = t.half || n == 1 && t.head[0]&0x0f == 8
	t.last = t.head[0]&0x88 == 0x80 // final, and not a control frame
	if t.last {
		t.messages++
	}
	t.skip, t.have = n, 0
}
