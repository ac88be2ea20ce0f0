package ddp

import (
	"context"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/random"
	"ddpserver/internal/rpc"
)

// frames starts an encoder for the session's connection.
func (s *Session) frames() frames {
	return frames{buffer: getBuffer(), compressAbove: s.out.compressAbove}
}

// Serve runs the engine over a Conn and returns when the connection has ended
// and its reader has left. peer is completed with a Conn id, a Door and the time when it
// has none. The transport checks origins and counts addresses (Admit) itself.
func (s *Server) Serve(conn Conn, peer *rpc.Peer) {
	if se := s.start(conn, peer, Transport{}); se != nil {
		s.run(se, true)
	}
}

// Start is Serve on a goroutine of the engine's own; it returns at once. Its
// reader moves to a fresh goroutine when a connection is likely to be quiet from
// now on: Go's stacks shrink too late for a goroutine that spends its life
// waiting.
func (s *Server) Start(conn Conn, peer *rpc.Peer, t Transport) {
	if se := s.start(conn, peer, t); se != nil {
		go s.run(se, false)
	}
}

// start registers a connection and starts its handshake's deadline; nil when the
// server stops.
func (s *Server) start(conn Conn, peer *rpc.Peer, t Transport) *Session {
	if peer.Conn == "" {
		peer.Conn = random.ID()
	}
	if peer.Door == "" {
		peer.Door = rpc.DDP
	}
	if peer.Opened.IsZero() {
		peer.Opened = time.Now()
	}
	se := newSession(s, conn, peer, t)
	if !s.add(se) {
		go func() { // a connection that came too late
			se.out.end(ServerShutdown)
			conn.Finish()
		}()
		return nil
	}
	conn.SetReadLimit(s.limits.FrameBefore)
	se.startTimer()
	if peer.Door == rpc.SockJS {
		f := se.frames()
		f.greeting()
		se.put(f.buffer)
	}
	return se
}

// run reads a connection until it has ended. It is the connection's one
// goroutine; unless it should stay on this one, another may go on with it.
func (s *Server) run(se *Session, stay bool) {
	for s.next(se) {
		if se.quiet && !stay {
			se.quiet = false
			go s.run(se, false)
			return
		}
	}
	se.conn.Finish()
	s.done.Done()
}

// next reads and deals with one message; false at the end of the connection.
func (s *Server) next(se *Session) bool {
	se.letGo()
	text, err := se.conn.ReadFrame((*intake)(se))
	if err != nil {
		se.letGo()
		se.rested()
		se.end(ReasonOf(err))
		return false
	}
	se.receive(text)
	se.yield(turnEach)
	return true
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
	s.stopTimer()
	s.mu.Unlock()
	s.srv.stats.disconnects[reason].Add(1)
	s.srv.employ(job{s: s, leave: true})
	s.out.end(reason)
}

// answersWithin is how long calls of a session whose login token is dead may still
// run for their answers.
const answersWithin = 30 * time.Second

// leaveLogin ends the session because the token behind its login is dead, once the
// calls that run are answered. Their client would otherwise believe that they failed,
// and send them again. Nothing else is sent, and the messages that wait do not begin.
// The session stays when one of those calls logs it in with another token, as a reset
// of the password does.
func (s *Session) leaveLogin(dead *rpc.Login) {
	s.mu.Lock()
	if s.ended || s.leaving || s.login != dead {
		s.mu.Unlock()
		return
	}
	s.leaving = true
	for _, list := range [][]*Subscription{s.subs, s.universal} {
		for _, p := range list {
			p.stopped = true // its OnStop functions run when the session leaves or logs in
		}
	}
	reason, over := s.over()
	s.mu.Unlock()
	if over {
		s.end(reason)
		return
	}
	time.AfterFunc(answersWithin, func() {
		s.mu.Lock()
		late := s.leaving && s.login.Token == dead.Token // a login with the same token saves nothing
		s.mu.Unlock()
		if late {
			s.end(ServerClosed)
		}
	})
}

// over tells whether the session has to end now, and why: it was told to when
// nothing runs any more. The caller holds the lock.
func (s *Session) over() (DisconnectReason, bool) {
	switch {
	case s.working || s.unblocked > 0:
	case s.leaving:
		return ServerClosed, true
	case s.draining && len(s.queue) == 0:
		return ServerShutdown, true
	}
	return 0, false
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

// graceOfTransports is how long Shutdown waits for connections whose peers take
// their time to close: more than any transport lingers.
const graceOfTransports = 3 * time.Second

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
	late := time.NewTimer(graceOfTransports)
	defer late.Stop()
	select {
	case <-joined:
	case <-late.C: // handlers that ignore their context
	}
	return err
}

// Spread ends the sessions that are there now one after the other, evenly until the deadline
// of ctx, each as Shutdown ends it, so that their clients do not come to another server at
// once. It returns when the last was told to end, or ctx is done; new sessions are taken
// meanwhile. Shutdown follows.
func (s *Server) Spread(ctx context.Context) {
	end, bounded := ctx.Deadline()
	if !bounded {
		return
	}
	s.mu.Lock()
	all := make([]*Session, 0, len(s.sessions))
	for se := range s.sessions { // in no order
		all = append(all, se)
	}
	s.mu.Unlock()
	begin := time.Now()
	span := end.Sub(begin)
	next := time.NewTimer(0)
	defer next.Stop()
	for i, se := range all {
		next.Reset(time.Until(begin.Add(span * time.Duration(i) / time.Duration(len(all)))))
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			se.drain()
		}
	}
}

// drain ends the session as soon as nothing runs.
func (s *Session) drain() {
	s.mu.Lock()
	s.draining = true
	s.makeRoom()
	reason, over := s.over()
	s.mu.Unlock()
	if over {
		s.end(reason)
	}
}
