package ws

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/testwait"
)

// stream is a network connection whose peer has sent data already, of which each
// read brings a piece.
type stream struct {
	data  []byte
	piece func() int
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), max(s.piece(), 1))], s.data)
	s.data = s.data[n:]
	return n, nil
}

func (s *stream) Write(p []byte) (int, error)      { return len(p), nil }
func (s *stream) Close() error                     { return nil }
func (s *stream) LocalAddr() net.Addr              { return &net.IPAddr{} }
func (s *stream) RemoteAddr() net.Addr             { return &net.IPAddr{} }
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// listener is a Receiver that writes down what it is told.
type listener struct {
	control  []string
	received int
	held     int // most that one message asked for
	now      int
	most     int // 0 for no limit
	pongs    int
}

func (l *listener) Waiting()       {}
func (l *listener) Received(n int) { l.received += n }
func (l *listener) Grow(n int) bool {
	if l.most > 0 && l.now+n > l.most {
		return false
	}
	l.now += n
	l.held = max(l.held, l.now)
	return true
}
func (l *listener) Control(frame []byte) { l.control = append(l.control, string(frame)) }
func (l *listener) Alive()               { l.pongs++ }

// readAll reads messages until there is an error.
func readAll(c *Conn, l *listener) (got []string, err error) {
	for {
		l.now = 0
		text, err := c.ReadFrame(l)
		if err != nil {
			return got, err
		}
		got = append(got, string(c.kind)+string(text))
	}
}

// masked is a frame as a client sends it.
func masked(random *rand.Rand, first byte, payload []byte) []byte {
	n := len(payload)
	head := []byte{first, 0x80 | byte(n)}
	switch {
	case n >= 1<<16:
		head = binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, uint64(n))
	case n >= 126:
		head = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(n))
	}
	key := random.Uint32()
	mask := binary.BigEndian.AppendUint32(nil, key)
	head = append(head, mask...)
	for i, b := range payload {
		head = append(head, b^mask[i&3])
	}
	return head
}

// deflated is a message as a client compresses it.
func deflated(text []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.DefaultCompression)
	_, _ = w.Write(text)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// ended is a message whose sender ends the compressed stream (RFC 7692, 7.2.3.4), with
// the byte that has to follow, or more.
func ended(text []byte, more int) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.DefaultCompression)
	_, _ = w.Write(text)
	_ = w.Close()
	return append(b.Bytes(), make([]byte, 1+more)...)
}

// dialogue is what a client may send: messages in whatever pieces, compressed or
// not, with control frames between, and what they mean.
func dialogue(random *rand.Rand) (sent []byte, messages, pings []string, pongs int) {
	for range 1 + random.IntN(12) {
		size := []int{0, 1, 60, 125, 126, 2000, 4096, 5000, 40_000, 70_000}[random.IntN(10)]
		kind, text := byte(wire.Text), []byte(strings.Repeat("aé😀\"", size/9+1)[:0])
		for len(text) < size {
			text = append(text, []string{"a", "é", "😀", " "}[random.IntN(4)]...)
		}
		if random.IntN(3) == 0 {
			kind = wire.Binary
			text = append(text, 0xff)
		}
		messages = append(messages, string(kind)+string(text))
		first, payload := kind, text
		if random.IntN(2) == 0 {
			first, payload = first|wire.Compressed, deflated(text)
			if random.IntN(2) == 0 {
				payload = ended(text, random.IntN(2)*random.IntN(6000))
			}
		}
		for last := false; !last; first = 0x80 {
			n := len(payload)
			if random.IntN(3) > 0 {
				n = random.IntN(len(payload) + 1)
			}
			last = n == len(payload) && random.IntN(4) > 0
			if head := first; last {
				sent = append(sent, masked(random, head, payload[:n])...)
			} else {
				sent = append(sent, masked(random, head&^0x80, payload[:n])...)
			}
			payload = payload[n:]
			switch random.IntN(5) {
			case 0:
				data := strings.Repeat("p", random.IntN(wire.MaxControl+1))
				pings = append(pings, data)
				sent = append(sent, masked(random, wire.Ping, []byte(data))...)
			case 1:
				pongs++
				sent = append(sent, masked(random, wire.Pong, []byte("late"))...)
			}
		}
	}
	return sent, messages, pings, pongs
}

