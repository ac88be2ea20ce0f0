package realtime

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
	"ddpserver/internal/user"
)

const (
	// sweepEvery is how often a node that shares its database asks what was marked: what
	// ends a session elsewhere ends it here within two of these, whatever became of the news.
	sweepEvery = time.Second
	// maxMarks bounds one answer of the store; there may be more, which are asked for next.
	maxMarks = 1000
	// clockBack is how far a sweep goes back when the database's clock was set back.
	clockBack = time.Hour
	// startBack is how far the first one goes back: what was marked before it may become
	// visible after it, and the change of an early mark may come then.
	startBack = feed.MarkDelay + feed.MarkEarly
)

// Marked is what sweeps read of a store; every store has it.
type Marked interface {
	feed.Marks
	// UsersByIDs finds the accounts that exist and can be read, in no order.
	UsersByIDs(ctx context.Context, ids []string) ([]*user.User, error)
}

// sweep is how far the marks of a shared store were followed. Marks may become visible
// in another order than they were drawn in, so each sweep begins at a mark that is known
// to be older than all that may still come, and leaves out what it has handled.
type sweep struct {
	marks feed.Marks
	heard *user.Heard
	// inUse tells whether somebody here is logged in as an account, all lists those, and
	// nobody tells that there are none.
	inUse  func(id string) bool
	all    func() []string
	nobody func() bool
	// accounts reads accounts anew and acts on what they are now.
	accounts func(ctx context.Context, ids []string) error
	settings func(ctx context.Context) error

	most    int // marks in one page
	from    feed.Mark
	handled map[feed.Mark]struct{} // those behind from
	// drawn are the marks that this node drew, oldest first, which from moves on to.
	drawn []drawn
	// awaited are the accounts whose early mark was seen, and when it says nothing any more.
	awaited map[string]time.Time
	// good is when a sweep last came to its end; missed tells that marks may have been
	// missed since, so that everything in use is to be read anew.
	good   time.Time
	missed bool
	// part tells that the last one asked for early marks alone.
	part bool
}

type drawn struct {
	at   uint64
	when time.Time // after it was drawn; of this node's clock only differences count
}

// run asks once, and acts on what was marked since it was last asked. What fails is done
// again by the next one: nothing is taken for handled that was not. Where nobody is logged
// in, every second one asks for early marks alone, and moves on no further: whoever logs in
// before the next one is found by it.
func (s *sweep) run(ctx context.Context) error {
	begin := time.Now()
	if begin.Sub(s.good) > feed.MarkLife/2 { // or never: early marks are forgotten
		s.missed = true
	}
	if err := s.draw(ctx, begin); err != nil {
		return err
	}
	s.part = !s.part && !s.missed && s.nobody()
	for after := s.from; ; {
		page, err := s.page(ctx, after)
		if err != nil {
			return err
		}
		if err := s.handle(ctx, page, begin); err != nil {
			return err
		}
		if len(page) < s.most {
			break
		}
		after = page[len(page)-1]
	}
	if err := s.await(ctx, begin); err != nil {
		return err
	}
	if s.missed {
		if err := errors.Join(s.accounts(ctx, s.all()), s.settings(ctx)); err != nil {
			return err
		}
	}
	s.missed, s.good = false, begin
	if !s.part {
		s.advance(begin)
	}
	return nil
}

func (s *sweep) page(ctx context.Context, after feed.Mark) ([]feed.Mark, error) {
	ctx, cancel := context.WithTimeout(ctx, StoreTime)
	defer cancel()
	return s.marks.MarksSince(ctx, after, s.most, s.part)
}

// draw draws a mark of this moment now and then. If it lies before one of earlier, the
// clock of the database was set back.
func (s *sweep) draw(ctx context.Context, now time.Time) error {
	n := len(s.drawn)
	if n > 0 && now.Sub(s.drawn[n-1].when) < feed.MarkDelay {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, StoreTime)
	defer cancel()
	at, err := s.marks.MarkNow(ctx)
	switch {
	case err != nil:
		return err
	case n == 0:
		s.from = before(at, startBack)
	case at < s.drawn[n-1].at:
		s.missed, s.drawn, s.from = true, nil, before(at, clockBack)
	}
	s.drawn = append(s.drawn, drawn{at, time.Now()})
	return nil
}

