package mongo

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"ddpserver/internal/feed"
	"ddpserver/internal/store/document"
)

// Where the database has change streams, events are not asked for but come: each node has
// one stream over the collection of events, and a getMore that waits on the server. What it
// shows is what a majority has, in the order of the primary's log. So an event that was
// acknowledged by the primary alone (AppendEvents) is shown a replication later, and one
// that a fail-over takes back is never shown: after every election the receiver is told
// that it missed something.

const (
	// awaitTime is how long the server lets a getMore wait for the next event. It bounds how
	// long a connection may be dead before anybody notices, and is all that an idle node sends.
	awaitTime = 2 * time.Second
	// firstPause and longestPause are between two tries to open a stream.
	firstPause, longestPause = 50 * time.Millisecond, 2 * time.Second
	// goodbye is how long the end of a stream waits for a server that perhaps is not there.
	goodbye = time.Second
	// maxRefusals is how often in a row a server that had change streams may refuse them
	// before the node polls.
	maxRefusals = 3
)

// streams is the transport over a change stream. It ends as polling where the server
// gives change streams up.
type streams struct {
	s       *Store
	polling feed.Transport
	polls   atomic.Bool
}

// News is the best transport that this database has: change streams, or else polling,
// which is what it is given. Whether it has them is known from trying.
func (s *Store) News(ctx context.Context, polling feed.Transport) feed.Transport {
	f := &streams{s: s, polling: polling}
	st, err := f.open(ctx, nil)
	if err == nil {
		f.close(ctx, st)
	} else if verdict(err) == refused {
		s.log.Info("no_change_streams", zap.Error(failure(err)), zap.String("hint", "news of other nodes is polled for; a replica set of MongoDB brings it sooner"))
		return polling
	}
	return f
}

func (f *streams) Name() string {
	if f.polls.Load() {
		return f.polling.Name()
	}
	return "change streams"
}

func (f *streams) Send(ctx context.Context, events []feed.Event) error {
	return f.s.AppendEvents(ctx, events)
}

// position is how far a receiver came.
type position struct {
	token     bson.Raw // nil: now
	listened  bool     // ever
	missed    bool     // something since it listened
	elections int64    // when it listened last
	refusals  int      // in a row
	pause     time.Duration
}

// Receive implements feed.Transport. A stream that was cut goes on where it was.
func (f *streams) Receive(ctx context.Context, to feed.Receiver) {
	at := position{pause: firstPause}
	for ctx.Err() == nil {
		err := f.follow(ctx, to, &at)
		if ctx.Err() != nil {
			return
		}
		to.Deaf(failure(err))
		switch verdict(err) {
		case refused:
			if at.refusals++; at.refusals >= maxRefusals {
				f.s.log.Warn("change_streams_given_up", zap.Error(failure(err)), zap.String("hint", "news of other nodes is polled for until the next start"))
				f.polls.Store(true)
				f.polling.Receive(ctx, &late{Receiver: to, missed: at.listened})
				return
			}
			fallthrough // perhaps it was the token that it did not like
		case lost:
			at.token, at.missed = nil, at.listened
		}
		pause := time.NewTimer(at.pause)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
		at.pause = min(2*at.pause, longestPause)
	}
}

// late is a receiver of another transport that begins where this one left a gap.
type late struct {
	feed.Receiver
	missed bool
}

func (l *late) Listening() {
	if l.missed {
		l.missed = false
		l.Missed()
	}
	l.Receiver.Listening()
}

var (
	// errEnded is the end of a stream without an error: its collection was dropped.
	errEnded = errors.New("the change stream ended")
	// errCut is the end of a stream that the driver would go on with.
	errCut = errors.New("the change stream was cut")
)

// follow opens a stream and hands over what it shows until it ends.
func (f *streams) follow(ctx context.Context, to feed.Receiver, at *position) error {
	st, err := f.open(ctx, at.token)
	if err != nil {
		return err
	}
	defer f.close(ctx, st)
	elections := f.s.elections.count()
	if at.listened && elections != at.elections {
		at.missed = true // what the primary before acknowledged may be gone
	}
	if at.missed {
		to.Missed()
	}
	to.Listening()
	at.listened, at.missed, at.elections = true, false, elections
	for ctx.Err() == nil { // begun without it, the driver would forget the cursor on the server
		at.token = slices.Clone(st.ResumeToken())
		events, err := f.next(ctx, st)
		if len(events) > 0 {
			to.Take(events)
		}
		if err != nil {
			return err
		}
		at.refusals, at.pause = 0, firstPause
	}
	return ctx.Err()
}

