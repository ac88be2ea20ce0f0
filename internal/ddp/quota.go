package ddp

import "time"

// quota counts malformed messages within a minute. The zero value is full.
type quota struct {
	since time.Time
	spent int
}

// spend takes one; false when there is none left.
func (q *quota) spend(limit int) bool {
	if limit < 0 {
		return true
	}
	if now := time.Now(); now.Sub(q.since) > time.Minute {
		q.since, q.spent = now, 0
	}
	q.spent++
	return q.spent <= limit
}
