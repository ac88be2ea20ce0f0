package ws_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ddp/ws"
	"ddpserver/internal/ejson"
	"ddpserver/internal/rpc"
)

// padded is a call whose frame has that many bytes.
func padded(id, method string, size int) string {
	frame := fmt.Sprintf(`{"msg":"method","id":"%s","method":"%s","params":[""]}`, id, method)
	return strings.Replace(frame, `[""]`, `["`+strings.Repeat("x", size-len(frame))+`"]`, 1)
}

// A12: one slow call and maximal frames behind it. What a session holds is
// bounded in bytes, whoever it is and whatever the frames' size; the rest stays
// with the client, and after a while the connection is closed by name.
func TestA12QueueIsBoundedInBytes(t *testing.T) {
	limits := ddp.Limits{Stalled: 200 * time.Millisecond, QueuedFrames: 4000}
	for _, login := range []bool{false, true} {
		for _, share := range []int{1, 3, 40, 400} { // of a maximal frame
			t.Run(fmt.Sprintf("login=%v,1/%d", login, share), func(t *testing.T) {
				account := budget.New(64 << 20)
				srv, url := listen(t, ddp.Options{Limits: limits, Budget: account})
				client := dialWS(t, websocket.DefaultDialer, url, nil)
				say(t, client, websocket.TextMessage, hello)
				hear(t, client, "")
				frame := 64 << 10
				if login {
					frame = 1 << 20
					say(t, client, websocket.TextMessage, `{"msg":"method","id":"l","method":"setU","params":["ada"]}`)
					hear(t, client, "")
					hear(t, client, "")
				}
				say(t, client, websocket.TextMessage, `{"msg":"method","id":"s","method":"slow","params":[600000]}`)
				text := padded("1", "echo", frame/share)
				for range 4000 {
					if client.WriteMessage(websocket.TextMessage, []byte(text)) != nil {
						break
					}
				}
				closedWith(t, client, 1008)
				await(t, func() bool { return srv.Stats().Disconnects[ddp.TooManyPending] == 1 })
				if most := int64(frame + 256<<10); account.Peak() > most {
					t.Errorf("%d bytes were held, more than %d", account.Peak(), most)
				}
			})
		}
	}
}

// A12: no frame is dropped because of the limits: with a worker that is slow and
// goes on, everything is answered, in order.
func TestA12NothingIsDropped(t *testing.T) {
	_, url := listen(t, ddp.Options{Limits: ddp.Limits{QueuedFrames: 8, ReceivedBytes: 20 << 10}})
	client := dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, client, websocket.TextMessage, hello)
	hear(t, client, "")
	const n = 200
	go func() {
		for i := range n {
			for _, text := range []string{
				fmt.Sprintf(`{"msg":"method","id":"s%d","method":"slow","params":[1]}`, i), padded(fmt.Sprint(i), "decoded", 1+(i*7919)%(60<<10)+70),
			} {
				if client.WriteMessage(websocket.TextMessage, []byte(text)) != nil {
					return
				}
			}
		}
	}()
	for i := range n {
		hear(t, client, fmt.Sprintf(`{"msg":"result","id":"s%d"}`, i))
		hear(t, client, "")
		_, got, err := client.ReadMessage()
		if err != nil || !strings.HasPrefix(string(got), fmt.Sprintf(`{"msg":"result","id":"%d"`, i)) {
			t.Fatalf("%d: %.100s, %v", i, got, err)
		}
		hear(t, client, "")
	}
}

// A12: when all together hold too much, who wants to hold more is not read, then
// closed with 1013; who sends ordinary messages notices nothing.
func TestA12ProcessBudget(t *testing.T) {
	account := budget.New(4 << 20)
	srv, url := listen(t, ddp.Options{Limits: ddp.Limits{Stalled: 500 * time.Millisecond}, Budget: account})
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 30 {
		client := dialWS(t, websocket.DefaultDialer, url, nil)
		say(t, client, websocket.TextMessage, hello)
		hear(t, client, "")
		say(t, client, websocket.TextMessage, `{"msg":"method","id":"s","method":"slow","params":[600000]}`)
		wg.Go(func() {
			for range 5 { // fits the session's own limit
				if client.WriteMessage(websocket.TextMessage, []byte(padded("1", "echo", 60<<10))) != nil {
					return
				}
			}
		})
	}
	honest := dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, honest, websocket.TextMessage, hello)
	hear(t, honest, "")
	for i := 0; srv.Stats().Disconnects[ddp.OverBudget] < 10; i++ {
		say(t, honest, websocket.TextMessage, padded(fmt.Sprint(i), "decoded", 8<<10))
		hear(t, honest, "")
		hear(t, honest, "")
	}
	if account.Peak() > account.Limit() || account.Refused() == 0 {
		t.Errorf("%d of %d bytes, %d refused", account.Peak(), account.Limit(), account.Refused())
	}
}

