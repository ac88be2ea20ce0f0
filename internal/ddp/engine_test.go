package ddp_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
)

const hello = `{"msg":"connect","version":"1","support":["1","pre2","pre1"]}`

// rig is a server in a bubble with clients in memory.
type rig struct {
	t   *testing.T
	f   *ddptest.Fixture
	srv *ddp.Server
	wg  sync.WaitGroup
}

// inBubble runs test with a server that is shut down at the end; the bubble
// itself fails the test if a goroutine stays.
func inBubble(t *testing.T, o ddp.Options, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, f: &ddptest.Fixture{}}
		if o.Handler == nil {
			o.Handler = r.f
		} else {
			r.f = o.Handler.(*ddptest.Fixture)
		}
		if o.Budget == nil {
			o.Budget = budget.New(0)
		}
		r.srv = ddp.New(o)
		t.Cleanup(func() {
			if err := r.srv.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			r.wg.Wait()
			if n := o.Budget.Used(); n != 0 {
				t.Errorf("%d bytes are counted for nobody", n)
			}
		})
		test(r)
	})
}

// dial opens a connection; with connected set it has shaken hands.
func (r *rig) dial(connected bool) *ddptest.Client {
	conn, c := ddptest.Pipe()
	r.wg.Go(func() { r.srv.Serve(conn, &rpc.Peer{Address: "10.0.0.1"}) })
	if connected {
		c.Send(hello)
		r.frame(c)
	}
	return c
}

// frame is the next frame, "" when there is none for a minute, or "close N".
func (r *rig) frame(c *ddptest.Client) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	f, ok, code := c.Next(ctx.Done())
	if !ok && code != 0 {
		return fmt.Sprintf("close %d", code)
	}
	return f
}

func (r *rig) want(c *ddptest.Client, frames ...string) {
	r.t.Helper()
	for _, want := range frames {
		if got := r.frame(c); got != want {
			r.t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

func (r *rig) method(c *ddptest.Client, id, name, params string) {
	c.Send(fmt.Sprintf(`{"msg":"method","id":"%s","method":"%s","params":%s}`, id, name, params))
}

func (r *rig) ends(reason ddp.DisconnectReason, n uint64) {
	r.t.Helper()
	synctest.Wait()
	if got := r.srv.Stats().Disconnects[reason]; got != n {
		r.t.Errorf("%v: %d disconnects, want %d", reason, got, n)
	}
}

func TestQueueOverflowCloses(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		c := r.dial(true)
		r.method(c, "0", "slow", "[60000]")
		synctest.Wait()
		for i := range 256 {
			r.method(c, fmt.Sprint(i), "nothing", "[]")
		}
		synctest.Wait()
		if code, _ := c.CloseReason(); code != 0 {
			t.Fatal("256 may wait")
		}
		r.method(c, "x", "nothing", "[]") // is not read, and not dropped either
		time.Sleep(9 * time.Second)
		if code, _ := c.CloseReason(); code != 0 {
			t.Fatal("reading may stop for a while")
		}
		r.want(c, "close 1008")
		r.ends(ddp.TooManyPending, 1)
	})
}

func TestLongPipelinesOfQuickCallsAreServed(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		c := r.dial(true)
		for i := range 2000 {
			r.method(c, fmt.Sprint(i), "nothing", "[]")
		}
		for i := range 2000 {
			r.want(c, fmt.Sprintf(`{"msg":"result","id":"%d"}`, i), fmt.Sprintf(`{"msg":"updated","methods":["%d"]}`, i))
		}
	})
}

