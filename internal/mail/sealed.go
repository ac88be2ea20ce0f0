package mail

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/zap"
)

// A waiting mail that the present key does not open is kept, whatever the cause:
// the right key may come back with the next start. It is looked at again now and
// then, and goes when its time is over, like any other.

const (
	// hold is the pause before a mail that could not be opened is tried again.
	hold = 5 * time.Minute
	// sayAgain is the least time between two records about one trouble.
	sayAgain = time.Minute
)

// open reads a sealed letter.
func (o *Outbox) open(it Item) (l letter, err error) {
	plain, err := o.key.Open(sealPurpose, it.ID, it.Sealed)
	if err == nil {
		err = json.Unmarshal([]byte(plain), &l)
	}
	return l, err
}

// keep puts a mail back that could not be opened.
func (o *Outbox) keep(ctx context.Context, it Item, log *zap.Logger) {
	now := o.now()
	o.mu.Lock()
	_, known := o.unreadable[it.ID]
	o.unreadable[it.ID] = now
	o.mu.Unlock()
	if !known {
		log.Error("mail_unreadable", zap.Time("expires", it.Expire.UTC()),
			zap.String("hint", "it stays in the outbox until it expires, and goes out once ENCRYPTION_KEY is the key again under which it was accepted"))
	}
	o.observe("unreadable")
	next := now.Add(hold)
	if it.Expire.Before(next) {
		next = it.Expire
	}
	o.retry(ctx, it, next, log)
}

// forget ends the memory of a mail that could not be opened.
func (o *Outbox) forget(id string) {
	o.mu.Lock()
	delete(o.unreadable, id)
	o.mu.Unlock()
}

// Unreadable is the number of waiting mails that this node lately failed to open.
func (o *Outbox) Unreadable() int {
	now := o.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, at := range o.unreadable {
		if now.Sub(at) > 2*hold { // another node took it, or it is gone
			delete(o.unreadable, id)
		}
	}
	return len(o.unreadable)
}
