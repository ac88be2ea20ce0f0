package feed

import "context"

// Store is what the feed needs of a store shared by several nodes.
type Store interface {
	// AppendEvent makes the event visible to other nodes. Events older than a
	// few minutes may be forgotten.
	AppendEvent(ctx context.Context, e Event) error
	// EventsSince returns events that became visible after cursor, in the order
	// in which they did as far as one node is concerned, and the next cursor. An
	// event may be returned twice; none is left out. The empty cursor means now.
	EventsSince(ctx context.Context, cursor string) ([]Event, string, error)
}