func TestSubscriptionLimit(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		c := r.dial(true)
		for i := range 300 {
			c.Send(fmt.Sprintf(`{"msg":"sub","id":"%d","name":"rdy"}`, i))
			r.want(c, fmt.Sprintf(`{"msg":"ready","subs":["%d"]}`, i))
		}
		c.Send(`{"msg":"sub","id":"300","name":"rdy"}`)
		if got := r.frame(c); !strings.HasPrefix(got, `{"msg":"nosub","id":"300","error":{"isClientSafe":true,"error":"too-many-subscriptions"`) {
			t.Error(got)
		}
		if n := r.srv.Stats().Subscriptions; n != 300 {
			t.Errorf("%d subscriptions counted", n)
		}
		c.Send(`{"msg":"unsub","id":"7"}`)
		r.want(c, `{"msg":"nosub","id":"7"}`)
		c.Send(`{"msg":"sub","id":"300","name":"rdy"}`)
		r.want(c, `{"msg":"ready","subs":["300"]}`)
		c.Close()
		synctest.Wait()
		if n := r.srv.Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// A finished call is answered, however long a subscription that began meanwhile
// takes to be ready.
func TestAnswerWaitsForNoSubscription(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		c := r.dial(true)
		begin := time.Now()
		r.method(c, "1", "slowU", "[100]")
		c.Send(`{"msg":"sub","id":"s","name":"slowsub","params":[10000]}`)
		r.want(c, `{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`)
		if took := time.Since(begin); took != 100*time.Millisecond {
			t.Errorf("the answer came after %v", took)
		}
		r.want(c, `{"msg":"ready","subs":["s"]}`)
		if took := time.Since(begin); took < 10*time.Second {
			t.Errorf("ready after %v", took)
		}
	})
}

func TestUnblockedCallsAreBounded(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		c := r.dial(true)
		for i := range 20 {
			r.method(c, fmt.Sprint(i), "slowU", "[1000]")
		}
		r.method(c, "last", "nothing", "[]")
		synctest.Wait()
		if n := r.srv.Stats().Calls; n != 17 { // 16 beside the queue, one in it
			t.Errorf("%d calls run at once", n)
		}
		last := 0
		for range 42 {
			if strings.Contains(r.frame(c), `"last"`) {
				last++
			}
		}
		if last != 2 {
			t.Errorf("%d answers to the last call", last)
		}
	})
}

func TestFrameLimits(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		big := `["` + strings.Repeat("x", 70<<10) + `"]`
		c := r.dial(true)
		r.method(c, "1", "nothing", big)
		r.want(c, "close 1009")
		r.ends(ddp.TooLong, 1)
		c = r.dial(true)
		r.method(c, "1", "setU", `["u"]`)
		r.want(c, `{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`)
		r.method(c, "2", "nothing", big)
		r.want(c, `{"msg":"result","id":"2"}`, `{"msg":"updated","methods":["2"]}`)
		r.method(c, "3", "setU", `[null]`)
		r.want(c, `{"msg":"result","id":"3"}`, `{"msg":"updated","methods":["3"]}`)
		r.method(c, "4", "nothing", big)
		r.want(c, "close 1009")
	})
}

func TestProtocolAbuseCloses(t *testing.T) {
	inBubble(t, ddp.Options{Limits: ddp.Limits{ProtocolErrors: 50}}, func(r *rig) {
		c := r.dial(true)
		for range 50 {
			c.Send("garbage")
			r.want(c, `{"msg":"error","reason":"Bad request"}`)
		}
		c.Send("garbage")
		r.want(c, "close 1008")
		r.ends(ddp.ProtocolAbuse, 1)
		c = r.dial(true)
		for range 200 { // slowly is fine
			c.Send("garbage")
			r.want(c, `{"msg":"error","reason":"Bad request"}`)
			c.Send(`{"msg":"pong"}`)
			time.Sleep(2 * time.Second)
		}
	})
}

func TestSlowReaderIsClosedAndNobodyWaits(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		slow, good := r.dial(true), r.dial(true)
		for _, c := range []*ddptest.Client{slow, good} {
			c.Send(`{"msg":"sub","id":"1","name":"stream"}`)
			r.want(c, `{"msg":"ready","subs":["1"]}`)
		}
		resume := slow.Stall()
		defer resume()
		params := `["` + strings.Repeat("x", 10<<10) + `"]`
		for i := range 200 {
			r.method(good, fmt.Sprint(i), "push", params)
			for range 3 {
				r.frame(good)
			}
		}
		r.ends(ddp.Slow, 1)
		if code, _ := slow.CloseReason(); code != 1008 {
			t.Errorf("close %d", code)
		}
	})
}

