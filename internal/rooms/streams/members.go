package streams

import (
	"context"
	"maps"
	"sync"
)

// memberLists keeps the members of the rooms that are talked in. No lock is held
// while the store is read.
type memberLists struct {
	// read reads all members of a room, and how often they had changed before.
	read func(ctx context.Context, room string) (users []string, counter int64, err error)
	// among tells which of some users are members of a room.
	among func(ctx context.Context, room string, users []string) ([]string, error)

	mu     sync.Mutex
	byRoom map[string]*memberList
}

// memberList is the members of one room.
type memberList struct {
	using int // guarded by memberLists.mu

	mu sync.Mutex
	// users is nil when it must be read. It is never changed, only replaced: what
	// is queued to be sent still asks it.
	users map[string]struct{}
	// counter says that users is at least as new as so many changes.
	counter int64
	// version counts what happened to the list. A read that another change
	// overtook is void.
	version uint64
	// reading is the read that runs now; nil is none.
	reading *memberRead
}

// memberRead is a read of the store that others may wait for.
type memberRead struct {
	done chan struct{}
	err  error // valid when done is closed
}

// maxLists is the number of rooms whose members are remembered.
const maxLists = 4096

// with calls send with the members of a room, as they were after counter changes
// or later. A change of membership that is told meanwhile waits until send
// returns, so that whoever is removed gets nothing afterwards.
func (m *memberLists) with(ctx context.Context, room string, counter int64, send func(users map[string]struct{})) error {
	l := m.use(room, true)
	defer m.leave(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	for own := false; l.users == nil || l.counter < counter && !own; {
		var err error
		if running := l.reading; running != nil {
			err = l.wait(ctx, running)
		} else {
			own = true // it began after the news, so it is new enough
			err = l.refill(func() (map[string]struct{}, int64, error) {
				users, n, err := m.read(ctx, room)
				return set(users), n, err
			})
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	send(l.users)
	return nil
}

// changed follows a change of some users' membership, the counter-th of the room.
// When it returns, nothing is sent by a list from before. If it is the next change
// after those the list has, only these users are read.
func (m *memberLists) changed(ctx context.Context, room string, counter int64, users []string) error {
	l := m.use(room, false)
	if l == nil {
		return nil
	}
	defer m.leave(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	before, next := l.users, l.users != nil && l.reading == nil && l.counter+1 == counter
	l.forget()
	if !next {
		return nil
	}
	return l.refill(func() (map[string]struct{}, int64, error) {
		members, err := m.among(ctx, room, users)
		after := maps.Clone(before)
		for _, id := range users {
			delete(after, id)
		}
		for _, id := range members {
			after[id] = struct{}{}
		}
		return after, counter, err
	})
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
	l.users = nil
	l.version++
}

// refill reads the list with the lock released. The caller holds the lock, and no
// other read runs.
func (l *memberList) refill(read func() (users map[string]struct{}, counter int64, err error)) error {
	r, version := &memberRead{done: make(chan struct{})}, l.version
	l.reading = r
	l.mu.Unlock()
	var users map[string]struct{}
	var counter int64
	defer func() {
		l.mu.Lock()
		if r.err == nil && users != nil && l.version == version {
			l.users, l.counter = users, counter
		}
		l.reading = nil
		close(r.done)
	}()
	users, counter, r.err = read()
	return r.err
}

// wait waits for a read of somebody else, with the lock released.
func (l *memberList) wait(ctx context.Context, r *memberRead) error {
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
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
