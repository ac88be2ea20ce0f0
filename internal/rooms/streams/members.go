package streams

import (
	"context"
	"maps"
	"slices"
	"sync"

	"ddpserver/internal/realtime"
)

// memberLists keeps the members of the rooms that are talked in. No lock is held
// while the store is read, and no call waits for a read that is not about the caller.
type memberLists struct {
	// read reads all members of a room, and how often they had changed before.
	read func(ctx context.Context, room string) (users []string, counter int64, err error)
	// among tells which of some users are members of a room.
	among func(ctx context.Context, room string, users []string) ([]string, error)
	// later runs what nobody waits for; failed is told which room could not be read.
	later  func(func())
	failed func(room string, err error)

	mu     sync.Mutex
	byRoom map[string]*memberList
}

// memberList is the members of one room, and what waits for them.
type memberList struct {
	using int // guarded by memberLists.mu

	mu sync.Mutex
	// users is nil when it must be read. It is never changed, only replaced: what
	// is queued to be sent still asks it.
	users map[string]struct{}
	// unsure came or went and are not among users until they are read.
	unsure []string
	// counter says that users and unsure are at least as new as so many changes.
	counter int64
	// version counts what happened to the list. A read that another change
	// overtook is void.
	version uint64
	// queue is what is sent when more is known, in this order. One worker reads the
	// list and sends, as long as there is anything. As long as all of the queue is for
	// users who were unsure, nobody else waits for it.
	queue   []*delivery
	working bool
}

// delivery is something to be sent to the members after so many changes.
type delivery struct {
	counter int64
	send    func(users map[string]struct{})
	// only are the users whom it is for, the others have it; nil is all.
	only []string
	done chan struct{} // closed when it was sent, or will never be
	// then is set, and nothing else, for what only keeps its place in the queue.
	then func()
}

// everybody tells whether all members wait for it.
func (d *delivery) everybody() bool { return d.only == nil && d.then == nil }

// to sends to those of the members whom it is for.
func (d *delivery) to(users map[string]struct{}) {
	defer close(d.done)
	if d.only != nil {
		some := map[string]struct{}{}
		for _, id := range d.only {
			if _, member := users[id]; member {
				some[id] = struct{}{}
			}
		}
		users = some
	}
	d.send(users)
}

// maxLists is the number of rooms whose members are remembered.
const maxLists = 4096

// maxUnsure is how many users are looked up instead of reading a list as a whole.
const maxUnsure = 1000

// with has send called with the members of a room, as they were after counter changes
// or later: at once with those who are known, unless something waits for more of them,
// and with the others by the worker of the room, in the order of the calls. It returns
// without waiting for the worker, but if what is left is for own, a user who listens.
// A change of membership that is told meanwhile waits until send returns, so that
// whoever is removed gets nothing afterwards.
func (m *memberLists) with(room string, counter int64, own string, listens func(userID string) bool, send func(users map[string]struct{})) {
	l := m.use(room, true)
	defer m.leave(l)
	left := l.sendOrQueue(counter, send)
	if left == nil {
		return
	}
	m.employ(room, l)
	if own != "" && (left.only == nil || slices.Contains(left.only, own)) && listens(own) {
		<-left.done
	}
}

// sendOrQueue sends to those who are known, and queues what is left.
func (l *memberList) sendOrQueue(counter int64, send func(users map[string]struct{})) (left *delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := &delivery{counter: counter, send: send, done: make(chan struct{})}
	if l.users != nil && l.counter >= counter && !slices.ContainsFunc(l.queue, (*delivery).everybody) {
		send(l.users)
		if len(l.unsure) == 0 {
			return nil
		}
		d.only = slices.Clone(l.unsure)
	}
	l.queue = append(l.queue, d)
	return d
}

// after runs then behind what waits for the list of a room now: at once if nothing does.
// It must not wait for anything.
func (m *memberLists) after(room string, then func()) {
	l := m.use(room, false)
	if l == nil {
		then()
		return
	}
	defer m.leave(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		then()
		return
	}
	l.queue = append(l.queue, &delivery{then: then})
}

// employ sees that the room has a worker if anything is queued.
func (m *memberLists) employ(room string, l *memberList) {
	l.mu.Lock()
	start := !l.working && len(l.queue) > 0
	l.working = l.working || start
	l.mu.Unlock()
	if start {
		m.use(room, true) // the same: l is in use already
		m.later(func() { m.work(room, l) })
	}
}

