package ddp

import "time"

// Limits bound what one connection, and all together, may cost (docs/decisions.md 6.1).
// A zero value of a field means its default; a negative one means no limit
// where the comment says so.
type Limits struct {
	// FrameBefore and FrameAfter are the longest accepted message in bytes
	// before and after login: 64 KiB and 1 MiB. Above: close 1009.
	FrameBefore, FrameAfter int
	// DepthBefore and DepthAfter are the deepest accepted nesting of a message
	// before and after login: 32 and 64, at most 64. Above: a "Parse error".
	DepthBefore, DepthAfter int
	// QueuedFrames is how many received messages may wait for their turn: 256.
	// When so many wait, reading stops.
	QueuedFrames int
	// ReceivedBytes is how many bytes of received messages a session may hold, in
	// its queue, in running calls and half read, beyond one of the longest: 256
	// KiB. Then reading stops.
	ReceivedBytes int
	// Stalled is for how long reading may stop: 10 s. Then close 1008, or 1013
	// when it was not the session but all together who held too much.
	Stalled time.Duration
	// ResultBytes is the longest result of a call: 8 MiB. Above: the error
	// error-result-too-large takes its place.
	ResultBytes int
	// QueuedBytes is how many bytes may wait to be sent: 1 MiB. A message that
	// comes when more than that waits ends the connection.
	QueuedBytes int
	// SubscriptionBytes is how long the parameters of all subscriptions of one
	// session may be together, with their ids: 128 KiB. Above: nosub with too-many-subscriptions.
	SubscriptionBytes int
	// Subscriptions is how many one session may hold: 300. Above: nosub with
	// too-many-subscriptions.
	Subscriptions int
	// Unblocked is how many calls of one session may run beside the ordered
	// queue after Unblock: 16.
	Unblocked int
	// ProtocolErrors is how many malformed messages a connection may send within
	// a minute: 600. Above: close 1008. Negative: no limit.
	ProtocolErrors int
	// Handshake is the time from the transport's opening to an accepted connect
	// message: 45 s.
	Handshake time.Duration
	// HeartbeatInterval and HeartbeatTimeout are Meteor's: 15 s and 15 s. A
	// negative interval means no heartbeats.
	HeartbeatInterval, HeartbeatTimeout time.Duration
	// Connections is how many sockets may be open at once over all; 0 means no limit.
	Connections int
	// PerAddress is how many sockets one IPv4 address or IPv6 /64 may have open; 0
	// means no limit.
	PerAddress int
	// PerUser is how many sessions one user may be logged in with; 0 means no
	// limit. One more login is refused with too-many-connections. Logins at the
	// same instant may exceed it by their own number.
	PerUser int
}

// withDefaults fills what was left zero.
func (l Limits) withDefaults() Limits {
	number := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	number(&l.FrameBefore, 64<<10)
	number(&l.FrameAfter, 1<<20)
	number(&l.DepthBefore, 32)
	number(&l.DepthAfter, maxDepth)
	l.DepthBefore, l.DepthAfter = min(l.DepthBefore, maxDepth), min(l.DepthAfter, maxDepth)
	number(&l.QueuedFrames, 256)
	number(&l.QueuedBytes, 1<<20)
	number(&l.ReceivedBytes, 256<<10)
	number(&l.ResultBytes, MaxResult)
	number(&l.SubscriptionBytes, 128<<10)
	number(&l.Subscriptions, 300)
	number(&l.Unblocked, 16)
	number(&l.ProtocolErrors, 600)
	span(&l.Handshake, 45*time.Second)
	span(&l.HeartbeatInterval, 15*time.Second)
	span(&l.HeartbeatTimeout, 15*time.Second)
	span(&l.Stalled, 10*time.Second)
	return l
}
