package ws_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
)

// Who sends without a pause works in turns that all such clients share, so that
// two hundred of them do not keep an ordinary client waiting: while the turns are
// taken a flood stands still and everybody else is served; afterwards the flood is
// answered, all of it and in order.
func TestFloodsTakeTurns(t *testing.T) {
	// In one go: the kernel has all of it before the server has read a part.
	pings := func(n, size int) (batch []byte) {
		for i := range n {
			ping := fmt.Sprintf(`{"msg":"ping","id":"%d"}`, i)
			ping += strings.Repeat(" ", max(size-len(ping), 0))
			batch = append(batch, 0x81, 0x80|126, byte(len(ping)>>8), byte(len(ping)), 0, 0, 0, 0)
			batch = append(batch, ping...)
		}
		return batch
	}
	for name, c := range map[string]struct {
		size int // of a message, in bytes
		n    int
	}{"small messages": {0, 3000}, "large messages": {20 << 10, 12}} {
		t.Run(name, func(t *testing.T) {
			account, batch := budget.New(0), pings(c.n, c.size)
			srv, url := listen(t, ddp.Options{Budget: account})
			flood, ordinary := dialWS(t, websocket.DefaultDialer, url, nil), dialWS(t, websocket.DefaultDialer, url, nil)
			for _, client := range []*websocket.Conn{flood, ordinary} {
				say(t, client, websocket.TextMessage, hello)
				hear(t, client, "")
			}
			var taken []func()
			for range max(runtime.GOMAXPROCS(0)/2, 1) {
				taken = append(taken, account.Turn(time.Hour))
			}
			go func() { _, _ = flood.NetConn().Write(batch) }()
			for i := range 40 { // fewer than a flood, however fast they come
				say(t, ordinary, websocket.TextMessage, fmt.Sprintf(`{"msg":"ping","id":"o%d"}`, i))
				hear(t, ordinary, fmt.Sprintf(`{"msg":"pong","id":"o%d"}`, i))
			}
			// A flood is one once 64 messages or 16 KiB came without a pause.
			if got := int(srv.Stats().Frames) - 42; got > 64 {
				t.Errorf("%d messages of the flood were served without a turn", got)
			}
			for _, done := range taken {
				done()
			}
			for i := range c.n {
				hear(t, flood, fmt.Sprintf(`{"msg":"pong","id":"%d"}`, i))
			}
		})
	}
}
