package mail

import (
	"context"
	"time"
)

// Item is one mail in the persistent outbox (collection "ddpserver_outbox").
type Item struct {
	ID string `bson:"_id"`
	// Class has a share of the outbox; Rank is its place in the order of sending, 0
	// first. Items of versions before classes have neither and go first.
	Class Class `bson:"class,omitempty"`
	Rank  int   `bson:"rank"`
	// Sealed is the whole message, sealed with the server key.
	Sealed string `bson:"sealed"`
	// NotBefore is the time of the next try; Expire the time after which the
	// mail is worthless and dropped.
	NotBefore time.Time `bson:"notBefore"`
	Expire    time.Time `bson:"expire"`
	Tries     int       `bson:"tries"`
	CreatedAt time.Time `bson:"createdAt"`
	// Owner and LeaseUntil belong to the node that is sending it.
	Owner      string    `bson:"owner,omitempty"`
	LeaseUntil time.Time `bson:"leaseUntil,omitempty"`
}

// Store is what the outbox needs of a store. Every method is atomic.
type Store interface {
	// PutMail appends an item durably. Exhausted when max items of
	// its class wait, Duplicate when the id is in use.
	PutMail(ctx context.Context, it Item, max int) error
	// ClaimMail leases the oldest item of the lowest rank that is due and not
	// leased, and counts a try; NotFound when there is none. Expired items are claimed like others:
	// dropping them is the caller's. An item that cannot be read is leased too, and the call fails
	// with an error that is none of package dberr: the next call finds those behind it.
	ClaimMail(ctx context.Context, owner string, now time.Time, lease time.Duration) (Item, error)
	// RetryMail ends the lease and sets the next try. Condition: owner holds the lease.
	RetryMail(ctx context.Context, id, owner string, notBefore time.Time) error
	// DeleteMail removes an item that was sent, refused for good or expired. An
	// item that is gone is no error.
	DeleteMail(ctx context.Context, id string) error
	// NextMail is the time at which ClaimMail may find something; zero when empty.
	NextMail(ctx context.Context) (time.Time, error)
	// MailQueue counts the items that wait, and says when the oldest was accepted; zero
	// when empty.
	MailQueue(ctx context.Context) (waiting int, oldest time.Time, err error)
}
