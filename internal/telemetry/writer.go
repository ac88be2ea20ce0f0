package telemetry

import (
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

const (
	// lag is how long a record may wait for others, so that a busy server makes
	// few system calls. Warnings and worse do not wait.
	lag = 50 * time.Millisecond
	// maxWaiting bounds the bytes that wait for an output that takes nothing.
	maxWaiting = 1 << 20
)

// Buffered wraps an output that is not a terminal: records are gathered for a
// moment and written together, in order, by one writer at a time. An output
// that is stuck costs records, which are counted, and never holds up a caller
// of Write. Sync waits for the output.
func Buffered(out zapcore.WriteSyncer, stats *LogStats) zapcore.WriteSyncer {
	b := &buffered{out: out, stats: stats}
	b.timer = time.AfterFunc(time.Hour, b.flush)
	b.timer.Stop()
	return b
}

type buffered struct {
	out   zapcore.WriteSyncer
	stats *LogStats
	timer *time.Timer

	writing sync.Mutex // taken before mu

	mu      sync.Mutex
	buf     []byte
	records int64
	armed   bool
	spare   []byte
}

func (b *buffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.buf)+len(p) > maxWaiting {
		b.stats.lost.Add(1)
		return len(p), nil
	}
	b.buf = append(b.buf, p...)
	b.records++
	if !b.armed {
		b.armed = true
		b.timer.Reset(lag)
	}
	return len(p), nil
}

func (b *buffered) Sync() error {
	b.flush()
	return nil
}

func (b *buffered) flush() {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.mu.Lock()
	batch, n := b.buf, b.records
	b.buf, b.records, b.armed, b.spare = b.spare[:0], 0, false, nil
	b.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	if _, err := b.out.Write(batch); err != nil {
		b.stats.lost.Add(n)
	}
	if cap(batch) <= 64<<10 {
		b.mu.Lock()
		b.spare = batch
		b.mu.Unlock()
	}
}
