package streams

import (
	"context"
	"sync"

	"ddpserver/internal/realtime"
	"ddpserver/internal/rooms"
)

// memberships tells users what became of their own memberships. They are read anew,
// so one event stands for all changes before it. The user whose call made the change
// is told before the call is answered; the others are read together afterwards, by
// one worker for each room.
type memberships struct {
	read func(ctx context.Context, room string, users []string) ([]*rooms.Subscription, error)
	// ready makes of a membership what tells its user.
	ready func(s *rooms.Subscription) (send func())
	// later runs what nobody waits for; failed is told which room could not be read.
	later  func(func())
	failed func(room string, err error)

	mu     sync.Mutex
	byRoom map[string]*unread
}

// unread is whom of a room there is something to tell. It is guarded by memberships.mu.
type unread struct {
	waiting map[string]struct{}
	// reading is the read which each user's membership is sent from: the one that
	// began last. What an earlier one found is not sent any more.
	reading map[string]*membershipRead
	working bool
}

type membershipRead struct {
	own  bool
	done chan struct{} // closed when everything it found was sent
}

// tell has the memberships of these users read and sent by the worker.
func (m *memberships) tell(room string, users []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.of(room)
	for _, id := range users {
		u.waiting[id] = struct{}{}
	}
	m.employ(room, u)
}

// tellNow reads and sends the membership of one user. It waits for nothing else but
// for another tellNow of the same user.
func (m *memberships) tellNow(room, user string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for before := m.of(room).reading[user]; before != nil && before.own; before = m.of(room).reading[user] {
		m.mu.Unlock()
		<-before.done
		m.mu.Lock()
	}
	u := m.of(room)
	delete(u.waiting, user)
	m.readAndSend(room, u, true, []string{user})
	m.employ(room, u)
	m.forget(room, u)
}

// moved follows a change of these users' membership itself. When it returns, nothing
// is sent that was read before; who is still a member is told what a read found.
func (m *memberships) moved(room string, users []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.byRoom[room]
	if u == nil {
		return
	}
	for _, id := range users {
		if u.reading[id] != nil {
			delete(u.reading, id)
			u.waiting[id] = struct{}{}
		}
	}
	m.employ(room, u)
}

// of finds what there is to tell in a room. The caller holds the lock, and forgets it
// afterwards or leaves it to the worker.
func (m *memberships) of(room string) *unread {
	u := m.byRoom[room]
	if u == nil {
		u = &unread{waiting: map[string]struct{}{}, reading: map[string]*membershipRead{}}
		m.byRoom[room] = u
	}
	return u
}

// forget drops what is empty. The caller holds the lock.
func (m *memberships) forget(room string, u *unread) {
	if !u.working && len(u.waiting) == 0 && len(u.reading) == 0 && m.byRoom[room] == u {
		delete(m.byRoom, room)
	}
}

// employ sees that the room has a worker if anybody waits. The caller holds the lock.
func (m *memberships) employ(room string, u *unread) {
	if len(u.waiting) > 0 && !u.working {
		u.working = true
		m.later(func() { m.work(room, u) })
	}
}

// work tells those who wait until nobody does.
func (m *memberships) work(room string, u *unread) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() {
		u.working = false
		m.forget(room, u)
	}()
	for {
		var users []string
		for id := range u.waiting {
			if r := u.reading[id]; r == nil || !r.own { // tellNow is about to be done, and employs anew
				users = append(users, id)
				delete(u.waiting, id)
			}
		}
		if len(users) == 0 {
			return
		}
		m.readAndSend(room, u, false, users)
	}
}

// readAndSend reads the memberships of these users and sends those that no later read
// or change overtook. The lock is held before and after, and while one of them is sent:
// that waits for no client.
func (m *memberships) readAndSend(room string, u *unread, own bool, users []string) {
	r := &membershipRead{own: own, done: make(chan struct{})}
	for _, id := range users {
		u.reading[id] = r
	}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		for _, id := range users {
			if u.reading[id] == r {
				delete(u.reading, id)
			}
		}
		close(r.done)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), realtime.StoreTime)
	defer cancel()
	subs, err := m.read(ctx, room, users)
	if err != nil {
		m.failed(room, err)
		return
	}
	for _, s := range subs {
		m.sendOne(u, r, s.User.ID, m.ready(s))
	}
}

func (m *memberships) sendOne(u *unread, r *membershipRead, user string, send func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u.reading[user] == r {
		delete(u.reading, user)
		send()
	}
}
