package mongo

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// chatCollections are the collections of package chat.
type chatCollections struct {
	rooms, subscriptions, messages, trash, presence, presenceNodes *driver.Collection
}

func (c *chatCollections) open(db *driver.Database) {
	c.rooms = db.Collection("rocketchat_room")
	c.subscriptions = db.Collection("rocketchat_subscription")
	c.messages = db.Collection("rocketchat_message")
	c.trash = db.Collection("rocketchat__trash")
	c.presence = db.Collection("ddpserver_presence")
	c.presenceNodes = db.Collection("ddpserver_presence_nodes")
}

func (c *chatCollections) indexes() map[*driver.Collection][]index {
	return map[*driver.Collection][]index{
		c.rooms: {
			{keys: []string{"ddpNameKey"}, unique: true, ours: true},
			{keys: []string{"ddpDirectKey"}, unique: true, ours: true},
			{keys: []string{"t", "ddpNameKey", "_id"}, ours: true},
			{keys: []string{"default"}, sparse: true},
		},
		c.subscriptions: {
			{keys: []string{"rid", "u._id"}, unique: true, ours: true},
			{keys: []string{"u._id", "_updatedAt"}, ours: true},
			{keys: []string{"rid", "ddpUserKey", "_id"}, ours: true},
		},
		c.messages: {
			{keys: []string{"rid", "ts", "_id"}, ours: true},
			{keys: []string{"rid", "_updatedAt", "_id"}, ours: true},
			{keys: []string{"starred._id"}, sparse: true},
			{keys: []string{"pinned"}, sparse: true},
		},
		c.trash: {
			{keys: []string{"rid", "_deletedAt"}, ours: true},
			{keys: []string{"uid", "_deletedAt"}, sparse: true, ours: true},
			{keys: []string{"_deletedAt"}},
		},
		c.presence:      {{keys: []string{"uid"}, ours: true}, {keys: []string{"node"}, ours: true}},
		c.presenceNodes: {{keys: []string{"seen"}, ours: true}},
	}
}

// adoptChat gives the rooms and memberships of an adopted database the keys
// that look-ups use. A room whose name is taken in another spelling keeps its
// id and is not found by name.
func (s *Store) adoptChat(ctx context.Context) error {
	missing := bson.D{{Key: "$exists", Value: false}}
	err := findAll(ctx, s.chat.rooms, bson.D{{Key: "name", Value: bson.D{{Key: "$exists", Value: true}}}, {Key: "ddpNameKey", Value: missing}}, func(raw bson.Raw) error {
		r, err := decodeRoom(raw)
		if err != nil || r.Name == "" || r.Type == rooms.Direct {
			return nil //nolint:nilerr // one broken room must not keep the server from starting
		}
		return s.adoptKey(ctx, s.chat.rooms, r.ID, "ddpNameKey", user.Key(r.Name))
	})
	if err != nil {
		return err
	}
	err = findAll(ctx, s.chat.rooms, bson.D{{Key: "t", Value: rooms.Direct}, {Key: "ddpDirectKey", Value: missing}}, func(raw bson.Raw) error {
		r, err := decodeRoom(raw)
		if err != nil || len(r.UserIDs) == 0 {
			return nil //nolint:nilerr // as above
		}
		return s.adoptKey(ctx, s.chat.rooms, r.ID, "ddpDirectKey", rooms.DirectKey(r.UserIDs))
	})
	if err != nil {
		return err
	}
	return findAll(ctx, s.chat.subscriptions, bson.D{{Key: "ddpUserKey", Value: missing}}, func(raw bson.Raw) error {
		m, err := decode[rooms.Subscription](raw)
		if err != nil || m.User.Username == "" {
			return nil //nolint:nilerr // as above
		}
		return s.adoptKey(ctx, s.chat.subscriptions, m.ID, "ddpUserKey", user.Key(m.User.Username))
	})
}

