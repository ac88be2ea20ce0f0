package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"ddpserver/internal/secret"
)

// Options say where a Log writes.
type Options struct {
	// Path is the file to append to, made with mode 0600. It is ignored when Out is set.
	Path string
	// Out takes the lines instead of a file; it is not closed.
	Out io.Writer
	// Node fills Event.Node where it is empty.
	Node string
	// Now is the clock for events without a time; nil means time.Now.
	Now func() time.Time
	// Trouble is told when writing starts to fail, with the cause, and when it
	// works again, with nil and the number of lost events. It may be nil. It is
	// called by the writing goroutine and must not call the Log.
	Trouble func(err error, lost int64)
}

const (
	// maxQueued bounds the bytes that wait for a slow disk.
	maxQueued = 1 << 20
	// maxText bounds one text of an event; names of users may be hostile and long.
	maxText = 256
)

// Log is the Recorder that writes JSON lines. Events wait in memory (at most
// 1 MiB) for one goroutine, so a stuck or full disk never holds up a call; what
// does not fit or cannot be written is counted, and the gap is recorded as an
// event of its own ("audit_gap") as soon as writing works again.
type Log struct {
	opts Options

	written, lost atomic.Int64
	failing       atomic.Bool

	mu      sync.Mutex
	queue   []byte
	pending int64 // events in queue
	closed  bool
	reopen  bool
	wake    chan struct{} // capacity 1

	// Owned by run.
	out  io.Writer
	file *os.File
	torn bool  // the last write ended inside a line
	gap  int64 // lost events that a line told about

	done     chan struct{}
	closeErr error // valid once done is closed
}

// Open starts a Log. It fails when the file cannot be opened for appending.
func Open(o Options) (*Log, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Log{opts: o, out: o.Out, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if l.out == nil {
		f, err := openFile(o.Path)
		if err != nil {
			return nil, err
		}
		l.file, l.out = f, f
	}
	go l.run()
	return l, nil
}

func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}

// Record queues one event; see Recorder.
func (l *Log) Record(e Event) {
	line, err := l.encode(e)
	l.mu.Lock()
	if l.closed || err != nil || len(l.queue)+len(line) > maxQueued {
		l.mu.Unlock()
		l.lost.Add(1)
		return
	}
	l.queue = append(l.queue, line...)
	l.pending++
	l.mu.Unlock()
	l.nudge()
}

// Stats are the numbers of events written and lost since the start, and
// whether the last attempt to write failed.
func (l *Log) Stats() (written, lost int64, failing bool) {
	return l.written.Load(), l.lost.Load(), l.failing.Load()
}

// Reopen makes the Log open its path again before the next line, for programs
// that rotate files by renaming them.
func (l *Log) Reopen() {
	l.mu.Lock()
	l.reopen = l.file != nil && !l.closed
	l.mu.Unlock()
	l.nudge()
}

// Close writes what is queued and closes the file. Later events count as lost.
// Failures to write were told to Options.Trouble; the error is the file's own.
func (l *Log) Close() error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if first {
		l.nudge()
	}
	<-l.done
	return l.closeErr
}

func (l *Log) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run writes until Close; when it returns, everything queued was written or counted.
func (l *Log) run() {
	defer close(l.done)
	for range l.wake {
		l.mu.Lock()
		batch, n, reopen, closed := l.queue, l.pending, l.reopen, l.closed
		l.queue, l.pending, l.reopen = nil, 0, false
		l.mu.Unlock()
		if reopen {
			l.swapFile()
		}
		if n > 0 {
			l.write(batch, n)
		}
		if closed {
			if l.file != nil {
				l.closeErr = l.file.Close()
			}
			return
		}
	}
}

func (l *Log) swapFile() {
	f, err := openFile(l.opts.Path)
	if err != nil {
		l.trouble(err) // the old file goes on
		return
	}
	l.file.Close()
	l.file, l.out, l.torn = f, f, false
}

// write puts a batch of n events out, in front of it a line about events that
// were lost since the last one that was written.
func (l *Log) write(batch []byte, n int64) {
	gap := l.lost.Load() - l.gap
	if gap > 0 {
		line, _ := l.encode(Event{Act: "audit_gap", Outcome: "error", Reason: fmt.Sprintf("%d events lost", gap)})
		batch = append(line, batch...)
	}
	if l.torn {
		batch = append([]byte{'\n'}, batch...)
	}
	wrote, err := l.out.Write(batch)
	if err != nil {
		whole := min(n, int64(bytes.Count(batch[:wrote], []byte{'\n'})))
		if wrote > 0 {
			l.torn = batch[wrote-1] != '\n'
		}
		l.written.Add(whole)
		l.lost.Add(n - whole)
		l.trouble(err)
		return
	}
	l.torn = false
	l.written.Add(n)
	l.gap += gap
	if l.failing.Swap(false) && l.opts.Trouble != nil {
		l.opts.Trouble(nil, gap)
	}
}

// trouble reports the first of a row of failures.
func (l *Log) trouble(err error) {
	if !l.failing.Swap(true) && l.opts.Trouble != nil {
		l.opts.Trouble(err, 0)
	}
}

// encode makes one line. encoding/json escapes control characters, so no text
// of a client can end the line or forge another one.
func (l *Log) encode(e Event) ([]byte, error) {
	if e.Time.IsZero() {
		e.Time = l.opts.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	if e.Node == "" {
		e.Node = l.opts.Node
	}
	for _, p := range []*string{&e.Act, &e.Outcome, &e.Reason, &e.User, &e.Target, &e.Door, &e.Factor, &e.Method, &e.Address, &e.Agent, &e.Conn, &e.Node} {
		*p = secret.Scrub(clip(*p))
	}
	line, err := json.Marshal(e)
	return append(line, '\n'), err
}

func clip(s string) string {
	if len(s) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// Discard is a Recorder for a server without an audit stream.
type Discard struct{}

// Record does nothing.
func (Discard) Record(Event) {}
