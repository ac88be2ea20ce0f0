// Package budget counts the bytes that a process holds for its clients: what was
// received and not yet worked off, and what was made and not yet taken. There is
// one Account for the process; every door asks it before it holds more.
//
// It frees nothing and closes nobody: a door that is refused decides for itself
// whether it waits (Holding.Wait), stops reading, or answers with a named error.
package budget

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Small is how many bytes one client may hold out of the part of an Account that
// is kept for small holders: 16 KiB. Whoever sends and reads ordinary messages
// never holds more, so the large holders cannot make them wait.
const Small = 16 << 10

// Default is the limit of a process whose memory nobody has limited: 128 MiB.
const Default = 128 << 20

// least is the smallest limit: a few of the largest messages and one of the
// largest results must fit, or nobody could ever be served.
const least = 24 << 20

// Of is a quarter of a memory limit in bytes, at least 24 MiB; Default when the
// limit is none (0, negative, or the runtime's MaxInt64).
func Of(memory int64) int64 {
	if memory <= 0 || memory == math.MaxInt64 {
		return Default
	}
	return max(memory/4, least)
}

// Account is the budget of all clients together, in bytes. Its methods may be
// called from any goroutine. A nil Account refuses nothing and counts nothing.
type Account struct {
	limit, large int64
	used         atomic.Int64
	peak         atomic.Int64
	refused      atomic.Uint64

	mu       sync.Mutex
	networks map[string]int64 // bytes that each holds, where it is any

	heavy chan struct{} // the turns that are taken
	// freed is closed when bytes come back; nil while nobody waits.
	freed atomic.Pointer[chan struct{}]
}

// New makes an Account of that many bytes. Zero or less means Default. Large
// holders, those with more than Small, share three quarters of it. No network
// gets more than is free: one that takes all it can has half, and whoever comes
// then from another one finds room.
func New(limit int64) *Account {
	if limit <= 0 {
		limit = Default
	}
	return &Account{limit: limit, large: limit / 4 * 3, networks: map[string]int64{}, heavy: make(chan struct{}, max(runtime.GOMAXPROCS(0)/2, 1))}
}

// Take counts n bytes for one request or answer that belongs to no session, of a
// client of that network (netkey; "" is nobody's and has no share). When
// ok, release gives them back; calling it again does nothing. Otherwise there is
// no room and nothing was counted: refuse with words, or wait with a Holding.
func (a *Account) Take(network string, n int) (release func(), ok bool) {
	if a == nil {
		return func() {}, true
	}
	if !a.add(n, 0, network) {
		a.refused.Add(1)
		return nil, false
	}
	return sync.OnceFunc(func() { a.give(n, network) }), true
}

// Work waits for its turn to take a text of n bytes apart; call done, once, as soon
// as that is done, and wait for nothing before. Texts up to Small need no turn.
func (a *Account) Work(n int) (done func()) {
	if a == nil || n <= Small {
		return nothing
	}
	a.heavy <- struct{}{}
	return a.next
}

// Turn waits for a turn, in the order of asking, to work for who asks for much;
// call done afterwards, as often as you like. There are half as many turns at once
// as there are processors, at least one. Two hundred flooded connections, each
// ready to run, would make everybody's ping wait for two hundred time slices, and
// a processor that always has somebody to run looks for what came over the network
// only every ten milliseconds.
//
// After longest the turn goes to the next one in any case: who has not finished by
// then may be waiting, for a database perhaps, and is not waited for.
func (a *Account) Turn(longest time.Duration) (done func()) {
	if a == nil {
		return nothing
	}
	a.heavy <- struct{}{}
	next := sync.OnceFunc(a.next)
	over := time.AfterFunc(longest, next)
	return func() {
		over.Stop()
		next()
	}
}

func nothing() {}

func (a *Account) next() { <-a.heavy }

// Used is how many bytes are counted now, Peak the most there ever were, Limit
// the most there may be, all in bytes; Refused is how often somebody was refused.
func (a *Account) Used() int64 { return a.used.Load() }