// TestPostedEventsKeepTheirPlace: to the publisher before its answer, to others
// in order.
func TestPostedEventsKeepTheirPlace(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		me, other := r.dial(true), r.dial(true)
		for _, c := range []*ddptest.Client{me, other} {
			c.Send(`{"msg":"sub","id":"1","name":"stream"}`)
			r.want(c, `{"msg":"ready","subs":["1"]}`)
		}
		event := func(i int) string {
			return fmt.Sprintf(`{"msg":"changed","collection":"stream","id":"id","fields":{"eventName":"e","args":[%d]}}`, i)
		}
		for i := range 100 {
			r.method(me, "x", "post", fmt.Sprintf("[%d]", i))
		}
		for i := range 100 {
			r.want(me, event(i), `{"msg":"result","id":"x"}`, `{"msg":"updated","methods":["x"]}`)
			r.want(other, event(i))
		}
		resume := other.Stall()
		defer resume()
		for range 40 {
			r.method(me, "x", "post", `["`+strings.Repeat("x", 60<<10)+`"]`)
			for range 3 {
				r.frame(me)
			}
		}
		r.ends(ddp.Slow, 1)
	})
}

func TestOneLongAnswerIsNoSlowReader(t *testing.T) {
	inBubble(t, ddp.Options{Limits: ddp.Limits{QueuedBytes: 4 << 10, FrameBefore: 64 << 10}}, func(r *rig) {
		c := r.dial(true)
		long := `["` + strings.Repeat("x", 20<<10) + `"]`
		r.method(c, "1", "echo", long)
		got := r.frame(c)
		if len(got) < 20<<10 {
			t.Fatal(got)
		}
	})
}

func TestAnswersLeaveTogether(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		c := r.dial(true)
		synctest.Wait()
		before := c.Batches()
		c.Send(`{"msg":"sub","id":"1","name":"tenDocs"}`)
		for range 11 {
			r.frame(c)
		}
		r.method(c, "1", "setU", `["u"]`)
		r.want(c, `{"msg":"ready","subs":["1"]}`, `{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`)
		synctest.Wait()
		if n := c.Batches() - before; n != 2 {
			t.Errorf("a subscription of ten documents and a login took %d writes", n)
		}
	})
}

func TestUniversalPublications(t *testing.T) {
	f := &ddptest.Fixture{Universal: func(_ context.Context, s *ddp.Subscription) error {
		s.Ready() // means nothing here
		if u := s.Login().UserID; u != "" {
			return s.Added("users", u, ejson.Doc{{Key: "username", Value: u}})
		}
		return nil
	}}
	inBubble(t, ddp.Options{Handler: f}, func(r *rig) {
		c := r.dial(true)
		r.method(c, "1", "setU", `["ada"]`)
		r.want(c, `{"msg":"added","collection":"users","id":"ada","fields":{"username":"ada"}}`,
			`{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`)
		r.method(c, "2", "setU", `["bob"]`)
		r.want(c, `{"msg":"removed","collection":"users","id":"ada"}`, `{"msg":"added","collection":"users","id":"bob","fields":{"username":"bob"}}`,
			`{"msg":"result","id":"2"}`, `{"msg":"updated","methods":["2"]}`)
		r.method(c, "3", "setU", `[null]`)
		r.want(c, `{"msg":"removed","collection":"users","id":"bob"}`, `{"msg":"result","id":"3"}`, `{"msg":"updated","methods":["3"]}`)
	})
}