// next waits for what comes next; nothing may have come.
func (f *streams) next(ctx context.Context, st *driver.ChangeStream) (events []feed.Event, err error) {
	op, cancel := context.WithTimeout(ctx, awaitTime+time.Duration(f.s.timeLimit))
	defer cancel()
	op, cut := context.WithCancelCause(op)
	defer cut(nil)
	// The driver would open the stream again by itself, and nobody would know meanwhile
	// that nothing arrives: its first failure ends that.
	op = context.WithValue(op, onFailure{}, func() { cut(errCut) })
	for st.TryNext(op) {
		var e feed.Event
		raw := st.Current.Lookup("fullDocument")
		doc, _ := raw.DocumentOK()
		if err := document.Decode(doc, &e); err != nil {
			id, _ := doc.Lookup("_id").StringValueOK()
			e = feed.Event{ID: id} // of no kind: the reader reads anew
		}
		if events = append(events, e); st.RemainingBatchLength() == 0 {
			return events, nil
		}
	}
	var answered driver.CommandError
	switch err := st.Err(); {
	case err != nil && !errors.As(err, &answered) && context.Cause(op) != nil:
		return nil, context.Cause(op) // and not that of trying to open it again
	case err != nil:
		return nil, err
	case st.ID() == 0:
		return nil, errEnded
	}
	return nil, nil
}

// open opens a stream behind a token, or from now on. When it returns, the server has
// confirmed it.
func (f *streams) open(ctx context.Context, token bson.Raw) (*driver.ChangeStream, error) {
	op, cancel := f.s.op(ctx)
	defer cancel()
	o := options.ChangeStream().SetMaxAwaitTime(awaitTime)
	if token != nil {
		o.SetResumeAfter(token)
	}
	return f.s.events.Watch(op, driver.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "operationType", Value: "insert"}}}}, // an upsert that inserts is one
		{{Key: "$project", Value: bson.D{{Key: "fullDocument", Value: 1}}}},
	}, o)
}

// close leaves no cursor on the server, if that can be reached.
func (f *streams) close(ctx context.Context, st *driver.ChangeStream) {
	op, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	_ = st.Close(op)
}

// What an error of a change stream means.
type meaning int

const (
	passing meaning = iota // it may go on where it was
	lost                   // not where it was, but from now on
	refused                // not at all
)

// gone are the codes with which a server says that a stream cannot go on where it was.
var gone = []int{
	136, 260, 280, 286, // CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost
	222, 40576, 40585, 40615, // CloseChangeStream, and the same of older servers
}

// temporary are the codes of a server that is about to become, or no longer is, what a
// stream needs, or that was told to end the command.
var temporary = []int{
	6, 7, 89, 9001, // HostUnreachable, HostNotFound, NetworkTimeout, SocketException
	50, 202, 262, // MaxTimeMSExpired, NetworkInterfaceExceededTimeLimit, ExceededTimeLimit
	63, 133, 150, 13388, // StaleShardVersion, FailedToSatisfyReadPreference, StaleEpoch, StaleConfig
	94, 134, 211, // NotYetInitialized, ReadConcernMajorityNotAvailableYet, KeyNotFound (of the cluster's time)
	91, 189, 10107, 13435, 13436, // ShutdownInProgress, PrimarySteppedDown, NotWritablePrimary, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary
	43, 234, 237, 11600, 11601, 11602, // CursorNotFound, RetryChangeStream, CursorKilled, InterruptedAtShutdown, Interrupted, InterruptedDueToReplStateChange
}

// verdict tells what an error means. Every refusal of a server that is not known to pass
// counts as one: engines that speak MongoDB's protocol have codes of their own.
func verdict(err error) meaning {
	var ce driver.CommandError
	switch {
	case errors.Is(err, errEnded):
		return lost
	case !errors.As(err, &ce) || ce.Code == 0 || ce.HasErrorLabel("ResumableChangeStreamError"):
		return passing
	case slices.ContainsFunc(temporary, ce.HasErrorCode):
		return passing
	case slices.ContainsFunc(gone, ce.HasErrorCode) || ce.HasErrorLabel("NonResumableChangeStreamError"):
		return lost
	}
	return refused
}

// onFailure is the key of a function in a context: it runs when a command under it failed.
type onFailure struct{}

// monitor tells of commands, but for those that wait for news: how long they take says nothing.
func monitor(observe func(command string, took time.Duration, err error)) *event.CommandMonitor {
	told := func(ctx context.Context, command string, took time.Duration, err error) {
		f, waits := ctx.Value(onFailure{}).(func())
		switch {
		case !waits && observe != nil:
			observe(command, took, err)
		case waits && err != nil:
			f()
		}
	}
	return &event.CommandMonitor{
		Succeeded: func(ctx context.Context, e *event.CommandSucceededEvent) { told(ctx, e.CommandName, e.Duration, nil) },
		Failed: func(ctx context.Context, e *event.CommandFailedEvent) {
			told(ctx, e.CommandName, e.Duration, e.Failure)
		},
	}
}

// elections counts how often another primary was elected since the start.
type elections struct {
	mu   sync.Mutex
	last bson.ObjectID
	n    int64
}

func (e *elections) count() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n
}

// monitor hears of them from the driver.
func (e *elections) monitor() *event.ServerMonitor {
	return &event.ServerMonitor{TopologyDescriptionChanged: func(now *event.TopologyDescriptionChangedEvent) {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, s := range now.NewDescription.Servers {
			if s.Kind != "RSPrimary" || s.ElectionID == e.last {
				continue
			}
			if !e.last.IsZero() {
				e.n++
			}
			e.last = s.ElectionID
		}
	}}
}
