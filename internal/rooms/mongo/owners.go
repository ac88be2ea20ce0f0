package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
)

// owners is the update of a room that gets or loses an owner.
func owners(how, userID string, at time.Time) bson.D {
	return bson.D{{Key: how, Value: bson.D{{Key: "ddpOwners", Value: userID}}}, {Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: at}}}}
}

// dropOwner takes an owner off the room's list, which listOwners has made, unless it is the last.
func (s *Store) dropOwner(ctx context.Context, roomID, userID string, force bool, at time.Time) error {
	filter := byID(roomID)
	if !force {
		filter = append(filter, bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "ddpOwners", Value: bson.D{{Key: "$ne", Value: userID}}}},
			bson.D{{Key: "ddpOwners.1", Value: bson.D{{Key: "$exists", Value: true}}}},
		}})
	}
	ok, err := s.rooms.UpdateOne(ctx, filter, owners("$pull", userID, at))
	if err == nil && !ok {
		err = dberr.Conflict
	}
	return err
}

// listOwners makes the list of owners of a room of an adopted database.
func (s *Store) listOwners(ctx context.Context, roomID string) error {
	r, err := s.RoomByID(ctx, roomID)
	if err != nil || r.Owners != nil {
		return err
	}
	subs, err := s.MembersWithRole(ctx, roomID)
	if err != nil {
		return err
	}
	_, err = s.rooms.UpdateOne(ctx, bson.D{{Key: "_id", Value: roomID}, {Key: "ddpOwners", Value: bson.D{{Key: "$exists", Value: false}}}},
		set(bson.D{{Key: "ddpOwners", Value: ownersIn(subs)}}))
	return err
}

// SetMemberRole implements rooms.SubscriptionStore. A role is given in the
// membership first and taken from the list of owners first: in between, an
// owner too many is safer than none.
func (s *Store) SetMemberRole(ctx context.Context, roomID, userID, role string, on bool, at time.Time) (m *rooms.Subscription, err error) {
	ctx, cancel := s.Timed(ctx)
	defer cancel()
	m, err = s.Subscription(ctx, roomID, userID)
	if err != nil {
		return nil, err
	}
	if m.HasRole(role) == on {
		return nil, dberr.Conflict
	}
	if role != rooms.Owner {
		return s.setRole(ctx, roomID, userID, role, on, at)
	}
	if err := s.listOwners(ctx, roomID); err != nil {
		return nil, err
	}
	err = s.together(ctx, note{RoomID: roomID}, func(ctx context.Context) (err error) {
		if !on {
			if err := s.dropOwner(ctx, roomID, userID, false, at); err != nil {
				return err
			}
		}
		if m, err = s.setRole(ctx, roomID, userID, role, on, at); err != nil || !on {
			return err
		}
		if _, err = s.rooms.UpdateOne(ctx, byID(roomID), owners("$addToSet", userID, at)); err != nil {
			return err
		}
		m, err = s.stillOwner(ctx, roomID, userID, at)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// setRole gives or takes a role in the membership.
func (s *Store) setRole(ctx context.Context, roomID, userID, role string, on bool, at time.Time) (*rooms.Subscription, error) {
	filter, change := seat(roomID, userID), "$push"
	if on {
		filter = append(filter, bson.E{Key: "roles", Value: bson.D{{Key: "$ne", Value: role}}})
	} else {
		filter, change = append(filter, bson.E{Key: "roles", Value: role}), "$pull"
	}
	update := append(set(bson.D{{Key: "_updatedAt", Value: at}}), bson.E{Key: change, Value: bson.D{{Key: "roles", Value: role}}})
	m, err := updated(ctx, s.subscriptions, filter, update, decodeSubscription)
	if errors.Is(err, dberr.NotFound) {
		err = dberr.Conflict
	}
	return m, err
}

// stillOwner takes a new owner off the room's list again who went, or lost the role,
// before the list had him: one who is not there would let the last one leave.
func (s *Store) stillOwner(ctx context.Context, roomID, userID string, at time.Time) (*rooms.Subscription, error) {
	m, err := s.Subscription(ctx, roomID, userID)
	if err == nil && m.HasRole(rooms.Owner) {
		return m, nil
	}
	if err != nil && !errors.Is(err, dberr.NotFound) {
		return nil, err
	}
	if _, err := s.rooms.UpdateOne(ctx, byID(roomID), owners("$pull", userID, at)); err != nil {
		return nil, err
	}
	return m, err
}