// before is the mark of a moment that long before one of a clock; all marks of a counter.
func before(at uint64, d time.Duration) feed.Mark {
	return feed.Mark{At: at - min(at, uint64(d/time.Second)<<32)}
}

// advance moves on to the newest mark drawn here before which nothing can still appear:
// what was to appear had done so when a sweep that came to its end began.
func (s *sweep) advance(begin time.Time) {
	for len(s.drawn) > 0 && begin.Sub(s.drawn[0].when) >= feed.MarkDelay {
		if last := s.drawn[0]; last.at > s.from.At {
			s.from = feed.Mark{At: last.at}
			for m := range s.handled {
				if m.At <= s.from.At {
					delete(s.handled, m)
				}
			}
		}
		if len(s.drawn) == 1 {
			return // the next one is compared with it
		}
		s.drawn = s.drawn[1:]
	}
}

// handle acts on the marks of a page that are new. Every account is noted as heard of
// before it is looked up: whoever logs in as it meanwhile reads it anew, or is found.
func (s *sweep) handle(ctx context.Context, page []feed.Mark, now time.Time) error {
	var fresh []feed.Mark
	var ids []string
	for _, m := range page {
		if _, before := s.handled[m]; before {
			continue
		}
		fresh = append(fresh, m)
		if m.Account != "" {
			s.heard.Hear(m.Account)
		}
		if m.Early {
			s.awaited[m.Account] = now.Add(feed.MarkEarly)
		}
		if m.Account != "" && s.inUse(m.Account) {
			ids = append(ids, m.Account)
		}
	}
	err := s.accounts(ctx, ids)
	if err == nil && slices.ContainsFunc(fresh, func(m feed.Mark) bool { return m.Account == "" && !m.Early }) {
		err = s.settings(ctx)
	}
	if err != nil {
		return err
	}
	for _, m := range fresh {
		s.handled[m] = struct{}{}
	}
	return nil
}

// await looks again for the changes whose early marks were seen.
func (s *sweep) await(ctx context.Context, now time.Time) error {
	var ids []string
	for id := range s.awaited {
		if id != "" && s.inUse(id) {
			ids = append(ids, id)
		}
	}
	err := s.accounts(ctx, ids)
	if _, settings := s.awaited[""]; settings {
		err = errors.Join(err, s.settings(ctx))
	}
	if errors.Is(err, dberr.Unavailable) {
		return err
	}
	for id, until := range s.awaited {
		if !now.Before(until) {
			delete(s.awaited, id)
		}
	}
	return err
}

// sweeps asks what was marked, until ctx ends. While the store cannot be read nothing is
// taken for seen: the first sweep that succeeds finds it.
func (b *Base) sweeps(ctx context.Context) {
	s := &sweep{
		marks: b.marked, heard: b.hub.Heard(), inUse: b.own.inUse, all: b.own.ids, nobody: b.own.nobody, accounts: b.own.refreshMany,
		most: maxMarks, handled: map[feed.Mark]struct{}{}, awaited: map[string]time.Time{},
		settings: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, StoreTime)
			defer cancel()
			return b.settings.Refresh(ctx)
		},
	}
	failing := time.Time{}
	every(ctx, sweepEvery, true, func() {
		err := s.run(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && failing.IsZero():
			failing = time.Now()
			b.hub.log.Warn("marks_not_followed", zap.Error(err), zap.String("hint", "what ended sessions on other nodes is found when the database answers again"))
		case err == nil && !failing.IsZero():
			b.hub.log.Info("marks_followed_again", zap.Duration("after", time.Since(failing)))
			failing = time.Time{}
		}
	})
}

// every calls f at once, if it is to, and then after each interval until ctx ends. What
// would come while f runs is left out.
func every(ctx context.Context, interval time.Duration, atOnce bool, f func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	if atOnce && ctx.Err() == nil {
		f()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}