// pieces are ways in which a stream may come.
func pieces(random *rand.Rand) func() int {
	most := []int{3, 50, 1000, 1 << 20}[random.IntN(4)]
	return func() int { return 1 + random.IntN(most) }
}

// Whatever a client may do with frames, its messages come out whole and in order,
// and its pings are answered: over a connection in memory and over a socket, which
// is read in another way.
func TestEveryWayOfFraming(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		sent, messages, pings, pongs := dialogue(random)
		sent = append(sent, masked(random, wire.Close, []byte{3, 0xe8})...)
		for name, conn := range map[string]net.Conn{
			"memory": &stream{data: slices.Clone(sent), piece: pieces(random)}, "socket": socketWith(t, slices.Clone(sent), pieces(rand.New(rand.NewPCG(seed, 2)))),
		} {
			c, l := &Conn{net: conn, deflate: true}, &listener{}
			c.useRaw()
			if (c.raw != nil) != (name == "socket") {
				t.Skip("no raw sockets here")
			}
			c.SetReadLimit(200_000)
			got, err := readAll(c, l)
			if err != io.EOF || !slices.Equal(got, messages) {
				t.Fatalf("seed %d, %s: %d messages and %v, want %d", seed, name, len(got), err, len(messages))
			}
			want := make([]string, 0, len(pings)+1)
			for _, data := range pings {
				want = append(want, string(wire.Append(nil, wire.Pong, []byte(data))))
			}
			want = append(want, string(wire.AppendClose(nil, 1000, "")))
			if !slices.Equal(l.control, want) || l.pongs != pongs {
				t.Fatalf("seed %d, %s: sent back %q, %d pongs; want %q and %d", seed, name, l.control, l.pongs, want, pongs)
			}
			if l.received != len(sent) {
				t.Errorf("seed %d, %s: told of %d bytes, not of %d", seed, name, l.received, len(sent))
			}
			_ = conn.Close()
		}
	}
}

// socketWith is the server's end of a socket whose client sends data in pieces.
func socketWith(t *testing.T, data []byte, piece func() int) net.Conn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for len(data) > 0 {
			n, err := client.Write(data[:min(len(data), max(piece(), 100))])
			if err != nil {
				return
			}
			data = data[n:]
		}
	}()
	t.Cleanup(func() {
		_ = server.Close()
		_ = client.Close()
		<-done
	})
	_ = server.SetReadDeadline(time.Now().Add(testwait.Limit))
	return server
}

