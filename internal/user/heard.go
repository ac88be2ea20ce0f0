package user

import (
	"hash/maphash"
	"sync"
)

// Heard notes of which accounts news reached this node, so that somebody who read an
// account a moment ago can tell whether what he read may be over. It answers for the
// time after a mark: whatever was committed after the read that the mark was taken for
// is either heard of by now, or will be, and then finds what was set up meanwhile.
//
// It may say that there was news where there was none, of an account that shares a
// place, and says so of every account while it cannot hear.
type Heard struct {
	seed maphash.Seed

	mu    sync.Mutex
	count uint64 // of the news so far
	// last is the count at the newest news of the accounts that share a place, gap
	// that at the newest news of which nobody knows whom it was about.
	last [1024]uint64
	gap  uint64
	deaf bool
}

// NewHeard makes one that has heard nothing yet, and hears.
func NewHeard() *Heard { return &Heard{seed: maphash.MakeSeed()} }

// Mark is taken before a read, for Since.
func (h *Heard) Mark() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// Since tells whether what was read after the mark may be over.
func (h *Heard) Since(mark uint64, id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.deaf || h.gap > mark || *h.place(id) > mark
}

// Hear notes news of an account. It comes before whatever else follows from the news.
func (h *Heard) Hear(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	*h.place(id) = h.count
}

// Miss notes that there was news which nobody could read.
func (h *Heard) Miss() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	h.gap = h.count
}

// Deafen is for the time in which news cannot come; Listen ends it.
func (h *Heard) Deafen() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deaf = true
}

// Listen is for the moment from which news comes again. What was read before counts
// for nothing.
func (h *Heard) Listen() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.deaf {
		h.deaf = false
		h.count++
		h.gap = h.count
	}
}

// place is where news of the account is counted. The caller holds the lock.
func (h *Heard) place(id string) *uint64 {
	return &h.last[maphash.String(h.seed, id)%uint64(len(h.last))]
}
