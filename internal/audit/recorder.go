package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"ddpserver/internal/lines"
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
	// works again, with nil and the number of lost events. It may be nil. It must not
	// block and must not call the Log.
	Trouble func(err error, lost int64)
}

// maxText bounds one text of an event; names of users may be hostile and long.
const maxText = 256

// Log is the Recorder that writes JSON lines, in the background: a stuck or full disk
// never holds up a call. What does not fit or cannot be written is counted, told
// (Options.Trouble), and recorded as an event of its own ("audit_gap") as soon as
// writing works again.
type Log struct {
	opts  Options
	lines *lines.Writer
	file  *file // nil beside Options.Out
}

// Open starts a Log. It fails when the file cannot be opened for appending.
func Open(o Options) (*Log, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Log{opts: o}
	out := o.Out
	if out == nil {
		f, err := openFile(o.Path)
		if err != nil {
			return nil, err
		}
		l.file = &file{path: o.Path, trouble: o.Trouble, f: f}
		out = l.file
	}
	l.lines = lines.New(lines.Options{Out: out, Trouble: o.Trouble, Gap: func(lost int64) []byte {
		line, _ := l.encode(Event{Act: "audit_gap", Outcome: "error", Reason: fmt.Sprintf("%d events lost", lost)})
		return line
	}})
	return l, nil
}

func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}

// file is a file that is opened again on demand.
type file struct {
	path    string
	trouble func(error, int64)
	again   atomic.Bool
	f       *os.File // belongs to the writer
}

func (f *file) Write(p []byte) (int, error) {
	if f.again.Swap(false) {
		fresh, err := openFile(f.path)
		switch {
		case err == nil:
			f.f.Close()
			f.f = fresh
		case f.trouble != nil: // the old file goes on
			f.trouble(err, 0)
		}
	}
	return f.f.Write(p)
}

// Record queues one event; see Recorder.
func (l *Log) Record(e Event) {
	line, err := l.encode(e)
	if err != nil {
		l.lines.Lost()
		return
	}
	l.lines.Write(line)
}

// Stats are the numbers of events written and lost since the start, and
// whether the last attempt to write failed.
func (l *Log) Stats() (written, lost int64, failing bool) { return l.lines.Stats() }

// Reopen makes the Log open its path again before the next line, for programs
// that rotate files by renaming them.
func (l *Log) Reopen() {
	if l.file != nil {
		l.file.again.Store(true)
	}
}

// Close writes what is queued and closes the file. Later events count as lost.
// Failures to write were told to Options.Trouble; the error is the file's own, or says
// that the output takes nothing.
func (l *Log) Close() error {
	err := l.lines.Close()
	if err == nil && l.file != nil {
		err = l.file.f.Close()
	}
	return err
}

// encode makes one line. encoding/json escapes control characters, so no text
// of a client can end the line or forge another one.
func (l *Log) encode(e Event) ([]byte, error) {
	line, err := json.Marshal(e.Clean(l.opts.Node, l.opts.Now))
	return append(line, '\n'), err
}

// Clean is the event as it may be kept: with a time, to the millisecond, and a node, and
// every text bounded and without mail addresses. What is clean already stays as it is.
func (e Event) Clean(node string, now func() time.Time) Event {
	if e.Time.IsZero() {
		e.Time = now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	if e.Node == "" {
		e.Node = node
	}
	for _, p := range []*string{&e.Act, &e.Outcome, &e.Reason, &e.User, &e.Target, &e.Door, &e.Factor, &e.Method, &e.Address, &e.Agent, &e.Conn, &e.Node} {
		*p = secret.Scrub(clip(*p))
	}
	return e
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
