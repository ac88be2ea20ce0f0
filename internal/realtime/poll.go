package realtime

import (
	"context"
	"time"

	"ddpserver/internal/feed"
)

const (
	// pollEvery is how often a store is asked for the events of others.
	pollEvery = 250 * time.Millisecond
	// restSteps is how many times as long it is left alone while nobody is there to be told.
	restSteps = 4
	// fewEvents came when there are no more to be fetched at once.
	fewEvents = 100
	// gapTime is how long the store may fail before events may have been forgotten.
	gapTime = time.Minute
)

// poll is the transport over a store that has to be asked.
type poll struct {
	store feed.Store
	every time.Duration
}

// attended is a receiver that knows whether somebody waits for what it takes; one that
// does not is taken for one where somebody does.
type attended interface{ Attended() bool }

// Poll makes the transport over a store that can do no more than be asked, four times a
// second, and once where nobody waits for news: whoever comes there is not told later
// than others. It is nil without a store, for a node on its own.
func Poll(store feed.Store) feed.Transport {
	if store == nil {
		return nil
	}
	return &poll{store, pollEvery}
}

func (p *poll) Name() string { return "polling" }

func (p *poll) Send(ctx context.Context, events []feed.Event) error {
	return p.store.AppendEvents(ctx, events)
}

// Receive implements feed.Transport. What is made while the store cannot be read is read
// afterwards, so a short cut costs nothing but time.
func (p *poll) Receive(ctx context.Context, to feed.Receiver) {
	cursor, failingSince := "", time.Time{}
	for ctx.Err() == nil {
		op, cancel := context.WithTimeout(ctx, StoreTime)
		events, next, err := p.store.EventsSince(op, cursor)
		cancel()
		switch {
		case err != nil && ctx.Err() != nil:
			return
		case err != nil:
			if failingSince.IsZero() {
				failingSince = time.Now()
			}
			to.Deaf(err)
		default:
			to.Take(events)
			cursor = next
			to.Listening()
			if !failingSince.IsZero() && time.Since(failingSince) >= gapTime {
				to.Missed()
			}
			failingSince = time.Time{}
		}
		steps := restSteps
		if len(events) > fewEvents {
			steps = 1
		}
		p.rest(ctx, to, steps)
	}
}

// rest waits until the store is to be asked again, after steps at most.
func (p *poll) rest(ctx context.Context, to feed.Receiver, steps int) {
	a, knows := to.(attended)
	for range steps {
		if wait(ctx, p.every); !knows || a.Attended() {
			return
		}
	}
}
