package ratelimit

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/fault"
)

// clock is a time that tests move.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_000_000, c.ns.Load()) }
func (c *clock) forward(d time.Duration) { c.ns.Add(int64(d)) }

func make2(c *Config) (*Limiter, *clock) {
	k := &clock{}
	return New(Options{Config: c, Now: k.now}), k
}

func timeToReset(t *testing.T, err error) int64 {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != "too-many-requests" {
		t.Fatalf("got %v, want too-many-requests", err)
	}
	return f.Details.(map[string]any)["timeToReset"].(int64)
}

func call(conn, user, name string) Event {
	return Event{Kind: Method, Name: name, UserID: user, Conn: conn, Address: "192.0.2.1"}
}

// S039: exactly the eleventh of 25 calls of one method on one connection is
// refused; other methods, connections and users are not touched.
func TestMethodFlood(t *testing.T) {
	l, k := make2(nil)
	for i := 1; i <= 25; i++ {
		err := l.Allow(call("c1", "u1", "echo"))
		if (err != nil) != (i > 10) {
			t.Fatalf("call %d: %v", i, err)
		}
		k.forward(200 * time.Millisecond)
	}
	err := l.Allow(call("c1", "u1", "echo"))
	if got := timeToReset(t, err); got != 5000 {
		t.Errorf("timeToReset %d, want 5000", got)
	}
	const want = "Error, too many requests. Please slow down. You must wait 5 seconds before trying again. [too-many-requests]"
	if f, _ := fault.From(err); f.Message() != want {
		t.Errorf("message %q", f.Message())
	}
	for _, e := range []Event{call("c1", "u1", "other"), call("c2", "u2", "echo"), {Kind: Subscription, Name: "echo", Conn: "c1"}} {
		if err := l.Allow(e); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	}
	k.forward(5 * time.Second)
	if err := l.Allow(call("c1", "u1", "echo")); err != nil {
		t.Errorf("the window has passed: %v", err)
	}
}

