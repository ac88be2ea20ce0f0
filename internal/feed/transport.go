package feed

import "context"

// Transport carries events between the nodes that share a database. What it carries is
// news: one that loses an event says so (Receiver.Missed), and nothing is decided by what
// it brings.
type Transport interface {
	// Name is what the log and /readyz call it.
	Name() string
	// Send hands encoded events (Event.Encoded) over, in their order. Without an error they
	// are on their way to every node that listens. After an error some of them may be, and
	// come twice when they are sent again.
	Send(ctx context.Context, events []Event) error
	// Receive gives the events of other nodes to one receiver until ctx ends. It goes on by
	// itself after failures, however long they last. It is called once.
	Receive(ctx context.Context, to Receiver)
}

// Follower is a Transport that brings events with a topic (Event.Topic) only to nodes that
// follow it. Others bring everything.
type Follower interface {
	Transport
	// Follow asks for the events of more topics, also while there is no connection. Without an
	// error whatever is made from now on arrives. After one the topics are asked for all the
	// same, and when Follow is called again for them without an error they are heard. Topics
	// that are followed already are asked for once. It is not called twice at once.
	Follow(ctx context.Context, topics []string) error
	// Unfollow ends that. It waits for nothing, and is not called during Follow.
	Unfollow(topics []string)
}

// Receiver is whoever takes the events of other nodes. A transport calls it from one
// goroutine, and it begins deaf.
type Receiver interface {
	// Take delivers events, each node's in its order. Those of this node and those that came
	// before may be among them.
	Take(events []Event)
	// Listening says that whatever is made from now on arrives. What was made before it and
	// not taken yet is on its way, unless Missed is called.
	Listening()
	// Deaf says why nothing may arrive until Listening is called again.
	Deaf(err error)
	// Missed says that events are gone for good.
	Missed()
}
