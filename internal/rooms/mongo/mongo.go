// Package mongo is the rooms' half of the store on MongoDB: the collections of
// Rocket.Chat in the database of the core. It stores and decides nothing about
// accounts; those it asks the core for.
package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/user"
)

// Store keeps rooms, memberships, messages and presence.
type Store struct {
	*mongo.Store
	rooms, subscriptions, messages, trash, presence, nodes, acts, uploads, hooks, invites, reports mongo.Collection
}

// The names of the collections.
const (
	roomsName         = "rocketchat_room"
	subscriptionsName = "rocketchat_subscription"
	messagesName      = "rocketchat_message"
	trashName         = "rocketchat__trash"
	presenceName      = "ddpserver_presence"
	nodesName         = "ddpserver_presence_nodes"
	actsName          = "ddpserver_acts"
)

// New makes the rooms' half of a store that was opened with Parts.
func New(core *mongo.Store) *Store {
	return &Store{
		Store: core,
		rooms: core.Collection(roomsName), subscriptions: core.Collection(subscriptionsName), messages: core.Collection(messagesName),
		trash: core.Collection(trashName), presence: core.Collection(presenceName), nodes: core.Collection(nodesName),
		acts: core.Collection(actsName), uploads: core.Collection(uploadsName), hooks: core.Collection(hooksName),
		invites: core.Collection(invitesName), reports: core.Collection(reportsName),
	}
}

// Parts are the collections of rooms, for mongo.Options.
func Parts() []mongo.Part {
	return []mongo.Part{{Adopt: adopt, Indexes: map[string][]mongo.Index{
		roomsName: {
			{Keys: []string{"ddpNameKey"}, Unique: true, Ours: true},
			{Keys: []string{"ddpDirectKey"}, Unique: true, Ours: true},
			{Keys: []string{"t", "ddpNameKey", "_id"}, Ours: true},
			{Keys: []string{"default"}, Sparse: true},
		},
		subscriptionsName: {
			{Keys: []string{"rid", "u._id"}, Unique: true, Ours: true},
			{Keys: []string{"u._id", "_updatedAt"}, Ours: true},
			{Keys: []string{"rid", "ddpUserKey", "_id"}, Ours: true},
		},
		messagesName: {
			{Keys: []string{"rid", "ts", "_id"}, Ours: true},
			{Keys: []string{"rid", "_updatedAt", "_id"}, Ours: true},
			{Keys: []string{"starred._id"}, Sparse: true},
			{Keys: []string{"pinned"}, Sparse: true},
			{Keys: []string{openField + ".at"}, Sparse: true, Ours: true},
			{Keys: []string{"tmid"}, Sparse: true},
			{Keys: []string{"tlm"}, Sparse: true, Ours: true},
		},
		trashName: {
			{Keys: []string{"rid", "_deletedAt"}, Ours: true},
			{Keys: []string{"uid", "_deletedAt"}, Sparse: true, Ours: true},
			{Keys: []string{"_deletedAt"}},
		},
		presenceName: {{Keys: []string{"uid"}, Ours: true}, {Keys: []string{"node"}, Ours: true}},
		nodesName:    {{Keys: []string{"seen"}, Ours: true}},
		uploadsName:  fileIndexes,
		hooksName:    hookIndexes,
		invitesName:  inviteIndexes,
		reportsName:  reportIndexes,
		actsName:     {{Keys: []string{"at"}, Ours: true}, {Keys: []string{"rid"}, Sparse: true, Ours: true}},
	}}}
}

// adopt gives the rooms and memberships of an adopted database the keys
// that look-ups use. A room whose name is taken in another spelling keeps its
// id and is not found by name.
func adopt(ctx context.Context, core *mongo.Store, log *zap.Logger) error {
	s := New(core)
	missing := bson.D{{Key: "$exists", Value: false}}
	err := s.rooms.All(ctx, bson.D{{Key: "name", Value: bson.D{{Key: "$exists", Value: true}}}, {Key: "ddpNameKey", Value: missing}}, func(raw bson.Raw) error {
		r, err := decodeRoom(raw)
		if err != nil || r.Name == "" || r.Type == rooms.Direct {
			return nil // one broken room must not keep the server from starting
		}
		return adoptKey(ctx, log, s.rooms, r.ID, "ddpNameKey", user.Key(r.Name))
	})
	if err != nil {
		return err
	}
	err = s.rooms.All(ctx, bson.D{{Key: "t", Value: rooms.Direct}, {Key: "ddpDirectKey", Value: missing}}, func(raw bson.Raw) error {
		r, err := decodeRoom(raw)
		if err != nil || len(r.UserIDs) == 0 {
			return nil // as above
		}
		return adoptKey(ctx, log, s.rooms, r.ID, "ddpDirectKey", rooms.DirectKey(r.UserIDs))
	})
	if err != nil {
		return err
	}
	if err := s.adoptMuted(ctx); err != nil {
		return err
	}
	return s.subscriptions.All(ctx, bson.D{{Key: "ddpUserKey", Value: missing}}, func(raw bson.Raw) error {
		m, err := decode[rooms.Subscription](raw)
		if err != nil || m.User.Username == "" {
			return nil // as above
		}
		return adoptKey(ctx, log, s.subscriptions, m.ID, "ddpUserKey", user.Key(m.User.Username))
	})
}

// adoptMuted notes by id who is muted, and who may write in a room that is read-only:
// Rocket.Chat keeps names, and whoever is called something else tomorrow is muted still.
func (s *Store) adoptMuted(ctx context.Context) error {
	for names, ids := range map[string]string{"muted": "ddpMuted", "unmuted": "ddpUnmuted"} {
		filter := bson.D{{Key: names + ".0", Value: bson.D{{Key: "$exists", Value: true}}}, {Key: ids, Value: bson.D{{Key: "$exists", Value: false}}}}
		err := s.rooms.All(ctx, filter, func(raw bson.Raw) error {
			r, err := decodeRoom(raw)
			if err != nil {
				return nil // as above
			}
			list := r.Muted
			if names == "unmuted" {
				list = r.Unmuted
			}
			found := []string{}
			for _, name := range list {
				u, err := s.UserByUsername(ctx, user.Key(name))
				switch {
				case err == nil:
					found = append(found, u.ID)
				case !errors.Is(err, dberr.NotFound) && !errors.Is(err, document.ErrBroken):
					return err
				}
			}
			_, err = s.rooms.UpdateOne(ctx, byID(r.ID), set(bson.D{{Key: ids, Value: found}}))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func adoptKey(ctx context.Context, log *zap.Logger, c mongo.Collection, id, field, key string) error {
	_, err := c.UpdateOne(ctx, byID(id), set(bson.D{{Key: field, Value: key}}))
	if errors.Is(err, dberr.Duplicate) {
		log.Warn("adopted_key_taken", zap.String("collection", c.Name()), zap.String("id", id), zap.String("field", field))
		return nil
	}
	return err
}

var _ rooms.Store = (*Store)(nil)
