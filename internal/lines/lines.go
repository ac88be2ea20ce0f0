// Package lines writes lines in the background, for the log and the audit stream: a
// slow disk or a pipe that nobody reads holds up no call.
//
// What cannot be written is counted, told once, and stands as a line of its own in
// front of the first line that can be written again. The package knows neither what a
// line says nor where it goes.
package lines

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MaxWaiting bounds the bytes that wait for an output that takes nothing.
	MaxWaiting = 1 << 20
	// maxSpare is how large a buffer is kept for the next lines.
	maxSpare = 64 << 10
	// syncTime bounds how long Sync waits: a process must be able to end beside an
	// output that takes nothing.
	syncTime = 5 * time.Second
)

// ErrFull says that the output takes so little that a line found no room.
var ErrFull = errors.New("the output takes nothing, or too little: lines are lost")

// Options say where a Writer writes. Out is required.
type Options struct {
	Out io.Writer
	// Lag is how long a line may wait for others, so that a busy server makes few
	// system calls; 0 writes at once.
	Lag time.Duration
	// Gap makes the line that says how many were lost; nil says nothing.
	Gap func(lost int64) []byte
	// Trouble is told when lines start to be lost, with the cause, and when all is well
	// again, with nil and the number of lost lines. It may be nil, and must not block.
	Trouble func(err error, lost int64)
}

// Writer takes whole lines. It is safe for concurrent use; nothing but Sync and Close
// waits for the output.
type Writer struct {
	o             Options
	written, lost atomic.Int64
	failing       atomic.Bool

	mu           sync.Mutex
	queue, spare []byte
	waiting      int64 // lines in queue
	due          bool  // a flush will come, or waits for the one before it
	closed       bool
	timer        *time.Timer

	writing chan struct{} // holds one token while somebody writes; guards the rest
	torn    bool          // the last write ended inside a line
	told    int64         // lost lines that a line told about
}

// New makes a Writer.
func New(o Options) *Writer {
	w := &Writer{o: o, writing: make(chan struct{}, 1)}
	w.timer = time.AfterFunc(time.Hour, w.flush)
	w.timer.Stop()
	return w
}

// Write takes one line, with its end. It never fails and never waits.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	full := !w.closed && len(w.queue)+len(line) > MaxWaiting
	if full || w.closed {
		w.mu.Unlock()
		w.lost.Add(1)
		if full {
			w.trouble(ErrFull)
		}
		return len(line), nil
	}
	defer w.mu.Unlock()
	w.queue = append(w.queue, line...)
	w.waiting++
	switch {
	case w.due:
	case w.o.Lag == 0:
		w.due = true
		go w.flush()
	default:
		w.due = true
		w.timer.Reset(w.o.Lag)
	}
	return len(line), nil
}

// Lost counts a line that could not even be made.
func (w *Writer) Lost() { w.lost.Add(1) }

// Hurry has what waits written now, without waiting for it.
func (w *Writer) Hurry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.due && w.timer.Stop() {
		go w.flush()
	}
}

// Sync waits until what was taken is written or lost, at most five seconds.
func (w *Writer) Sync() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.flush()
	}()
	late := time.NewTimer(syncTime)
	defer late.Stop()
	select {
	case <-done:
		return nil
	case <-late.C:
		return ErrFull
	}
}

// Close is Sync, after which further lines are lost.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	return w.Sync()
}

// Stats are the numbers of lines written and lost since the start, and whether the
// last ones were lost.
func (w *Writer) Stats() (written, lost int64, failing bool) {
	return w.written.Load(), w.lost.Load(), w.failing.Load()
}

func (w *Writer) flush() {
	w.writing <- struct{}{}
	defer func() { <-w.writing }()
	w.mu.Lock()
	w.timer.Stop()
	batch, n := w.queue, w.waiting
	w.queue, w.waiting, w.due, w.spare = w.spare[:0], 0, false, nil
	w.mu.Unlock()
	if n == 0 {
		return
	}
	w.put(batch, n)
	if cap(batch) <= maxSpare {
		w.mu.Lock()
		w.spare = batch
		w.mu.Unlock()
	}
}

// put writes n lines, in front of them one about those that were lost before.
func (w *Writer) put(batch []byte, n int64) {
	gap := w.lost.Load() - w.told
	var before []byte
	if w.torn {
		before = []byte{'\n'}
	}
	if gap > 0 && w.o.Gap != nil {
		before = append(before, w.o.Gap(gap)...)
	}
	if len(before) > 0 {
		batch = append(before, batch...)
	}
	wrote, err := w.o.Out.Write(batch)
	if err != nil {
		whole := min(n, int64(bytes.Count(batch[:wrote], []byte{'\n'})))
		if wrote > 0 {
			w.torn = batch[wrote-1] != '\n'
		}
		w.written.Add(whole)
		w.lost.Add(n - whole)
		w.trouble(err)
		return
	}
	w.torn = false
	w.written.Add(n)
	w.told += gap
	if w.failing.Swap(false) && w.o.Trouble != nil {
		w.o.Trouble(nil, gap)
	}
}

// trouble tells the first of a row of failures.
func (w *Writer) trouble(err error) {
	if !w.failing.Swap(true) && w.o.Trouble != nil {
		w.o.Trouble(err, 0)
	}
}
