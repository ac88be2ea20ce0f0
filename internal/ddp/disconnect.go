package ddp

import "errors"

// DisconnectReason names why a connection ended. It is a value for metric
// labels and logs, and decides the close code the peer sees.
type DisconnectReason uint8

// The reasons there are. The zero value is an ordinary end by the peer.
const (
	PeerLeft       DisconnectReason = iota // the peer closed or vanished
	ServerClosed                           // the server's code asked for it (Session.Close, a dead token)
	Refused                                // the handshake failed: no common version
	NoHandshake                            // no connect message in time
	NoHeartbeat                            // no sign of life in time
	TooManyPending                         // too much of what it sent waited for too long (Limits.Stalled)
	OverBudget                             // all together held too much, and it was one of those with much
	Slow                                   // the peer did not take what was sent
	TooLong                                // a message was longer than the limit
	NotUTF8                                // a text message was not UTF-8
	ProtocolAbuse                          // too many malformed messages, or broken framing
	ServerShutdown                         // the server stops
	reasons        = int(ServerShutdown) + 1
)

var reasonTable = [reasons]struct {
	label string
	code  int
	text  string
}{
	PeerLeft:       {"peer_left", 1000, "Normal closure"},
	ServerClosed:   {"server_closed", 1000, "Normal closure"},
	Refused:        {"refused", 1000, "Normal closure"},
	NoHandshake:    {"no_handshake", 1008, "No connect message in time"},
	NoHeartbeat:    {"no_heartbeat", 1000, "Normal closure"},
	TooManyPending: {"too_many_pending", 1008, "Too many pending messages"},
	OverBudget:     {"over_budget", 1013, "The server holds too much; try again later"},
	Slow:           {"slow", 1008, "Too slow"},
	TooLong:        {"too_long", 1009, "Message too long"},
	NotUTF8:        {"not_utf8", 1007, "Text is not UTF-8"},
	ProtocolAbuse:  {"protocol_abuse", 1008, "Too many malformed messages"},
	ServerShutdown: {"server_shutdown", 1001, "Going away"},
}

// String is the metric label, such as "too_many_pending".
func (r DisconnectReason) String() string { return reasonTable[r].label }

// Code is the WebSocket close code (RFC 6455, 7.4.1) the peer sees.
func (r DisconnectReason) Code() int { return reasonTable[r].code }

// Text is the sentence in the close frame.
func (r DisconnectReason) Text() string { return reasonTable[r].text }

// Reasons lists every reason, for a table of counters.
func Reasons() []DisconnectReason {
	all := make([]DisconnectReason, reasons)
	for i := range all {
		all[i] = DisconnectReason(i)
	}
	return all
}

// Errors of a Conn that name the end of a connection.
var (
	// ErrTooLong says that a message was longer than the limit.
	ErrTooLong = errors.New("ddp: message too long")
	// ErrNotUTF8 says that a text message was not UTF-8.
	ErrNotUTF8 = errors.New("ddp: text message is not UTF-8")
	// ErrTooSlow says that the peer does not take what is sent: Write of a Conn
	// returns it, or os.ErrDeadlineExceeded.
	ErrTooSlow = errors.New("ddp: peer too slow")
	// ErrOverBudget says that a message did not fit beside what all hold
	// (Options.Budget).
	ErrOverBudget = errors.New("ddp: too much is held")
	// ErrFraming says that the peer broke the transport's framing.
	ErrFraming = errors.New("ddp: broken framing")
)

// ReasonOf names the reason behind an error of a Conn's ReadFrame.
func ReasonOf(err error) DisconnectReason {
	switch {
	case errors.Is(err, ErrTooLong):
		return TooLong
	case errors.Is(err, ErrNotUTF8):
		return NotUTF8
	case errors.Is(err, ErrOverBudget):
		return OverBudget
	case errors.Is(err, ErrFraming):
		return ProtocolAbuse
	}
	return PeerLeft
}
