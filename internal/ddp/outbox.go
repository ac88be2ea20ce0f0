package ddp

import (
	"errors"
	"os"
	"sync"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp/wire"
)

// buffer is a pooled byte slice. Idle connections hold none.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 1024)} }}

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

// outbox gathers the framed messages (package wire) of one session and writes them
// from where they are made. A goroutine, the flusher, exists only while the
// transport is behind.
//
// Nobody waits in it: when more than limit bytes are queued, the session has to
// end.
type outbox struct {
	session *Session // ended once nothing can be written any more
	conn    Conn
	limit   int             // bytes that may wait for the peer
	held    *budget.Holding // counts what waits for the peer
	// compressAbove is the size in bytes from which messages are compressed; 0 for
	// never.
	compressAbove int

	mu       sync.Mutex
	buf      *buffer // not yet given to the transport; nil when empty
	inflight int     // given to the flusher, not yet taken by the transport
	counted  int     // bytes that held counts, while the transport is behind
	holds    int     // answers being gathered; see hold
	busy     bool    // somebody writes
	forced   bool    // what is queued must not wait for a hold
	posted   bool    // one of the server's posters will flush
	ended    bool    // nothing more is accepted
	cut      bool    // something of what was accepted is lost
	goodbye  bool    // a close frame is queued or sent: nothing may follow
	closing  bool    // ended, and the transport is to be closed when all is written
	reason   DisconnectReason
}

// add queues framed messages and takes b. It does not write: call flush after
// the locks that order the messages are released. It returns false when the
// connection has to end, and why: because the peer is too slow, or too much waits
// for all peers together.
func (o *outbox) add(b *buffer) (DisconnectReason, bool) {
	o.mu.Lock()
	if o.ended || o.goodbye || len(b.b) == 0 {
		o.mu.Unlock()
		putBuffer(b)
		return PeerLeft, true
	}
	reason, ok := o.fits(len(b.b))
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
	return reason, ok
}

// fits counts n bytes that are queued and tells whether they may be, or why not:
// the limit is for what waits already, so that a single long answer does not
// count as slowness.
func (o *outbox) fits(n int) (DisconnectReason, bool) {
	waiting := o.inflight
	if o.buf != nil {
		waiting += len(o.buf.b)
	}
	if o.inflight > 0 && !o.count(o.counted+n) {
		return OverBudget, false
	}
	return Slow, waiting <= o.limit
}

// count makes held count n bytes; false when that is too much, though it is
// counted then, too: they are there until the connection has ended.
func (o *outbox) count(n int) bool {
	more, ok := n-o.counted, true
	o.counted = n
	switch {
	case more < 0:
		o.held.Shrink(-more)
	case more > 0 && !o.held.Grow(more):
		o.held.Force(more)
		o.held.Refuse()
		ok = false
	}
	return ok
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

// begin gives one shared frame its place. When nothing waits before it, first says
// that the caller writes it, with pump; otherwise it is queued, and the caller flushes.
func (o *outbox) begin(framed []byte) (first bool, reason DisconnectReason, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended || o.goodbye {
		return false, PeerLeft, true
	}
	if o.buf == nil && !o.busy {
		o.busy = true
		return true, PeerLeft, true
	}
	reason, ok = o.fits(len(framed))
	o.append(framed)
	return false, reason, ok
}

// post queues one shared frame. later tells that somebody has to flush.
func (o *outbox) post(framed []byte) (reason DisconnectReason, ok, later bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended || o.goodbye {
		return PeerLeft, true, false
	}
	reason, ok = o.fits(len(framed))
	o.append(framed)
	o.forced = true
	later = !o.posted && !o.busy
	o.posted = o.posted || later
	return reason, ok, later
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
		n, err := o.conn.Write(p, false)
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
		if b = o.next(false); b == nil {
			return
		}
		p = b.b
	}
}

// next takes what came while a write was under way, or ends the writing. behind
// says that the transport is, so that what is taken waits.
func (o *outbox) next(behind bool) *buffer {
	o.mu.Lock()
	o.inflight = 0
	b := o.buf
	wait := o.holds > 0 && !o.closing && !o.forced
	o.forced = false
	if b == nil || wait && len(b.b) < joinAbove {
		o.busy = false
		o.count(0)
		closing := o.closing
		o.mu.Unlock()
		if closing {
			o.close(o.reason)
		}
		return nil
	}
	o.buf = nil
	if behind {
		o.inflight = len(b.b)
		o.count(len(b.b))
	} else {
		o.count(0)
	}
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
	waiting := len(rest)
	if o.buf != nil {
		waiting += len(o.buf.b)
	}
	ok := o.count(waiting)
	o.mu.Unlock()
	if !ok {
		o.fail(errOverBudget)
		return
	}
	go o.drain(rest, b)
}

// drain is the flusher: it waits for the transport and leaves when it has
// caught up.
func (o *outbox) drain(p []byte, b *buffer) {
	for {
		if _, err := o.conn.Write(p, true); err != nil {
			o.fail(err)
			return
		}
		putBuffer(b)
		if b = o.next(true); b == nil {
			return
		}
		p = b.b
	}
}

// errOverBudget is the failure of a transport that is behind while all together are
// behind with too much.
var errOverBudget = errors.New("ddp: too much waits for slow peers")

// fail drops everything: the transport does not take any more.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	o.ended, o.cut, o.busy, o.inflight = true, true, false, 0
	o.count(0)
	closing, reason := o.closing, o.reason
	if o.buf != nil {
		putBuffer(o.buf)
		o.buf = nil
	}
	o.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrTooSlow) {
		reason = Slow
	}
	if errors.Is(err, errOverBudget) {
		reason = OverBudget
	}
	if closing {
		o.close(reason)
		return
	}
	o.session.end(reason)
}

// control queues a control frame and sends what is queued.
func (o *outbox) control(frame []byte) {
	o.mu.Lock()
	if o.ended || o.goodbye {
		o.mu.Unlock()
		return
	}
	last := frame[0] == wire.Close
	o.goodbye = last
	reason, ok := o.fits(len(frame))
	o.append(frame)
	o.mu.Unlock()
	switch {
	case !ok:
		o.session.end(reason)
	case last:
		o.flush(true)
	}
}

// append queues framed bytes. The caller holds the lock.
func (o *outbox) append(framed []byte) {
	if o.buf == nil {
		o.buf = getBuffer()
	}
	o.buf.b = append(o.buf.b, framed...)
}

// end stops accepting messages and closes the transport: after what is queued,
// with a close frame, or at once when the peer takes nothing any more.
func (o *outbox) end(reason DisconnectReason) {
	o.mu.Lock()
	if o.closing {
		o.mu.Unlock()
		return
	}
	o.ended, o.closing, o.reason = true, true, reason
	behind := o.cut || o.inflight > 0
	// A peer that closed gets the answer to its close frame, if it takes it while
	// the transport lingers.
	if reason == Slow || reason == PeerLeft && !o.goodbye || reason == OverBudget && behind {
		o.buf = nil
		o.mu.Unlock()
		o.close(reason)
		return
	}
	if !o.goodbye {
		o.goodbye = true
		o.append(wire.AppendClose(nil, reason.Code(), reason.Text()))
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
		o.close(reason)
	}
}

func (o *outbox) close(reason DisconnectReason) {
	_ = o.conn.Close(reason.Code(), reason.Text())
}
