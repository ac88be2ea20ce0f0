package sqlite

import (
	"context"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/store/sqlite"
)

// SetBlocked implements rooms.SubscriptionStore.
func (s *Store) SetBlocked(ctx context.Context, roomID, blocker, blocked string, on bool, at time.Time) (changed bool, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) error {
		changed = false
		_, err := changeSubscription(t, roomID, blocker, func(m *rooms.Subscription) error {
			changed = m.SetBlocker(on, at)
			return nil
		})
		if err != nil {
			return err
		}
		_, err = changeSubscription(t, roomID, blocked, func(m *rooms.Subscription) error {
			changed = m.SetBlocked(on, at) || changed
			return nil
		})
		return err
	})
	return changed && err == nil, err
}
