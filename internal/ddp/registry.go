package ddp

import (
	"slices"

	"ddpserver/internal/netkey"
	"ddpserver/internal/rpc"
)

// Admit counts a new socket of that address against the limits; addresses of one
// IPv6 network are one. When ok, leave must be called once it is closed;
// otherwise the transport refuses it (503).
func (s *Server) Admit(address string) (leave func(), ok bool) {
	if s.limits.PerAddress > 0 {
		address = netkey.Of(address)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	limits := &s.limits
	if s.draining || limits.Connections > 0 && s.open >= limits.Connections || limits.PerAddress > 0 && s.address[address] >= limits.PerAddress {
		s.stats.refused.Add(1)
		return nil, false
	}
	s.open++
	if limits.PerAddress > 0 {
		s.address[address]++
	}
	left := false
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !left {
			left = true
			s.dismiss(address)
		}
	}, true
}

// dismiss gives the place of a socket back. The caller holds the lock.
func (s *Server) dismiss(address string) {
	s.open--
	if s.limits.PerAddress > 0 {
		if s.address[address]--; s.address[address] == 0 {
			delete(s.address, address)
		}
	}
}

// Sessions calls visit for the connected sessions of a user ("" for those that
// are not logged in) until it returns false. Sessions may end meanwhile.
func (s *Server) Sessions(userID string, visit func(*Session) bool) {
	for _, se := range s.sessionsOf(userID) {
		if !visit(se) {
			return
		}
	}
}

// CloseTokens closes the sessions of a user whose login token is dead: plain
// close 1000, no frame. The function gets the stored hash of the token.
func (s *Server) CloseTokens(userID string, dead func(tokenHash string) bool) {
	for _, se := range s.sessionsOf(userID) {
		if l := se.Login(); l.UserID == userID && dead(l.Token) {
			se.Close(ServerClosed)
		}
	}
}

func (s *Server) sessionsOf(user string) []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.users[user])
}

// add registers a connection; false when the server stops.
func (s *Server) add(se *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.sessions[se] = struct{}{}
	s.done.Add(1)
	s.stats.opened.Add(1)
	return true
}

// connected registers a session whose connect was accepted.
func (s *Server) connected(se *Session) {
	s.stats.sessions.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.sessions[se]; there {
		s.users[""] = append(s.users[""], se)
		se.place = len(s.users[""]) - 1
	}
}

// room tells whether a session of user old may become one of user next.
func (s *Server) room(next, old string) bool {
	if s.limits.PerUser <= 0 || next == "" || next == old {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.users[next]) < s.limits.PerUser
}

// relogin moves a session to another user.
func (s *Server) relogin(se *Session, l rpc.Login) {
	s.mu.Lock()
	se.mu.Lock()
	old := se.login.UserID
	se.login = &l
	se.mu.Unlock()
	if _, there := s.sessions[se]; there && old != l.UserID {
		s.forget(se, old)
		s.users[l.UserID] = append(s.users[l.UserID], se)
		se.place = len(s.users[l.UserID]) - 1
	}
	s.mu.Unlock()
	in := l.UserID != ""
	se.loggedIn.Store(in)
	if in {
		se.conn.SetReadLimit(s.limits.FrameAfter)
	} else {
		se.conn.SetReadLimit(s.limits.FrameBefore)
	}
}

// forget takes a session out of a user's list. The caller holds the lock.
func (s *Server) forget(se *Session, user string) {
	list := s.users[user]
	last := len(list) - 1
	if se.place > last || list[se.place] != se {
		return
	}
	list[se.place] = list[last]
	list[se.place].place = se.place
	list[last] = nil
	if last == 0 {
		delete(s.users, user)
		return
	}
	s.users[user] = list[:last]
}

// remove takes a session out that has ended; live says that it was connected.
func (s *Server) remove(se *Session, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if live {
		s.forget(se, se.Login().UserID)
	}
	delete(s.sessions, se)
	if s.draining && len(s.sessions) == 0 {
		s.emptyOnce.Do(func() { close(s.emptied) })
	}
}
