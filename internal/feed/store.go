package feed

import "context"

// Store is what the feed needs of a store shared by several nodes.
type Store interface {
	// AppendEvents makes events visible to other nodes, in their order. Events older than
	// a few minutes may be forgotten. After an error some of them may be
	// visible, and be returned twice when they are appended again.
	AppendEvents(ctx context.Context, events []Event) error
	// EventsSince returns events that became visible after cursor, in the order
	// in which they did as far as one node is concerned, and the next cursor. An
	// event may be returned twice; none is left out. The empty cursor means now.
	EventsSince(ctx context.Context, cursor string) ([]Event, string, error)
}
