package ddp

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/rpc"
)

// frames starts an encoder for the session's connection.
func (s *Session) frames() frames {
	return frames{buffer: getBuffer(), compress: s.out.compress}
}

// start registers a connection and arms its handshake's deadline; false when the
// server stops.
func (s *Server) start(se *Session) bool {
	if !s.add(se) {
		return false
	}
	se.conn.SetReadLimit(s.limits.FrameBefore)
	s.wheel.set(se, s.limits.Handshake)
	return true
}

// refuse closes a connection that came too late.
func (s *Server) refuse(se *Session) {
	se.out.end(ServerShutdown)
	_, _ = se.conn.ReadFrame()
}

// run reads a Conn until it has ended. It is the connection's one goroutine.
func (s *Server) run(se *Session) {
	if !s.start(se) {
		s.refuse(se)
		return
	}
	defer s.done.Done()
	for s.next(se) {
		se.out.flush(true)
	}
}

// runSocket is run for a WebSocket, which flushes by itself before it waits. It
// waits here, where the stack is shallow. Go's stacks shrink too late for a
// goroutine that spends its life waiting: when the connection is likely to be
// quiet from now on, a fresh goroutine with the smallest stack takes over.
func (s *Server) runSocket(se *Session, c *wsConn) {
	for {
		c.await()
		if !s.next(se) {
			s.done.Done()
			return
		}
		if se.quiet {
			se.quiet = false
			go s.runSocket(se, c)
			return
		}
	}
}

// next reads and deals with one message; false at the end of the connection.
func (s *Server) next(se *Session) bool {
	text, err := se.conn.ReadFrame()
	if err != nil {
		se.endTurn()
		se.end(reasonOf(err))
		return false
	}
	se.receive(text)
	se.yield(len(text))
	return true
}

// turn is how many bytes a session may have read, messages counted for turnEach
// more, before others get their turn.
const (
	turn     = 16 << 10
	turnEach = 256
)

// yield lets others run after a while. Who floods always has bytes waiting, so
// its reader would run until it is preempted, ten milliseconds, and two hundred
// of them make everybody's ping wait for two hundred times that. From then on,
// until there is nothing to read, it works in its turns (budget.Account.Turn):
// letting others run would not do, as two hundred that are ready to run keep the
// processors from looking for what came over the network.
func (s *Session) yield(n int) {
	if s.read += n + turnEach; s.read > turn {
		s.read = 0
		s.takeTurn()
	}
}

// A turn lasts at most so long: of a WebSocket, which gives it back when there is
// nothing to read, and of a Conn, which cannot say so.
const (
	socketTurn = 100 * time.Millisecond
	connTurn   = 2 * time.Millisecond
)

// rested says that there was nothing to read, or that the reader will wait.
func (s *Session) rested() {
	s.read = 0
	s.endTurn()
}

// takeTurn waits for the next turn of the reader, which uses no more of it than it
// takes to deal with what it has.
func (s *Session) takeTurn() {
	s.endTurn()
	longest := connTurn
	if _, ok := s.conn.(*wsConn); ok {
		longest = socketTurn
	}
	s.done = s.srv.budget.Turn(longest)
}

func (s *Session) endTurn() {
	if s.done != nil {
		s.done()
		s.done = nil
	}
}

// add registers a socket; false when the server stops.
func (s *Server) add(se *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	if len(s.sessions) == 0 {
		s.crew.set(true)
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

func (s *Server) sessionsOf(user string) []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.users[user])
}

// end closes the session; only the first time counts. The rest of the work,
// which calls out, is done on a goroutine of its own.
func (s *Session) end(reason DisconnectReason) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	waiting := 0
	for _, it := range s.queue {
		waiting += it.cost
	}
	s.queue = nil
	s.release(waiting)
	s.view = view{}
	s.mu.Unlock()
	s.srv.stats.disconnects[reason].Add(1)
	s.srv.wheel.remove(s)
	s.srv.employ(job{s: s, leave: true})
	s.out.end(reason)
}

// leave runs what others want to be told (docs/wire/ddp.md A16): subscriptions
// stop, then the session's own functions, then the handler.
func (s *Session) leave() {
	s.mu.Lock()
	live, named := s.live, len(s.subs)
	stops := make([]func(), 0, named+1)
	for _, list := range [][]*Subscription{s.subs, s.universal} {
		for _, p := range list {
			if stop := p.halt(); stop != nil {
				stops = append(stops, stop)
			}
		}
	}
	stops = append(stops, s.onClose...)
	s.subs, s.universal, s.onClose = nil, nil, nil
	s.mu.Unlock()
	s.srv.stats.subs.Add(-int64(named))
	for _, stop := range stops {
		s.guard("close hook", stop)
	}
	s.mu.Lock()
	done := s.greeting == greetingDone
	if s.greeting == greetingNow {
		s.greeting = greetingLeft
	}
	s.mu.Unlock()
	if done {
		s.farewell()
	}
	if live {
		s.srv.stats.sessions.Add(-1)
	}
	s.srv.remove(s, live)
}

// guard contains a panic to one function.
func (s *Session) guard(what string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.srv.log.Error("hook_panicked", zap.String("hook", what), zap.String("conn", s.ID()), zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	f()
}

func (s *Server) remove(se *Session, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if live {
		s.forget(se, se.Login().UserID)
	}
	delete(s.sessions, se)
	if len(s.sessions) == 0 {
		s.crew.set(false)
	}
	if s.draining && len(s.sessions) == 0 {
		s.emptyOnce.Do(func() { close(s.emptied) })
	}
}

// Shutdown ends the server: it takes no new sessions and no new messages, lets
// what was received be finished and answered until ctx is done, and closes the
// sessions with 1001, idle ones at once. When ctx is done first, calls get their
// contexts cancelled, the remaining sessions are closed as they are, and ctx's
// error is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	all := make([]*Session, 0, len(s.sessions))
	for se := range s.sessions {
		all = append(all, se)
	}
	if len(all) == 0 {
		s.emptyOnce.Do(func() { close(s.emptied) })
	}
	s.mu.Unlock()
	for _, se := range all {
		se.drain()
	}
	var err error
	select {
	case <-s.emptied:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.cancel()
	for _, se := range all {
		se.end(ServerShutdown)
	}
	joined := make(chan struct{})
	go func() {
		s.done.Wait()
		close(joined)
	}()
	late := time.NewTimer(s.limits.Linger + time.Second)
	defer late.Stop()
	select {
	case <-joined:
	case <-late.C: // handlers that ignore their context
	}
	return err
}

// drain ends the session as soon as nothing runs.
func (s *Session) drain() {
	s.mu.Lock()
	s.draining = true
	s.makeRoom()
	idle := s.idle()
	s.mu.Unlock()
	if idle {
		s.end(ServerShutdown)
	}
}