// A message is refused as soon as it is longer than the limit, whether it is so
// in one frame, in pieces or once it is inflated, and holds no more than that.
func TestTooLongMessages(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	const limit = 20_000
	long := bytes.Repeat([]byte(" "), limit+1)
	var split []byte
	for i := range 300 {
		first := byte(0)
		if i == 0 {
			first = 1
		}
		split = append(split, masked(random, first, long[:100])...)
	}
	noise := make([]byte, 3*limit) // grows when it is compressed
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for name, data := range map[string][]byte{
		"one frame":              masked(random, wire.Text, long),
		"pieces":                 split,
		"inflated":               masked(random, wire.Text|wire.Compressed, deflated(bytes.Repeat(long, 50))),
		"noise":                  masked(random, wire.Binary|wire.Compressed, deflated(noise)),
		"empty blocks for ever":  masked(random, wire.Binary|wire.Compressed, bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), limit)),
		"a length nobody can be": {wire.Binary, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
	} {
		if name == "a length nobody can be" {
			data = append(data, long...)
		}
		c, l := &Conn{net: &stream{data: data, piece: pieces(random)}, deflate: true}, &listener{}
		c.SetReadLimit(limit)
		if got, err := readAll(c, l); err != ddp.ErrTooLong || len(got) != 0 {
			t.Errorf("%s: %d messages, %v", name, len(got), err)
		}
		if most := limit + inflaterSize; l.held > most {
			t.Errorf("%s: %d bytes were asked for, more than %d", name, l.held, most)
		}
	}
	// The longest that is allowed passes, and the limit may change on the way.
	c, l := &Conn{net: &stream{data: append(masked(random, wire.Text, long[1:]), masked(random, wire.Text, long)...), piece: pieces(random)}}, &listener{}
	c.SetReadLimit(limit)
	if text, err := c.ReadFrame(l); err != nil || len(text) != limit {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	c.SetReadLimit(limit + 1)
	if text, err := c.ReadFrame(l); err != nil || len(text) != limit+1 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// A session that may hold no more ends the message, and the buffer is given up.
func TestNoRoomEndsTheMessage(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	c := &Conn{net: &stream{data: masked(random, wire.Text, bytes.Repeat([]byte(" "), 50_000)), piece: pieces(random)}}
	c.SetReadLimit(100_000)
	if _, err := c.ReadFrame(&listener{most: 20_000}); err != io.EOF {
		t.Error(err)
	}
	c.Finish()
	if c.message != nil || c.in != nil {
		t.Error("a buffer is held")
	}
}

// What breaks the protocol is refused with the reason, after the messages before.
func TestBrokenFrames(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	good := masked(random, wire.Text, []byte("good"))
	for name, c := range map[string]struct {
		data []byte
		err  error
		code int // 0 for none of its own
	}{
		"the peer vanishes":          {nil, io.EOF, 0},
		"within a header":            {[]byte{0x81}, io.EOF, 0},
		"within a long header":       {[]byte{0x81, 0xfe, 1}, io.EOF, 0},
		"within a message":           {masked(random, wire.Text, []byte("half"))[:8], io.EOF, 0},
		"between pieces":             {masked(random, 1, []byte("half")), io.EOF, 0},
		"no mask":                    {[]byte{wire.Text, 1, 'x'}, ddp.ErrFraming, 1002},
		"reserved bit 2":             {masked(random, wire.Text|0x20, nil), ddp.ErrFraming, 1002},
		"reserved bit 3":             {masked(random, wire.Text|0x10, nil), ddp.ErrFraming, 1002},
		"compressed ping":            {masked(random, wire.Ping|wire.Compressed, nil), ddp.ErrFraming, 1002},
		"compressed continuation":    {append(masked(random, 1, nil), masked(random, 0x80|wire.Compressed, nil)...), ddp.ErrFraming, 1002},
		"reserved opcode":            {masked(random, 0x83, nil), ddp.ErrFraming, 1002},
		"reserved control opcode":    {masked(random, 0x8b, nil), ddp.ErrFraming, 1002},
		"ping in pieces":             {masked(random, 0x09, nil), ddp.ErrFraming, 1002},
		"ping too long":              {masked(random, wire.Ping, make([]byte, 126)), ddp.ErrFraming, 1002},
		"continuation of nothing":    {masked(random, 0x80, nil), ddp.ErrFraming, 1002},
		"message in a message":       {append(masked(random, 1, nil), masked(random, wire.Text, nil)...), ddp.ErrFraming, 1002},
		"length with the top bit":    {[]byte{wire.Binary, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, ddp.ErrFraming, 1002},
		"close with half a code":     {masked(random, wire.Close, []byte{3}), ddp.ErrFraming, 1002},
		"close with a reserved code": {masked(random, wire.Close, []byte{3, 0xed}), ddp.ErrFraming, 1002},
		"close text not UTF-8":       {masked(random, wire.Close, []byte{3, 0xe8, 0xff}), ddp.ErrFraming, 1007},
		"text not UTF-8":             {masked(random, wire.Text, []byte("\xff")), ddp.ErrNotUTF8, 0},
		"not deflate":                {masked(random, wire.Text|wire.Compressed, []byte("\xff\xff\xff\xff")), ddp.ErrFraming, 0},
	} {
		conn, l := &Conn{net: &stream{data: slices.Concat(good, good, c.data), piece: pieces(random)}, deflate: true}, &listener{}
		conn.SetReadLimit(1000)
		got, err := readAll(conn, l)
		if err != c.err || len(got) != 2 {
			t.Errorf("%s: %q, %v; want %v", name, got, err, c.err)
		}
		code := 0
		if len(l.control) > 0 {
			if _, payload, _ := wire.Next([]byte(l.control[0])); len(payload) > 1 {
				code = int(binary.BigEndian.Uint16(payload))
			}
		}
		if code != c.code {
			t.Errorf("%s: close %d, want %d", name, code, c.code)
		}
	}
	// Without the extension a compressed message is a reserved bit.
	conn, l := &Conn{net: &stream{data: masked(random, wire.Text|wire.Compressed, deflated([]byte("x"))), piece: pieces(random)}}, &listener{}
	if _, err := readAll(conn, l); err != ddp.ErrFraming {
		t.Error(err)
	}
}

// theirs reads the same with the library, as a server.
func theirs(data []byte) (got []string) {
	request, _ := http.NewRequest(http.MethodGet, "/", nil)
	request.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Extensions": {"permessage-deflate"},
	}
	u := websocket.Upgrader{EnableCompression: true, ReadBufferSize: 256, WriteBufferSize: 256}
	socket, err := u.Upgrade(taken{&stream{data: data, piece: func() int { return 1 << 20 }}}, request, nil)
	if err != nil {
		return nil
	}
	for {
		kind, text, err := socket.ReadMessage()
		if err != nil {
			return got
		}
		got = append(got, string(byte(0x80|kind))+string(text))
	}
}

// taken is a response whose connection can be taken over.
type taken struct{ conn net.Conn }

func (taken) Header() http.Header         { return http.Header{} }
func (taken) Write(p []byte) (int, error) { return len(p), nil }
func (taken) WriteHeader(int)             {}
func (w taken) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(strings.NewReader("")), bufio.NewWriter(w.conn)), nil
}

