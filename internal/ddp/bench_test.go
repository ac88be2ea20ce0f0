package ddp_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ddp/wire"
	"ddpserver/internal/rpc"
	"ddpserver/internal/testwait"
)

// BenchmarkFanout delivers one event to 1,000 subscribers in memory: encoding,
// framing and queueing, without the kernel.
func BenchmarkFanout(b *testing.B) {
	const subscribers = 1000
	f := &ddptest.Fixture{}
	srv := ddp.New(ddp.Options{Handler: f})
	var clients []*discard
	var done sync.WaitGroup
	for range subscribers {
		c := newDiscard(hello, `{"msg":"sub","id":"1","name":"stream"}`)
		clients = append(clients, c)
		done.Go(func() { srv.Serve(c, &rpc.Peer{}) })
	}
	await(b, func() bool { return srv.Stats().Subscriptions == subscribers })
	await(b, func() bool {
		return f.Streams() == subscribers
	})
	params := []byte(`["` + strings.Repeat("x", 200) + `"]`)
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		f.Publish(params, true)
		n++
		await(b, func() bool {
			for _, c := range clients {
				if c.events.Load() < n {
					return false
				}
			}
			return true
		})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*subscribers), "ns/delivery")
	if err := srv.Shutdown(context.Background()); err != nil {
		b.Fatal(err)
	}
	done.Wait()
}

// discard is a Conn whose client takes everything at once.
type discard struct {
	in     chan []byte
	gone   chan struct{}
	once   sync.Once
	events atomic.Int64
}

func newDiscard(frames ...string) *discard {
	d := &discard{in: make(chan []byte, len(frames)), gone: make(chan struct{})}
	for _, f := range frames {
		d.in <- []byte(f)
	}
	return d
}

func (d *discard) ReadFrame(r ddp.Receiver) ([]byte, error) {
	r.Waiting()
	select {
	case f := <-d.in:
		return f, nil
	case <-d.gone:
		return nil, io.EOF
	}
}

func (d *discard) Write(p []byte, wait bool) (int, error) {
	if !wait {
		return 0, nil
	}
	for f := range wire.Messages(p) {
		if len(f) > 8 && string(f[8:15]) == "changed" {
			d.events.Add(1)
		}
	}
	return len(p), nil
}

func (d *discard) Finish() {}

func (d *discard) SetReadLimit(int) {}

func (d *discard) Close(int, string) error {
	d.once.Do(func() { close(d.gone) })
	return nil
}

// BenchmarkMergeBox is a subscription of ten documents and its end, in memory.
func BenchmarkMergeBox(b *testing.B) {
	srv := ddp.New(ddp.Options{Handler: &ddptest.Fixture{}})
	conn, c := ddptest.Pipe()
	done := make(chan struct{})
	go func() {
		srv.Serve(conn, &rpc.Peer{})
		close(done)
	}()
	c.Send(hello)
	stop := make(chan struct{})
	c.Next(stop)
	b.ReportAllocs()
	for b.Loop() {
		c.Send(`{"msg":"sub","id":"1","name":"tenDocs"}`)
		c.Send(`{"msg":"unsub","id":"1"}`)
		for range 22 {
			c.Next(stop)
		}
	}
	c.Close()
	<-done
	_ = srv.Shutdown(context.Background())
}

// await waits for what another goroutine brings about, with so short a pause that
// it does not count.
func await(b *testing.B, done func() bool) {
	b.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.After(testwait.Limit)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			b.Fatal("waited in vain")
		}
	}
}
