package soak

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/feed"
	"ddpserver/internal/feed/natsfeed"
	"ddpserver/internal/feed/natstest"
	"ddpserver/internal/realtime"
	"ddpserver/internal/secret"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
)

// tick is news for the measurements.
var tick = feed.NewKind[tickNews]("tick", 1)

type tickNews struct {
	Text string `json:"text"`
}

func (tickNews) Check() error { return nil }

// databases are the kinds of server that have a transport of their own, by its name.
var databases = map[string]mongotest.Kind{"change streams": {}, "polling": mongotest.Standalone()}

// transports make those of some nodes, by the names that they have.
var transports = map[string]func(b *testing.B, n int) []feed.Transport{
	"nats":           overNATS,
	"change streams": func(b *testing.B, n int) []feed.Transport { return overMongo(b, "change streams", n) },
	"polling":        func(b *testing.B, n int) []feed.Transport { return overMongo(b, "polling", n) },
}

func overNATS(b *testing.B, n int) (list []feed.Transport) {
	b.Helper()
	server := natstest.Start(b, nil)
	key, err := secret.NewKey(secret.Generate())
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		t, err := natsfeed.Open(natsfeed.Options{Address: server.URL(), Node: fmt.Sprint("n", i), Database: "chat", Key: key})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = t.Close() })
		list = append(list, t)
	}
	return list
}

func overMongo(b *testing.B, transport string, n int) []feed.Transport {
	b.Helper()
	return overDatabase(b, mongotest.StartServer(b, databases[transport]), n)
}

func overDatabase(b *testing.B, db *mongotest.Server, n int) (list []feed.Transport) {
	b.Helper()
	uri := db.URI()
	for range n {
		s, err := mongo.Open(b.Context(), uri, mongo.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
		list = append(list, s.News(b.Context(), realtime.Poll(s)))
	}
	return list
}

// newsNodes are hubs over these transports, which listen.
func newsNodes(b *testing.B, transport string, over []feed.Transport) (nodes []*realtime.Hub) {
	b.Helper()
	for _, t := range over {
		node := realtime.New(realtime.Options{Transport: t})
		nodes = append(nodes, node)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		b.Cleanup(func() {
			stop()
			<-done
		})
		go func() {
			defer close(done)
			_ = node.Run(ctx)
		}()
	}
	for _, node := range nodes {
		testwait.Until(b, "every node to listen", func() bool {
			name, hears := node.Transport()
			return hears && name == transport
		})
	}
	return nodes
}

// BenchmarkNewsLatency is how long an event of one node takes to be told on another.
func BenchmarkNewsLatency(b *testing.B) {
	for transport := range transports {
		for _, rate := range []int{20, 500} {
			b.Run(fmt.Sprintf("%s/%d-a-second", transport, rate), func(b *testing.B) {
				nodes := newsNodes(b, transport, transports[transport](b, 2))
				sent, took := make([]time.Time, b.N), make([]time.Duration, b.N)
				var told atomic.Int64
				realtime.Listen(nodes[1], tick, func(e feed.Event, _ tickNews) {
					i, _ := strconv.Atoi(e.Key)
					took[i] = time.Since(sent[i])
					told.Add(1)
				})
				every := time.NewTicker(time.Second / time.Duration(rate))
				defer every.Stop()
				b.ResetTimer()
				for i := range b.N {
					<-every.C
					sent[i] = time.Now()
					tick.Publish(nodes[0], strconv.Itoa(i), tickNews{strings.Repeat("a message ", 10)})
				}
				testwait.Until(b, "every event", func() bool { return told.Load() == int64(b.N) })
				slices.Sort(took)
				ms := func(p int) float64 { return float64(took[(b.N-1)*p/100].Microseconds()) / 1000 }
				b.ReportMetric(ms(50), "ms-median")
				b.ReportMetric(ms(99), "ms-p99")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkNewsRate is how many events a second reach two other nodes from one.
func BenchmarkNewsRate(b *testing.B) {
	for transport := range transports {
		b.Run(transport, func(b *testing.B) {
			nodes := newsNodes(b, transport, transports[transport](b, 3))
			for _, n := range nodes[1:] {
				realtime.Listen(n, tick, func(feed.Event, tickNews) {})
			}
			told := func(count int) bool {
				return !slices.ContainsFunc(nodes[1:], func(n *realtime.Hub) bool { return int(n.News().Taken) < count && n.News().Missed == 0 })
			}
			text := tickNews{strings.Repeat("x", 300)}
			b.ResetTimer()
			begin := time.Now()
			for i := range b.N {
				if i%1000 == 0 { // more than the queues hold would be dropped
					testwait.Until(b, "most events", func() bool { return told(i - 30_000) })
				}
				tick.Publish(nodes[0], fmt.Sprint("room", i%50), text)
			}
			testwait.Until(b, "every event", func() bool { return told(b.N) })
			b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "events/s")
			for _, n := range nodes {
				if n.News().Missed != 0 {
					b.Error("a node missed something")
				}
			}
		})
	}
}

// BenchmarkNewsIdle is how many commands a second a node sends while there is no news.
func BenchmarkNewsIdle(b *testing.B) {
	for transport, kind := range databases {
		b.Run(transport, func(b *testing.B) {
			db := mongotest.StartServer(b, kind)
			newsNodes(b, transport, overDatabase(b, db, 1))
			var commands atomic.Int64
			db.Watch(func(string, []byte) { commands.Add(1) })
			begin := time.Now()
			for b.Loop() {
				<-time.After(10 * time.Millisecond)
			}
			b.ReportMetric(float64(commands.Load())/time.Since(begin).Seconds(), "commands/s")
		})
	}
}

// BenchmarkNewsFollow is what a node pays for following that many topics at once, each for
// itself: the time until the NATS server brings them, and the memory of both.
func BenchmarkNewsFollow(b *testing.B) {
	for _, topics := range []int{1, 30, 10_000, 100_000} {
		b.Run(strconv.Itoa(topics), func(b *testing.B) {
			node := newsNodes(b, "nats", overNATS(b, 1))[0]
			var memory uint64
			for n := range b.N {
				b.StopTimer()
				names := make([]string, topics)
				for i := range names {
					names[i] = fmt.Sprint("room", n, "x", i)
				}
				before := heap()
				b.StartTimer()
				node.NewInterest().Follow(b.Context(), names...)
				for node.NewInterest().Follow(b.Context(), names[0]) { // more than a second
				}
				b.StopTimer()
				if got := node.News().Topics; got < topics {
					b.Errorf("%d topics", got)
				}
				memory += heap() - before
			}
			b.ReportMetric(float64(memory)/float64(b.N*topics), "B/topic")
		})
	}
}

// heap is what is in use, both of the node and of the NATS server beside it.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
