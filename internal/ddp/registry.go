package ddp

import (
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
		s.put(se, "")
	}
}

// room tells whether a session of user old may become one of user next.
func (s *Server) room(next, old string) bool {
	if s.limits.PerUser <= 0 || next == "" || next == old {
		return true
	}
	return s.count(next) < s.limits.PerUser
}

// relogin moves a session to another user.
func (s *Server) relogin(se *Session, l rpc.Login) {
	s.mu.Lock()
	se.mu.Lock()
	old, renewed := se.login.UserID, l.Token != se.login.Token
	if renewed {
		se.leaving = false
	}
	se.login = &l
	se.mu.Unlock()
	switch _, there := s.sessions[se]; {
	case there && old != l.UserID:
		s.forget(se, old)
		s.put(se, l.UserID)
	case there && renewed:
		s.moved()
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
