package realtime

import "sync"

// memberLists keeps the members of the rooms that are talked in.
type memberLists struct {
	mu     sync.Mutex
	byRoom map[string]*memberList
}

// memberList is the members of one room, as of a counter of membership changes.
type memberList struct {
	room  string
	using int // guarded by memberLists.mu

	mu      sync.Mutex
	users   map[string]struct{} // nil: not read
	counter int64
}

// maxLists is the number of rooms whose members are remembered.
const maxLists = 4096

// lock finds a room's list and locks it.
func (m *memberLists) lock(room string) *memberList {
	m.mu.Lock()
	l := m.byRoom[room]
	if l == nil {
		m.shrink()
		l = &memberList{room: room}
		m.byRoom[room] = l
	}
	l.using++
	m.mu.Unlock()
	l.mu.Lock()
	return l
}

func (m *memberLists) unlock(l *memberList) {
	l.mu.Unlock()
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

func (m *memberLists) drop() {
	m.mu.Lock()
	lists := make([]*memberList, 0, len(m.byRoom))
	for _, l := range m.byRoom {
		lists = append(lists, l)
	}
	m.mu.Unlock()
	for _, l := range lists {
		l.mu.Lock()
		l.users = nil
		l.mu.Unlock()
	}
}
