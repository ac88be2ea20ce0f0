package ddp_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ejson"
	"ddpserver/internal/rpc"
)

// answersWithin is how long a session may live on for its answers.
const answersWithin = 30 * time.Second

// mortal is a Fixture with calls that end the token of their own session.
type mortal struct {
	*ddptest.Fixture
	registry *ddp.Registry
}

func (h *mortal) Quick(method string) bool { return method == "dieQuick" || h.Fixture.Quick(method) }

func (h *mortal) Method(ctx context.Context, c *rpc.Call) (any, error) {
	die := func() {
		h.registry.CloseTokens(c.Login.UserID, func(hash string) bool { return hash == c.Login.Token })
	}
	switch c.Method {
	case "dieQuick":
		die()
		return "dead", nil
	case "die", "unblockAndDie", "dieAndUnblock":
		if c.Method == "unblockAndDie" {
			c.Session.Unblock()
		}
		die()
		if c.Method == "dieAndUnblock" {
			c.Session.Unblock()
		}
		time.Sleep(time.Second)
		h.Publish([]byte(`["late"]`), false)
		h.Publish([]byte(`["late"]`), true)
		return "dead", nil
	case "dieFailing":
		die()
		return h.Fixture.Method(ctx, &rpc.Call{Method: "merr"})
	case "dieForever":
		die()
		<-ctx.Done()
		return nil, nil
	case "reset": // ends the token, and logs in with another
		die()
		time.Sleep(time.Second)
		return "new", c.Session.SetLogin(ctx, rpc.Login{UserID: c.Login.UserID, Token: "new"})
	case "resetOut": // as a login does that finds its token dead
		die()
		_ = c.Session.SetLogin(ctx, rpc.Login{UserID: c.Login.UserID, Token: c.Login.Token})
		return "out", c.Session.SetLogin(ctx, rpc.Login{})
	case "resetSame", "resetSameForever": // no other token: it stays dead
		die()
		err := c.Session.SetLogin(ctx, rpc.Login{UserID: c.Login.UserID, Token: c.Login.Token})
		h.Publish([]byte(`["late"]`), false)
		if c.Method == "resetSameForever" {
			<-ctx.Done()
		}
		return "old", err
	}
	return h.Fixture.Method(ctx, c)
}

func inMortalBubble(t *testing.T, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, f: &ddptest.Fixture{}}
		registry := ddp.NewRegistry()
		r.srv = ddp.New(ddp.Options{Handler: &mortal{r.f, registry}, Registry: registry, Limits: ddp.Limits{HeartbeatInterval: -1}})
		t.Cleanup(func() {
			if err := r.srv.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			r.wg.Wait()
		})
		test(r)
	})
}

// login logs the client in as ada, subscribed to the stream.
func (r *rig) login(c *ddptest.Client) {
	r.t.Helper()
	r.method(c, "in", "setU", `["ada"]`)
	r.want(c, `{"msg":"result","id":"in"}`, `{"msg":"updated","methods":["in"]}`)
	c.Send(`{"msg":"sub","id":"s","name":"stream","params":[]}`)
	r.want(c, `{"msg":"ready","subs":["s"]}`)
}

// Whatever way a call runs in, it has its one result before the session ends, and
// what waits behind it does not begin (docs/wire/ddp.md A16).
func TestCallThatEndsItsOwnTokenIsAnswered(t *testing.T) {
	result := func(id, result string) []string {
		return []string{fmt.Sprintf(`{"msg":"result","id":"%s","result":"%s"}`, id, result), fmt.Sprintf(`{"msg":"updated","methods":["%s"]}`, id)}
	}
	for _, name := range []string{"die", "dieQuick", "unblockAndDie", "dieAndUnblock"} {
		t.Run(name, func(t *testing.T) {
			inMortalBubble(t, func(r *rig) {
				c, other := r.dial(true), r.dial(true)
				r.login(c)
				r.login(other)
				r.method(c, "1", name, "[]")
				if name == "unblockAndDie" {
					synctest.Wait() // what is there when it unblocks begins, and rightly so: the token lives
				}
				r.method(c, "2", "push", `["never"]`)
				r.method(c, "3", "whoami", "[]")
				r.want(c, append(result("1", "dead"), "close 1000")...)
				r.want(other, "close 1000") // the same token, and nothing runs
				r.ends(ddp.ServerClosed, 2)
			})
		})
	}
	t.Run("refused", func(t *testing.T) {
		inMortalBubble(t, func(r *rig) {
			c := r.dial(true)
			r.login(c)
			r.method(c, "1", "dieFailing", "[]")
			r.want(c, `{"msg":"result","id":"1","error":{"isClientSafe":true,"error":999,"reason":"vis","message":"vis [999]","errorType":"Meteor.Error"}}`,
				`{"msg":"updated","methods":["1"]}`, "close 1000")
		})
	})
	t.Run("others run beside it", func(t *testing.T) {
		inMortalBubble(t, func(r *rig) {
			c := r.dial(true)
			r.login(c)
			r.method(c, "slow", "slowU", "[5000]")
			synctest.Wait()
			r.method(c, "1", "dieQuick", "[]")
			r.want(c, result("1", "dead")...)
			r.method(c, "2", "whoami", "[]")
			r.want(c, `{"msg":"result","id":"slow"}`, `{"msg":"updated","methods":["slow"]}`, "close 1000")
		})
	})
	t.Run("it never ends", func(t *testing.T) {
		inMortalBubble(t, func(r *rig) {
			c := r.dial(true)
			r.login(c)
			before := time.Now()
			r.method(c, "1", "dieForever", "[]")
			r.want(c, "close 1000")
			if d := time.Since(before); d != answersWithin {
				t.Errorf("closed after %v", d)
			}
		})
	})
}

