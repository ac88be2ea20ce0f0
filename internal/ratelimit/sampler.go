package ratelimit

import (
	"sync"
	"time"
)

// Sampler thins out what is told again and again: of equal events in a window
// the first few are told singly, the others are counted and told as one number
// when the window is over. Its memory is bounded: beyond a number of senders
// they are counted together. It is safe for concurrent use.
type Sampler struct {
	o SamplerOptions

	mu    sync.Mutex
	begin time.Time
	seen  map[sampled]*repeated
	timer *time.Timer
}

// SamplerOptions configure a Sampler; zero values are defaults.
type SamplerOptions struct {
	// First is how many equal events are told singly in a window: 5.
	First int
	// Window is how long one lasts, from the first event in it: one minute.
	Window time.Duration
	// Keys is how many pairs of event and sender are told apart: 1024.
	Keys int
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

type sampled struct{ what, from string }

type repeated struct {
	told, more int
	sum        func(from string, count int)
}

// NewSampler makes a Sampler. It starts nothing; a timer runs only while counted
// events wait to be told.
func NewSampler(o SamplerOptions) *Sampler {
	if o.First == 0 {
		o.First = 5
	}
	if o.Window == 0 {
		o.Window = time.Minute
	}
	if o.Keys == 0 {
		o.Keys = 1024
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Sampler{o: o, seen: map[sampled]*repeated{}}
}

// Tell reports whether an event is to be told singly. what must come from the
// program's own tables; from names the sender. Otherwise the event is counted,
// and sum is called once when the window is over, with the number of events that
// were not told and their sender, or "" when too many senders were there to be
// told apart. sum may run on any goroutine and must not call the Sampler.
func (s *Sampler) Tell(what, from string, sum func(from string, count int)) bool {
	s.mu.Lock()
	now := s.o.Now()
	var over map[sampled]*repeated
	if age := now.Sub(s.begin); age >= s.o.Window || age < 0 {
		over = s.turn(now)
	}
	key := sampled{what, from}
	e := s.seen[key]
	if e == nil && len(s.seen) >= s.o.Keys {
		key.from = ""
		e = s.seen[key]
	}
	if e == nil {
		e = &repeated{}
		s.seen[key] = e
	}
	single := e.told < s.o.First
	if single {
		e.told++
	} else {
		if e.more++; e.more == 1 {
			e.sum = sum
		}
		if s.timer == nil {
			s.timer = time.AfterFunc(s.begin.Add(s.o.Window).Sub(now), s.Flush)
		}
	}
	s.mu.Unlock()
	tell(over)
	return single
}

// Flush ends the window at once and tells what was counted in it.
func (s *Sampler) Flush() {
	s.mu.Lock()
	over := s.turn(s.o.Now())
	s.mu.Unlock()
	tell(over)
}

// turn begins a window and hands out the one before. s.mu is held.
func (s *Sampler) turn(now time.Time) map[sampled]*repeated {
	over := s.seen
	s.begin, s.seen = now, map[sampled]*repeated{}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	return over
}

func tell(over map[sampled]*repeated) {
	for key, e := range over {
		if e.more > 0 {
			e.sum(key.from, e.more)
		}
	}
}
