package realtime

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/feed"
	"ddpserver/internal/random"
)

const (
	// maxOutgoing bounds the events of one lane that wait for the transport. Beyond it the
	// oldest are dropped, and other nodes are told to read anew what matters.
	maxOutgoing = 1 << 16
	// maxSent and maxSentBytes bound what is sent at once.
	maxSent      = 1000
	maxSentBytes = 4 << 20
	// maxSeen is how many events are remembered so that one that comes twice is
	// delivered once.
	maxSeen = 4096
	// rereadEvery is how often at most everything is read anew because of events
	// that cannot be read: as long as nodes of another version run, many may come.
	rereadEvery = 2 * time.Second
	// maxLate bounds what one event adds to NewsStats.Late.
	maxLate = time.Hour
	// maxUnreadable is how many kinds and versions that cannot be read are logged.
	maxUnreadable = 100
)

// tellFor is how long it is tried to tell news again while the store does not answer.
const tellFor = 5 * time.Minute

// StoreTime bounds what one piece of news waits for the store: to be read, written, or
// judged. A store gives its own operations up after four and a half seconds, and its
// refusal, which says what was wrong, is to come first.
const StoreTime = 5 * time.Second

// LossMargin is how much earlier news is made anew than it seems to be missing: clocks of nodes
// differ, and what is made last is told last.
const LossMargin = 10 * time.Second

// lost is the kind of an event that says that others before it are missing. It has no
// payload, and no listeners: whoever gets it reads anew what is kept in memory.
const lost = "events-lost"

// outgoing are the events for the other nodes, in their order. Those that are urgent
// (feed.Event.Urgent) overtake the others: they end sessions, and are few.
type outgoing struct {
	mu      sync.Mutex
	lanes   [2][]feed.Event // the urgent ones first
	dropped int
	wake    chan struct{}
	logged  int // of dropped, by flush, which is never called twice at once
}

func (h *Hub) enqueue(e feed.Event) {
	q := &h.out
	q.mu.Lock()
	lane := &q.lanes[1]
	if e.Urgent() {
		lane = &q.lanes[0]
	}
	if len(*lane) >= maxOutgoing {
		*lane = (*lane)[1:]
		q.dropped++
	}
	*lane = append(*lane, e)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next is what is to be sent next, at least one event if there are any, all of one
// lane; dropped says how many are missing of which nobody was told.
func (q *outgoing) next() (events []feed.Event, dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, lane := range q.lanes {
		if len(lane) == 0 {
			q.lanes[i] = nil
			continue
		}
		n, size := 0, 0
		for n < len(lane) && n < maxSent && (n == 0 || size+len(lane[n].Body) <= maxSentBytes) {
			size += len(lane[n].Body)
			n++
		}
		return slices.Clone(lane[:n]), q.dropped
	}
	return nil, 0
}

// done takes what was sent out of its lane, as far as it was not dropped meanwhile.
func (q *outgoing) done(events []feed.Event, dropped int) {
	last := events[len(events)-1].ID
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped -= dropped
	for i, lane := range q.lanes {
		n := slices.IndexFunc(lane[:min(len(events), len(lane))], func(e feed.Event) bool { return e.ID == last })
		q.lanes[i] = lane[n+1:]
	}
}

// Run hands events to the other nodes and takes theirs until ctx ends. When it
// returns, nothing it started is left, and what was published before was handed
// over if the store let it.
func (h *Hub) Run(ctx context.Context) error {
	defer h.workers.wait()
	t := h.opts.Transport
	if t == nil {
		h.rereads(ctx)
		return nil
	}
	h.log.Info("news_from_nodes", zap.String("transport", t.Name()))
	var all sync.WaitGroup
	all.Go(func() { h.send(ctx) })
	all.Go(func() { h.rereads(ctx) })
	if h.Selective() {
		all.Go(func() { h.follow(ctx) })
	}
	t.Receive(ctx, &receiver{h: h, seen: recent{at: map[string]struct{}{}}})
	h.heard.Deafen()
	all.Wait()
	return nil
}

// send hands queued events to the transport, many at once, until it took them.
func (h *Hub) send(ctx context.Context) {
	const first = 250 * time.Millisecond
	pause, failing := first, false
	for {
		err := h.flush(ctx)
		switch {
		case ctx.Err() != nil:
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), StoreTime)
			err = h.flush(last)
			cancel()
			if err != nil {
				h.log.Warn("events_not_sent", zap.Error(err))
			}
			return
		case err != nil:
			if !failing {
				h.log.Warn("events_not_sent", zap.Error(err))
			}
			failing, pause = true, min(pause*2, StoreTime)
			wait(ctx, pause)
		default:
			failing, pause = false, first
			select {
			case <-ctx.Done():
			case <-h.out.wake:
			}
		}
	}
}