// work sends what is queued. A send that panics leaves the rest to another worker.
func (m *memberLists) work(room string, l *memberList) {
	defer m.leave(l)
	defer m.employ(room, l)
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.working = false }()
	for len(l.queue) > 0 {
		d := l.queue[0]
		if d.then != nil {
			l.queue = l.queue[1:]
			d.then()
			continue
		}
		if err := m.fill(room, l, d.counter); err != nil {
			// What was queued meanwhile waited for the same read, and shares its failure.
			m.failed(room, err)
			l.giveUp()
			return
		}
		l.queue = l.queue[1:]
		d.to(l.users)
	}
}

// giveUp sends nothing of what is queued. The caller holds the lock.
func (l *memberList) giveUp() {
	for _, d := range l.queue {
		if d.then != nil {
			d.then()
			continue
		}
		close(d.done)
	}
	l.queue = nil
}

// known tells whether the list needs no read by itself. The caller holds the lock.
func (l *memberList) known() bool { return l.users != nil && len(l.unsure) == 0 }

// fill reads what is missing of a list that is to be as new as counter changes. Only
// the worker calls it; it holds the lock before and after, not while it reads.
func (m *memberLists) fill(room string, l *memberList, counter int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), realtime.StoreTime)
	defer cancel()
	// A read that began after the news is new enough, whatever it counts.
	for anew := false; !l.known() || l.counter < counter && !anew; {
		before, unsure, count := l.users, l.unsure, l.counter
		whole := before == nil || count < counter && !anew
		read, err := l.refill(func() (map[string]struct{}, int64, error) {
			if whole {
				users, n, err := m.read(ctx, room)
				return set(users), n, err
			}
			users, err := m.among(ctx, room, unsure)
			after := maps.Clone(before)
			maps.Copy(after, set(users))
			return after, count, err
		})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		anew = anew || whole && read
	}
	return nil
}

// refill replaces the list by what read says, unless something happened to the list
// meanwhile. The lock is released while it reads.
func (l *memberList) refill(read func() (users map[string]struct{}, counter int64, err error)) (done bool, err error) {
	version := l.version
	l.mu.Unlock()
	users, counter, err := func() (map[string]struct{}, int64, error) {
		defer l.mu.Lock()
		return read()
	}()
	if err != nil || l.version != version {
		return false, err
	}
	l.users, l.unsure, l.counter = users, nil, counter
	return true, nil
}

// changed follows a change of some users' membership, the counter-th of the room.
// When it returns, nothing is sent to them by a list from before. If it is the next
// change after those the list has, only these users are read, when somebody wants
// to know, and none if they are gone: that takes nothing from the store's word.
func (m *memberLists) changed(room string, counter int64, users []string, gone bool) {
	l := m.use(room, false)
	if l == nil {
		return
	}
	defer m.leave(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users == nil || l.counter+1 != counter || len(l.unsure) > maxUnsure {
		l.forget()
		return
	}
	after := maps.Clone(l.users)
	for _, id := range users {
		delete(after, id)
	}
	if !gone {
		l.unsure = append(l.unsure, users...)
	}
	l.users, l.counter = after, counter
	l.version++
}

// drop has every list read anew.
func (m *memberLists) drop() {
	m.mu.Lock()
	lists := make([]*memberList, 0, len(m.byRoom))
	for _, l := range m.byRoom {
		lists = append(lists, l)
	}
	m.mu.Unlock()
	for _, l := range lists {
		l.mu.Lock()
		l.forget()
		l.mu.Unlock()
	}
}

// forget has the list read anew, a read that runs now included. The caller holds
// the lock.
func (l *memberList) forget() {
	l.users, l.unsure = nil, nil
	l.version++
}

// use finds a room's list, or makes it, and keeps it until leave.
func (m *memberLists) use(room string, create bool) *memberList {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.byRoom[room]
	if l == nil {
		if !create {
			return nil
		}
		m.shrink()
		l = &memberList{}
		m.byRoom[room] = l
	}
	l.using++
	return l
}

func (m *memberLists) leave(l *memberList) {
	m.mu.Lock()
	l.using--
	m.mu.Unlock()
}

// shrink forgets some lists that nobody uses when there are too many.
func (m *memberLists) shrink() {
	if len(m.byRoom) < maxLists {
		return
	}
	for room, l := range m.byRoom {
		if l.using == 0 {
			delete(m.byRoom, room)
			if len(m.byRoom) < maxLists*3/4 {
				return
			}
		}
	}
}
