package trail

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/audit"
	"ddpserver/internal/feed"
	"ddpserver/internal/random"
	"ddpserver/internal/settings"
)

const (
	// Interval is how long an event may wait for others before it is written: what a
	// process that is killed loses of the copy.
	Interval = 500 * time.Millisecond
	// MaxWaiting bounds the events that wait for the store. Their texts are bounded too,
	// so that they hold 24 MiB at the very most, and a tenth of that in ordinary life.
	MaxWaiting = 4096
	// batch is how many events one write holds.
	batch = 200
	// retry is the first pause after a write that failed; it doubles up to maxRetry.
	retry, maxRetry = time.Second, 30 * time.Second
	// flushTime bounds the last write of a process that ends.
	flushTime = 5 * time.Second
)

// Options are the parts of a Service. All but Feed, Node, Logger and Now are required.
type Options struct {
	Store    Store
	Users    Users
	Settings *settings.Service
	// Next is the audit stream, which gets every event first.
	Next audit.Recorder
	// Feed tells those who listen, on every node, what was written; nil tells nobody.
	Feed feed.Publisher
	// Node fills audit.Event.Node where it is empty.
	Node string
	// Logger gets troubles with the store; nil discards them.
	Logger *zap.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Service records events and reads them back. It is an audit.Recorder and safe for
// concurrent use.
type Service struct {
	o             Options
	written, lost atomic.Int64
	failing       atomic.Bool

	writing sync.Mutex // held by whoever writes; guards told
	told    int64      // lost events that an event told about

	mu     sync.Mutex
	queue  []Event // at most MaxWaiting, the oldest first
	floods map[alike]*flood
	number uint32
	self   string        // ends the ids that are made here
	wake   chan struct{} // something waits
	many   chan struct{} // a whole batch waits
}

// New makes a Service. Nothing is written before Run, or Flush.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	self := hex.EncodeToString([]byte(random.ID()))[:idNode]
	return &Service{o: o, self: self, floods: map[alike]*flood{}, wake: make(chan struct{}, 1), many: make(chan struct{}, 1)}
}

// Record implements audit.Recorder: the event goes to the audit stream, and a copy
// waits for the store. Refusals that are many and alike wait as one event with their
// number. It never waits and never fails.
func (s *Service) Record(e audit.Event) {
	e = e.Clean(s.o.Node, s.o.Now)
	s.o.Next.Record(e)
	if s.days() == 0 {
		return
	}
	e.Address = s.kept(e.Address)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.fold(e) {
		s.keep(e)
	}
}

// keep lets an event wait for the store. The caller holds s.mu.
func (s *Service) keep(e audit.Event) {
	if len(s.queue) >= MaxWaiting {
		s.lost.Add(int64(max(1, e.Count)))
		return
	}
	s.number++
	s.queue = append(s.queue, newEvent(e, s.number, s.self))
	signal(s.wake)
	if len(s.queue) >= batch {
		signal(s.many)
	}
}

// due lets what was counted of refusals wait for the store, when its time is over or
// when the process ends.
func (s *Service) due(end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unfold(end)
}

// kept is how much of an address the copy may hold and show now: as much as the lists
// of sessions. The stream has all of it, under the operator's own rules.
func (s *Service) kept(address string) string {
	return settings.KeptAddress(s.o.Settings.String(settings.SessionAddress), address)
}

// signal wakes whoever waits for c, once.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Stats are the numbers of events written to the copy and missing from it since the
// start, and how many wait.
func (s *Service) Stats() (written, lost int64, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written.Load(), s.lost.Load(), len(s.queue)
}

// Failing tells whether the last attempt to write the copy failed.
func (s *Service) Failing() bool { return s.failing.Load() }

// Run writes what is recorded and removes what is too old until ctx ends; then it
// writes the rest, for five seconds at most. What is recorded later is not in the copy.
func (s *Service) Run(ctx context.Context) error {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	pause := Interval
	for {
		select {
		case <-ctx.Done():
			s.due(true)
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
			defer cancel()
			if err := s.Flush(last); err != nil {
				_, _, left := s.Stats()
				s.o.Logger.Warn("audit_copy_unfinished", zap.Int("events", left), zap.Error(err)) // the file has them
			}
			return nil
		case <-sweep.C:
			s.due(false)
			s.sweep(ctx)
			continue
		case <-s.wake:
		}
		s.rest(ctx, pause)
		if err := s.Flush(ctx); err == nil {
			pause = Interval
			continue
		}
		pause = min(max(2*pause, retry), maxRetry)
		signal(s.wake) // what could not be written waits still
	}
}

// rest lets events gather, until the pause is over or there is a whole batch of them.
// After a failure nothing but the time counts.
func (s *Service) rest(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	many := s.many
	if pause > Interval {
		many = nil
	}
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-many:
	}
}

// Flush writes what waits. An error, which is logged when the first write fails,
// leaves the rest waiting.
func (s *Service) Flush(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	for {
		events := s.waiting()
		if len(events) == 0 {
			return nil
		}
		if err := s.o.Store.AppendTrail(ctx, events); err != nil {
			if stopped := errors.Is(ctx.Err(), context.Canceled); !stopped && !s.failing.Swap(true) {
				s.o.Logger.Error("audit_copy_failing", zap.Error(err))
			}
			return err
		}
		s.wrote(len(events))
		s.publish(ctx, events)
	}
}

// waiting is a copy of the next batch.
func (s *Service) waiting() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.queue[:min(batch, len(s.queue))]...)
}

// wrote takes the first n events out of the queue. When some were lost before, that is
// told now: in the audit stream, whose event waits for the copy like any other.
func (s *Service) wrote(n int) {
	s.written.Add(int64(n))
	s.mu.Lock()
	s.queue = append(s.queue[:0], s.queue[n:]...)
	clear(s.queue[len(s.queue) : len(s.queue)+n])
	s.mu.Unlock()
	gap := s.lost.Load() - s.told
	s.told += gap
	if s.failing.Swap(false) {
		s.o.Logger.Warn("audit_copy_recovered", zap.Int64("lost_events", gap))
	}
	if gap > 0 {
		s.Record(audit.Event{Act: GapAct, Outcome: "error", Reason: fmt.Sprintf("%d events are missing", gap)})
	}
}
