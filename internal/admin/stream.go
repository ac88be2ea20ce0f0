package admin

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/feed"
	"ddpserver/internal/permission"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// stream tells administrators what changes while they look.
type stream struct{ *Slice }

// streamName is the name of the stream.
const streamName = "stream-server"

// The events of the stream.
const (
	eventUsers    = "users"
	eventStatus   = "status"
	eventOutbox   = "outbox"
	eventSessions = "sessions"
)

// rights are what an account needs to hear an event.
var rights = map[string]string{
	eventUsers: permission.ViewFullOtherUserInfo, eventStatus: permission.ViewPrivilegedSetting, eventOutbox: permission.EditOtherUserTOTP,
	eventSessions: permission.ViewSessions,
}

// Publications lists none.
func (*stream) Publications() []realtime.Publication { return nil }

// Streams lists the stream.
func (g *stream) Streams() []realtime.Stream {
	return []realtime.Stream{{
		Name: streamName, Allow: g.allow, Proven: g.proven, Open: g.begin, Events: []string{eventOutbox, eventSessions, eventStatus, eventUsers},
		Doc: "Events for administrators: users, {_id} of an account that changed; sessions, {_id} of an account whose sessions are to be listed anew, or " +
			"nothing of that when connections came and went; status, what server:status tells, every two seconds; outbox, a new mail, on a " +
			"connection on which outbox:list was answered, for as long as that is asked for no further factor: the subscription ends then.",
	}}
}

// allow reads the account anew: a right that is gone counts at once.
func (g *stream) allow(ctx context.Context, l rpc.Login, event string) error {
	right, known := rights[event]
	if !known {
		return realtime.ErrStream
	}
	u, err := g.o.Accounts.Caller(ctx, l)
	if err != nil {
		return err
	}
	if !permission.Has(u, right) {
		return realtime.ErrStream
	}
	return nil
}

// proven is how long the mails stay open on a connection.
func (g *stream) proven(s *ddp.Subscription, event string) (left time.Duration, needed bool) {
	if event != eventOutbox {
		return 0, false
	}
	return g.opened(s.Session().Peer(), s.Login()), true
}

// begin counts who listens, and wakes Run for the events that it makes.
func (g *stream) begin(_ context.Context, s *ddp.Subscription, event string) (listen bool, err error) {
	if event == eventOutbox && !g.o.Outbox.InClear() {
		return false, realtime.ErrStream
	}
	if event == eventUsers {
		return true, nil
	}
	g.listen(event, 1)
	s.OnStop(func() { g.listen(event, -1) })
	select {
	case g.wake <- struct{}{}:
	default: // Run is woken already
	}
	return true, nil
}

func (s *Slice) listen(event string, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listening[event] += by
}

func (s *Slice) listened() (status, outbox, sessions bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listening[eventStatus] > 0, s.listening[eventOutbox] > 0, s.listening[eventSessions] > 0
}

// accountChanged tells of an account that changed on whichever node: every node hears
// of it by itself.
func (s *Slice) accountChanged(e feed.Event, n user.News) {
	_ = s.o.Hub.EmitHere(streamName, eventUsers, ejson.Doc{{Key: "_id", Value: e.Key}})
	if n.Ended != nil || !n.Only(notOfSessions...) {
		_ = s.o.Hub.EmitHere(streamName, eventSessions, ejson.Doc{{Key: "_id", Value: e.Key}})
	}
}

// notOfSessions are the parts of an account that change often and that a list of
// sessions shows nothing of.
var notOfSessions = []string{user.FieldStatus, user.FieldPassword, user.FieldProofs, user.FieldFactors, user.FieldCustom, "emails", "roles", "language",
	"profile"}

// Run tells the status, new mails and moves of connections until ctx ends, while somebody listens; without
// anybody it waits and does nothing. Nothing it started is left when it returns.
func (s *Slice) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
		if s.serve(ctx) {
			return nil
		}
	}
}

// serve has the one ticker there is. It returns when nobody listens any more, and is
// true when ctx ended.
func (s *Slice) serve(ctx context.Context) (over bool) {
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	told, moves := s.newest(), s.o.Sessions.Moves()
	for half := true; ; half = !half {
		select {
		case <-ctx.Done():
			return true
		case <-tick.C:
		}
		status, mails, sessions := s.listened()
		if !status && !mails && !sessions {
			return false
		}
		// Which sessions are connected is no part of any account, so no news tells it.
		if now := s.o.Sessions.Moves(); sessions && now != moves {
			moves = now
			_ = s.o.Hub.EmitHere(streamName, eventSessions, ejson.Doc{})
		}
		if mails {
			told = s.tellMails(told)
		}
		if status && !half {
			s.tellStatus(ctx)
		}
	}
}

func (s *Slice) tellStatus(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, every)
	defer cancel()
	st, err := s.status(ctx)
	if err == nil {
		err = s.o.Hub.EmitHere(streamName, eventStatus, st)
	}
	if err != nil && ctx.Err() == nil {
		s.o.Logger.Warn("status_not_told", zap.Error(err))
	}
}

// newest is the id of the newest mail, "" for none.
func (s *Slice) newest() string {
	if mails := s.o.Outbox.Recent(); len(mails) > 0 {
		return mails[0].ID
	}
	return ""
}

// tellMails tells the mails after one, the oldest first, and returns the newest.
func (s *Slice) tellMails(after string) string {
	mails := s.o.Outbox.Recent()
	if len(mails) == 0 || mails[0].ID == after {
		return after
	}
	fresh := mails[:1]
	for n := range mails {
		if mails[n].ID == after {
			break
		}
		fresh = mails[:n+1]
	}
	for _, m := range slices.Backward(fresh) {
		if err := s.o.Hub.EmitHere(streamName, eventOutbox, m); err != nil {
			s.o.Logger.Warn("mail_not_told", zap.Error(err))
		}
	}
	return mails[0].ID
}