// A12: a message that never ends holds no more than its limit, however it comes:
// one frame, fragments, tiny fragments; and nothing once the connection is over.
func TestA12UnfinishedMessages(t *testing.T) {
	account := budget.New(16 << 20)
	_, url := listen(t, ddp.Options{Budget: account})
	for _, fragment := range []int{1, 100, 5000, 60 << 10} {
		client := dialWS(t, websocket.DefaultDialer, url, nil)
		say(t, client, websocket.TextMessage, hello)
		hear(t, client, "")
		raw, mask := client.NetConn(), [4]byte{}
		first := byte(1) // text, not final
		total := 0
		for total+fragment < 64<<10 {
			head := []byte{first, 0x80 | 126, byte(fragment >> 8), byte(fragment)}
			if fragment < 126 {
				head = []byte{first, 0x80 | byte(fragment)}
			}
			first = 0
			if _, err := raw.Write(append(append(head, mask[:]...), strings.Repeat(" ", fragment)...)); err != nil {
				t.Fatal(err)
			}
			if total += fragment; fragment == 1 && total > 9000 {
				break
			}
		}
		await(t, func() bool { return account.Used() > int64(min(total, 60<<10))-4<<10-1 })
		if account.Used() > 64<<10 {
			t.Errorf("fragments of %d: %d bytes held", fragment, account.Used())
		}
		_ = client.Close()
		await(t, func() bool { return account.Used() == 0 })
	}
}

// large answers every call with a result of so many bytes.
type large struct {
	ddptest.Fixture
	size int
	text bool // a value that is encoded, not EJSON already
}

func (l *large) Method(context.Context, *rpc.Call) (any, error) {
	if l.text {
		return strings.Repeat("y", l.size-2), nil
	}
	return ejson.Raw(`"` + strings.Repeat("y", l.size-2) + `"`), nil
}

// A13: a result above the limit is replaced by an error, and the session lives;
// results for a peer that does not read are counted, refused and then closed.
func TestA13ResultsAreBounded(t *testing.T) {
	account := budget.New(32 << 20)
	h := &large{size: 8<<20 - 4096}
	_, url := listen(t, ddp.Options{Handler: h, Budget: account})
	client := dialWS(t, websocket.DefaultDialer, url, nil)
	say(t, client, websocket.TextMessage, hello)
	hear(t, client, "")
	say(t, client, websocket.TextMessage, `{"msg":"method","id":"1","method":"x","params":[]}`)
	if _, got, err := client.ReadMessage(); err != nil || len(got) < h.size {
		t.Fatal(len(got), err)
	}
	hear(t, client, "")
	h.size = 8<<20 + 10
	for _, h.text = range []bool{false, true} {
		say(t, client, websocket.TextMessage, `{"msg":"method","id":"2","method":"x","params":[]}`)
		_, got, err := client.ReadMessage()
		if err != nil || !strings.Contains(string(got), `"error":"error-result-too-large"`) {
			t.Fatalf("%.200s, %v", got, err)
		}
		hear(t, client, `{"msg":"updated","methods":["2"]}`)
	}
}

// A12, the way out: many peers that ask and do not read. What waits for them is
// bounded over all; the one who reads is served.
func TestA12UnreadResults(t *testing.T) {
	account := budget.New(24 << 20)
	h := &large{size: 7 << 20}
	srv, url := listen(t, ddp.Options{Handler: h, Budget: account}, ws.Options{WriteTimeout: time.Second})
	for range 12 {
		client := dialWS(t, websocket.DefaultDialer, url, nil)
		say(t, client, websocket.TextMessage, hello)
		for i := range 6 {
			say(t, client, websocket.TextMessage, fmt.Sprintf(`{"msg":"method","id":"%d","method":"x","params":[]}`, i))
		}
	}
	await(t, func() bool {
		s := srv.Stats()
		return s.Disconnects[ddp.OverBudget]+s.Disconnects[ddp.Slow] > 0 || account.Refused() > 0
	})
	if most := account.Limit() + 12*8<<20; account.Peak() > most {
		t.Errorf("%d bytes waited", account.Peak())
	}
}
