package ddp_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
)

func TestDeadTokensCloseTheirSessions(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		var all []*ddptest.Client
		for _, u := range []string{"ada", "ada", "bob"} {
			c := r.dial(true)
			r.method(c, "1", "setU", `["`+u+`"]`)
			r.want(c, `{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`)
			all = append(all, c)
		}
		n := 0
		r.srv.Sessions("ada", func(s *ddp.Session) bool { n++; return s.Login().Token == "hash of ada" })
		if n != 2 {
			t.Errorf("%d sessions of ada", n)
		}
		r.srv.CloseTokens("ada", func(hash string) bool { return hash == "another" })
		r.srv.CloseTokens("ada", func(hash string) bool { return hash == "hash of ada" })
		r.want(all[0], "close 1000")
		r.want(all[1], "close 1000")
		r.method(all[2], "2", "whoami", "[]")
		r.want(all[2], `{"msg":"result","id":"2","result":"bob"}`)
		r.ends(ddp.ServerClosed, 2)
		if n := r.srv.Stats().Sessions; n != 1 {
			t.Errorf("%d sessions left", n)
		}
	})
}

func TestEndRunsHooksInOrder(t *testing.T) {
	var order []string
	f := &ddptest.Fixture{}
	f.OnConnect = func(s *ddp.Session) {
		s.OnClose(func() { order = append(order, "first") })
		s.OnClose(func() { panic("a hook's bug") })
		s.OnClose(func() {
			order = append(order, "second")
			s.OnClose(func() { order = append(order, "late") })
		})
		s.Publish(func(_ context.Context, p *ddp.Subscription) error {
			p.OnStop(func() {
				order = append(order, "stop")
				p.OnStop(func() { order = append(order, "stopped already") })
				_ = p.Added("c", "1", nil)
			})
			return nil
		})
	}
	inBubble(t, ddp.Options{Handler: f}, func(r *rig) {
		c := r.dial(true)
		synctest.Wait()
		c.Close()
		synctest.Wait()
		if got := strings.Join(order, ","); got != "stop,stopped already,first,second,late" {
			t.Error(got)
		}
		if f.Joined.Load() != 1 || f.Left.Load() != 1 {
			t.Error("the handler was not told once each")
		}
		r.ends(ddp.PeerLeft, 1)
	})
}

func TestCallsGoOnWhenThePeerLeaves(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		c := r.dial(true)
		r.method(c, "1", "slow", "[1000]")
		synctest.Wait()
		c.Close()
		synctest.Wait()
		if n := r.srv.Stats().Calls; n != 1 {
			t.Errorf("%d calls run", n)
		}
		time.Sleep(2 * time.Second)
		if n := r.srv.Stats().Calls; n != 0 {
			t.Errorf("%d calls run", n)
		}
	})
}

func TestShutdownFinishesCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, f: &ddptest.Fixture{}}
		r.srv = ddp.New(ddp.Options{Handler: r.f})
		busy, idle, raw := r.dial(true), r.dial(true), r.dial(false)
		r.method(busy, "1", "slow", "[5000]")
		r.method(busy, "2", "slow", "[5000]")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- r.srv.Shutdown(ctx) }()
		synctest.Wait()
		r.want(idle, "close 1001")
		r.want(raw, "close 1001")
		r.method(busy, "3", "nothing", "[]") // not read any more
		r.want(busy, `{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`,
			`{"msg":"result","id":"2"}`, `{"msg":"updated","methods":["2"]}`, "close 1001")
		if err := <-done; err != nil {
			t.Error(err)
		}
		late := r.dial(false)
		r.want(late, "close 1001")
		r.wg.Wait()
	})
}

func TestShutdownGraceExceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, f: &ddptest.Fixture{}}
		r.srv = ddp.New(ddp.Options{Handler: r.f})
		c := r.dial(true)
		r.method(c, "1", "slow", "[60000]")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if err := r.srv.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Error(err)
		}
		if d := time.Since(start); d > 4*time.Second {
			t.Errorf("took %v", d)
		}
		r.want(c, "close 1001")
		r.wg.Wait()
	})
}

func TestAdmission(t *testing.T) {
	inBubble(t, ddp.Options{Limits: ddp.Limits{PerAddress: 2, Connections: 3}}, func(r *rig) {
		a, ok := r.srv.Admit("1.1.1.1")
		_, ok2 := r.srv.Admit("1.1.1.1")
		_, ok3 := r.srv.Admit("1.1.1.1")
		_, ok4 := r.srv.Admit("2.2.2.2")
		_, ok5 := r.srv.Admit("3.3.3.3")
		if !ok || !ok2 || ok3 || !ok4 || ok5 {
			t.Error(ok, ok2, ok3, ok4, ok5)
		}
		a()
		a()
		if _, ok := r.srv.Admit("1.1.1.1"); !ok {
			t.Error("the place was not given back")
		}
		if st := r.srv.Stats(); st.Refused != 2 || st.Sockets != 3 {
			t.Errorf("%+v", st)
		}
	})
}

func TestReasonsAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range ddp.Reasons() {
		if r.String() == "" || seen[r.String()] || r.Code() < 1000 || r.Code() > 1013 || r.Text() == "" || len(r.Text()) > 123 {
			t.Errorf("%d: %q %d %q", r, r, r.Code(), r.Text())
		}
		seen[r.String()] = true
	}
}

func TestStopHooksRunInOrder(t *testing.T) {
	var order []string
	f := &ddptest.Fixture{}
	f.OnSubscribe = func(s *ddp.Subscription) {
		for _, n := range []string{"1", "2", "3"} {
			s.OnStop(func() { order = append(order, n+s.ID()+s.Login().UserID) })
		}
	}
	inBubble(t, ddp.Options{Handler: f}, func(r *rig) {
		c := r.dial(true)
		c.Send(`{"msg":"sub","id":"s","name":"rdy"}`)
		r.want(c, `{"msg":"ready","subs":["s"]}`)
		r.method(c, "1", "setU", `["ada"]`) // the old ones still see nobody
		r.want(c, `{"msg":"ready","subs":["s"]}`, `{"msg":"result","id":"1"}`, `{"msg":"updated","methods":["1"]}`)
		c.Send(`{"msg":"unsub","id":"s"}`)
		r.want(c, `{"msg":"nosub","id":"s"}`)
		synctest.Wait()
		if got := strings.Join(order, ","); got != "1s,2s,3s,1sada,2sada,3sada" {
			t.Error(got)
		}
	})
}

// A17: the cap of an address holds for a whole IPv6 network, in whatever
// spelling, and for IPv4 addresses one by one.
func TestA17CapsCountNetworks(t *testing.T) {
	srv := ddp.New(ddp.Options{Handler: &ddptest.Fixture{}, Limits: ddp.Limits{PerAddress: 3}})
	for _, group := range [][]string{
		{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3", "2001:DB8::4"},
		{"2001:db8:0:1::1", "2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1::3"},
		{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"},
		{"192.0.2.2", "192.0.2.2", "192.0.2.2", "::ffff:192.0.2.2"},
	} {
		var leaves []func()
		for i, address := range group {
			leave, ok := srv.Admit(address)
			if ok != (i < 3) {
				t.Errorf("%s as number %d: %v", address, i+1, ok)
			}
			if ok {
				leaves = append(leaves, leave)
			}
		}
		leaves[0]()
		leaves[0]()
		if _, ok := srv.Admit(group[3]); !ok {
			t.Errorf("%s does not get the place that became free", group[3])
		}
		if _, ok := srv.Admit(group[3]); ok {
			t.Errorf("%s got a place that was given back twice", group[3])
		}
	}
}
