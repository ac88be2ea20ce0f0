package ddp

import (
	"errors"
	"os"
	"sync"
)

// buffer is a pooled byte slice. Idle connections hold none.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 1024)} }}

// readBuffers hold what one read from a socket brings.
var readBuffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 4096)} }}

// keepBuffer is the largest buffer that goes back to the pool.
const keepBuffer = 64 << 10

func getBuffer() *buffer { return buffers.Get().(*buffer) }

func putBuffer(b *buffer) {
	if cap(b.b) <= keepBuffer {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}

// joinAbove is how many held bytes are worth a write of their own.
const joinAbove = 16 << 10

// link is what an outbox writes to: framed bytes as beginFrame and endFrame
// make them.
type link interface {
	// try writes what the transport takes without waiting.
	try(p []byte) (int, error)
	// write writes everything, within the write time limit.
	write(p []byte) error
	// farewell is what the peer is to be told last, if anything.
	farewell(reason DisconnectReason) []byte
	// end closes the transport after what was written. It does not wait.
	end(reason DisconnectReason)
}

// outbox gathers framed messages of one connection and writes them from where
// they are made. A flusher goroutine exists only while the transport is behind.
//
// Nobody waits in it: when more than limit bytes are queued, the owner is told
// to end the connection.
type outbox struct {
	link  link
	owner interface{ lost(DisconnectReason) }
	limit int
	// compress is the size from which messages are deflated; 0 for never.
	compress int

	mu       sync.Mutex
	buf      *buffer // not yet given to the link; nil when empty
	inflight int     // given to the flusher, not yet taken by the link
	holds    int     // answers being gathered; see hold
	busy     bool    // somebody writes
	forced   bool    // what is queued must not wait for a hold
	posted   bool    // the server's posters will flush
	ended    bool    // nothing more is accepted
	closing  bool    // ended, and the link is to be closed when all is written
	reason   DisconnectReason
}

// add queues framed messages and takes b. It does not write: call flush after
// the locks that order the messages are released. It returns false when the
// connection has to end because the peer is too slow.
func (o *outbox) add(b *buffer) bool {
	o.mu.Lock()
	if o.ended || len(b.b) == 0 {
		o.mu.Unlock()
		putBuffer(b)
		return true
	}
	ok := o.fits()
	if o.buf == nil {
		o.buf = b
		b = nil
	} else {
		o.buf.b = append(o.buf.b, b.b...)
	}
	o.mu.Unlock()
	if b != nil {
		putBuffer(b)
	}
	return ok
}

// fits tells whether one more may be queued: the limit is for what waits
// already, so that a single long answer does not count as slowness.
func (o *outbox) fits() bool {
	waiting := o.inflight
	if o.buf != nil {
		waiting += len(o.buf.b)
	}
	return waiting <= o.limit
}

// hold lets messages gather until release: data, ready, updated and result of
// one message leave together.
func (o *outbox) hold() {
	o.mu.Lock()
	o.holds++
	o.mu.Unlock()
}

// release ends a hold; the next flush writes.
func (o *outbox) release() {
	o.mu.Lock()
	o.holds--
	o.mu.Unlock()
}

// send queues one shared frame and writes it, with everything held.
func (o *outbox) send(wire []byte) bool {
	o.mu.Lock()
	if o.ended {
		o.mu.Unlock()
		return true
	}
	if o.buf == nil && !o.busy {
		o.busy = true
		o.mu.Unlock()
		o.pump(wire, nil)
		return true
	}
	ok := o.fits()
	if o.buf == nil {
		o.buf = getBuffer()
	}
	o.buf.b = append(o.buf.b, wire...)
	o.mu.Unlock()
	if ok {
		o.flush(true)
	}
	return ok
}

// post queues one shared frame. later tells that somebody has to flush.
func (o *outbox) post(wire []byte) (ok, later bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return true, false
	}
	ok = o.fits()
	if o.buf == nil {
		o.buf = getBuffer()
	}
	o.buf.b = append(o.buf.b, wire...)
	o.forced = true
	later = !o.posted && !o.busy
	o.posted = o.posted || later
	return ok, later
}

// flushPosted is flush for what was posted.
func (o *outbox) flushPosted() {
	o.mu.Lock()
	o.posted = false
	o.mu.Unlock()
	o.flush(true)
}

