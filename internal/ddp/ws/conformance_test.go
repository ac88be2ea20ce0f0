package ws_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"ddpserver/internal/ddp/ws"
	"ddpserver/internal/testwait"
)

// rawWS is a client that can break every rule.
type rawWS struct {
	t    *testing.T
	conn net.Conn
}

func dialRaw(t *testing.T, url string) *rawWS {
	t.Helper()
	client, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	_ = client.NetConn().SetDeadline(time.Now().Add(testwait.Limit))
	return &rawWS{t, client.NetConn()}
}

// frame makes a masked frame.
func rawFrame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0xfe), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0xff), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

func (r *rawWS) send(frames ...[]byte) {
	for _, f := range frames {
		_, _ = r.conn.Write(f) // the server may have closed
	}
}

func (r *rawWS) read() (first byte, payload string, err error) {
	var head [10]byte
	if _, err = io.ReadFull(r.conn, head[:2]); err != nil {
		return 0, "", err
	}
	n := uint64(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(r.conn, head[2:4])
		n = uint64(binary.BigEndian.Uint16(head[2:4]))
	case 127:
		_, err = io.ReadFull(r.conn, head[2:10])
		n = binary.BigEndian.Uint64(head[2:10])
	}
	if err != nil {
		return 0, "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r.conn, b)
	return head[0], string(b), err
}

func (r *rawWS) wantFrame(first byte, payload string) {
	r.t.Helper()
	f, p, err := r.read()
	if err != nil || f != first || p != payload {
		r.t.Fatalf("got %x %.100q %v, want %x %.100q", f, p, err, first, payload)
	}
}

// wantClose expects a close frame (0 for one without a code) and then the end.
func (r *rawWS) wantClose(code int) {
	r.t.Helper()
	f, p, err := r.read()
	if err != nil || f != 0x88 {
		r.t.Fatalf("got %x %.100q %v, want close %d", f, p, err, code)
	}
	got := 0
	if len(p) >= 2 {
		got = int(binary.BigEndian.Uint16([]byte(p)))
	}
	if got != code {
		r.t.Fatalf("got close %d %q, want %d", got, p[min(2, len(p)):], code)
	}
	if _, _, err := r.read(); !errors.Is(err, io.EOF) {
		r.t.Fatalf("after the close: %v", err)
	}
}

func closeFrame(code int, text string) []byte {
	return rawFrame(0x88, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+text)
}

// TestEchoConformance walks through RFC 6455 as conformance suites do: framing,
// pings, reserved bits and opcodes, fragmentation, UTF-8, close handling, sizes.
func TestEchoConformance(t *testing.T) {
	url := echoServer(t, ws.EchoOptions{})
	const text, bin, cont, ping, pong = 0x81, 0x82, 0x80, 0x89, 0x8a
	type step = func(r *rawWS)
	send := func(f ...[]byte) step { return func(r *rawWS) { r.send(f...) } }
	frame := func(first byte, p string) step { return func(r *rawWS) { r.t.Helper(); r.wantFrame(first, p) } }
	closes := func(code int) step { return func(r *rawWS) { r.t.Helper(); r.wantClose(code) } }
	bytewise := func(b []byte) [][]byte {
		var all [][]byte
		for i := range b {
			all = append(all, b[i:i+1])
		}
		return all
	}
	utf := "κόσμε\U0001F600"
	cases := map[string][]step{
		"echo sizes": {func(r *rawWS) {
			for _, n := range []int{0, 125, 126, 127, 128, 65535, 65536, 1 << 20} {
				p := strings.Repeat("*", n)
				go r.send(rawFrame(text, p))
				r.wantFrame(text, p)
				go r.send(rawFrame(bin, p))
				r.wantFrame(bin, p)
			}
		}, send(closeFrame(1000, "")), closes(1000)},
		"byte by byte":           {send(bytewise(rawFrame(text, utf))...), frame(text, utf)},
		"ping":                   {send(rawFrame(ping, "")), frame(pong, ""), send(rawFrame(ping, "\x00\xff")), frame(pong, "\x00\xff")},
		"ten pings":              {send(rawFrame(ping, "a"), rawFrame(ping, "b")), frame(pong, "a"), frame(pong, "b")},
		"ping too long":          {send(rawFrame(ping, strings.Repeat("x", 126))), closes(1002)},
		"unsolicited pong":       {send(rawFrame(pong, "x"), rawFrame(ping, "y")), frame(pong, "y")},
		"fragmented ping":        {send(rawFrame(0x09, "a"), rawFrame(cont, "b")), closes(1002)},
		"fragmented pong":        {send(rawFrame(0x0a, "a")), closes(1002)},
		"rsv1":                   {send(rawFrame(text|0x40, "x")), closes(1002)},
		"rsv2 after a good one":  {send(rawFrame(text, "x"), rawFrame(text|0x20, "y")), frame(text, "x"), closes(1002)},
		"rsv3 in a ping":         {send(rawFrame(ping|0x10, "x")), closes(1002)},
		"opcode 3":               {send(rawFrame(0x83, "x")), closes(1002)},
		"opcode 11":              {send(rawFrame(0x8b, "")), closes(1002)},
		"opcode 15":              {send(rawFrame(text, "a"), rawFrame(0x8f, "x")), frame(text, "a"), closes(1002)},
		"length of 2^63":         {send([]byte{text, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}), closes(1002)},
		"length of 2^64-1":       {send([]byte{text, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}), closes(1002)},
		"length of 2^62":         {send([]byte{text, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 'x'}), closes(1009)},
		"no mask":                {send([]byte{text, 1, 'x'}), closes(1002)},
		"fragments":              {send(rawFrame(0x01, "fr"), rawFrame(0x00, "ag"), rawFrame(cont, "ments")), frame(text, "fragments")},
		"ping between fragments": {send(rawFrame(0x01, "a"), rawFrame(ping, "p"), rawFrame(cont, "b")), frame(pong, "p"), frame(text, "ab")},
		"binary fragments":       {send(rawFrame(0x02, "a"), rawFrame(cont, "\xff")), frame(bin, "a\xff")},
		"stray continuation":     {send(rawFrame(cont, "x")), closes(1002)},
		"new text in a message":  {send(rawFrame(0x01, "a"), rawFrame(text, "b")), closes(1002)},
		"fragmented utf-8":       {send(bytewise(rawFrame(0x01, utf[:3]))...), send(rawFrame(0x00, ""), rawFrame(cont, utf[3:])), frame(text, utf)},
		"bad utf-8":              {send(rawFrame(text, "κ\xed\xa0\x80x")), closes(1007)},
		"bad utf-8 in a fragment, before the end": {send(rawFrame(0x01, "κόσμε\xf4"), rawFrame(0x00, "\x90")), closes(1007)},
		"incomplete utf-8":                        {send(rawFrame(text, "\xce")), closes(1007)},
		"overlong utf-8":                          {send(rawFrame(text, "\xc0\xaf")), closes(1007)},
		"binary need not be utf-8":                {send(rawFrame(bin, "\xc0\xaf")), frame(bin, "\xc0\xaf")},
		"close":                                   {send(closeFrame(1000, "bye"), rawFrame(text, "late")), closes(1000)},
		"close without a code":                    {send(rawFrame(0x88, "")), closes(0)},
		"close with one byte":                     {send(rawFrame(0x88, "\x03")), closes(1002)},
		"close too long":                          {send(closeFrame(1000, strings.Repeat("x", 124))), closes(1002)},
		"close with the longest text":             {send(closeFrame(1000, strings.Repeat("x", 123))), closes(1000)},
		"close text not utf-8":                    {send(closeFrame(1000, "\xff")), closes(1007)},
		"close within a message":                  {send(rawFrame(0x01, "a"), closeFrame(1000, "")), closes(1000)},
		"two closes":                              {send(closeFrame(1000, ""), closeFrame(1000, "")), closes(1000)},
		"answers before the close":                {send(rawFrame(text, "x"), closeFrame(1000, "")), frame(text, "x"), closes(1000)},
		"fragmented close":                        {send(rawFrame(0x08, "\x03\xe8")), closes(1002)},
		"length with the highest bit":             {send([]byte{bin, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}), func(r *rawWS) { _, _, _ = r.read() }},
		"a great length is no promise": {send([]byte{bin, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}),
			func(r *rawWS) { _ = r.conn.Close() }},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		cases[fmt.Sprintf("close %d", code)] = []step{send(closeFrame(code, "")), closes(code)}
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases[fmt.Sprintf("close %d", code)] = []step{send(closeFrame(code, "")), closes(1002)}
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			r := dialRaw(t, url)
			for _, s := range steps {
				s(r)
			}
		})
	}
}
