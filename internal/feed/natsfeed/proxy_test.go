package natsfeed

import (
	"net"
	"sync"
	"testing"
)

// wire is a TCP proxy that can keep silent and end its connections.
type wire struct {
	upstream string
	listener net.Listener

	mu     sync.Mutex
	speaks *sync.Cond
	silent bool
	ended  bool
	conns  []net.Conn
}

func newWire(t testing.TB, upstream string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{upstream: upstream, listener: l}
	w.speaks = sync.NewCond(&w.mu)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", upstream)
			if err != nil {
				down.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, down, up)
			w.mu.Unlock()
			all.Go(func() { w.copy(up, down) })
			all.Go(func() { w.copy(down, up) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.mu.Lock()
		w.ended = true
		w.speaks.Broadcast()
		w.mu.Unlock()
		w.reset()
		all.Wait()
	})
	return w
}

func (w *wire) addr() string { return w.listener.Addr().String() }

// copy passes bytes on, and holds them back while the wire is silent.
func (w *wire) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		w.mu.Lock()
		for w.silent && !w.ended {
			w.speaks.Wait()
		}
		w.mu.Unlock()
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (w *wire) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = true
}

func (w *wire) speak() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = false
	w.speaks.Broadcast()
}

// reset ends all connections.
func (w *wire) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}