// flush writes what is queued, unless somebody writes already (who then takes
// this along) or answers are being gathered and force is not set.
func (o *outbox) flush(force bool) {
	o.mu.Lock()
	if o.buf == nil || o.holds > 0 && !force && len(o.buf.b) < joinAbove {
		o.mu.Unlock()
		return
	}
	if o.busy {
		o.forced = o.forced || force
		o.mu.Unlock()
		return
	}
	o.busy = true
	b := o.buf
	o.buf = nil
	o.mu.Unlock()
	o.pump(b.b, b)
}

// pump writes p, which lies in b if that is not nil, and then whatever came
// meanwhile. The caller has set busy.
func (o *outbox) pump(p []byte, b *buffer) {
	for {
		n, err := o.link.try(p)
		if err != nil {
			o.fail(err)
			return
		}
		if n < len(p) {
			o.behind(p[n:], b)
			return
		}
		if b != nil {
			putBuffer(b)
		}
		if b = o.next(); b == nil {
			return
		}
		p = b.b
	}
}

// next takes what came while a write was under way, or ends the writing.
func (o *outbox) next() *buffer {
	o.mu.Lock()
	o.inflight = 0
	b := o.buf
	wait := o.holds > 0 && !o.closing && !o.forced
	o.forced = false
	if b == nil || wait && len(b.b) < joinAbove {
		o.busy = false
		closing := o.closing
		o.mu.Unlock()
		if closing {
			o.link.end(o.reason)
		}
		return nil
	}
	o.buf = nil
	o.mu.Unlock()
	return b
}

// behind starts the flusher with what the transport did not take.
func (o *outbox) behind(rest []byte, b *buffer) {
	if b == nil { // a shared frame: keep a private copy of its rest
		b = getBuffer()
		b.b = append(b.b, rest...)
		rest = b.b
	}
	o.mu.Lock()
	o.inflight = len(rest)
	o.mu.Unlock()
	go o.drain(rest, b)
}

// drain is the flusher: it waits for the transport and leaves when it has
// caught up.
func (o *outbox) drain(p []byte, b *buffer) {
	for {
		if err := o.link.write(p); err != nil {
			o.fail(err)
			return
		}
		putBuffer(b)
		if b = o.next(); b == nil {
			return
		}
		p = b.b
		o.mu.Lock()
		o.inflight = len(p)
		o.mu.Unlock()
	}
}

// fail drops everything: the transport does not take any more.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	o.ended, o.busy, o.inflight = true, false, 0
	closing, reason := o.closing, o.reason
	if o.buf != nil {
		putBuffer(o.buf)
		o.buf = nil
	}
	o.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrTooSlow) {
		reason = Slow
	}
	if closing {
		o.link.end(reason)
		return
	}
	o.owner.lost(reason)
}

// end stops accepting messages and closes the link: after what is queued, or at
// once when the peer takes nothing any more.
func (o *outbox) end(reason DisconnectReason) {
	o.mu.Lock()
	if o.closing {
		o.mu.Unlock()
		return
	}
	o.ended, o.closing, o.reason = true, true, reason
	if reason == Slow || reason == PeerLeft {
		o.buf = nil
		o.mu.Unlock()
		o.link.end(reason)
		return
	}
	if last := o.link.farewell(reason); last != nil {
		if o.buf == nil {
			o.buf = getBuffer()
		}
		o.buf.b = append(o.buf.b, last...)
	}
	busy := o.busy
	o.mu.Unlock()
	if busy {
		return // who writes closes
	}
	o.flush(true)
	o.mu.Lock()
	idle := !o.busy && o.buf == nil
	o.mu.Unlock()
	if idle {
		o.link.end(reason)
	}
}

// frameLink writes to a Conn. A Conn may wait, so all writing is the flusher's.
type frameLink struct {
	conn   Conn
	frames [][]byte
}

func (l *frameLink) try([]byte) (int, error) { return 0, nil }

func (l *frameLink) write(p []byte) error {
	l.frames = l.frames[:0]
	for len(p) > 0 {
		var payload []byte
		_, payload, p = splitFrame(p)
		l.frames = append(l.frames, payload)
	}
	err := l.conn.WriteFrames(l.frames...)
	clear(l.frames)
	if cap(l.frames) > 64 {
		l.frames = nil
	}
	return err
}

// farewell implements link: Close tells the peer.
func (l *frameLink) farewell(DisconnectReason) []byte { return nil }

func (l *frameLink) end(reason DisconnectReason) { _ = l.conn.Close(reason.Code(), reason.Text()) }
