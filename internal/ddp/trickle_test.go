package ddp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/rpc"
)

// trickle is a connection whose transport takes what it likes of a write that may
// not wait: nothing, some bytes, or all. A write that may wait takes its time.
type trickle struct {
	*ddptest.Conn
	mu  sync.Mutex
	rng *rand.Rand
	got []byte
}

// Write implements ddp.Conn.
func (c *trickle) Write(p []byte, wait bool) (int, error) {
	c.mu.Lock()
	n, pause := len(p), time.Duration(c.rng.IntN(3))*time.Millisecond
	if !wait && c.rng.IntN(2) == 0 {
		n = c.rng.IntN(len(p) + 1)
	}
	c.got = append(c.got, p[:n]...)
	c.mu.Unlock()
	if wait {
		<-time.After(pause)
	}
	return n, nil
}

func (c *trickle) messages() (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for m := range wire.Messages(c.got) {
		out = append(out, string(m))
	}
	return out
}

// Whatever a transport takes at a time, every frame arrives whole and once; those
// of calls in the order of the calls, those of one publisher in the order in which
// he published them, and no call's result before the frames that it caused.
func TestFramesStayWholeWhateverTheTransportTakes(t *testing.T) {
	for seed := range uint64(30) {
		inBubble(t, ddp.Options{Limits: ddp.Limits{HeartbeatInterval: -1}}, func(r *rig) {
			conn, c := ddptest.Pipe()
			link := &trickle{Conn: conn, rng: rand.New(rand.NewPCG(seed, 1))}
			rng := rand.New(rand.NewPCG(seed, 2))
			r.wg.Go(func() { r.srv.Serve(link, &rpc.Peer{Address: "10.0.0.1"}) })
			c.Send(hello)
			c.Send(`{"msg":"sub","id":"s","name":"stream","params":[]}`)
			synctest.Wait()
			const calls, events, publishers = 60, 40, 3
			var all sync.WaitGroup
			for p := range publishers {
				size := rng.IntN(3000)
				all.Go(func() {
					for i := range events {
						r.f.Publish(fmt.Appendf(nil, `["p%d",%d,%q]`, p, i, strings.Repeat("x", size)), i%2 == p%2)
						<-time.After(time.Duration(i%3) * time.Millisecond)
					}
				})
			}
			for i := range calls {
				r.method(c, fmt.Sprint(i), "echo", fmt.Sprintf("[%q]", strings.Repeat("y", rng.IntN(5000))))
				if i%10 == 0 {
					<-time.After(time.Millisecond)
				}
			}
			all.Wait()
			<-time.After(time.Minute)
			synctest.Wait()
			result, updated, next := 0, 0, map[string]float64{}
			for _, m := range link.messages() {
				var f struct {
					Msg, ID string
					Methods []string
					Fields  struct{ Args []any }
				}
				if err := json.Unmarshal([]byte(m), &f); err != nil {
					t.Fatalf("seed %d: %.80q: %v", seed, m, err)
				}
				switch f.Msg {
				case "result":
					if f.ID != fmt.Sprint(result) {
						t.Fatalf("seed %d: result of %s, want %d", seed, f.ID, result)
					}
					result++
				case "updated":
					updated += len(f.Methods)
				case "changed":
					who, n := f.Fields.Args[0].(string), f.Fields.Args[1].(float64)
					if n != next[who] {
						t.Fatalf("seed %d: event %v of %s, want %v", seed, n, who, next[who])
					}
					next[who]++
				}
			}
			if result != calls || updated != calls || len(next) != publishers {
				t.Errorf("seed %d: %d results, %d updated, events %v", seed, result, updated, next)
			}
			for who, n := range next {
				if n != events {
					t.Errorf("seed %d: %v events of %s", seed, n, who)
				}
			}
			c.Close()
			<-time.After(time.Second) // for the write that is under way
		})
	}
}

// broken is a connection whose transport fails after so many bytes.
type broken struct {
	*ddptest.Conn
	mu   sync.Mutex
	left int
}

// Write implements ddp.Conn.
func (c *broken) Write(p []byte, _ bool) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left -= len(p); c.left < 0 {
		return 0, context.DeadlineExceeded
	}
	return len(p), nil
}

// A transport that fails, at whatever byte, ends the session once, with its calls
// and subscriptions, and leaves nothing counted.
func TestAFailingTransportEndsTheSession(t *testing.T) {
	for left := 0; left < 900; left += 60 {
		inBubble(t, ddp.Options{}, func(r *rig) {
			conn, c := ddptest.Pipe()
			r.wg.Go(func() { r.srv.Serve(&broken{Conn: conn, left: left}, &rpc.Peer{Address: "10.0.0.1"}) })
			c.Send(hello)
			c.Send(`{"msg":"sub","id":"s","name":"stream","params":[]}`)
			r.method(c, "1", "slow", "[1000]")
			for i := range 20 {
				r.method(c, fmt.Sprint("n", i), "echo", `["a text of some length"]`)
			}
			<-time.After(2 * time.Second)
			synctest.Wait()
			if n := r.srv.Stats().Sessions; n != 0 {
				t.Errorf("after %d bytes: %d sessions are left", left, n)
			}
			if n := r.f.Streams(); n != 0 {
				t.Errorf("after %d bytes: %d subscriptions are left", left, n)
			}
			if joined, gone := r.f.Joined.Load(), r.f.Left.Load(); joined != gone {
				t.Errorf("after %d bytes: %d came and %d left", left, joined, gone)
			}
		})
	}
}

// A result that is too large, or that cannot be encoded, is one refusal in its
// place; the calls behind it have theirs, and the connection stays.
func TestResultsThatCannotBeSent(t *testing.T) {
	inBubble(t, ddp.Options{Limits: ddp.Limits{ResultBytes: 1000}}, func(r *rig) {
		c := r.dial(true)
		r.method(c, "1", "echo", fmt.Sprintf("[%q]", strings.Repeat("x", 2000)))
		r.method(c, "2", "decoded", fmt.Sprintf("[%q]", strings.Repeat("x", 2000)))
		r.method(c, "3", "unencodable", "[]")
		r.method(c, "4", "echo", `["small"]`)
		for i, want := range []string{"error-result-too-large", "error-result-too-large", `"error":500`, `"result":["small"]`} {
			if got := r.frame(c); !strings.Contains(got, want) || !strings.Contains(got, fmt.Sprintf(`"id":"%d"`, i+1)) || len(got) > 1000 {
				t.Errorf("call %d: got %.200s", i+1, got)
			}
			r.want(c, fmt.Sprintf(`{"msg":"updated","methods":["%d"]}`, i+1))
		}
	})
}