func TestUniversalPublicationErrorIsReportedWithoutAnID(t *testing.T) {
	f := &ddptest.Fixture{Universal: func(_ context.Context, s *ddp.Subscription) error {
		_ = s.Added("c", "1", nil)
		return fault.Num(412, "no")
	}}
	inBubble(t, ddp.Options{Handler: f}, func(r *rig) {
		c := r.dial(true)
		r.want(c, `{"msg":"added","collection":"c","id":"1"}`,
			`{"msg":"nosub","error":{"isClientSafe":true,"error":412,"reason":"no","message":"no [412]","errorType":"Meteor.Error"}}`)
	})
}

func TestPeerOfSession(t *testing.T) {
	var got *ddp.Session
	f := &ddptest.Fixture{}
	f.OnConnect = func(s *ddp.Session) { got = s }
	inBubble(t, ddp.Options{Handler: f}, func(r *rig) {
		r.dial(true)
		synctest.Wait()
		if got.ID() != got.Peer().Conn || len(got.ID()) != 17 || got.Peer().Address != "10.0.0.1" || got.Peer().Door != rpc.DDP {
			t.Errorf("%+v", got.Peer())
		}
	})
}

// Whoever comes over SockJS is greeted as by Meteor 2.2, before anything is sent: old clients
// wait for that and send nothing, Pidgin's among them. Over a bare socket nobody waits.
func TestGreeting(t *testing.T) {
	inBubble(t, ddp.Options{Handler: &ddptest.Fixture{}}, func(r *rig) {
		for door, frames := range map[rpc.Door][]string{rpc.SockJS: {`{"server_id":"0"}`}, rpc.DDP: nil} {
			conn, c := ddptest.Pipe()
			r.wg.Go(func() { r.srv.Serve(conn, &rpc.Peer{Address: "10.0.0.1", Door: door}) })
			r.want(c, frames...)
			c.Send(hello)
			if f := r.frame(c); !strings.HasPrefix(f, `{"msg":"connected"`) {
				t.Errorf("%s: %s", door, f)
			}
		}
	})
}

// TestConcurrentUse is for the race detector: calls, subscriptions, changes of
// user, publishing, unsubscribing and ends at once.
func TestConcurrentUse(t *testing.T) {
	f := &ddptest.Fixture{}
	srv := ddp.New(ddp.Options{Handler: f})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			conn, c := ddptest.Pipe()
			wg.Go(func() { srv.Serve(conn, &rpc.Peer{}) })
			stop := make(chan struct{})
			wg.Go(func() {
				for {
					if _, ok, code := c.Next(stop); !ok || code != 0 {
						return
					}
				}
			})
			c.Send(hello)
			for n := range 30 {
				c.Send(fmt.Sprintf(`{"msg":"sub","id":"s%d","name":"stream"}`, n%3))
				c.Send(fmt.Sprintf(`{"msg":"sub","id":"t%d","name":"byUser"}`, n%3))
				c.Send(fmt.Sprintf(`{"msg":"method","id":"%d","method":"push","params":[%d]}`, n, n))
				c.Send(fmt.Sprintf(`{"msg":"method","id":"p%d","method":"post","params":[%d]}`, n, n))
				c.Send(fmt.Sprintf(`{"msg":"method","id":"u%d","method":"setU","params":["u%d"]}`, n, n%4))
				c.Send(fmt.Sprintf(`{"msg":"method","id":"w%d","method":"slowU","params":[1]}`, n))
				c.Send(fmt.Sprintf(`{"msg":"unsub","id":"s%d"}`, n%3))
				c.Send(`{"msg":"ping"}`)
				srv.CloseTokens(fmt.Sprintf("u%d", n%4), func(string) bool { return n == 29 && i%2 == 0 })
				srv.Stats()
			}
			c.Close()
			close(stop)
		})
	}
	wg.Wait()
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if st := srv.Stats(); st.Sessions != 0 || st.Calls != 0 || st.Subscriptions != 0 {
		t.Errorf("left over: %+v", st)
	}
}
