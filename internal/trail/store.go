package trail

import (
	"context"
	"time"

	"ddpserver/internal/user"
)

// Store is what the package needs of a database. Failures are those of package dberr.
type Store interface {
	// AppendTrail adds events. One whose id is there already stays as it is, so that a
	// batch of unknown outcome can be written again.
	AppendTrail(ctx context.Context, events []Event) error
	// PageTrail reads a page, the newest first.
	PageTrail(ctx context.Context, q Query) (Page, error)
	// CountTrail counts what fits a query, up to most. It is for queries that are
	// Indexed; limits and the text of q mean nothing to it.
	CountTrail(ctx context.Context, q Query, most int) (int, error)
	// TrimTrail removes the oldest events, at most step of them: those before a time,
	// and those beyond the newest most. It returns how many it removed.
	TrimTrail(ctx context.Context, before time.Time, most, step int) (int, error)
}

// Users finds accounts; the stores of the core do.
type Users interface {
	// UsersByIDs finds those that exist, in no order.
	UsersByIDs(ctx context.Context, ids []string) ([]*user.User, error)
}

// Role says what an account is in an event.
type Role uint8

// The roles of an account in an event.
const (
	Either Role = iota
	Actor
	Subject
)

// Query selects events. The zero value of a member selects all; the members hold
// together.
type Query struct {
	// Account is the id of an account that acts or that the event is about, as As says.
	Account string
	As      Role

	Act, Outcome string
	// Address is the whole address, or how it begins if Prefix is set.
	Address string
	Prefix  bool
	// Text must be folded.
	Text string

	// Low and High bound the ids: Low <= id < High.
	Low, High string
	// Skip leaves out that many of the newest. Limit is the size of the page.
	Skip, Limit int
	// Scan is at how many events a store may look for one page, beside those that it
	// finds by an index. It is required.
	Scan int
}

// Indexed tells whether an index finds exactly the events of the query: one account,
// one address, one act, one outcome, or one act with one outcome.
func (q Query) Indexed() bool {
	other := q.Act != "" || q.Outcome != ""
	switch {
	case q.Text != "" || q.Prefix || q.As != Either:
		return false
	case q.Account != "":
		return q.Address == "" && !other
	case q.Address != "":
		return !other
	}
	return true
}

// Page is a part of the trail.
type Page struct {
	Events []Event
	// Next is the High of the query that goes on, and empty when there is nothing older.
	// A page that looked at as many events as it may has one, however short it is.
	Next string
}
