package natsfeed

import (
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

const (
	// maxArrived is how many messages wait between the connection and the inbox. It takes
	// them at once, but on a busy machine a goroutine may have to wait for a processor
	// for as long as thousands of messages take to come.
	maxArrived = 1 << 17
	// maxWaiting and maxWaitingBytes bound the messages that wait for a receiver that is
	// slow. More are dropped, and the receiver is told.
	maxWaiting      = 1 << 16
	maxWaitingBytes = 64 << 20
	// maxTaken is how many messages are taken at once.
	maxTaken = 500
)

// link is what is known of the connection.
type link struct {
	up    bool
	times int // how often it came up
	err   error
}

// inbox keeps what arrives until the receiver takes it, urgent messages before others.
type inbox struct {
	wake chan struct{} // has room for one

	mu     sync.Mutex
	lanes  [len(lanes)][]*nats.Msg
	bytes  int
	max    int // of bytes
	missed bool
	link   link
}

// put adds a message that arrived, or drops it when too much waits.
func (in *inbox) put(m *nats.Msg) {
	lane := laneOf(m.Subject)
	in.change(func() {
		if len(in.lanes[0])+len(in.lanes[1]) >= maxWaiting || in.bytes+len(m.Data) > in.max {
			in.missed = true
			return
		}
		in.lanes[lane] = append(in.lanes[lane], m)
		in.bytes += len(m.Data)
	})
}

// laneOf is the place in lanes of what stands behind the prefix of a ring.
func laneOf(subject string) int {
	for range prefixTokens {
		_, subject, _ = strings.Cut(subject, ".")
	}
	if strings.HasPrefix(subject, lanes[0]+".") {
		return 0
	}
	return 1
}

// miss notes that messages were dropped.
func (in *inbox) miss() { in.change(func() { in.missed = true }) }

func (in *inbox) change(f func()) {
	in.mu.Lock()
	f()
	in.mu.Unlock()
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// take takes out what is next: messages of one lane, and whether some are missing.
func (in *inbox) take() (messages []*nats.Msg, missed bool, now link) {
	in.mu.Lock()
	defer in.mu.Unlock()
	missed, in.missed = in.missed, false
	for i, lane := range in.lanes {
		if len(lane) == 0 {
			in.lanes[i] = nil
			continue
		}
		n := min(len(lane), maxTaken)
		messages, in.lanes[i] = lane[:n:n], lane[n:]
		for _, m := range messages {
			in.bytes -= len(m.Data)
		}
		break
	}
	return messages, missed, in.link
}

// clear forgets the messages.
func (in *inbox) clear() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.lanes, in.bytes, in.missed = [len(lanes)][]*nats.Msg{}, 0, false
}

// state is what is known of the connection.
func (in *inbox) state() link {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.link
}
