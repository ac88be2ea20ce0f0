package sockjs

import "container/list"

// shares knows whose the polling sessions are, so that one client's cannot take
// the places of all. A client is an IPv4 address or an IPv6 /64. The handler's
// lock guards it.
type shares struct {
	clients map[string]*share
	idle    list.List // *session that never connected, of all clients, oldest first
}

// share is what one client has.
type share struct {
	key  string
	idle list.List // *session that never connected, oldest first
	busy list.List // the others, likewise
}

func (sh *share) len() int { return sh.idle.Len() + sh.busy.Len() }

// stand is where a session stands in the lists.
type stand struct {
	share    *share
	own, all *list.Element // all is nil once it has connected
}

func (t *shares) enter(s *session, key string) {
	sh := t.clients[key]
	if sh == nil {
		if t.clients == nil {
			t.clients = map[string]*share{}
		}
		sh = &share{key: key}
		t.clients[key] = sh
	}
	s.stand = stand{share: sh, own: sh.idle.PushBack(s), all: t.idle.PushBack(s)}
}

// connected says that the session's client has shaken hands.
func (t *shares) connected(s *session) {
	if s.stand.all == nil {
		return
	}
	t.idle.Remove(s.stand.all)
	s.stand.share.idle.Remove(s.stand.own)
	s.stand.all, s.stand.own = nil, s.stand.share.busy.PushBack(s)
}

func (t *shares) leave(s *session) {
	sh := s.stand.share
	if sh == nil {
		return
	}
	if s.stand.all != nil {
		t.idle.Remove(s.stand.all)
		sh.idle.Remove(s.stand.own)
	} else {
		sh.busy.Remove(s.stand.own)
	}
	s.stand = stand{}
	if sh.len() == 0 {
		delete(t.clients, sh.key)
	}
}

// victim is the session that has to go for a new one of that client: the oldest
// that never connected, of the client with the most sessions if it has one, else
// of another with at least two more than the new one's; then the oldest of the
// client with the most, if it has so many; then the oldest that never connected,
// of a client with more. So nobody who has many sessions ends those of newcomers
// that have not connected yet. Nil means that all have fair shares: the new one is
// refused.
func (t *shares) victim(key string) *session {
	var most *share
	for _, sh := range t.clients {
		if most == nil || sh.len() > most.len() {
			most = sh
		}
	}
	if most == nil {
		return nil
	}
	if e := most.idle.Front(); e != nil {
		return e.Value.(*session)
	}
	own := 0
	if sh := t.clients[key]; sh != nil {
		own = sh.len()
	}
	if s := t.idler(own + 2); s != nil {
		return s
	}
	if most.len() >= own+2 {
		return most.busy.Front().Value.(*session)
	}
	return t.idler(own + 1)
}

// idler is the oldest session that never connected of a client with at least so
// many sessions.
func (t *shares) idler(least int) *session {
	for e := t.idle.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*session); s.stand.share.len() >= least {
			return s
		}
	}
	return nil
}

// evict makes room for a session of that client; false when there is nobody who
// has to go. The handler's lock is held.
func (h *Handler) evict(key string) bool {
	s := h.shares.victim(key)
	if s == nil {
		return false
	}
	h.strike(s)
	h.evicted++
	h.done.Add(1)
	go func() { // a session's lock is not taken under the handler's
		defer h.done.Done()
		s.mu.Lock()
		told := s.phase == open
		if told {
			s.close(1013, "Too many polling sessions, try again later")
			told = s.receiver != nil
		}
		s.mu.Unlock()
		if !told {
			s.drop()
		}
	}()
	return true
}

// Evicted is how many polling sessions had to go for others since the start.
func (h *Handler) Evicted() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.evicted
}
