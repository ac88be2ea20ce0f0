package accounts

import (
	"container/list"
	"context"
	"sync"
	"time"

	"ddpserver/internal/ratelimit"
	"ddpserver/internal/settings"
)

// blocks counts wrong passwords of the last minutes, for an account and for a
// network address, and remembers the addresses from which an account was
// used. It lives in memory and is bounded; a restart forgets it.
//
// An account's wrong passwords from addresses it was never used from share one
// budget; each address it was used from has its own. So a stranger who guesses
// without end keeps other strangers out, not the owner (S032).
type blocks struct {
	mu    sync.Mutex
	tries *lru[[]time.Time]
	known *lru[time.Time]
	// running counts the tries that are being compared; the hashing gate bounds
	// them. ended is closed, and replaced, whenever one of them ends.
	running map[string]int
	ended   chan struct{}
}

const (
	// maxTracked bounds each of the two tables of blocks. The oldest entries go
	// first; the hashing gate makes it slow work to push others out.
	maxTracked = 100_000
	// knownFor is how long an address stays known after the account was used from it.
	knownFor = 30 * 24 * time.Hour
)

func newBlocks() *blocks {
	return &blocks{
		tries: newLRU[[]time.Time](maxTracked), known: newLRU[time.Time](maxTracked),
		running: map[string]int{}, ended: make(chan struct{}),
	}
}

// attempt is one try that has a place in its budgets until it ends.
type attempt struct {
	b    *blocks
	keys []string
	now  func() time.Time
}

// maxBlockWait bounds how long a try waits for the outcome of those before it.
const maxBlockWait = time.Second

// budget is one count that a try must fit in.
type budget struct {
	key    string
	window time.Duration
	most   int
	err    error
}

// begin takes a place in the budgets of a try before anything is compared, so
// that parallel ones cannot outrun the count, or refuses because a budget is
// used up. Where only tries that are still being compared stand in the way, it
// waits for them: right ones give their places back, and many logins at once
// with the right password are no reason to block anybody. account is the user
// id, or what was typed when nobody has it; both are treated alike.
func (s *Service) begin(ctx context.Context, account, address string) (*attempt, error) {
	a := &attempt{b: s.blocks, now: s.now}
	if !s.set.Bool(settings.BlockLogins) || containsFold(s.listed(settings.BlockLoginsExempted), address) {
		return a, nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxBlockWait)
	defer cancel()
	for {
		ended, err := s.blocks.enter(a, s.budgets(account, ratelimit.AddressKey(address)), s.now())
		if ended == nil {
			return a, err
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, ratelimit.TooMany(maxBlockWait)
		}
	}
}

// budgets are the counts that a try for that account from that network falls under.
func (s *Service) budgets(account, network string) []budget {
	var out []budget
	if s.set.Bool(settings.BlockLoginsByAddress) && network != "" {
		out = append(out, budget{"address/" + network, s.minutes(settings.BlockLoginsAddressTime), s.set.Int(settings.BlockLoginsAddressTries), ErrBlockedAddress})
	}
	if s.set.Bool(settings.BlockLoginsByUser) {
		key := "user/" + account
		if s.blocks.knows(account, network, s.now()) {
			key += "/" + network
		}
		out = append(out, budget{key, s.minutes(settings.BlockLoginsUserTime), s.set.Int(settings.BlockLoginsUserTries), ErrBlockedUser})
	}
	return out
}

// enter takes a place in every budget or in none. When tries that are being
// compared are in the way, ended is closed once one of them ends.
func (b *blocks) enter(a *attempt, list []budget, now time.Time) (ended <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range list {
		if b.full(x.key, now, x.window, x.most) {
			return nil, x.err
		}
	}
	for _, x := range list {
		wrong, _ := b.tries.get(x.key)
		if len(wrong)+b.running[x.key] >= x.most {
			return b.ended, nil
		}
	}
	for _, x := range list {
		b.running[x.key]++
		a.keys = append(a.keys, x.key)
	}
	return nil, nil
}

// end gives the places back; a wrong try is counted in their stead.
func (a *attempt) end(wrong bool) {
	if len(a.keys) == 0 {
		return
	}
	b := a.b
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range a.keys {
		if b.running[key]--; b.running[key] == 0 {
			delete(b.running, key)
		}
		if wrong {
			list, _ := b.tries.get(key)
			b.tries.put(key, append(list, a.now()))
		}
	}
	close(b.ended)
	b.ended = make(chan struct{})
}

// knows tells whether the account was used from that network of late.
func (b *blocks) knows(account, network string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen, ok := b.known.get(knownKey(account, network))
	return ok && now.Sub(seen) < knownFor
}

func (s *Service) minutes(id string) time.Duration {
	return time.Duration(s.set.Int(id)) * time.Minute
}

// full forgets the tries that are older than the window and tells whether the
// budget is used up. The caller holds the lock.
func (b *blocks) full(key string, now time.Time, window time.Duration, most int) bool {
	list, ok := b.tries.get(key)
	if !ok {
		return false
	}
	for len(list) > 0 && now.Sub(list[0]) >= window {
		list = list[1:]
	}
	b.tries.put(key, list)
	return len(list) >= most
}

// remember notes that the account was used from the address, after a whole
// login: the password alone does not make an address known.
func (s *Service) remember(userID, address string) {
	network := ratelimit.AddressKey(address)
	if network == "" {
		return
	}
	s.blocks.mu.Lock()
	defer s.blocks.mu.Unlock()
	s.blocks.known.put(knownKey(userID, network), s.now())
}

func knownKey(userID, network string) string { return userID + "\x00" + network }

// lru is a map that forgets the entry unused for longest when it is full.
type lru[V any] struct {
	max   int
	items map[string]*list.Element
	order *list.List
}

type lruItem[V any] struct {
	key   string
	value V
}

func newLRU[V any](limit int) *lru[V] {
	return &lru[V]{max: limit, items: make(map[string]*list.Element), order: list.New()}
}

func (l *lru[V]) get(key string) (v V, ok bool) {
	e, ok := l.items[key]
	if !ok {
		return v, false
	}
	return e.Value.(*lruItem[V]).value, true
}

func (l *lru[V]) put(key string, v V) {
	if e, ok := l.items[key]; ok {
		e.Value.(*lruItem[V]).value = v
		l.order.MoveToFront(e)
		return
	}
	if l.order.Len() >= l.max {
		oldest := l.order.Back()
		delete(l.items, oldest.Value.(*lruItem[V]).key)
		l.order.Remove(oldest)
	}
	l.items[key] = l.order.PushFront(&lruItem[V]{key, v})
}

func (l *lru[V]) drop(key string) {
	if e, ok := l.items[key]; ok {
		delete(l.items, key)
		l.order.Remove(e)
	}
}
