package natsfeed

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"ddpserver/internal/feed"
)

// Receive implements feed.Transport. It ends when the transport is closed, too.
func (t *Transport) Receive(ctx context.Context, to feed.Receiver) {
	ctx, cancel := context.WithCancel(ctx)
	// One channel for all subscriptions keeps their messages in the order of arrival.
	arrived := make(chan *nats.Msg, maxArrived)
	var pump sync.WaitGroup
	defer t.in.clear()
	defer pump.Wait()
	defer cancel()
	pump.Go(func() {
		for {
			select {
			case m := <-arrived:
				t.in.put(m)
			case <-ctx.Done():
				return
			}
		}
	})
	defer t.followed.end()
	if err := t.hear(arrived); err != nil { // of a transport that is closed
		to.Deaf(err)
		return
	}
	l := listener{t: t, to: to}
	for {
		l.step(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.done:
			to.Deaf(nats.ErrConnectionClosed)
			return
		case <-t.in.wake:
		case <-l.again:
		}
	}
}

// hear subscribes to what every node hears, and to what is followed already.
func (t *Transport) hear(arrived chan *nats.Msg) error {
	f := &t.followed
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrived = arrived
	for _, r := range t.rings {
		for _, lane := range lanes {
			sub, err := t.nc.ChanSubscribe(r.prefix+"."+lane+".>", arrived)
			if err != nil {
				return err
			}
			f.always = append(f.always, sub)
		}
	}
	if f.whole {
		return t.subscribeAll()
	}
	for topic := range f.topics {
		if err := t.subscribe(topic); err != nil {
			return err
		}
	}
	return nil
}

// listener tells a receiver what happens.
type listener struct {
	t    *Transport
	to   feed.Receiver
	told struct{ listening, deaf bool }
	// times is link.times of the connection for which the receiver was told that it listens.
	times int
	again <-chan time.Time // when to ask the server anew; nil when it need not be asked
}

// step goes on until nothing is left to be told.
func (l *listener) step(ctx context.Context) {
	for ctx.Err() == nil {
		messages, missed, now := l.t.in.take()
		if !l.read(messages) || missed {
			l.to.Missed()
		}
		l.follow(ctx, now)
		if len(messages) == 0 {
			return
		}
	}
}

// read hands the events of messages on. It is false when something is missing.
func (l *listener) read(messages []*nats.Msg) bool {
	all := true
	var events []feed.Event
	for _, m := range messages {
		some, err := l.t.open(m)
		if err != nil {
			if what := err.Error(); l.t.logged.first(what) {
				l.t.log.Warn("nats_message_not_readable", zap.Error(err), zap.Int("bytes", len(m.Data)),
					zap.String("hint", "a node of another version of this program, or somebody else, uses the same subjects; what it told of is read anew"))
			}
		}
		if all = all && err == nil && len(some) > 0; len(some) == 0 {
			continue
		}
		if events = append(events, some...); len(events) >= maxEvents {
			l.to.Take(events)
			events = nil
		}
	}
	if len(events) > 0 {
		l.to.Take(events)
	}
	return all
}

// open reads the events of a message.
func (t *Transport) open(m *nats.Msg) ([]feed.Event, error) {
	for _, r := range t.rings {
		if strings.HasPrefix(m.Subject, r.prefix+".") {
			return r.unwrap(m.Data, m.Subject)
		}
	}
	return nil, errSubject
}

// follow tells the receiver what became of the connection.
func (l *listener) follow(ctx context.Context, now link) {
	switch {
	case !now.up:
		l.again = nil
		if now.err != nil { // else the first try is under way
			l.deaf(now.err)
		}
	case l.told.listening && l.times == now.times:
	default:
		if l.told.listening { // it broke and came back meanwhile
			l.deaf(now.err)
		}
		if err := l.confirm(ctx); err != nil {
			l.deaf(err)
			l.again = time.After(pingEvery)
			return
		}
		wasDeaf := l.told.deaf
		l.told.listening, l.told.deaf, l.times, l.again = true, false, now.times, nil
		l.to.Listening()
		if wasDeaf { // what was sent meanwhile is gone
			l.to.Missed()
		}
	}
}

func (l *listener) deaf(err error) {
	if !l.told.deaf {
		l.told.listening, l.told.deaf = false, true
		l.to.Deaf(err)
	}
}

// confirm asks the server whether it has the subscriptions: it answers in order.
func (l *listener) confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := l.t.flush(ctx); err != nil {
		return err
	}
	if err := l.t.nc.LastError(); refused(err, "subscription") {
		return err
	}
	return l.t.limited()
}

// maxLogged bounds what is remembered as logged.
const maxLogged = 100

// logged remembers what was logged, so that each trouble has one line.
type logged struct {
	mu   sync.Mutex
	what map[string]struct{}
}

func (l *logged) first(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, before := l.what[what]; before || len(l.what) >= maxLogged {
		return false
	}
	if l.what == nil {
		l.what = map[string]struct{}{}
	}
	l.what[what] = struct{}{}
	return true
}
