package ddp

import (
	"context"
	"slices"

	"ddpserver/internal/rpc"
)

// switching is the state while the subscriptions are re-run for another user.
type switching struct {
	ready []*Subscription
}

// setLogin changes the user (docs/wire/ddp.md A15, with the 2.x order: universal
// publications finish before the difference is sent).
func (s *Session) setLogin(ctx context.Context, l rpc.Login) error {
	if !s.srv.room(l.UserID, s.Login().UserID) {
		return errTooManyConnections
	}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return nil
	}
	oldSubs, oldUniversal := s.subs, s.universal
	stops := make([]func(), 0, len(oldSubs)+len(oldUniversal))
	for _, list := range [][]*Subscription{oldSubs, oldUniversal} {
		for _, p := range list {
			if stop := p.halt(); stop != nil {
				stops = append(stops, stop)
			}
			p.held = nil
		}
	}
	old := s.view
	s.view, s.switching = view{}, &switching{}
	s.subs, s.universal = nil, nil
	s.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	s.srv.relogin(s, l)
	s.mu.Lock()
	if s.ended {
		s.switching = nil
		s.mu.Unlock()
		s.srv.stats.subs.Add(-int64(len(oldSubs)))
		return nil
	}
	for _, p := range oldSubs {
		s.subs = append(s.subs, &Subscription{s: s, id: p.id, name: p.name, params: p.params, named: true, again: true})
	}
	for _, p := range oldUniversal {
		s.universal = append(s.universal, &Subscription{s: s, publication: p.publication})
	}
	rerun := slices.Concat(s.subs, s.universal)
	if s.leaving { // the token is the dead one
		for _, p := range rerun {
			p.stopped = true
		}
		rerun = nil
	}
	s.mu.Unlock()
	for _, p := range rerun {
		_ = s.runPublication(ctx, p)
	}
	f := s.frames()
	s.mu.Lock()
	if s.leaving { // it is shown nothing; a login with another token starts from what it was shown
		if s.switching = nil; !s.ended {
			s.view = old
		}
		s.mu.Unlock()
		putBuffer(f.buffer)
		return nil
	}
	s.view.difference(&old, &f)
	var ids []string
	for _, p := range s.switching.ready {
		if !p.stopped {
			ids = append(ids, p.id)
		}
	}
	s.switching = nil
	if len(ids) > 0 {
		f.ready(ids...)
	}
	s.put(f.buffer)
	s.mu.Unlock()
	s.out.flush(false)
	return nil
}
