package sockjs

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
)

// from runs a request of a client with that address to its end.
func (b *bubble) from(address, method, path, body string) (int, string) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	r.RemoteAddr = address
	b.h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// connected makes a session that has shaken hands, as the engine would tell.
func (b *bubble) connected(address, name string) {
	b.t.Helper()
	if code, text := b.from(address, "POST", "/sockjs/0/"+name+"/xhr", ""); code != 200 || text != "o\n" {
		b.t.Fatalf("%s of %s: %d %q", name, address, code, text)
	}
	b.h.mu.Lock()
	s := b.h.sessions[name]
	b.h.mu.Unlock()
	s.Connected()
}

func (b *bubble) alive(address, name string) bool {
	code, _ := b.from(address, "POST", "/sockjs/0/"+name+"/xhr_send", `["hi"]`)
	return code == 204
}

// A15, polling: whoever floods the door with sessions, from one address, from a
// network of addresses or from many, connected or not, does not end the sessions
// of others and does not keep newcomers out.
func TestA15PollingSharesAreFair(t *testing.T) {
	const places = 60
	attackers := map[string]func(i int) string{
		"one address":          func(int) string { return "192.0.2.66:1" },
		"one IPv6 network":     func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i+1) },
		"three addresses":      func(i int) string { return fmt.Sprintf("192.0.2.%d:1", 100+i%3) },
		"an address each time": func(i int) string { return fmt.Sprintf("198.51.100.%d:1", i) },
	}
	for who, address := range attackers {
		for _, shakes := range []bool{false, true} {
			if who == "an address each time" && shakes {
				continue // nobody can tell these from many honest ones
			}
			t.Run(fmt.Sprintf("%s, connected=%v", who, shakes), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBubble(t, Options{Sessions: places})
					for i := range 10 {
						b.connected(fmt.Sprintf("203.0.113.%d:1", i), fmt.Sprintf("old%d", i))
					}
					for i := range 4 * places {
						name := fmt.Sprintf("bad%d", i)
						if shakes {
							if code, _ := b.from(address(i), "POST", "/sockjs/0/"+name+"/xhr", ""); code == 200 {
								b.h.mu.Lock()
								s := b.h.sessions[name]
								b.h.mu.Unlock()
								s.Connected()
							}
						} else {
							b.from(address(i), "POST", "/sockjs/0/"+name+"/xhr", "")
						}
						synctest.Wait()
					}
					for i := range 10 {
						b.connected(fmt.Sprintf("203.0.113.%d:1", 100+i), fmt.Sprintf("new%d", i))
						synctest.Wait()
					}
					if n := b.h.Len(); n > places {
						t.Errorf("%d sessions", n)
					}
					for i := range 10 {
						for kind, host := range map[string]int{"old": i, "new": 100 + i} {
							if !b.alive(fmt.Sprintf("203.0.113.%d:1", host), fmt.Sprintf("%s%d", kind, i)) {
								t.Errorf("%s%d had to go", kind, i)
							}
						}
					}
					if err := b.h.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
					synctest.Wait()
					if n := b.e.Stats().Sockets; n != 0 {
						t.Errorf("%d places of the engine were not given back", n)
					}
				})
			})
		}
	}
}

// A15, polling: newcomers get as far as shaking hands while somebody who holds
// nearly all places, all connected, opens one session after the other and
// connects each; and a client whom the engine lets open no more ends nobody's.
func TestA15NewcomersAreNotPushedOut(t *testing.T) {
	const places = 20
	for _, capped := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			limits := ddp.Limits{}
			if capped {
				limits.PerAddress = places - 4
			}
			b := newBubble(t, Options{Sessions: places})
			b.e.Server = ddp.New(ddp.Options{Limits: limits})
			open := func(address, name string) {
				b.from(address, "POST", "/sockjs/0/"+name+"/xhr", "")
				synctest.Wait()
			}
			for i := range 4 {
				open(fmt.Sprintf("203.0.113.%d:1", i), fmt.Sprintf("new%d", i))
			}
			for i := range places - 4 {
				b.connected("192.0.2.66:1", fmt.Sprintf("bad%d", i))
			}
			for i := range 2 * places {
				name := fmt.Sprintf("worse%d", i)
				open("192.0.2.66:1", name)
				b.h.mu.Lock()
				s := b.h.sessions[name]
				b.h.mu.Unlock()
				if s != nil {
					s.Connected()
				}
			}
			open("203.0.113.9:1", "late")
			if !b.alive("203.0.113.9:1", "late") {
				t.Errorf("capped %v: nobody else gets in", capped)
			}
			for i := range 4 {
				if !b.alive(fmt.Sprintf("203.0.113.%d:1", i), fmt.Sprintf("new%d", i)) {
					t.Errorf("capped %v: newcomer %d had to go", capped, i)
				}
			}
			if err := b.h.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

// With fair shares all around and everybody connected, the newcomer is refused.
func TestA15FullOfFairShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Options{Sessions: 5})
		for i := range 5 {
			b.connected(fmt.Sprintf("203.0.113.%d:1", i), fmt.Sprintf("s%d", i))
		}
		if code, _ := b.from("203.0.113.9:1", "POST", "/sockjs/0/late/xhr", ""); code != 503 {
			t.Errorf("one more: %d", code)
		}
		if err := b.h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Who listens and has to go is told so.
func TestA15TheEvictedAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, Options{Sessions: 2})
		b.want("POST", "/sockjs/0/first/xhr", "", "o\n")
		out := b.later(context.Background(), "POST", "/sockjs/0/first/xhr")
		b.want("POST", "/sockjs/0/second/xhr", "", "o\n")
		b.want("POST", "/sockjs/0/third/xhr", "", "o\n")
		if text := <-out; !strings.HasPrefix(text, "c[1013,") {
			t.Errorf("told %q", text)
		}
		if err := b.h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A12, SockJS: what is posted counts, is refused with 503 when there is no room,
// and is given back whatever becomes of it. A body of a million messages costs
// no more than its text.
func TestA12PostsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := budget.New(1 << 20)
		b := newBubble(t, Options{Budget: account})
		b.want("POST", poll, "", "o\n")
		body := "[" + strings.Repeat("1,", 60<<10) + "1]"
		b.want("POST", post, `["first"]`, "") // the engine hangs in its answer
		status := make(chan int, 3)
		for range 3 { // each waits for the engine
			go func() {
				code, _ := b.do(context.Background(), "POST", post, body)
				status <- code
			}()
		}
		synctest.Wait()
		if n := account.Used(); n < 3*int64(len(body)) || n > account.Limit() {
			t.Errorf("%d bytes are counted for three bodies of %d", n, len(body))
		}
		var others []func()
		for {
			release, ok := account.Take("", 64<<10)
			if !ok {
				break
			}
			others = append(others, release)
		}
		if code, text := b.do(context.Background(), "POST", post, body); code != 503 {
			t.Errorf("no room, and %d %q", code, text)
		}
		for _, release := range others {
			release()
		}
		if err := b.h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		for range 3 {
			<-status
		}
		synctest.Wait()
		if n := account.Used(); n != 0 {
			t.Errorf("%d bytes are counted for nobody", n)
		}
	})
}

var _ interface{ Connected() } = (*session)(nil)
var _ ddp.Conn = (*session)(nil)
