package mongo_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ddpserver/internal/feed"
	"ddpserver/internal/feed/feedtest"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
)

// asked is a transport that polls, in few lines.
type asked struct{ feed.Store }

func (asked) Name() string { return "polling" }

func (a asked) Send(ctx context.Context, events []feed.Event) error {
	return a.AppendEvents(ctx, events)
}

func (a asked) Receive(ctx context.Context, to feed.Receiver) {
	cursor := ""
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		events, next, err := a.EventsSince(ctx, cursor)
		if err != nil {
			to.Deaf(err)
		} else {
			to.Take(events)
			cursor = next
			to.Listening()
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// ear is a receiver that keeps what it was told.
type ear struct {
	mu     sync.Mutex
	got    []string
	told   []string // when it heard and when not, without repetitions
	missed int
	took   func(feed.Event)
}

func (e *ear) Take(events []feed.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range events {
		e.got = append(e.got, event.ID)
		if e.took != nil {
			e.took(event)
		}
	}
}

func (e *ear) tell(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.told); n == 0 || e.told[n-1] != what {
		e.told = append(e.told, what)
	}
}

func (e *ear) Listening() { e.tell("listening") }
func (e *ear) Deaf(error) { e.tell("deaf") }

func (e *ear) Missed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.missed++
}

func (e *ear) hears() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.told) > 0 && e.told[len(e.told)-1] == "listening"
}

func (e *ear) is(t *testing.T, want []string, missed int) {
	t.Helper()
	testwait.Until(t, fmt.Sprint(len(want), " events, ", missed, " gaps"), func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.got) >= len(want) && e.missed >= missed
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.got, want) || e.missed != missed {
		t.Errorf("%d events, %d gaps, want %d and %d; the first are %v", len(e.got), e.missed, len(want), missed, e.got[:min(5, len(e.got))])
	}
}

// listen lets a node receive until the test ends, or end is called.
func listen(t testing.TB, news feed.Transport, e *ear) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		news.Receive(ctx, e)
	}()
	end = func() {
		cancel()
		<-done
	}
	t.Cleanup(end)
	testwait.Until(t, "the first listening", e.hears)
	return end
}

// receiving is a node that receives over change streams.
func receiving(t *testing.T) (*mongotest.Server, database, feed.Transport, *ear) {
	t.Helper()
	s, server, d := start(t, mongo.Options{})
	news := s.News(t.Context(), asked{s})
	if news.Name() != "change streams" {
		t.Fatalf("it is %s", news.Name())
	}
	e := &ear{}
	listen(t, news, e)
	return server, d, news, e
}

func made(from, to int) (events []feed.Event, ids []string) {
	for i := from; i < to; i++ {
		id := fmt.Sprintf("e%05d", i)
		ids = append(ids, id)
		events = append(events, feed.Event{ID: id, Node: "n", Kind: "kind", Key: "k", Version: 3, Body: []byte("{\"x\":\"\xff\"}"), At: time.UnixMilli(1).UTC()})
	}
	return events, ids
}

func send(t testing.TB, news feed.Transport, events []feed.Event) {
	t.Helper()
	testwait.Until(t, "events sent", func() bool { return news.Send(context.Background(), events) == nil })
}

// Both transports over MongoDB do what every transport must. What keeps nodes from each
// other is an error that the driver does not try again by itself.
func TestTransports(t *testing.T) {
	for name, kind := range map[string]mongotest.Kind{"change streams": {}, "polling": mongotest.Standalone()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			feedtest.RunTransport(t, func(t *testing.T) feedtest.Meeting {
				server := mongotest.StartServer(t, kind)
				url, away := server.URI(), mongotest.Fault{Times: -1, Code: 211, Name: "KeyNotFound"}
				cut := func() {
					server.Inject(away)
					server.EndStreams(away.Code, away.Name)
				}
				return feedtest.Meeting{Cut: cut, Mend: server.Heal, Keeps: true, Join: func(t testing.TB, node string) feed.Transport {
					s := database{url}.Open(t).(*mongo.Store)
					t.Cleanup(func() {
						if err := s.Close(); err != nil {
							t.Error(err)
						}
					})
					news := s.News(t.Context(), asked{s})
					if news.Name() != name {
						t.Errorf("it is %s", news.Name())
					}
					return news
				}}
			})
		})
	}
}