// flush sends what is queued; after an error something is left.
func (h *Hub) flush(ctx context.Context) error {
	for {
		events, dropped := h.out.next()
		if len(events) == 0 {
			return nil
		}
		all := events
		if dropped > 0 {
			if dropped > h.out.logged {
				h.log.Warn("events_dropped", zap.Int("count", dropped-h.out.logged))
				h.out.logged = dropped
			}
			all = append(slices.Clip(events), feed.Event{ID: random.ID(), Node: h.opts.Node, Kind: lost, At: h.opts.Now().UTC().Truncate(time.Millisecond)})
		}
		op, cancel := context.WithTimeout(ctx, StoreTime)
		err := h.opts.Transport.Send(op, all)
		cancel()
		if err != nil {
			return err
		}
		h.out.done(events, dropped)
		h.counts.sent.Add(uint64(len(events)))
		h.out.logged = 0
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// receiver is the hub as its transport sees it.
type receiver struct {
	h    *Hub
	seen recent
	deaf time.Time // since when it says so; zero while it listens, and before it began to
	// last is since when it was deaf the last time, until that was made good, and again when
	// it heard again.
	last, again time.Time
}

// Take implements feed.Receiver.
func (r *receiver) Take(events []feed.Event) {
	for _, e := range events {
		if e.Node == r.h.opts.Node || !r.seen.add(e.ID) {
			continue
		}
		r.h.counts.taken.Add(1)
		r.h.counts.late.Add(int64(min(max(r.h.opts.Now().Sub(e.At), 0), maxLate)))
		switch {
		case e.Kind == lost:
			r.h.miss(r.h.opts.Now().Add(-gapTime))
		case !r.h.deliver(e):
			r.h.miss(time.Time{})
		}
	}
}

// Attended implements attended.
func (r *receiver) Attended() bool { return r.h.attended() }

// Listening implements feed.Receiver.
func (r *receiver) Listening() {
	r.h.heard.Listen()
	r.h.hears.Store(true)
	r.h.interest.hears(true)
	if !r.deaf.IsZero() {
		r.again = r.h.opts.Now()
		r.h.log.Info("events_heard_again", zap.Duration("after", r.again.Sub(r.deaf)))
		r.deaf = time.Time{}
	}
}

// Deaf implements feed.Receiver.
func (r *receiver) Deaf(err error) {
	r.h.hears.Store(false)
	r.h.interest.hears(false)
	r.h.heard.Deafen()
	if r.deaf.IsZero() {
		r.deaf = r.h.opts.Now()
		r.last = r.deaf
		r.h.log.Warn("events_not_heard", zap.Error(err))
	}
}

// Missed implements feed.Receiver. What is missing was made while it was deaf, if it is or
// was a moment ago; a cut of long ago lost nothing, or that was told then.
func (r *receiver) Missed() {
	since := r.h.opts.Now().Add(-gapTime)
	if !r.last.IsZero() && (!r.deaf.IsZero() || r.again.After(since)) {
		since = r.last
	}
	r.last = time.Time{}
	r.h.miss(since)
}

// missing is what rereads has to make good.
type missing struct {
	mu    sync.Mutex
	again bool      // what is kept in memory is read anew
	since time.Time // since when news may be missing that is told of again; zero: none
	wake  chan struct{}
}

// miss notes that events did not come, or could not be read. News made after since is told
// of again as far as it can be; with the zero time, what is kept in memory is read anew and
// nothing else.
func (h *Hub) miss(since time.Time) {
	h.heard.Miss()
	h.counts.missed.Add(1)
	h.missing.mu.Lock()
	h.missing.again = true
	h.missing.mu.Unlock()
	h.Untold(since)
}

// Untold says that somebody who listens here may not have been told of news made since then,
// because a node died, or the store did not say whom to tell or what: it is told again when
// the store answers. It is miss without what is kept in memory: accounts and settings are
// marked, and the rest is dropped by those who tell again.
func (h *Hub) Untold(since time.Time) {
	m := &h.missing
	m.mu.Lock()
	if m.since.IsZero() || !since.IsZero() && since.Before(m.since) {
		m.since = since
	}
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default: // what reads anew has not begun yet
	}
}

// counts are what NewsStats tells.
type counts struct {
	sent, taken, missed atomic.Uint64
	late                atomic.Int64 // nanoseconds
}

// NewsStats are counts since the start, and of now.
type NewsStats struct {
	// Sent events went to other nodes, Taken ones came from them; Missed is how often some
	// were known to be missing.
	Sent, Taken, Missed uint64
	// Late is the time from when the taken ones were made until they came, all together,
	// as far as the clocks of the nodes agree.
	Late time.Duration
	// Waiting events have yet to be sent.
	Waiting int
	// Topics are what this node asks for beside what every node is told; 0 where everything comes.
	Topics int
}

// News tells what went between this node and the others.
func (h *Hub) News() NewsStats {
	topics := h.interest.count()
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	c := &h.counts
	return NewsStats{c.sent.Load(), c.taken.Load(), c.missed.Load(), time.Duration(c.late.Load()), len(h.out.lanes[0]) + len(h.out.lanes[1]), topics}
}

// rereads has everything read anew after events were missed, and once more after the
// last of many.
func (h *Hub) rereads(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.missing.wake:
			h.missing.mu.Lock()
			again, since := h.missing.again, h.missing.since
			h.missing.again, h.missing.since = false, time.Time{}
			h.missing.mu.Unlock()
			if again {
				h.reread(ctx)
			}
			if !since.IsZero() {
				err := h.lost(ctx, since)
				if err != nil && !failing && ctx.Err() == nil {
					h.log.Warn("news_not_made_good", zap.Error(err))
				}
				// The store did not answer; what is older than that clients have long read.
				if failing = err != nil; failing && h.opts.Now().Sub(since) <= tellFor {
					h.Untold(since)
				}
			}
			wait(ctx, rereadEvery)
		}
	}
}