// Peak is the most that was ever counted at once, in bytes.
func (a *Account) Peak() int64 { return a.peak.Load() }

// Limit is the most that may be counted, in bytes.
func (a *Account) Limit() int64 { return a.limit }

// Refused counts those who were refused for good, after waiting.
func (a *Account) Refused() uint64 { return a.refused.Load() }

// add counts n bytes for somebody of that network who holds so many already.
func (a *Account) add(n int, holds int64, network string) bool {
	limit := a.large
	if holds+int64(n) <= Small {
		limit = a.limit
	}
	if network != "" {
		a.mu.Lock()
		defer a.mu.Unlock()
		if free := limit - a.used.Load(); a.networks[network]+int64(n) > free {
			return false // it would have more than there is for all others
		}
	}
	used := a.used.Load()
	for {
		if used+int64(n) > limit {
			return false
		}
		// No counting and taking back: others would be refused for it meanwhile.
		if a.used.CompareAndSwap(used, used+int64(n)) {
			break
		}
		used = a.used.Load()
	}
	if network != "" {
		a.networks[network] += int64(n)
	}
	used += int64(n)
	for {
		peak := a.peak.Load()
		if used <= peak || a.peak.CompareAndSwap(peak, used) {
			return true
		}
	}
}

// credit changes what a network holds; one that holds nothing is forgotten.
func (a *Account) credit(network string, n int) {
	if network == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.networks[network] += int64(n); a.networks[network] == 0 {
		delete(a.networks, network)
	}
}

// give takes n bytes off and wakes who waits for room.
func (a *Account) give(n int, network string) {
	a.used.Add(-int64(n))
	a.credit(network, -n)
	if a.freed.Load() == nil {
		return
	}
	if c := a.freed.Swap(nil); c != nil {
		close(*c)
	}
}

// Freed is closed when bytes come back. Ask for it first and Grow then, so that
// nothing is missed in between. Without an Account nobody has to wait.
func (h *Holding) Freed() <-chan struct{} {
	a := h.Account
	for a != nil {
		if c := a.freed.Load(); c != nil {
			return *c
		}
		c := make(chan struct{})
		if a.freed.CompareAndSwap(nil, &c) {
			return c
		}
	}
	return nil
}

// Refuse counts that a client was turned away for want of room.
func (h *Holding) Refuse() {
	if h.Account != nil {
		h.Account.refused.Add(1)
	}
}

// Holding is what one client holds of an Account, in bytes. The zero value
// holds nothing of no account; set Account, and Network where there is one (see
// Take), before use. Its methods may be called from any goroutine.
type Holding struct {
	Account *Account
	Network string
	bytes   atomic.Int64
}

// Bytes is how much is held.
func (h *Holding) Bytes() int64 { return h.bytes.Load() }

// Grow counts n more bytes if there is room, at once.
func (h *Holding) Grow(n int) bool {
	held := h.bytes.Add(int64(n))
	if a := h.Account; a != nil && !a.add(n, held-int64(n), h.Network) {
		h.bytes.Add(-int64(n))
		return false
	}
	return true
}

// Force counts n more bytes whether or not there is room: for what exists
// already and cannot be refused. Others are refused all the more.
func (h *Holding) Force(n int) {
	h.bytes.Add(int64(n))
	if h.Account != nil {
		h.Account.used.Add(int64(n))
		h.Account.credit(h.Network, n)
	}
}

// Shrink gives n bytes back.
func (h *Holding) Shrink(n int) {
	h.bytes.Add(-int64(n))
	if h.Account != nil && n != 0 {
		h.Account.give(n, h.Network)
	}
}

// Wait is Grow that waits for room, at most so long and until ctx ends. False
// means that the client is to be refused by name; it is counted then.
func (h *Holding) Wait(ctx context.Context, n int, patience time.Duration) bool {
	if h.Grow(n) {
		return true
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		freed := h.Freed()
		if h.Grow(n) {
			return true
		}
		select {
		case <-freed:
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		h.Refuse()
		return false
	}
}
