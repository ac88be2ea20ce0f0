package random

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// Moment is a channel that can be received from once, after at least a fifth of
// most and less than all of it; at once when most is zero. It parts work that
// nobody waits for from the answer that began it, so that what the work costs
// falls on no request that could be measured.
func Moment(most time.Duration) <-chan time.Time {
	spread := most - most/5
	if spread <= 0 {
		now := make(chan time.Time, 1)
		now <- time.Time{}
		return now
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return time.After(most/5 + time.Duration(binary.LittleEndian.Uint64(b[:])%uint64(spread)))
}
