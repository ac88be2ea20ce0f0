package mongo

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/rooms"
)

// DeleteRoom implements rooms.RoomStore. A note is written first, on every database: a room
// has any number of members and messages. The room itself goes before them, and with it
// everything that leads to them; an act of which it is not known how far it came is carried on
// to its end by whoever mends.
func (s *Store) DeleteRoom(ctx context.Context, id string, at time.Time) (*rooms.Room, []*rooms.Subscription, error) {
	ctx, cancel := s.Timed(ctx)
	defer cancel()
	n := note{ID: random.ID(), At: s.Clock(), RoomID: id, Erase: at}
	if _, err := s.RoomByID(ctx, id); err != nil {
		return nil, nil, err
	}
	if err := s.acts.Insert(ctx, n); err != nil {
		return nil, nil, err
	}
	was, err := s.takeRoom(ctx, id)
	if errors.Is(err, dberr.NotFound) { // somebody else deletes it
		return nil, nil, errors.Join(err, s.acts.Remove(ctx, byID(n.ID)))
	}
	if err != nil {
		return nil, nil, err
	}
	members, err := s.endMemberships(ctx, id, at)
	if err != nil {
		return nil, nil, err
	}
	if err := s.eraseMessages(ctx, &n); err != nil {
		s.Log().Warn("messages_left", zap.String("room_id", id), zap.Error(err))
	}
	return was, members, nil
}

func (s *Store) takeRoom(ctx context.Context, id string) (*rooms.Room, error) {
	raw, err := s.rooms.Take(ctx, byID(id))
	if err != nil {
		return nil, err
	}
	return decodeRoom(raw)
}

// buriedAtOnce is how many memberships leave their news in one command.
const buriedAtOnce = 500

// endMemberships ends all memberships of a room that is gone, and leaves news of each.
func (s *Store) endMemberships(ctx context.Context, id string, at time.Time) ([]*rooms.Subscription, error) {
	list, err := many(ctx, s.subscriptions.Newest(), memberships(bson.E{Key: "rid", Value: id}), decodeSubscription)
	if err != nil {
		return nil, err
	}
	for some := range slices.Chunk(list, buriedAtOnce) {
		var writes []driver.WriteModel
		for _, m := range some {
			writes = append(writes, driver.NewUpdateOneModel().SetFilter(byID(m.ID)).SetUpsert(true).SetUpdate(set(bson.D{
				{Key: "__collection__", Value: rooms.GoneSubscription}, {Key: "rid", Value: id}, {Key: "_deletedAt", Value: at}, {Key: "uid", Value: m.User.ID},
			})))
		}
		if err := s.trash.Write(ctx, writes); err != nil {
			return nil, err
		}
	}
	return list, s.subscriptions.Remove(ctx, bson.D{{Key: "rid", Value: id}})
}

// eraseMessages takes the messages of a deleted room away, and the note of it when none is left.
func (s *Store) eraseMessages(ctx context.Context, n *note) error {
	of := bson.D{{Key: "rid", Value: n.RoomID}}
	if err := errors.Join(s.messages.Remove(ctx, of), s.invites.Remove(ctx, of)); err != nil {
		return err
	}
	return s.acts.Remove(ctx, byID(n.ID))
}

// mendErased carries the end of a room to its end.
func (s *Store) mendErased(ctx context.Context, n *note) error {
	ctx, cancel := s.Timed(ctx)
	defer cancel()
	if _, err := s.takeRoom(ctx, n.RoomID); err != nil && !errors.Is(err, dberr.NotFound) {
		return err
	}
	if _, err := s.endMemberships(ctx, n.RoomID, n.Erase); err != nil {
		return err
	}
	return s.eraseMessages(ctx, n)
}