// lost has whoever listens here told again of what was made since then, and a while before:
// the clocks of nodes differ, and what is made last is told last. An error says that it is to be
// done again.
func (h *Hub) lost(ctx context.Context, since time.Time) (err error) {
	for _, f := range h.losses {
		err = errors.Join(err, f(ctx, since.Add(-LossMargin)))
	}
	return err
}

// reread has everything read anew that events keep up to date.
func (h *Hub) reread(ctx context.Context) {
	for _, f := range h.gaps {
		f(ctx)
	}
}

// unreadable remembers which events were logged as unreadable: one line for each
// kind and version says that nodes of another version run.
type unreadable struct {
	mu     sync.Mutex
	logged map[string]struct{}
}

func (u *unreadable) log(log *zap.Logger, e feed.Event, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	key := e.Kind + " " + strconv.Itoa(e.Version)
	if _, before := u.logged[key]; before || len(u.logged) >= maxUnreadable {
		return
	}
	if u.logged == nil {
		u.logged = map[string]struct{}{}
	}
	u.logged[key] = struct{}{}
	log.Warn("event_not_readable", zap.String("kind", e.Kind), zap.Int("version", e.Version), zap.String("node", e.Node), zap.Error(err),
		zap.String("hint", "a node of another version of this program shares the database; what it told of is read anew"))
}

// recent remembers the last ids.
type recent struct {
	at   map[string]struct{}
	ring [maxSeen]string
	next int
}

// add tells whether the id is new.
func (r *recent) add(id string) bool {
	if _, old := r.at[id]; old {
		return false
	}
	delete(r.at, r.ring[r.next])
	r.ring[r.next], r.at[id] = id, struct{}{}
	r.next = (r.next + 1) % maxSeen
	return true
}
