package mail

import "context"

// Lease is how long one node owns an item.
const Lease = lease

// Render is render, for tests of the templates.
var Render = render

// Names lists the templates.
func Names() []string {
	var out []string
	for name := range subjects {
		out = append(out, name)
	}
	return out
}

// Step makes the one try that is due, or returns the store's error.
func (o *Outbox) Step(ctx context.Context) error {
	it, err := o.store.ClaimMail(ctx, o.node, o.now(), lease)
	if err == nil {
		o.attempt(ctx, it)
	}
	return err
}

// SetMax bounds the outbox.
func (o *Outbox) SetMax(n int) { o.max = n }

// Room is the number of places of a class.
func (o *Outbox) Room(c Class) int { return o.room(c) }

// ShortAgent is shortAgent.
var ShortAgent = shortAgent
