package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
)

// blocking is who blocks whom, in the note of the act.
type blocking struct {
	Blocker string `bson:"blocker"`
	Blocked string `bson:"blocked"`
}

// SetBlocked implements rooms.SubscriptionStore. The membership of the one who blocks decides,
// the other's follows.
func (s *Store) SetBlocked(ctx context.Context, roomID, blocker, blocked string, on bool, at time.Time) (changed bool, err error) {
	ctx, cancel := s.Timed(ctx)
	defer cancel()
	for _, id := range []string{blocker, blocked} {
		if _, err := s.Subscription(ctx, roomID, id); err != nil {
			return false, err
		}
	}
	b := blocking{Blocker: blocker, Blocked: blocked}
	err = s.noted(ctx, note{RoomID: roomID, Block: &b}, func(ctx context.Context) error {
		first, err := s.mark(ctx, roomID, blocker, "blocker", on, at)
		if err != nil {
			return err
		}
		second, err := s.followBlock(ctx, roomID, b, at)
		changed = first || second
		return err
	})
	return changed && err == nil, err
}

// mark writes a flag of a membership, and tells whether it was otherwise.
func (s *Store) mark(ctx context.Context, roomID, userID, flag string, on bool, at time.Time) (bool, error) {
	was := bson.E{Key: flag, Value: bson.D{{Key: "$ne", Value: on}}}
	update := set(bson.D{{Key: flag, Value: true}})
	if !on {
		was = bson.E{Key: flag, Value: true}
		update = bson.D{{Key: "$unset", Value: bson.D{{Key: flag, Value: 1}}}}
	}
	return s.subscriptions.UpdateOne(ctx, append(seat(roomID, userID), was), append(update, bson.E{Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: at}}}))
}

// followBlock has the membership of the one who is blocked say what the other's says, until
// that is the same as when it began.
func (s *Store) followBlock(ctx context.Context, roomID string, b blocking, at time.Time) (changed bool, err error) {
	says := func() (bool, error) {
		m, err := one(ctx, s.subscriptions.Newest(), seat(roomID, b.Blocker), decodeSubscription)
		if err != nil {
			return false, err
		}
		return m.Blocker, nil
	}
	on, err := says()
	for range lostRaces {
		if err != nil {
			return false, err
		}
		did, err := s.mark(ctx, roomID, b.Blocked, "blocked", on, at)
		if err != nil {
			return false, err
		}
		changed = changed || did
		now, err := says()
		if err != nil || now == on {
			return changed, err
		}
		on = now
	}
	return false, dberr.Conflict
}

// mendBlock has the other side follow what the one who blocks says now.
func (s *Store) mendBlock(ctx context.Context, n *note) error {
	if _, err := s.followBlock(ctx, n.RoomID, *n.Block, s.Clock()); ignore(err, dberr.NotFound) != nil {
		return err
	}
	return s.acts.Remove(ctx, byID(n.ID))
}
