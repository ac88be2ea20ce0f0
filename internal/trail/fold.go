package trail

import (
	"time"

	"ddpserver/internal/audit"
)

const (
	// foldFor is the time in which refusals that are alike are told together, and
	// foldFrom how many of them are kept one by one before: people who mistype see each
	// of their tries, and a flood of months fits into the retention.
	foldFor, foldFrom = 10 * time.Minute, 10
	// maxFolds bounds what is counted at a time; refusals of others are kept one by one.
	maxFolds = 4096
)

// alike is what refusals have in common that are told in one event: who was refused
// what, and from where. Texts that a client may vary as it likes are no part of it.
type alike struct{ act, outcome, user, subject, address string }

// flood counts the refusals that are alike, from the first until the end of its time.
type flood struct {
	until  time.Time
	seen   int
	folded int         // of those seen, the ones that no event tells of yet
	last   audit.Event // the last of them
}

// fold tells whether an event is one of many alike: it is counted then, and told with
// the others when their time is over. The caller holds s.mu.
func (s *Service) fold(e audit.Event) bool {
	if e.Outcome == "ok" || e.Count > 0 {
		return false
	}
	key := alike{e.Act, e.Outcome, e.User, subject(e), e.Address}
	f, now := s.floods[key], s.o.Now()
	if f != nil && !now.Before(f.until) {
		s.end(key, f)
		f = nil
	}
	if f == nil {
		if len(s.floods) >= maxFolds {
			return false
		}
		f = &flood{until: now.Add(foldFor)}
		s.floods[key] = f
	}
	if f.seen++; f.seen <= foldFrom {
		return false
	}
	f.folded++
	f.last = e
	return true
}

// unfold tells what was counted and whose time is over, or all of it. The caller holds
// s.mu.
func (s *Service) unfold(all bool) {
	now := s.o.Now()
	for key, f := range s.floods {
		if all || !now.Before(f.until) {
			s.end(key, f)
		}
	}
}

// end tells what one flood counted, as the last of its events.
func (s *Service) end(key alike, f *flood) {
	delete(s.floods, key)
	if f.folded == 0 {
		return
	}
	if f.folded > 1 {
		f.last.Count = f.folded
	}
	s.keep(f.last)
}