// Events of one node come to two others, each once, whole and in their order; what was sent
// before a node listens does not.
func TestStreamsCarry(t *testing.T) {
	t.Parallel()
	s, server, d := start(t, mongo.Options{})
	before, _ := made(90_000, 90_001)
	send(t, asked{s}, before)
	var ears []*ear
	for range 2 {
		other := d.Open(t).(*mongo.Store)
		e := &ear{}
		end := listen(t, other.News(t.Context(), asked{other}), e)
		t.Cleanup(func() {
			end()
			if err := other.Close(); err != nil {
				t.Error(err)
			}
		})
		ears = append(ears, e)
	}
	want, ids := made(0, 500)
	var whole feed.Event
	ears[0].took = func(e feed.Event) { whole = e }
	news := s.News(t.Context(), asked{s})
	for chunk := range slices.Chunk(want, 70) {
		send(t, news, chunk)
	}
	for _, e := range ears {
		e.is(t, ids, 0)
	}
	if last := want[len(want)-1]; fmt.Sprint(whole) != fmt.Sprint(last) {
		t.Errorf("%+v, want %+v", whole, last)
	}
	if server.Streams() != 2 {
		t.Errorf("%d streams are open", server.Streams())
	}
}

// What happens while a stream is away comes afterwards, and nothing twice; the receiver
// knows meanwhile that it is deaf. Where the server cannot go on, it is told what it missed.
func TestStreamsAfterCuts(t *testing.T) {
	t.Parallel()
	cutOff := mongotest.Fault{Command: "aggregate", Times: -1, DropBefore: true}
	for _, c := range []struct {
		name   string
		cut    func(*mongotest.Server)
		during func(*testing.T, *mongotest.Server, database)
		lost   bool // what was sent meanwhile
		missed int
	}{
		{name: "the stream is cut", cut: func(s *mongotest.Server) { s.EndStreams(43, "CursorNotFound") }},
		{name: "a connection is cut", cut: func(s *mongotest.Server) { s.Down(); s.Up() }},
		{name: "not primary", cut: func(s *mongotest.Server) { s.EndStreams(10107, "NotWritablePrimary", "ResumableChangeStreamError") }},
		{name: "killed", cut: func(s *mongotest.Server) { s.EndStreams(237, "CursorKilled", "NonResumableChangeStreamError") }},
		{name: "another primary", cut: (*mongotest.Server).FailOver, missed: 1},
		{name: "history lost", cut: func(s *mongotest.Server) { s.EndStreams(43, "CursorNotFound") },
			during: func(_ *testing.T, s *mongotest.Server, _ database) { s.Forget() }, lost: true, missed: 1},
		{name: "history lost at once", cut: func(s *mongotest.Server) {
			s.EndStreams(286, "ChangeStreamHistoryLost", "NonResumableChangeStreamError")
		}, lost: true, missed: 1},
		{name: "the collection is dropped", cut: func(*mongotest.Server) {}, during: func(t *testing.T, _ *mongotest.Server, d database) {
			d.driver(t, func(ctx context.Context, db *driver.Database) error {
				return db.Collection("ddpserver_events").Drop(ctx)
			})
		}, missed: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server, d, news, e := receiving(t)
			first, ids := made(0, 3)
			send(t, news, first)
			e.is(t, ids, 0)
			server.Inject(cutOff)
			c.cut(server)
			during, more := made(3, 6)
			send(t, news, during)
			if c.during != nil {
				c.during(t, server, d)
			}
			testwait.Until(t, "deafness", func() bool { return !e.hears() })
			server.Heal()
			testwait.Until(t, "listening", e.hears)
			if !c.lost {
				ids = append(ids, more...)
			}
			last, more := made(6, 9)
			send(t, news, last)
			e.is(t, append(ids, more...), c.missed)
			e.mu.Lock()
			defer e.mu.Unlock()
			if !slices.Equal(e.told, []string{"listening", "deaf", "listening"}) {
				t.Errorf("told %v", e.told)
			}
		})
	}
}