// FuzzFrames reads anything as ours and as the library's: what we give out is what
// it gives out, and we stop before it only to refuse.
func FuzzFrames(f *testing.F) {
	random := rand.New(rand.NewPCG(6, 6))
	for range 10 {
		if sent, _, _, _ := dialogue(random); len(sent) < 4000 {
			f.Add(sent, byte(7))
		}
	}
	f.Add([]byte{0x81, 0x80, 0, 0, 0, 0}, byte(1))
	f.Add(slices.Concat(masked(random, 1, []byte("a")), masked(random, wire.Ping, nil), masked(random, 0x80, []byte("b"))), byte(3))
	f.Fuzz(func(t *testing.T, data []byte, most byte) {
		n := 0
		c, l := &Conn{net: &stream{data: slices.Clone(data), piece: func() int { n++; return n*7919%(int(most)+1) + 1 }}, deflate: true}, &listener{}
		c.SetReadLimit(1 << 20)
		got, err := readAll(c, l)
		for _, m := range got {
			if m[0] == wire.Text && !utf8.ValidString(m[1:]) {
				t.Fatalf("not UTF-8: %q", m)
			}
		}
		want := theirs(slices.Clone(data))
		if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Fatalf("%x: got %q, the library %q", data, got, want)
		}
		if err == io.EOF && c.packed && len(got) == len(want)-1 {
			return // it does not wait for the rest of a message whose stream has ended
		}
		if len(got) < len(want) && !errors.Is(err, ddp.ErrFraming) && !errors.Is(err, ddp.ErrNotUTF8) && !errors.Is(err, ddp.ErrTooLong) {
			t.Fatalf("%x: got %d messages and %v, the library %d", data, len(got), err, len(want))
		}
		c.Finish()
		if c.in != nil || c.message != nil {
			t.Fatal("a buffer is held")
		}
	})
}

// Unmasking is the same at every alignment.
func TestUnmask(t *testing.T) {
	for at := range 4 {
		for n := range 70 {
			c := &Conn{mask: [4]byte{1, 2, 3, 4}, maskAt: at}
			p := make([]byte, n)
			c.unmask(p)
			for i, b := range p {
				if b != c.mask[(at+i)&3] {
					t.Fatalf("at %d, %d bytes: %v", at, n, p)
				}
			}
			if c.maskAt != (at+n)&3 {
				t.Fatalf("at %d, %d bytes: goes on at %d", at, n, c.maskAt)
			}
		}
	}
}

func BenchmarkReadFrame(b *testing.B) {
	random := rand.New(rand.NewPCG(8, 8))
	for _, size := range []int{60, 300, 3000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			frame := masked(random, wire.Text, bytes.Repeat([]byte("x"), size))
			source := &stream{piece: func() int { return 4096 }}
			c, l := &Conn{net: source}, &listener{}
			c.SetReadLimit(1 << 20)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				source.data = frame
				if _, err := c.ReadFrame(l); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
