package ddp

// Conn carries whole messages between the engine and one peer, over whatever
// transport. It knows nothing of DDP.
//
// The engine reads from one goroutine and writes from one goroutine at a time;
// Close may come from any goroutine at any time, also more than once.
//
// A Conn may have a method Connected(), which is called once the handshake of DDP
// is done, on the goroutine that reads.
//
// WriteFrames may wait until the peer takes the messages: the engine calls it
// from a goroutine of its own (the flusher) that lives only while messages are
// waiting, gathers what comes meanwhile, and ends the connection when more than
// Limits.QueuedBytes wait. A polling transport therefore needs no queue of its
// own: it keeps WriteFrames waiting until a receiver took the messages.
type Conn interface {
	// ReadFrame waits for the next message. The bytes are the engine's, which does
	// not change them; they count as the Conn's (see Options.Budget) until the next
	// call, by which the engine has counted what it keeps. After Close, or when the peer is gone, it returns an error; io.EOF
	// and a *CloseError are an ordinary end.
	//
	// The Conn must not hand over a message that is longer than the limit that
	// SetReadLimit gave last: it ends the connection with code 1009 instead and
	// returns ErrTooLong. A text message that is not UTF-8 ends it with 1007 and
	// ErrNotUTF8.
	ReadFrame() ([]byte, error)

	// WriteFrames hands messages to the peer in order, in one system call where
	// the transport allows it. The slices are valid during the call only. The
	// Conn enforces its own time limit for a peer that takes nothing and returns
	// an error then; any error ends the connection.
	WriteFrames(frames ...[]byte) error

	// SetReadLimit sets the longest message in bytes that ReadFrame may return.
	// It applies to messages that are being read, too.
	SetReadLimit(bytes int)

	// Close ends the connection after what was written and tells the peer code
	// and reason as the transport can. It does not wait for the peer. ReadFrame
	// returns an error soon afterwards.
	Close(code int, reason string) error
}
