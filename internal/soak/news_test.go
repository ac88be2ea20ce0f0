package soak

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/feed"
	"ddpserver/internal/realtime"
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

// transports are those over MongoDB, by the kind of server that has them.
var transports = map[string]mongotest.Kind{"change streams": {}, "polling": mongotest.Standalone()}

// newsNodes are hubs on one database that listen.
func newsNodes(b *testing.B, db *mongotest.Server, transport string, n int) (nodes []*realtime.Hub) {
	b.Helper()
	uri := db.URI()
	for range n {
		s, err := mongo.Open(b.Context(), uri, mongo.Options{})
		if err != nil {
			b.Fatal(err)
		}
		node := realtime.New(realtime.Options{Transport: s.News(b.Context(), realtime.Poll(s))})
		nodes = append(nodes, node)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		b.Cleanup(func() {
			stop()
			<-done
			if err := s.Close(); err != nil {
				b.Error(err)
			}
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
				nodes := newsNodes(b, mongotest.StartServer(b, transports[transport]), transport, 2)
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
			nodes := newsNodes(b, mongotest.StartServer(b, transports[transport]), transport, 3)
			var told atomic.Int64
			for _, n := range nodes[1:] {
				realtime.Listen(n, tick, func(feed.Event, tickNews) { told.Add(1) })
			}
			begin := time.Now()
			for i := range b.N {
				tick.Publish(nodes[0], strconv.Itoa(i), tickNews{"x"})
			}
			testwait.Until(b, "every event", func() bool { return told.Load() == 2*int64(b.N) })
			b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "events/s")
		})
	}
}

// BenchmarkNewsIdle is how many commands a second a node sends while there is no news.
func BenchmarkNewsIdle(b *testing.B) {
	for transport := range transports {
		b.Run(transport, func(b *testing.B) {
			db := mongotest.StartServer(b, transports[transport])
			newsNodes(b, db, transport, 1)
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