// A call that ends its token and logs in with another one keeps the session: what
// was sent meanwhile is done as the new login, and the subscriptions go on.
func TestResetKeepsItsSession(t *testing.T) {
	inMortalBubble(t, func(r *rig) {
		c := r.dial(true)
		r.login(c)
		r.method(c, "1", "reset", "[]")
		synctest.Wait()
		r.f.Publish([]byte(`["unseen"]`), false)
		r.method(c, "2", "whoami", "[]")
		c.Send(`{"msg":"sub","id":"s2","name":"stream","params":[]}`)
		r.want(c, `{"msg":"ready","subs":["s"]}`, `{"msg":"result","id":"1","result":"new"}`, `{"msg":"updated","methods":["1"]}`,
			`{"msg":"result","id":"2","result":"ada"}`, `{"msg":"updated","methods":["2"]}`, `{"msg":"ready","subs":["s2"]}`)
		time.Sleep(time.Minute) // nothing of the old token's end comes later
		if n := r.f.Streams(); n != 2 {
			t.Errorf("%d subscriptions", n)
		}
		r.method(c, "3", "echo", "[]")
		r.want(c, `{"msg":"result","id":"3","result":[]}`, `{"msg":"updated","methods":["3"]}`)
		r.method(c, "4", "resetSame", "[]")
		r.want(c, `{"msg":"result","id":"4","result":"old"}`, `{"msg":"updated","methods":["4"]}`, "close 1000")
	})
}

// A login with the very token that is dead, which was under way when it died, neither
// shows the session anything nor lets it live longer.
func TestDeadTokenStaysDead(t *testing.T) {
	inMortalBubble(t, func(r *rig) {
		c := r.dial(true)
		r.login(c)
		before := time.Now()
		r.method(c, "1", "resetSameForever", "[]")
		time.Sleep(time.Second)
		r.f.Publish([]byte(`["unseen"]`), true)
		r.want(c, "close 1000")
		if d := time.Since(before); d != answersWithin {
			t.Errorf("closed after %v", d)
		}
		r.ends(ddp.ServerClosed, 1)
	})
}

// A login that finds its own token dead leaves a session of nobody, which shows what
// nobody is shown.
func TestDeadTokenLeavesNobody(t *testing.T) {
	inMortalBubble(t, func(r *rig) {
		c := r.dial(true)
		r.login(c)
		c.Send(`{"msg":"sub","id":"u","name":"byUser","params":[]}`)
		r.want(c, `{"msg":"added","collection":"u","id":"ada","fields":{"me":"ada"}}`, `{"msg":"added","collection":"u","id":"const","fields":{"v":1}}`,
			`{"msg":"ready","subs":["u"]}`)
		r.method(c, "1", "resetOut", "[]")
		r.want(c, `{"msg":"removed","collection":"u","id":"ada"}`, `{"msg":"added","collection":"u","id":"null","fields":{"me":null}}`,
			`{"msg":"ready","subs":["s","u"]}`, `{"msg":"result","id":"1","result":"out"}`, `{"msg":"updated","methods":["1"]}`)
		time.Sleep(time.Minute)
		r.method(c, "2", "whoami", "[]")
		r.want(c, `{"msg":"result","id":"2","result":null}`, `{"msg":"updated","methods":["2"]}`)
		c.Send(`{"msg":"unsub","id":"u"}`)
		for range 2 {
			r.frame(c)
		}
		r.want(c, `{"msg":"nosub","id":"u"}`)
	})
}