// Any clear refusal is a no, whatever a server says it is; the log says so.
func TestWithoutStreams(t *testing.T) {
	t.Parallel()
	for _, kind := range []mongotest.Kind{mongotest.Standalone(), mongotest.Without(238, "NotImplemented"), mongotest.Without(40324, "Location40324"),
		mongotest.Without(59, "CommandNotFound"), mongotest.Without(13, "Unauthorized"), mongotest.Without(115, "CommandNotSupported")} {
		core, logs := observer.New(zap.InfoLevel)
		s, err := mongo.Open(t.Context(), mongotest.StartServer(t, kind).URI(), mongo.Options{Logger: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		if name := s.News(t.Context(), asked{s}).Name(); name != "polling" || logs.FilterMessage("no_change_streams").Len() != 1 {
			t.Errorf("%s, %v", name, logs.All())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A server that is away at the start has not refused; one that refuses later is polled,
// and what came between is not lost unnoticed.
func TestStreamsGivenUp(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	s, server, _ := start(t, mongo.Options{Logger: zap.New(core)})
	server.Inject(mongotest.Fault{Command: "aggregate", Times: 2, DropBefore: true}) // the driver tries once more
	news, e := s.News(t.Context(), asked{s}), &ear{}
	listen(t, news, e)
	first, ids := made(0, 3)
	send(t, news, first)
	e.is(t, ids, 0)
	if news.Name() != "change streams" {
		t.Errorf("it is %s", news.Name())
	}
	server.Inject(mongotest.Fault{Command: "aggregate", Times: -1, Code: 238, Name: "NotImplemented"})
	server.EndStreams(238, "NotImplemented")
	testwait.Until(t, "polling", func() bool { return news.Name() == "polling" && e.hears() })
	testwait.Until(t, "the gap", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.missed == 1
	})
	last, more := made(3, 6)
	send(t, news, last)
	e.is(t, append(ids, more...), 1)
	if logs.FilterMessage("change_streams_given_up").Len() != 1 || server.Streams() != 0 {
		t.Errorf("%d streams, %v", server.Streams(), logs.All())
	}
}

// While nothing happens a node sends one getMore, which waits on the server; at the end
// it leaves no cursor behind.
func TestStreamsIdle(t *testing.T) {
	t.Parallel()
	s, server, _ := start(t, mongo.Options{})
	var times []time.Time
	var mu sync.Mutex
	var others atomic.Int64
	news, e := s.News(t.Context(), asked{s}), &ear{}
	server.Watch(func(command string, _ []byte) {
		mu.Lock()
		defer mu.Unlock()
		if command == "getMore" {
			times = append(times, time.Now())
		} else {
			others.Add(1)
		}
	})
	end := listen(t, news, e)
	testwait.Until(t, "three getMores", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(times) == 3
	})
	if took := times[2].Sub(times[0]); took < 3900*time.Millisecond || others.Load() != 1 {
		t.Errorf("three getMores within %v, and %d other commands", took, others.Load())
	}
	end()
	testwait.Until(t, "the end of the stream", func() bool { return server.Streams() == 0 })
}

// An event that cannot be read is one of no kind, and keeps nothing from coming.
func TestStreamsUnreadable(t *testing.T) {
	t.Parallel()
	s, _, d := start(t, mongo.Options{})
	news, e := s.News(t.Context(), asked{s}), &ear{}
	var kinds []string
	e.took = func(event feed.Event) { kinds = append(kinds, event.Kind) }
	listen(t, news, e)
	d.driver(t, func(ctx context.Context, db *driver.Database) error {
		_, err := db.Collection("ddpserver_events").InsertOne(ctx, bson.D{{Key: "_id", Value: "odd"}, {Key: "kind", Value: 5}})
		return err
	})
	one, ids := made(0, 1)
	send(t, news, one)
	e.is(t, append([]string{"odd"}, ids...), 0)
	if !slices.Equal(kinds, []string{"", "kind"}) {
		t.Errorf("kinds %q", kinds)
	}
}
