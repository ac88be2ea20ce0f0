package ddp_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ejson"
)

// What a session tells of its subscriptions: the client's in their order, each with
// its name and parameters, whom it runs for, and whether the client asked for it.
func TestSessionsKnowTheirSubscriptions(t *testing.T) {
	var session *ddp.Session
	var ran []string
	f := &ddptest.Fixture{}
	f.OnConnect = func(s *ddp.Session) { session = s }
	f.OnSubscribe = func(s *ddp.Subscription) {
		if s.Session() != session {
			t.Error("another session")
		}
		ran = append(ran, fmt.Sprintf("%s%s for %q again %v", s.ID(), s.Params(), s.Login().UserID, s.Rerun()))
	}
	inBubble(t, ddp.Options{Handler: f}, func(r *rig) {
		c := r.dial(true)
		for i, params := range []string{`["x"]`, `[]`, `[7,{"a":1}]`} {
			c.Send(fmt.Sprintf(`{"msg":"sub","id":"%d","name":"rdy","params":%s}`, i, params))
			r.want(c, fmt.Sprintf(`{"msg":"ready","subs":["%d"]}`, i))
		}
		c.Send(`{"msg":"unsub","id":"1"}`)
		r.want(c, `{"msg":"nosub","id":"1"}`)
		r.method(c, "1", "setU", `["ada"]`)
		r.want(c, `{"msg":"ready","subs":["0","2"]}`, `{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`)
		var names []string
		for _, s := range session.Subscriptions() {
			names = append(names, s.Name()+s.ID())
		}
		if !slices.Equal(names, []string{"rdy0", "rdy2"}) {
			t.Error(names)
		}
		want := []string{`0["x"] for "" again false`, `1 for "" again false`, `2[7,{"a":1}] for "" again false`,
			`0["x"] for "ada" again true`, `2[7,{"a":1}] for "ada" again true`}
		if !slices.Equal(ran, want) {
			t.Errorf("ran\n%s", strings.Join(ran, "\n"))
		}
	})
}

// A session ends once; what is asked of it afterwards does nothing and does not
// wait.
func TestEndedSessionsDoNothing(t *testing.T) {
	var session *ddp.Session
	var sub *ddp.Subscription
	f := &ddptest.Fixture{}
	f.OnConnect = func(s *ddp.Session) { session = s }
	f.OnSubscribe = func(s *ddp.Subscription) { sub = s }
	inBubble(t, ddp.Options{Handler: f}, func(r *rig) {
		c := r.dial(true)
		c.Send(`{"msg":"sub","id":"1","name":"rdy"}`)
		r.want(c, `{"msg":"ready","subs":["1"]}`)
		session.Close(ddp.ServerClosed)
		session.Close(ddp.Slow)
		r.want(c, "close 1000")
		r.ends(ddp.ServerClosed, 1)
		r.ends(ddp.Slow, 0)
		late := make(chan struct{})
		session.OnClose(func() { close(late) })
		<-late
		session.Publish(func(context.Context, *ddp.Subscription) error {
			t.Error("a publication of an ended session runs")
			return nil
		})
		stopped := false
		sub.OnStop(func() { stopped = true })
		if !stopped {
			t.Error("OnStop of a stopped subscription does not run at once")
		}
		sub.Ready()
		sub.Stop()
		sub.Error(errors.New("late"))
		sub.Send(ddp.NewFrame([]byte(`{}`)))
		sub.Post(ddp.NewFrame([]byte(`{}`)))
		if err := sub.Added("c", "1", ejson.Doc{{Key: "a", Value: 1}}); err != nil {
			t.Error(err)
		}
		if err := sub.Removed("c", "1"); err != nil {
			t.Error(err)
		}
		if n := len(session.Subscriptions()); n != 0 {
			t.Errorf("%d subscriptions", n)
		}
		if got := r.frame(c); got != "close 1000" {
			t.Errorf("after the end comes %s", got)
		}
	})
}

// A burst of calls leaves a few workers behind, which wait for more, and none
// once the server has stopped.
func TestWorkersWaitForMoreWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		r := &rig{t: t, f: &ddptest.Fixture{}}
		r.srv = ddp.New(ddp.Options{Handler: r.f})
		const clients = 100
		all := make([]*ddptest.Client, clients)
		for i := range all {
			all[i] = r.dial(true)
		}
		for range 3 {
			for _, c := range all {
				r.method(c, "1", "slow", "[100]")
			}
			for _, c := range all {
				r.want(c, `{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`)
			}
		}
		synctest.Wait()
		waiting := func() int { return runtime.NumGoroutine() - before - clients } // each client has a reader
		for range 1000 {
			if waiting() <= 32 {
				break
			}
			runtime.Gosched() // the runtime still counts one that is about to end
		}
		if n := waiting(); n > 32 {
			t.Errorf("%d goroutines wait for work", n)
		}
		if err := r.srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		r.wg.Wait()
	})
}

// Messages that go to many arrive at each in the order in which they were posted,
// also from many goroutines at once, and a slow one holds nobody up.
func TestPostsReachEverybodyInOrder(t *testing.T) {
	f := &ddptest.Fixture{}
	inBubble(t, ddp.Options{Handler: f}, func(r *rig) {
		const clients, events = 300, 20
		all := make([]*ddptest.Client, clients)
		for i := range all {
			all[i] = r.dial(true)
			all[i].Send(`{"msg":"sub","id":"1","name":"stream"}`)
			r.want(all[i], `{"msg":"ready","subs":["1"]}`)
		}
		resume := all[0].Stall()
		var publishers sync.WaitGroup
		for p := range 3 {
			publishers.Go(func() {
				for i := range events {
					f.Publish([]byte(fmt.Sprintf(`[%d,%d]`, p, i)), true)
				}
			})
		}
		publishers.Wait()
		for n, c := range all[1:] {
			next := [3]int{}
			for range 3 * events {
				var p, i int
				frame := r.frame(c)
				if _, err := fmt.Sscanf(frame[strings.Index(frame, `"args":`):], `"args":[%d,%d]`, &p, &i); err != nil || next[p] != i {
					t.Fatalf("client %d: %s, %v; want %v", n+1, frame, err, next)
				}
				next[p]++
			}
		}
		resume()
		for range 3 * events {
			if frame := r.frame(all[0]); !strings.Contains(frame, `"args"`) {
				t.Fatal(frame)
			}
		}
		time.Sleep(time.Millisecond)
	})
}

// A message is malformed or too long in the same way over every transport.
func TestReasonsOfConns(t *testing.T) {
	for err, want := range map[error]ddp.DisconnectReason{
		ddp.ErrTooLong: ddp.TooLong, ddp.ErrNotUTF8: ddp.NotUTF8, ddp.ErrFraming: ddp.ProtocolAbuse, ddp.ErrOverBudget: ddp.OverBudget,
		context.Canceled: ddp.PeerLeft, fmt.Errorf("x: %w", ddp.ErrTooLong): ddp.TooLong,
	} {
		if got := ddp.ReasonOf(err); got != want {
			t.Errorf("%v is %v, want %v", err, got, want)
		}
	}
}
