package feed

import (
	"cmp"
	"context"
	"time"
)

const (
	// MarkDelay is how long a mark may stay invisible after it was drawn: far more than
	// passes between the moment at which a write is stamped and the one at which it can be read.
	MarkDelay = 5 * time.Second
	// MarkEarly is how long after an early mark its change may come: longer than any
	// operation of a store takes.
	MarkEarly = 10 * time.Second
	// MarkLife is how long early marks are kept at least.
	MarkLife = 10 * time.Minute
)

// Mark says that something was changed that counts on every node, whether or not news
// of it arrives: an account, in what its sessions may do, or the settings.
type Mark struct {
	// At orders marks. The database draws it, from a clock or counter of its own, which may
	// be the same for several.
	At uint64
	// Account is the id of the account; "" stands for the settings.
	Account string
	// Count tells several marks of an account apart that have the same At.
	Count int64
	// Early marks were made before the change, which may come until MarkEarly later.
	Early bool
}

// Compare orders marks by At, and those of the same moment by the account.
func (m Mark) Compare(other Mark) int {
	return cmp.Or(cmp.Compare(m.At, other.At), cmp.Compare(m.Account, other.Account))
}

// Marks are the marks of a store shared by several nodes. A change of an account carries
// its mark in the same atomic write; an account that is removed, and settings, have an
// early one. What other programs write has none.
type Marks interface {
	// MarksSince lists the marks behind that one, at most max of them, in order. One may
	// become visible some moments after a later one: see MarkNow. Of several marks of an
	// account the older ones need not be listed, and with earlyOnly none that is not early.
	MarksSince(ctx context.Context, after Mark, max int, earlyOnly bool) ([]Mark, error)
	// MarkNow draws At for this moment: what is drawn afterwards is greater, and what was
	// drawn before is visible by MarkDelay later, unless the clock of the database was
	// set back.
	MarkNow(ctx context.Context) (uint64, error)
}