// Each scope alone, with the default numbers of docs/wire/rocketchat.md 5.5.
func TestScopes(t *testing.T) {
	for name, c := range map[string]struct {
		limit  int
		window time.Duration
		event  func(i int) Event
	}{
		"user by method": {20, 10 * time.Second, func(i int) Event { return call(fmt.Sprint("c", i), "u", "m") }},
		"connection":     {600, time.Minute, func(i int) Event { return call("c", fmt.Sprint("u", i), fmt.Sprint("m", i)) }},
		"user":           {1200, time.Minute, func(i int) Event { return call(fmt.Sprint("c", i), "u", fmt.Sprint("m", i)) }},
		"account": {5, 10 * time.Second, func(i int) Event {
			return Event{Kind: Method, Name: "login", Class: Account, Conn: "c", UserID: fmt.Sprint("u", i)}
		}},
		"stream by connection": {40, 40 * time.Second, func(i int) Event {
			return Event{Kind: Subscription, Name: "stream-notify-user", Conn: "c", UserID: fmt.Sprint("u", i)}
		}},
		"publication by connection": {10, 10 * time.Second, func(i int) Event {
			return Event{Kind: Subscription, Name: "userData", Conn: "c"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l, k := make2(nil)
			for i := range c.limit {
				if err := l.Allow(c.event(i)); err != nil {
					t.Fatalf("call %d: %v", i+1, err)
				}
			}
			if got := timeToReset(t, l.Allow(c.event(c.limit))); got != c.window.Milliseconds() {
				t.Errorf("timeToReset %d, want %d", got, c.window.Milliseconds())
			}
			k.forward(c.window)
			if err := l.Allow(c.event(c.limit + 1)); err != nil {
				t.Errorf("after the window: %v", err)
			}
		})
	}
}

// Methods with a rule of their own are free of the by-method rules, and the
// other way round; wide ones have neither.
func TestClasses(t *testing.T) {
	l, _ := make2(nil)
	for i := range 30 {
		if err := l.Allow(Event{Kind: Method, Name: "wide", Class: Wide, Conn: "c", UserID: "u"}); err != nil {
			t.Fatalf("wide call %d: %v", i+1, err)
		}
	}
	only := Config{ConnectionMethod: Rule{1, time.Second}, UserMethod: Rule{1, time.Second}}
	l, _ = make2(&only)
	for i := range 10 {
		if err := l.Allow(Event{Kind: Method, Name: "login", Class: Account, Conn: "c", UserID: "u"}); err != nil {
			t.Fatalf("account call %d: %v", i+1, err)
		}
	}
}

// The rule for addresses does not count loopback, and takes an IPv6 network as one.
func TestAddresses(t *testing.T) {
	c := Config{IP: Rule{2, time.Minute}}
	l, _ := make2(&c)
	for range 100 {
		for _, a := range []string{"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", ""} {
			if err := l.Allow(Event{Kind: Method, Name: "m", Address: a}); err != nil {
				t.Fatalf("%s: %v", a, err)
			}
		}
	}
	refused := 0
	for i := range 10 {
		if l.Allow(Event{Kind: Method, Name: "m", Address: fmt.Sprintf("2001:db8::%x", i+1)}) != nil {
			refused++
		}
	}
	if refused != 8 {
		t.Errorf("%d of 10 calls from one /64 refused, want 8", refused)
	}
}

// A change of the rules is in force at once, in both directions.
func TestConfigure(t *testing.T) {
	l, k := make2(nil)
	for range 11 {
		_ = l.Allow(call("c", "u", "m"))
	}
	l.Configure(Config{})
	if err := l.Allow(call("c", "u", "m")); err != nil {
		t.Errorf("limits are off: %v", err)
	}
	l.Configure(Config{ConnectionMethod: Rule{1, time.Second}})
	if got := timeToReset(t, l.Allow(call("c", "u", "m"))); got != 1000 {
		t.Errorf("a shorter window does not count at once: %d ms", got)
	}
	k.forward(time.Second)
	if err := l.Allow(call("c", "u", "m")); err != nil {
		t.Error(err)
	}
}

// Parts of a key are never confused with each other.
func TestKeys(t *testing.T) {
	l, _ := make2(nil)
	keys := map[uint64]string{}
	for _, parts := range [][]string{{"ab", "c"}, {"a", "bc"}, {"abc"}, {"abc", ""}, {"", "abc"}, {}} {
		k := l.calls.key('x', parts...)
		if was, twice := keys[k]; twice {
			t.Errorf("%q and %q share a key", was, parts)
		}
		keys[k] = strings.Join(parts, "|")
	}
}

func TestRoute(t *testing.T) {
	l, k := make2(nil)
	for i := range 10 {
		v := l.Route("me", "192.0.2.1", Rule{})
		if !v.OK || !v.Limited || v.Limit != 10 || v.Remaining != 9-i || !v.Reset.Equal(k.now().Add(time.Minute)) {
			t.Fatalf("request %d: %+v", i+1, v)
		}
	}
	v := l.Route("me", "192.0.2.1", Rule{})
	f, _ := fault.From(v.Err())
	const want = "Error, too many requests. Please slow down. You must wait 60 seconds before trying this endpoint again. [error-too-many-requests]"
	if v.OK || v.Remaining != 0 || f.Message() != want {
		t.Errorf("%+v, %q", v, f.Message())
	}
	if v := l.Route("me", "192.0.2.2", Rule{}); !v.OK {
		t.Error("another address is refused")
	}
	if v := l.Route("users.register", "192.0.2.1", Rule{1, time.Second}); !v.OK || v.Remaining != 0 || v.Limit != 1 {
		t.Errorf("a route's own rule: %+v", v)
	}
	if v := l.Route("x", "192.0.2.1", Rule{Count: -1}); !v.OK || v.Limited {
		t.Errorf("a route without a limit: %+v", v)
	}
	l.Configure(Config{})
	if v := l.Route("me", "192.0.2.1", Rule{}); !v.OK || v.Limited {
		t.Errorf("limits are off: %+v", v)
	}
}

func TestBudgets(t *testing.T) {
	l, k := make2(nil)
	for i := range 20 {
		if _, ok := l.Take("mail/192.0.2.1", 20, time.Hour); !ok {
			t.Fatalf("mail %d refused", i+1)
		}
	}
	if wait, ok := l.Peek("mail/192.0.2.1", 20); ok || wait != time.Hour {
		t.Errorf("Peek gives %v %v", wait, ok)
	}
	k.forward(20 * time.Minute)
	if wait, ok := l.Take("mail/192.0.2.1", 20, time.Hour); ok || wait != 40*time.Minute {
		t.Errorf("the 21st mail: %v %v", wait, ok)
	}
	if _, ok := l.Take("mail/192.0.2.2", 20, time.Hour); !ok {
		t.Error("another key is refused")
	}
	l.Forget("mail/192.0.2.1")
	if _, ok := l.Peek("mail/192.0.2.1", 1); !ok {
		t.Error("Forget forgets nothing")
	}
}

// S040: a million names in one window stay within 64 MiB, and a caller who is
// being counted is not forgotten.
func TestMemory(t *testing.T) {
	l, _ := make2(nil)
	for range 8 {
		_ = l.Allow(call("victim", "victim", "login"))
	}
	for range 4 {
		l.Take("wrong/victim", 5, time.Hour)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range strangers {
		name := fmt.Sprint("stranger", i)
		_ = l.Allow(Event{Kind: Method, Name: "login", Class: Account, Conn: name, Address: name})
		if i%4 == 0 {
			l.Take(name, 5, time.Hour)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the limiter holds %d MiB", grown>>20)
	}
	if n := l.calls.len(); n > maxCalls {
		t.Errorf("%d windows are kept", n)
	}
	var err error
	for range 3 {
		err = l.Allow(call("victim", "victim", "login"))
	}
	if err == nil {
		t.Error("the flood made the limiter forget a caller")
	}
	l.Take("wrong/victim", 5, time.Hour)
	if _, ok := l.Peek("wrong/victim", 5); ok {
		t.Error("the flood made the limiter forget an account")
	}
	runtime.KeepAlive(l)
}

func TestSweepGivesMemoryBack(t *testing.T) {
	tb := newTable(1 << 17)
	for i := range 100_000 {
		tb.hit(tb.key('x', fmt.Sprint(i)), Rule{1, time.Second}, 0)
	}
	for i := range 100_000 {
		tb.hit(tb.key('y', fmt.Sprint(i%5000)), Rule{1, time.Second}, 100_000)
	}
	if n := tb.len(); n > 10_000 {
		t.Errorf("%d windows are kept, 5000 are alive", n)
	}
}

// Counts are exact under contention.
func TestParallel(t *testing.T) {
	c := Config{ConnectionMethod: Rule{100, time.Hour}}
	l, _ := make2(&c)
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if l.Allow(Event{Kind: Method, Name: "m", Conn: "c"}) == nil {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 100 {
		t.Errorf("%d calls passed, want 100", passed.Load())
	}
}

func BenchmarkAllow(b *testing.B) {
	l := New(Options{})
	e := Event{Kind: Method, Name: "sendMessage", UserID: "5oYTk6xPJpAswQpy2", Conn: "cp9hWvhg8GSvuZ9os", Address: "192.0.2.1"}
	b.ReportAllocs()
	for b.Loop() {
		_ = l.Allow(e)
	}
}

func BenchmarkAllowOK(b *testing.B) {
	c := Defaults()
	for _, r := range []*Rule{&c.IP, &c.User, &c.Connection, &c.UserMethod, &c.ConnectionMethod} {
		r.Count = 1 << 40
	}
	l := New(Options{Config: &c})
	e := Event{Kind: Method, Name: "sendMessage", UserID: "5oYTk6xPJpAswQpy2", Conn: "cp9hWvhg8GSvuZ9os", Address: "192.0.2.1"}
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Allow(e); err != nil {
			b.Fatal(err)
		}
	}
}
