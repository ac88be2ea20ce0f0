package realtime

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
)

// open is a group with one stream that everybody may have, and no methods.
type open struct{}

type openHandler struct {
	*Publications
	calls
}

type calls struct{}

func (open) Publications() []Publication { return nil }
func (open) Streams() []Stream {
	return []Stream{{Name: "stream-test", Anonymous: true, Allow: func(context.Context, rpc.Login, string) error { return nil }}}
}
func (calls) Method(_ context.Context, c *rpc.Call) (any, error) {
	return nil, fault.Num(404, "Method not found")
}
func (open) Admit(context.Context, rpc.Login, string, string) error { return nil }
func (open) Enrolled(context.Context, rpc.Login) error              { return nil }
func (open) Observe(ctx context.Context, _ *rpc.Call, _ string, run func(context.Context) error) error {
	return run(ctx)
}
func (open) Stray(_ context.Context, _ *rpc.Call, _ string, err error) error { return err }

// audience is a server with n connections that are subscribed to stream-test/e.
type audience struct {
	hub     *Hub
	server  *ddp.Server
	clients []*ddptest.Client
	served  sync.WaitGroup
}

func newAudience(t testing.TB, n int) *audience {
	t.Helper()
	a := &audience{hub: New(Options{})}
	a.server = ddp.New(ddp.Options{Handler: openHandler{Publications: NewPublications(a.hub, open{}, nil, open{})}, Limits: ddp.Limits{HeartbeatInterval: -1}})
	for i := range n {
		conn, c := ddptest.Pipe()
		a.served.Go(func() { a.server.Serve(conn, &rpc.Peer{}) })
		a.clients = append(a.clients, c)
		c.Send(`{"msg":"connect","version":"1","support":["1"]}`)
		c.Send(`{"msg":"sub","id":"s","name":"stream-test","params":["e",false]}`)
		a.next(t, i, `"connected"`)
		a.next(t, i, `"ready"`)
	}
	t.Cleanup(func() {
		for _, c := range a.clients {
			c.Close()
		}
		a.served.Wait()
		if err := a.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return a
}

func (a *audience) next(t testing.TB, i int, want string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	frame, ok, code := a.clients[i].Next(ctx.Done())
	if !ok || !strings.Contains(frame, want) {
		t.Fatalf("client %d: got %q (close %d), want %s", i, frame, code, want)
	}
	return frame
}

// Everybody gets every event, in the order in which they were published, however
// many publish at once.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudience(t, 5)
		const publishers, each = 4, 50
		var wg sync.WaitGroup
		for p := range publishers {
			wg.Go(func() {
				for i := range each {
					if err := a.hub.EmitHere("stream-test", "e", p, i); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var first []string
		for c := range a.clients {
			var got []string
			last := map[int]int{}
			for range publishers * each {
				f := a.next(t, c, `"stream-test"`)
				var p, i int
				if _, err := fmt.Sscanf(f[strings.Index(f, `"args":[`)+8:], "%d,%d", &p, &i); err != nil {
					t.Fatal(f, err)
				}
				if n, seen := last[p]; seen && i != n+1 || !seen && i != 0 {
					t.Fatalf("client %d: event %d of %d after %d", c, i, p, n)
				}
				last[p] = i
				got = append(got, f)
			}
			if first == nil {
				first = got
			} else if strings.Join(first, "\n") != strings.Join(got, "\n") {
				t.Fatalf("client %d has another order than the first", c)
			}
		}
	})
}

// A client that takes nothing is ended; nobody waits for it.
func TestSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudience(t, 3)
		resume := a.clients[0].Stall()
		defer resume()
		big := strings.Repeat("x", 64<<10)
		begin := time.Now()
		for range 40 {
			if err := a.hub.EmitHere("stream-test", "e", big); err != nil {
				t.Fatal(err)
			}
			a.next(t, 1, `"stream-test"`)
			a.next(t, 2, `"stream-test"`)
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("the others waited %v", took)
		}
		time.Sleep(time.Minute)
		if n := a.server.Stats().Sessions; n != 2 {
			t.Errorf("%d sessions, want 2", n)
		}
		if s := a.server.Stats(); s.Disconnects[ddp.Slow] != 1 {
			t.Errorf("disconnects: %v", s.Disconnects)
		}
	})
}

