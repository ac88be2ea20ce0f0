package accounts

import (
	"context"
	"sync"
	"time"

	"ddpserver/internal/ratelimit"
)

const (
	// hashQueue is how many may wait for the one core that hashes.
	hashQueue = 50
	// maxInside is how many are past the queue at once: one hashes while others
	// count their passwords in the store.
	maxInside = 3
	// knownRun is how many known callers go before one unknown one must.
	knownRun = 3
	// aging is how many callers a lane serves before those who joined with a
	// longer queue of their own are as old as whoever comes next.
	aging = 16
)

// claimant says who wants something hashed, for fair shares: a network address
// (a /64 of IPv6), an account, or both. Known is a caller whose account was used
// from that address, or in a session.
type claimant struct {
	address, account string
	known            bool
}

// keys are the flows that a claimant belongs to.
func (c claimant) keys() []string {
	keys := make([]string, 0, 2)
	if c.address != "" {
		keys = append(keys, "address/"+c.address)
	}
	if c.account != "" {
		keys = append(keys, "account/"+c.account)
	}
	return keys
}

// gate is the queue in front of the core that hashes (S115). It is
// short, and shared fairly: addresses and accounts take turns, whatever number
// of callers each sends, and known callers go first three times out of four.
// Nobody has a share that is only theirs: one account may fill the whole queue
// while nobody else comes. Who comes to a full queue takes the place of whoever
// stands furthest back behind others of the same address or account.
//
// The tries of one account, and those of one address, go one at a time: so a
// right password is never refused because others that are right too are still
// counted. The wait is bounded by the queue alone, never by a clock.
type gate struct {
	mu      sync.Mutex
	lanes   [2]lane // strangers, known
	waiting []*waiter
	busy    map[string]bool
	inside  int
	run     int // known callers served since the last unknown one
	joined  uint64
}

// lane is a queue of its own under start-time fair queueing: who joins gets a tag
// that grows with what the address and the account have in the queue already,
// and the smallest tag goes first.
type lane struct {
	now    uint64
	served int
	flows  map[string]*flow
}

type flow struct {
	next uint64 // tag of whoever joins next
	here int    // how many wait or are inside
}

type waiter struct {
	claimant
	lane *lane
	tag  uint64
	seq  uint64
	// turn gets true when it is the waiter's turn, false when it lost its place.
	turn chan bool
}

func newGate() *gate {
	g := &gate{busy: make(map[string]bool)}
	for i := range g.lanes {
		g.lanes[i].flows = make(map[string]*flow)
	}
	return g
}

// queue tells how many wait.
func (g *gate) queue() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// enter waits for the caller's turn; leave ends it. Refused with too-many-requests
// when the queue is full of callers with no more than their share.
func (g *gate) enter(ctx context.Context, who claimant) (leave func(), err error) {
	w := &waiter{claimant: who, turn: make(chan bool, 1)}
	g.mu.Lock()
	g.join(w)
	g.admit()
	g.mu.Unlock()
	select {
	case mine := <-w.turn:
		if !mine {
			return nil, ratelimit.TooMany(2 * time.Second)
		}
		return func() { g.leave(w) }, nil
	case <-ctx.Done():
		g.abandon(w)
		return nil, ctx.Err()
	}
}

// join puts a caller in the queue; somebody loses a place if it is full.
func (g *gate) join(w *waiter) {
	w.lane = &g.lanes[0]
	if w.known {
		w.lane = &g.lanes[1]
	}
	g.joined++
	w.seq, w.tag = g.joined, w.lane.now
	for _, k := range w.keys() {
		if f := w.lane.flows[k]; f != nil {
			w.tag = max(w.tag, f.next)
		}
	}
	for _, k := range w.keys() {
		f := w.lane.flows[k]
		if f == nil {
			f = &flow{}
			w.lane.flows[k] = f
		}
		f.next, f.here = w.tag+1, f.here+1
	}
	g.waiting = append(g.waiting, w)
	if len(g.waiting) > hashQueue {
		last := g.waiting[0]
		for _, x := range g.waiting[1:] {
			if x.behind(last) {
				last = x
			}
		}
		g.remove(last)
		g.forget(last)
		last.turn <- false
	}
}

// behind tells whether w has less claim to its place than x: more of its own kind
// stand before it, or as many and it is the unknown one, or came later.
func (w *waiter) behind(x *waiter) bool {
	a, b := w.depth(), x.depth()
	switch {
	case a != b:
		return a > b
	case w.known != x.known:
		return !w.known
	}
	return w.seq > x.seq
}

func (w *waiter) depth() uint64 { return w.tag - min(w.tag, w.lane.now) }

// admit lets in whoever's turn it is, while there is room.
func (g *gate) admit() {
	for g.inside < maxInside {
		w := g.next()
		if w == nil {
			return
		}
		g.remove(w)
		g.inside++
		for _, k := range w.keys() {
			g.busy[k] = true
		}
		l := w.lane
		l.now = max(l.now, w.tag)
		if l.served++; l.served%aging == 0 {
			l.now++
		}
		if g.run++; !w.known {
			g.run = 0
		}
		w.turn <- true
	}
}

// next is whose turn it is: nil when nobody waits whose address and account are free.
func (g *gate) next() *waiter {
	var best [2]*waiter
	for _, w := range g.waiting {
		i := 0
		if w.known {
			i = 1
		}
		if b := best[i]; g.free(w) && (b == nil || w.tag < b.tag) { // waiting is in order of arrival
			best[i] = w
		}
	}
	if best[1] == nil || best[0] != nil && g.run >= knownRun {
		return best[0]
	}
	return best[1]
}

func (g *gate) free(w *waiter) bool {
	for _, k := range w.keys() {
		if g.busy[k] {
			return false
		}
	}
	return true
}

func (g *gate) remove(w *waiter) bool {
	for i, x := range g.waiting {
		if x == w {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// forget drops flows that nobody belongs to any more.
func (g *gate) forget(w *waiter) {
	for _, k := range w.keys() {
		if f := w.lane.flows[k]; f != nil {
			if f.here--; f.here == 0 {
				delete(w.lane.flows, k)
			}
		}
	}
}

func (g *gate) leave(w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	for _, k := range w.keys() {
		delete(g.busy, k)
	}
	g.forget(w)
	g.admit()
}

// abandon takes a caller who hung up out of the queue, or ends the turn that came
// at the same moment.
func (g *gate) abandon(w *waiter) {
	g.mu.Lock()
	if g.remove(w) {
		g.forget(w)
		g.mu.Unlock()
		return
	}
	g.mu.Unlock()
	if <-w.turn {
		g.leave(w)
	}
}