// Sessions whose tokens die from many sides at once, while calls,
// subscriptions and events go on, all end, and leave nothing counted.
func TestDeadTokensRace(t *testing.T) {
	registry := ddp.NewRegistry()
	account := budget.New(64 << 20)
	r := &rig{t: t, f: &ddptest.Fixture{}}
	r.srv = ddp.New(ddp.Options{Handler: &mortal{r.f, registry}, Registry: registry, Limits: ddp.Limits{HeartbeatInterval: -1}, Budget: account})
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			for n := range 15 {
				c := r.dial(true)
				who := fmt.Sprint("u", i%4)
				c.Send(`{"msg":"method","id":"in","method":"setU","params":["` + who + `"]}`)
				c.Send(`{"msg":"sub","id":"s","name":"stream","params":[]}`)
				if n%2 == 0 {
					r.frame(c)
				}
				for k, name := range []string{"slowU", "whoami", "dieQuick", "slow", "whoami", "reset", "push"}[(i+n)%4:] {
					c.Send(fmt.Sprintf(`{"msg":"method","id":"m%d","method":"%s","params":[%d]}`, k, name, i%7))
					if k%2 == 0 {
						c.Send(fmt.Sprintf(`{"msg":"sub","id":"x%d","name":"stream","params":[]}`, k))
					}
				}
				if n%3 == 0 {
					registry.CloseTokens(who, func(string) bool { return true })
				}
				r.f.Publish([]byte("[1]"), n%2 == 0)
				if n%5 == 0 {
					c.Close()
				}
				registry.CloseTokens(who, func(string) bool { return true })
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	r.wg.Wait()
	if n := r.f.Streams(); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
	if st := r.srv.Stats(); st.Sessions != 0 || st.Subscriptions != 0 || st.Calls != 0 || account.Used() != 0 {
		t.Errorf("left: %+v, %d bytes", st, account.Used())
	}
}

// watched is a Conn that tells what is written to it.
type watched struct {
	*ddptest.Conn
	written func(p []byte)
}

func (c *watched) Write(p []byte, wait bool) (int, error) {
	c.written(p)
	return c.Conn.Write(p, wait)
}

// A subscription whose turn has come but that is not there yet when the token dies
// does not begin: the worker writes the answers before it first.
func TestSubscriptionDoesNotBeginInADeadSession(t *testing.T) {
	inMortalBubble(t, func(r *rig) {
		conn, c := ddptest.Pipe()
		h := &mortal{r.f, ddp.NewRegistry()}
		srv := ddp.New(ddp.Options{Handler: h, Registry: h.registry, Limits: ddp.Limits{HeartbeatInterval: -1}})
		r.wg.Go(func() {
			srv.Serve(&watched{conn, func(p []byte) {
				if bytes.Contains(p, []byte(`"id":"last"`)) {
					h.registry.CloseTokens("ada", func(string) bool { return true })
				}
			}}, &rpc.Peer{Address: "10.0.0.1"})
		})
		c.Send(hello)
		r.frame(c)
		r.login(c)
		r.method(c, "beside", "slowU", "[5000]")
		synctest.Wait()
		r.method(c, "last", "slow", "[1000]")
		c.Send(`{"msg":"sub","id":"dead","name":"stream","params":[]}`)
		time.Sleep(2 * time.Second)
		r.f.Publish([]byte(`["unseen"]`), false)
		r.want(c, `{"msg":"result","id":"last"}`, `{"msg":"updated","methods":["last"]}`,
			`{"msg":"result","id":"beside"}`, `{"msg":"updated","methods":["beside"]}`, "close 1000")
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A quick call on the reader does not end a session of a server that stops while
// a call that let it start still runs.
func TestShutdownWaitsForUnblockedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, finish := make(chan struct{}), make(chan struct{})
		h := &gated{Fixture: &ddptest.Fixture{}, begun: begun, finish: finish}
		r := &rig{t: t, f: h.Fixture}
		r.srv = ddp.New(ddp.Options{Handler: h})
		c := r.dial(true)
		r.method(c, "1", "slowU", "[5000]")
		synctest.Wait()
		r.method(c, "2", "gate", "[]")
		<-begun // on the reader
		done := make(chan error, 1)
		go func() { done <- r.srv.Shutdown(context.Background()) }()
		synctest.Wait()
		close(finish)
		r.want(c, `{"msg":"result","id":"2"}`, `{"msg":"updated","methods":["2"]}`,
			`{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`, "close 1001")
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.wg.Wait()
	})
}

// gated has a quick call that waits for the test.
type gated struct {
	*ddptest.Fixture
	begun, finish chan struct{}
}

func (h *gated) Quick(method string) bool { return method == "gate" || h.Fixture.Quick(method) }

func (h *gated) Method(ctx context.Context, c *rpc.Call) (any, error) {
	if c.Method != "gate" {
		return h.Fixture.Method(ctx, c)
	}
	close(h.begun)
	<-h.finish
	return nil, nil
}

// Nothing of a subscription follows its nosub, whoever sends meanwhile.
func TestNothingFollowsNosub(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		c := r.dial(true)
		for i := range 3000 {
			id := fmt.Sprint("s", i)
			c.Send(`{"msg":"sub","id":"` + id + `","name":"stream","params":[]}`)
			r.want(c, `{"msg":"ready","subs":["`+id+`"]}`)
			sent := make(chan struct{})
			for _, post := range []bool{false, true} {
				go func() {
					defer func() { sent <- struct{}{} }()
					for range 5 {
						r.f.Publish([]byte(`[1]`), post)
					}
				}()
			}
			c.Send(`{"msg":"unsub","id":"` + id + `"}`)
			for r.frame(c) != `{"msg":"nosub","id":"`+id+`"}` {
			}
			<-sent
			<-sent
			r.method(c, "1", "echo", "[]")
			r.want(c, `{"msg":"result","id":"1","result":[]}`, `{"msg":"updated","methods":["1"]}`)
		}
	})
}

