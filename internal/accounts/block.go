package accounts

import (
	"container/list"
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
}

const (
	// maxTracked bounds each of the two tables of blocks. The oldest entries go
	// first; the hashing gate makes it slow work to push others out.
	maxTracked = 100_000
	// knownFor is how long an address stays known after the account was used from it.
	knownFor = 30 * 24 * time.Hour
)

func newBlocks() *blocks {
	return &blocks{tries: newLRU[[]time.Time](maxTracked), known: newLRU[time.Time](maxTracked)}
}

// attempt is one counted try; it is taken back when the password was right.
type attempt struct {
	b    *blocks
	keys []string
	at   time.Time
}

// begin counts a try before anything is compared, so that parallel ones cannot
// outrun the count, or refuses because the budget is used up. account is the
// user id, or what was typed when nobody has it; both are treated alike.
func (s *Service) begin(account, address string) (*attempt, error) {
	now := s.now()
	a := &attempt{b: s.blocks, at: now}
	if !s.set.Bool(settings.BlockLogins) || containsFold(s.listed(settings.BlockLoginsExempted), address) {
		return a, nil
	}
	network := ratelimit.AddressKey(address)
	b := s.blocks
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.set.Bool(settings.BlockLoginsByAddress) && network != "" {
		key := "address/" + network
		if b.full(key, now, s.minutes(settings.BlockLoginsAddressTime), s.set.Int(settings.BlockLoginsAddressTries)) {
			return nil, ErrBlockedAddress
		}
		a.keys = append(a.keys, key)
	}
	if s.set.Bool(settings.BlockLoginsByUser) {
		key := "user/" + account
		if seen, ok := b.known.get(knownKey(account, network)); ok && now.Sub(seen) < knownFor {
			key += "/" + network
		}
		if b.full(key, now, s.minutes(settings.BlockLoginsUserTime), s.set.Int(settings.BlockLoginsUserTries)) {
			return nil, ErrBlockedUser
		}
		a.keys = append(a.keys, key)
	}
	for _, key := range a.keys {
		list, _ := b.tries.get(key)
		b.tries.put(key, append(list, now))
	}
	return a, nil
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

// takeBack uncounts a try whose password was right, or that was never compared.
func (a *attempt) takeBack() {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	for _, key := range a.keys {
		list, ok := a.b.tries.get(key)
		if !ok {
			continue
		}
		for i := len(list) - 1; i >= 0; i-- {
			if list[i].Equal(a.at) {
				list = append(list[:i:i], list[i+1:]...)
				break
			}
		}
		if len(list) == 0 {
			a.b.tries.drop(key)
			continue
		}
		a.b.tries.put(key, list)
	}
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
