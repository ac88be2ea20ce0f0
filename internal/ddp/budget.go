package ddp

import "time"

// budget counts malformed messages within a minute. The zero value is full.
type budget struct {
	since time.Time
	spent int
}

// spend takes one; false when there is none left.
func (b *budget) spend(limit int) bool {
	if limit < 0 {
		return true
	}
	if now := time.Now(); now.Sub(b.since) > time.Minute {
		b.since, b.spent = now, 0
	}
	b.spent++
	return b.spent <= limit
}
