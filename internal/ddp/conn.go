package ddp

// Conn carries whole messages between the engine and one peer, over whatever
// transport. It knows nothing of DDP.
//
// One goroutine, the session's reader, calls ReadFrame and, after the session
// has ended, Finish. One goroutine at a time calls Write. SetReadLimit and Close
// may come from any goroutine at any time, Close also more than once.
type Conn interface {
	// ReadFrame waits for the next message. The bytes are valid until it is called
	// again. Memory for a message of more than FreeBuffer bytes is asked for with
	// r.Grow first. Before it waits for the peer it calls r.Waiting, and
	// r.Received for what came.
	//
	// A message that is longer than the limit that SetReadLimit gave last is
	// ErrTooLong, a text message that is not UTF-8 ErrNotUTF8, a peer that breaks
	// the transport's framing ErrFraming. io.EOF says that the peer is gone or
	// that Close was called. Any error ends the session.
	ReadFrame(r Receiver) ([]byte, error)

	// SetReadLimit sets the longest message in bytes that ReadFrame may return.
	// It applies to messages that are being read, too.
	SetReadLimit(bytes int)

	// Write hands framed messages (package wire) to the peer in order and tells how
	// many bytes were taken. The slice is valid during the call only.
	//
	// Without wait it takes what it can at once, in one system call where the
	// transport has one; a transport that cannot tell takes nothing. With wait it
	// takes everything, or returns ErrTooSlow or os.ErrDeadlineExceeded once the
	// peer has taken nothing for as long as the transport allows: the engine calls
	// it so from a goroutine of its own (the flusher), which lives only while
	// messages are waiting, gathers what comes meanwhile, and ends the session when
	// more than Limits.QueuedBytes wait. So a transport needs no queue of its own.
	// Any error ends the session.
	Write(p []byte, wait bool) (int, error)

	// Close ends the connection after what was written. The queue ends with a close
	// frame already, unless the peer took too little to get one; transports with
	// another way to say code and reason do so here. It does not wait for the peer.
	// ReadFrame and a waiting Write return an error soon afterwards.
	Close(code int, reason string) error

	// Finish frees what the connection holds. It may wait for the peer to take what
	// was sent last, within the transport's own time limit.
	Finish()
}

// FreeBuffer is how many bytes of a message a Conn may hold without asking: they
// are a part of what every connection costs.
const FreeBuffer = 4 << 10

// Receiver is what the engine offers to a Conn that reads. Its methods are for
// ReadFrame and the goroutine that runs it.
type Receiver interface {
	// Waiting says that there is nothing to read: what gathered for the peer is
	// sent before the reader waits.
	Waiting()
	// Received says that n bytes came. A peer that never stops sending waits here
	// for its turn.
	Received(n int)
	// Grow counts n more bytes that the message in hand takes, until the next call
	// of ReadFrame; it waits when they do not fit. False: the session has ended,
	// because there was no room in time or for another reason.
	Grow(n int) bool
	// Control sends a control frame of WebSocket after what was sent before.
	// Nothing follows a close frame.
	Control(frame []byte)
	// Alive says that the peer answered a ping of the transport.
	Alive()
}

// Transport is what the engine should know of a kind of Conn.
type Transport struct {
	// CompressAbove is the size in bytes from which messages are compressed, 0 for
	// never.
	CompressAbove int
	// Pings says that peers answer wire.Ping, for which the Conn calls
	// Receiver.Alive. Sessions of version pre1, which has no heartbeats, are watched
	// that way; without it, transports find vanished peers themselves.
	Pings bool
}