func (s *Store) adoptKey(ctx context.Context, c *driver.Collection, id, field, key string) error {
	_, err := c.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}}, set(bson.D{{Key: field, Value: key}}))
	if err = failure(err); errors.Is(err, dberr.Duplicate) {
		s.log.Warn("adopted_key_taken", zap.String("collection", c.Name()), zap.String("id", id), zap.String("field", field))
		return nil
	}
	return err
}

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
	if err == nil && r.LastMessage != nil {
		dropEmpty(r.LastMessage)
	}
	return r, err
}

func one[T any](ctx context.Context, c *driver.Collection, filter bson.D, decode func(bson.Raw) (*T, error)) (*T, error) {
	ctx, cancel := op(ctx)
	defer cancel()
	raw, err := findRaw(ctx, c, filter)
	if err != nil {
		return nil, err
	}
	return decode(raw)
}

func many[T any](ctx context.Context, c *driver.Collection, filter bson.D, decode func(bson.Raw) (*T, error), opts ...options.Lister[options.FindOptions]) (out []*T, err error) {
	ctx, cancel := op(ctx)
	defer cancel()
	err = findAll(ctx, c, filter, func(raw bson.Raw) error {
		v, err := decode(raw)
		out = append(out, v)
		return err
	}, opts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// errEnough ends what findAll reads, as if no document followed.
var errEnough = errors.New("mongo: the page is full")

// pageOfMessages is many for messages: it ends at rooms.StoredPageBytes.
func (s *Store) pageOfMessages(ctx context.Context, filter bson.D, opts ...options.Lister[options.FindOptions]) (out []*rooms.Message, err error) {
	ctx, cancel := op(ctx)
	defer cancel()
	size := 0
	err = findAll(ctx, s.chat.messages, filter, func(raw bson.Raw) error {
		if size += len(raw); size > rooms.StoredPageBytes && len(out) > 0 {
			return errEnough
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
func updated[T any](ctx context.Context, c *driver.Collection, filter, update bson.D, decode func(bson.Raw) (*T, error)) (*T, error) {
	ctx, cancel := op(ctx)
	defer cancel()
	raw, err := c.FindOneAndUpdate(ctx, filter, update, options.FindOneAndUpdate().SetReturnDocument(options.After)).Raw()
	if err != nil {
		return nil, failure(err)
	}
	return decode(raw)
}

func (s *Store) count(ctx context.Context, c *driver.Collection, filter bson.D) (int, error) {
	ctx, cancel := op(ctx)
	defer cancel()
	n, err := c.CountDocuments(ctx, filter)
	return int(n), failure(err)
}

func in(values []string) bson.D { return bson.D{{Key: "$in", Value: values}} }

// UsersByIDs implements rooms.Store.
func (s *Store) UsersByIDs(ctx context.Context, ids []string) ([]*user.User, error) {
	return many(ctx, s.users, bson.D{{Key: "_id", Value: in(ids)}}, document.DecodeUser)
}

// UsersByUsernames implements rooms.Store.
func (s *Store) UsersByUsernames(ctx context.Context, keys []string) ([]*user.User, error) {
	return many(ctx, s.users, bson.D{{Key: "ddpUsernameKey", Value: in(keys)}}, document.DecodeUser)
}

// CreateRoom implements rooms.RoomStore. The room claims its id and name; if its
// members cannot be added it goes again.
func (s *Store) CreateRoom(ctx context.Context, r *rooms.Room, members []*rooms.Subscription) error {
	ctx, cancel := op(ctx)
	defer cancel()
	raw, err := document.Encode(r)
	if err != nil {
		return err
	}
	if _, err := s.chat.rooms.InsertOne(ctx, raw); err != nil {
		return failure(err)
	}
	if len(members) == 0 {
		return nil
	}
	docs := make([]any, len(members))
	for i, m := range members {
		docs[i] = m
	}
	if _, err = s.chat.subscriptions.InsertMany(ctx, docs); err == nil {
		return nil
	}
	undo, stop := context.WithTimeout(context.WithoutCancel(ctx), opTimeout)
	defer stop()
	_, err1 := s.chat.rooms.DeleteOne(undo, byID(r.ID))
	_, err2 := s.chat.subscriptions.DeleteMany(undo, bson.D{{Key: "rid", Value: r.ID}})
	return errors.Join(failure(err), failure(err1), failure(err2))
}

// RoomByID implements rooms.RoomStore.
func (s *Store) RoomByID(ctx context.Context, id string) (*rooms.Room, error) {
	return one(ctx, s.chat.rooms, byID(id), decodeRoom)
}

// RoomByName implements rooms.RoomStore.
func (s *Store) RoomByName(ctx context.Context, key string) (*rooms.Room, error) {
	return one(ctx, s.chat.rooms, bson.D{{Key: "ddpNameKey", Value: key}}, decodeRoom)
}

// RoomByDirectKey implements rooms.RoomStore.
func (s *Store) RoomByDirectKey(ctx context.Context, key string) (*rooms.Room, error) {
	return one(ctx, s.chat.rooms, bson.D{{Key: "ddpDirectKey", Value: key}}, decodeRoom)
}

// RoomsByIDs implements rooms.RoomStore.
func (s *Store) RoomsByIDs(ctx context.Context, ids []string, since time.Time) ([]*rooms.Room, error) {
	filter := bson.D{{Key: "_id", Value: in(ids)}}
	if !since.IsZero() {
		filter = append(filter, bson.E{Key: "_updatedAt", Value: bson.D{{Key: "$gte", Value: since}}})
	}
	return many(ctx, s.chat.rooms, filter, decodeRoom)
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
func (s *Store) ListRooms(ctx context.Context, t string, offset, count int) (rooms []*rooms.Room, total int, err error) {
	filter := bson.D{{Key: "t", Value: t}}
	if total, err = s.count(ctx, s.chat.rooms, filter); err != nil || count <= 0 {
		return nil, total, err
	}
	rooms, err = many(ctx, s.chat.rooms, filter, decodeRoom, page(offset, count, "ddpNameKey", "_id"))
	return rooms, total, err
}

// DefaultRooms implements rooms.RoomStore.
func (s *Store) DefaultRooms(ctx context.Context) ([]*rooms.Room, error) {
	return many(ctx, s.chat.rooms, bson.D{{Key: "default", Value: true}}, decodeRoom, page(0, 0, "_id"))
}

// UpdateRoom implements rooms.RoomStore.
func (s *Store) UpdateRoom(ctx context.Context, id string, c rooms.RoomChange) (*rooms.Room, error) {
	fields, unset := bson.D{{Key: "_updatedAt", Value: c.At}}, bson.D{}
	for _, f := range []struct {
		key   string
		value *string
	}{{"topic", c.Topic}, {"description", c.Description}, {"announcement", c.Announcement}} {
		switch {
		case f.value == nil:
		case *f.value == "":
			unset = append(unset, bson.E{Key: f.key, Value: 1})
		default:
			fields = append(fields, bson.E{Key: f.key, Value: *f.value})
		}
	}
	for _, f := range []struct {
		key   string
		value *bool
	}{{"ro", c.ReadOnly}, {"archived", c.Archived}, {"default", c.Default}} {
		if f.value != nil {
			fields = append(fields, bson.E{Key: f.key, Value: *f.value})
		}
	}
	update := set(fields)
	if len(unset) > 0 {
		update = append(update, bson.E{Key: "$unset", Value: unset})
	}
	return updated(ctx, s.chat.rooms, byID(id), update, decodeRoom)
}

// TouchLastMessage implements rooms.RoomStore.
func (s *Store) TouchLastMessage(ctx context.Context, m *rooms.Message, at time.Time) (bool, error) {
	ctx, cancel := op(ctx)
	defer cancel()
	return matched(s.chat.rooms.UpdateOne(ctx, bson.D{
		{Key: "_id", Value: m.RoomID}, {Key: "lastMessage._id", Value: m.ID},
		{Key: "lastMessage._updatedAt", Value: bson.D{{Key: "$lte", Value: m.UpdatedAt}}},
	}, set(bson.D{{Key: "lastMessage", Value: m}, {Key: "_updatedAt", Value: at}})))
}