// An id may hold half a pair of surrogates: JSON allows to write it, UTF-8 does not.
func TestLoneSurrogatesComeBackAsText(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		c := r.dial(true)
		r.method(c, `\ud800`, "echo", `["\udfff"]`)
		r.want(c, `{"msg":"result","id":"\ud800","result":["\udfff"]}`, `{"msg":"updated","methods":["\ud800"]}`)
		for _, sub := range []string{"rdy", "none-such"} {
			c.Send(`{"msg":"sub","id":"a\ud800b","name":"` + sub + `","params":[]}`)
			c.Send(`{"msg":"unsub","id":"a\ud800b"}`)
			c.Send(`{"msg":"ping","id":"end"}`)
			for {
				f := r.frame(c)
				if f == `{"msg":"pong","id":"end"}` {
					break
				}
				if _, err := ejson.Decode([]byte(f)); err != nil {
					t.Errorf("%q: %v", f, err)
				}
			}
		}
	})
}

// Sessions that other nodes can take are ended one after the other over the whole time,
// each as at a shutdown: what it called is answered first. Who comes meanwhile stays.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, f: &ddptest.Fixture{}}
		r.srv = ddp.New(ddp.Options{Handler: r.f, Limits: ddp.Limits{HeartbeatInterval: -1}})
		begin := time.Now()
		const n, span = 10, 10 * time.Second
		var mu sync.Mutex
		var ends []time.Duration
		var all sync.WaitGroup
		busy := r.dial(true)
		r.method(busy, "1", "slow", "[20000]") // longer than the spread
		for range n - 1 {
			c := r.dial(true)
			all.Go(func() {
				for {
					_, ok, code := c.Next(t.Context().Done())
					if ok {
						continue
					}
					if code != 1001 {
						t.Errorf("closed with %d", code)
					}
					mu.Lock()
					defer mu.Unlock()
					ends = append(ends, time.Since(begin))
					return
				}
			})
		}
		synctest.Wait()
		spread, cancel := context.WithTimeout(t.Context(), span)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.srv.Spread(spread)
		}()
		time.Sleep(time.Second + time.Millisecond)
		late := r.dial(true)
		<-done
		if took := time.Since(begin); took > span {
			t.Errorf("it took %v", took)
		}
		all.Wait()
		slices.Sort(ends)
		for i, at := range ends {
			// One of the ten waits for its call, whichever place it has.
			if from, to := span/n*time.Duration(i), span/n*time.Duration(i+1); at < from || at > to {
				t.Errorf("session %d ended after %v, not between %v and %v", i, at, from, to)
			}
		}
		r.want(busy, `{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`, "close 1001")
		if at := time.Since(begin); at < 20*time.Second || at > 21*time.Second {
			t.Errorf("the call was answered after %v", at)
		}
		r.method(late, "1", "slow", "[0]")
		r.want(late, `{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`)
		if err := r.srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		r.want(late, "close 1001")
		r.wg.Wait()
	})
}

// Without an end there is nothing to spread over.
func TestSpreadOverNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, f: &ddptest.Fixture{}}
		r.srv = ddp.New(ddp.Options{Handler: r.f})
		c := r.dial(true)
		r.srv.Spread(context.Background())
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		r.srv.Spread(gone)
		r.method(c, "1", "slow", "[0]")
		r.want(c, `{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`)
		if err := r.srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		r.want(c, "close 1001")
		r.wg.Wait()
	})
}
