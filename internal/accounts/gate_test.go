package accounts

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"ddpserver/internal/fault"
)

// hall is a gate whose core is held by the test: it lets one caller go at a time
// and writes down the order. Nothing in it depends on a clock.
type hall struct {
	t      *testing.T
	g      *gate
	ctx    context.Context
	inside map[string]func()
	order  []string
	lost   []string
	came   chan arrival
}

type arrival struct {
	name  string
	leave func()
	err   error
}

func newHall(t *testing.T) *hall {
	return &hall{t: t, g: newGate(), ctx: t.Context(), inside: map[string]func(){}, came: make(chan arrival, 1000)}
}

// come sends a caller to the gate and waits until it stands there.
func (h *hall) come(name string, who claimant) {
	go func() {
		leave, err := h.g.enter(h.ctx, who)
		h.came <- arrival{name, leave, err}
	}()
	h.look()
}

// look notes who got in and who lost a place.
func (h *hall) look() {
	synctest.Wait()
	for {
		select {
		case a := <-h.came:
			if a.err != nil {
				if f, ok := fault.From(a.err); !ok || f.Code != "too-many-requests" {
					h.t.Errorf("%s: %v", a.name, a.err)
				}
				h.lost = append(h.lost, a.name)
				continue
			}
			h.order = append(h.order, a.name)
			h.inside[a.name] = a.leave
		default:
			return
		}
	}
}

// serve lets n callers finish, in the order in which they got in.
func (h *hall) serve(n int) {
	for range n {
		for _, name := range h.order {
			if leave := h.inside[name]; leave != nil {
				delete(h.inside, name)
				leave()
				break
			}
		}
		h.look()
	}
}

func (h *hall) all() {
	for len(h.inside) > 0 {
		h.serve(1)
	}
	if h.g.queue() != 0 || h.g.inside != 0 || len(h.g.busy) != 0 || len(h.g.lanes[0].flows)+len(h.g.lanes[1].flows) != 0 {
		h.t.Errorf("left behind: %+v", h.g)
	}
}

func (h *hall) place(name string) int { return slices.Index(h.order, name) }

func inHall(t *testing.T, f func(h *hall)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t)
		f(h)
		h.all()
	})
}

// A15: eight accounts from two addresses send right passwords without end, as
// many as fit and more. Whoever else comes, from anywhere, known or not, gets in
// after a few of them.
func TestA15FewCallersDoNotStarveOthers(t *testing.T) {
	for name, known := range map[string][2]bool{
		"strangers both": {false, false}, "attackers known": {true, false}, "victim known": {false, true}, "both known": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			inHall(t, func(h *hall) {
				n := 0
				flood := func(k int) {
					for range k {
						h.come(fmt.Sprint("flood", n), claimant{address: fmt.Sprint("198.51.100.", n%2), account: fmt.Sprint("bad", n%8), known: known[0]})
						n++
					}
				}
				flood(3 * hashQueue)
				if h.g.queue() != hashQueue {
					t.Fatalf("%d wait, want a full queue", h.g.queue())
				}
				for i := range 5 {
					before := len(h.order)
					victim := fmt.Sprint("ada", i)
					h.come(victim, claimant{address: "192.0.2.7", account: "ada", known: known[1]})
					flood(20)
					for range 8 {
						h.serve(1)
						flood(2)
					}
					if at := h.place(victim); at < 0 || at-before > 6 {
						t.Errorf("%s got in after %d others (lost %v)", victim, at-before, slices.Contains(h.lost, victim))
					}
				}
			})
		})
	}
}

// A15: an account that is hammered from everywhere has its own queue to wait in:
// other accounts of the same few addresses, and its owner at home, go past.
func TestA15HammeredAccount(t *testing.T) {
	inHall(t, func(h *hall) {
		for i := range 3 * hashQueue {
			h.come(fmt.Sprint("guess", i), claimant{address: fmt.Sprint("198.51.100.", i), account: "ada"})
		}
		h.come("bob", claimant{address: "198.51.100.9", account: "bob"})
		h.come("ada at home", claimant{address: "192.0.2.7", account: "ada", known: true})
		h.serve(4)
		if h.place("bob") < 0 || h.place("ada at home") < 0 {
			t.Errorf("order %v", h.order)
		}
	})
}

// A15: many addresses with one caller each are many; a known caller comes before
// them, and they do not keep the second caller of an office waiting for ever.
func TestA15ManyAddresses(t *testing.T) {
	inHall(t, func(h *hall) {
		n := 0
		crowd := func(k int) {
			for range k {
				h.come(fmt.Sprint("bot", n), claimant{address: fmt.Sprint("b", n), account: fmt.Sprint("a", n)})
				n++
			}
		}
		crowd(hashQueue)
		h.come("office1", claimant{address: "192.0.2.7", account: "one"})
		h.come("office2", claimant{address: "192.0.2.7", account: "two"})
		for range hashQueue + 3*aging {
			h.serve(1)
			crowd(1)
		}
		if h.place("office1") < 0 || h.place("office2") < 0 {
			t.Errorf("the office waits (lost %v)", h.lost)
		}
		crowd(hashQueue)
		h.come("ada", claimant{address: "192.0.2.9", account: "ada", known: true})
		h.serve(3)
		if h.place("ada") < 0 {
			t.Error("a known caller waits behind strangers")
		}
	})
}

// A15: known callers without end leave every fourth place to the others.
func TestA15KnownCallersLeaveRoom(t *testing.T) {
	inHall(t, func(h *hall) {
		n := 0
		known := func(k int) {
			for range k {
				h.come(fmt.Sprint("known", n), claimant{address: fmt.Sprint("k", n), account: fmt.Sprint("k", n), known: true})
				n++
			}
		}
		known(20)
		h.come("new", claimant{address: "192.0.2.9", account: "ada"})
		for range 8 {
			h.serve(1)
			known(1)
		}
		if at := h.place("new"); at < 0 || at > 8 {
			t.Errorf("order %v", h.order)
		}
	})
}

// One account alone may fill the queue; the bound is the queue's.
func TestOneAccountAloneMayFillTheQueue(t *testing.T) {
	inHall(t, func(h *hall) {
		for i := range hashQueue + 1 { // one is inside
			h.come(fmt.Sprint(i), claimant{address: "192.0.2.1", account: "ada"})
		}
		if len(h.lost) != 0 {
			t.Fatalf("lost %v", h.lost)
		}
		h.come("one too many", claimant{address: "192.0.2.1", account: "ada"})
		if !slices.Equal(h.lost, []string{"one too many"}) {
			t.Errorf("lost %v", h.lost)
		}
		h.all()
		if !slices.IsSortedFunc(h.order, func(a, b string) int { return len(a) - len(b) }) || len(h.order) != hashQueue+1 {
			t.Errorf("order %v", h.order)
		}
	})
}

// A caller who hangs up leaves no trace, whether it waits or its turn comes at
// that moment.
func TestHangingUpAtTheGate(t *testing.T) {
	inHall(t, func(h *hall) {
		h.come("first", claimant{address: "a", account: "x"})
		ctx, cancel := context.WithCancel(h.t.Context())
		h.ctx = ctx
		for i := range 5 {
			who := claimant{address: "a", account: "x"}
			go func() {
				leave, err := h.g.enter(ctx, who)
				if err == nil {
					leave()
				} else if ctx.Err() == nil {
					h.t.Error(i, err)
				}
			}()
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		if h.g.queue() != 0 {
			h.t.Errorf("%d still wait", h.g.queue())
		}
	})
}
