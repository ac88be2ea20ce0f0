package mongo

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/user"
)

func set(fields bson.D) bson.D { return bson.D{{Key: "$set", Value: fields}} }

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

func decode[T any](raw bson.Raw) (*T, error) {
	v := new(T)
	if err := document.Decode(raw, v); err != nil {
		return nil, err
	}
	return v, nil
}

func decodeRoom(raw bson.Raw) (*rooms.Room, error) {
	r, err := decode[rooms.Room](raw)
	if err != nil {
		return nil, err
	}
	r.CustomFields = document.PlainFields(r.CustomFields)
	if r.LastMessage != nil {
		dropEmpty(r.LastMessage)
	}
	return r, nil
}

func one[T any](ctx context.Context, c mongo.Collection, filter bson.D, decode func(bson.Raw) (*T, error)) (*T, error) {
	raw, err := c.One(ctx, filter)
	if err != nil {
		return nil, err
	}
	return decode(raw)
}

func many[T any](ctx context.Context, c mongo.Collection, filter bson.D, decode func(bson.Raw) (*T, error),
	opts ...options.Lister[options.FindOptions]) (out []*T, err error) {
	err = c.All(ctx, filter, func(raw bson.Raw) error {
		v, err := decode(raw)
		out = append(out, v)
		return err
	}, opts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// pageOfMessages is many for messages: it ends at rooms.StoredPageBytes.
func (s *Store) pageOfMessages(ctx context.Context, filter bson.D, opts ...options.Lister[options.FindOptions]) (out []*rooms.Message, err error) {
	size := 0
	err = s.messages.All(ctx, filter, func(raw bson.Raw) error {
		if size += len(raw); size > rooms.StoredPageBytes && len(out) > 0 {
			return mongo.ErrEnough
		}
		m, err := decodeMessage(raw)
		out = append(out, m)
		return err
	}, opts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// updated runs a conditional update of one document and returns it as it is
// afterwards; dberr.NotFound when the filter matched nothing.
func updated[T any](ctx context.Context, c mongo.Collection, filter, update bson.D, decode func(bson.Raw) (*T, error)) (*T, error) {
	raw, err := c.Update(ctx, filter, update)
	if err != nil {
		return nil, err
	}
	return decode(raw)
}

func in(values []string) bson.D { return bson.D{{Key: "$in", Value: values}} }

// CreateRoom implements rooms.RoomStore. The room claims its id and name; if its
// members cannot be added it goes again.
func (s *Store) CreateRoom(ctx context.Context, r *rooms.Room, members []*rooms.Subscription) error {
	ctx, cancel := s.Timed(ctx)
	defer cancel()
	raw, err := document.Encode(r)
	if err != nil {
		return err
	}
	if len(members) == 0 {
		return s.rooms.Insert(ctx, raw)
	}
	return s.together(ctx, note{RoomID: r.ID, Members: members}, func(ctx context.Context) error {
		if err := s.rooms.Insert(ctx, raw); err != nil {
			return err
		}
		docs := make([]any, len(members))
		for i, m := range members {
			docs[i] = m
		}
		err := s.subscriptions.Insert(ctx, docs...)
		if err == nil || s.Transactions() || errors.Is(err, dberr.Unavailable) { // which somebody mends
			return err
		}
		return errors.Join(err, s.rooms.Remove(ctx, byID(r.ID)), s.subscriptions.Remove(ctx, bson.D{{Key: "rid", Value: r.ID}}))
	})
}

// RoomByID implements rooms.RoomStore.
func (s *Store) RoomByID(ctx context.Context, id string) (*rooms.Room, error) {
	return one(ctx, s.rooms, byID(id), decodeRoom)
}

// RoomByName implements rooms.RoomStore.
func (s *Store) RoomByName(ctx context.Context, key string) (*rooms.Room, error) {
	return one(ctx, s.rooms, bson.D{{Key: "ddpNameKey", Value: key}}, decodeRoom)
}

// RoomByDirectKey implements rooms.RoomStore.
func (s *Store) RoomByDirectKey(ctx context.Context, key string) (*rooms.Room, error) {
	return one(ctx, s.rooms, bson.D{{Key: "ddpDirectKey", Value: key}}, decodeRoom)
}

// RoomsByIDs implements rooms.RoomStore.
func (s *Store) RoomsByIDs(ctx context.Context, ids []string, since time.Time) ([]*rooms.Room, error) {
	filter := bson.D{{Key: "_id", Value: in(ids)}}
	if !since.IsZero() {
		filter = append(filter, bson.E{Key: "_updatedAt", Value: bson.D{{Key: "$gte", Value: since}}})
	}
	return many(ctx, s.rooms, filter, decodeRoom)
}

// page makes the options of one page in an order.
func page(offset, count int, sort ...string) options.Lister[options.FindOptions] {
	var order bson.D
	for _, key := range sort {
		direction := 1
		if strings.HasPrefix(key, "-") {
			key, direction = key[1:], -1
		}
		order = append(order, bson.E{Key: key, Value: direction})
	}
	return options.Find().SetSort(order).SetSkip(int64(max(offset, 0))).SetLimit(int64(count))
}

// ListRooms implements rooms.RoomStore.
func (s *Store) ListRooms(ctx context.Context, q rooms.RoomQuery) (list []*rooms.Room, total int, err error) {
	if len(q.Types) == 0 {
		return nil, 0, nil
	}
	filter := bson.D{{Key: "t", Value: in(q.Types)}}
	if len(q.Types) == 1 { // one index gives the order as well
		filter[0].Value = q.Types[0]
	}
	if q.Begins != "" {
		filter = append(filter, bson.E{Key: "ddpNameKey", Value: bson.D{{Key: "$gte", Value: q.Begins}, {Key: "$lt", Value: user.AfterWord(q.Begins)}}})
	}
	if total, err = s.rooms.Count(ctx, filter); err != nil || q.Count <= 0 {
		return nil, total, err
	}
	list, err = many(ctx, s.rooms, filter, decodeRoom, page(q.Offset, q.Count, "ddpNameKey", "_id"))
	return list, total, err
}

// DefaultRooms implements rooms.RoomStore.
func (s *Store) DefaultRooms(ctx context.Context) ([]*rooms.Room, error) {
	return many(ctx, s.rooms, bson.D{{Key: "default", Value: true}}, decodeRoom, page(0, 0, "_id"))
}

// TouchLastMessage implements rooms.RoomStore.
func (s *Store) TouchLastMessage(ctx context.Context, m *rooms.Message, at time.Time) (bool, error) {
	return s.rooms.UpdateOne(ctx, bson.D{
		{Key: "_id", Value: m.RoomID}, {Key: "lastMessage._id", Value: m.ID},
		{Key: "lastMessage._updatedAt", Value: bson.D{{Key: "$lte", Value: m.UpdatedAt}}},
	}, set(bson.D{{Key: "lastMessage", Value: m}, {Key: "_updatedAt", Value: at}}))
}
