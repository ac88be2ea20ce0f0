package mongo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
)

// ChangeRoom implements rooms.RoomStore. The room decides; the memberships follow its name
// and type, however many they are.
func (s *Store) ChangeRoom(ctx context.Context, id string, c rooms.RoomChange) (was, room *rooms.Room, err error) {
	ctx, cancel := s.Timed(ctx)
	defer cancel()
	change := func(ctx context.Context) (err error) {
		was, room, err = s.changeRoom(ctx, id, c)
		return err
	}
	if c.Name == "" && c.Type == "" && c.Archived == nil {
		return was, room, orNil(&was, &room, change(ctx))
	}
	err = s.noted(ctx, note{RoomID: id, Follow: true}, func(ctx context.Context) error {
		if err := change(ctx); err != nil || was.Calls(room) {
			return err
		}
		return s.follow(ctx, id, c.At)
	})
	return was, room, orNil(&was, &room, err)
}

// orNil leaves nothing half read beside an error.
func orNil(was, room **rooms.Room, err error) error {
	if err != nil {
		*was, *room = nil, nil
	}
	return err
}

// changeRoom runs the rule on a room and writes what differs, on condition that this is as it was read.
func (s *Store) changeRoom(ctx context.Context, id string, c rooms.RoomChange) (was, room *rooms.Room, err error) {
	for range lostRaces {
		raw, err := s.rooms.One(ctx, byID(id))
		if err != nil {
			return nil, nil, err
		}
		if was, err = decodeRoom(raw); err != nil {
			return nil, nil, err
		}
		if room, err = decodeRoom(raw); err != nil {
			return nil, nil, err
		}
		if !room.Change(c) {
			return was, room, nil
		}
		filter, update, err := differing(raw, was, room)
		if err != nil {
			return nil, nil, err
		}
		room, err = updated(ctx, s.rooms, filter, update, decodeRoom)
		if !errors.Is(err, dberr.NotFound) {
			return was, room, err
		}
	}
	return nil, nil, dberr.Conflict
}

// differing is the update that makes of a room another one, and the condition that what it
// changes is as it was read.
func differing(raw bson.Raw, was, room *rooms.Room) (filter, update bson.D, err error) {
	before, err := document.Encode(was)
	if err != nil {
		return nil, nil, err
	}
	after, err := document.Encode(room)
	if err != nil {
		return nil, nil, err
	}
	set, unset, err := document.Diff(before, after)
	if err != nil {
		return nil, nil, err
	}
	notStamp := func(e bson.E) bool { return e.Key == "_updatedAt" }
	set = slices.DeleteFunc(set, notStamp)
	var keys []string
	for _, e := range slices.Concat(set, unset) {
		key, _, _ := strings.Cut(e.Key, ".")
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	update = bson.D{{Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: room.UpdatedAt}}}}
	if len(set) > 0 {
		update = append(update, bson.E{Key: "$set", Value: set})
	}
	if len(unset) > 0 {
		update = append(update, bson.E{Key: "$unset", Value: unset})
	}
	return as(raw, keys...), update, nil
}

// follow has the memberships of a room follow its name and type, until it has the same as
// when that began: of two changes at once the later one stands in all of them.
func (s *Store) follow(ctx context.Context, roomID string, at time.Time) error {
	for range lostRaces {
		room, err := one(ctx, s.rooms.Newest(), byID(roomID), decodeRoom)
		if err != nil || room.Type == rooms.Direct {
			return ignore(err, dberr.NotFound)
		}
		err = s.subscriptions.UpdateAll(ctx, bson.D{{Key: "rid", Value: roomID}}, append(set(bson.D{
			{Key: "name", Value: room.Name}, {Key: "fname", Value: room.FName}, {Key: "t", Value: room.Type},
		}), bson.E{Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: at}}}))
		// Archiving takes a room out of the lists of its members once, and back once.
		turned := bson.D{{Key: "rid", Value: roomID}, {Key: "archived", Value: true}}
		turn := bson.D{{Key: "$set", Value: bson.D{{Key: "open", Value: true}}}, {Key: "$unset", Value: bson.D{{Key: "archived", Value: 1}}}}
		if room.Archived {
			turned[1].Value = bson.D{{Key: "$ne", Value: true}}
			turn = set(bson.D{{Key: "archived", Value: true}, {Key: "open", Value: false}, {Key: "alert", Value: false}})
		}
		if err == nil {
			err = s.subscriptions.UpdateAll(ctx, turned, turn)
		}
		if err != nil {
			return err
		}
		now, err := one(ctx, s.rooms.Newest(), byID(roomID), decodeRoom)
		if err != nil || now.Calls(room) {
			return ignore(err, dberr.NotFound)
		}
	}
	return dberr.Conflict
}

// ignore takes one outcome for none.
func ignore(err, outcome error) error {
	if errors.Is(err, outcome) {
		return nil
	}
	return err
}
