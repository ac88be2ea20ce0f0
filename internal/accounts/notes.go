package accounts

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// notes remembers which addresses this node has just looked at, and which
// tokens it has just seen used, so that who comes all the time does not read or
// write all the time.
type notes struct{ last *lru.Cache[string, time.Time] }

// maxNotes bounds notes. What was not asked for longest goes first.
const maxNotes = 100_000

func newNotes() notes {
	last, err := lru.New[string, time.Time](maxNotes)
	if err != nil {
		panic(err) // a size below one
	}
	return notes{last}
}

func (n notes) due(digest string, now time.Time, every time.Duration) bool {
	at, ok := n.last.Get(digest)
	return !ok || now.Sub(at) >= every || now.Before(at)
}

func (n notes) done(digest string, now time.Time) { n.last.Add(digest, now) }