// A send out of a send is delivered after it and does not wait for itself; a
// panic in a filter does not stop the topic.
func TestSendInSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudience(t, 1)
		frame := func(s string) *ddp.Frame { return StreamFrame("stream-test/e", ejson.Raw(`["`+s+`"]`)) }
		a.hub.SendIf("stream-test/e", frame("outer"), func(*ddp.Subscription, rpc.Login) bool {
			a.hub.Send("stream-test/e", frame("inner"))
			return true
		})
		a.next(t, 0, `["outer"]`)
		a.next(t, 0, `["inner"]`)
		func() {
			defer func() { _ = recover() }()
			a.hub.SendIf("stream-test/e", frame("never"), func(*ddp.Subscription, rpc.Login) bool { panic("boom") })
		}()
		a.hub.SendIf("stream-test/e", frame("refused"), func(*ddp.Subscription, rpc.Login) bool { return false })
		a.hub.Send("stream-test/e", frame("after"))
		a.next(t, 0, `["after"]`)
	})
}

// A topic ends with its last listener and begins anew with the next.
func TestTopicsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudience(t, 3)
		for i := range a.clients {
			if !a.hub.Listening("stream-test/e") {
				t.Error("nobody listens")
			}
			a.clients[i].Send(`{"msg":"unsub","id":"s"}`)
			a.next(t, i, `"nosub"`)
		}
		synctest.Wait() // the answer goes out before what runs at the end of a subscription
		if a.hub.Listening("stream-test/e") || len(a.hub.topics) != 0 {
			t.Error("the topic is left")
		}
		a.clients[0].Send(`{"msg":"sub","id":"t","name":"stream-test","params":["e"]}`)
		a.next(t, 0, `"ready"`)
		if err := a.hub.EmitHere("stream-test", "e"); err != nil {
			t.Fatal(err)
		}
		a.next(t, 0, `"args":[]`)
	})
}

// Who sends an event waits for it to be sent, and not for events that others send
// to the same listeners meanwhile.
func TestSenderWaitsForOwnEventOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudience(t, 1)
		const key = "stream-test/e"
		inFirst, queued, returned := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			<-inFirst
			a.hub.SendIf(key, StreamFrame(key, ejson.Raw("[2]")), func(*ddp.Subscription, rpc.Login) bool {
				<-returned
				return true
			})
			a.hub.SendIf(key, StreamFrame(key, ejson.Raw("[3]")), nil)
			close(queued)
		}()
		a.hub.SendIf(key, StreamFrame(key, ejson.Raw("[1]")), func(*ddp.Subscription, rpc.Login) bool {
			close(inFirst)
			<-queued
			return true
		})
		close(returned)
		for i := range 3 {
			a.next(t, 0, fmt.Sprintf(`"args":[%d]`, i+1))
		}
	})
}

func TestRegisterTwice(t *testing.T) {
	if p := NewPublications(New(Options{}), open{}, nil, open{}).List(); len(p) != 1 || p[0].Name != "stream-test" {
		t.Errorf("%v", p)
	}
	defer func() {
		if recover() == nil {
			t.Error("a name may be used twice")
		}
	}()
	NewPublications(New(Options{}), open{}, nil, open{}, open{})
}

func TestStreamFrame(t *testing.T) {
	for key, want := range map[string]string{
		"stream-notify-user/u/userData": `{"msg":"changed","collection":"stream-notify-user","id":"id","fields":{"eventName":"u/userData","args":[1]}}`,
		"s/\"<>\n":                      `{"msg":"changed","collection":"s","id":"id","fields":{"eventName":"\"<>\n","args":[1]}}`,
	} {
		if got := string(StreamFrame(key, ejson.Raw("[1]")).Payload()); got != want {
			t.Errorf("%s", got)
		}
	}
}

func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a := newAudience(b, n)
			stop := make(chan struct{})
			var readers sync.WaitGroup
			for _, c := range a.clients {
				readers.Go(func() {
					for {
						if _, ok, _ := c.Next(stop); !ok {
							return
						}
					}
				})
			}
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				if err := a.hub.EmitHere("stream-test", "e", "some text of a message", 42); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			close(stop)
			readers.Wait()
		})
	}
}
