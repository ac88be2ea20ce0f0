package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/mongo"
)

const hooksName = "rocketchat_integrations"

var hookIndexes = []mongo.Index{{Keys: []string{"type", "_createdAt", "_id"}, Ours: true}}

// incoming is the condition that a hook is one of those that there are here.
var incoming = bson.E{Key: "type", Value: rooms.IncomingHook}

func decodeHook(raw bson.Raw) (*rooms.Hook, error) { return decode[rooms.Hook](raw) }

// AddHook implements rooms.HookStore.
func (s *Store) AddHook(ctx context.Context, h *rooms.Hook) error { return s.hooks.Insert(ctx, h) }

// HookByID implements rooms.HookStore.
func (s *Store) HookByID(ctx context.Context, id string) (*rooms.Hook, error) {
	return one(ctx, s.hooks, append(byID(id), incoming), decodeHook)
}

// SetHook implements rooms.HookStore. What is empty now goes, a token above all.
func (s *Store) SetHook(ctx context.Context, h *rooms.Hook, was time.Time) error {
	fields, err := document.Fields(h)
	if err != nil {
		return err
	}
	update := set(fields[1:]) // all but the id, which comes first
	gone := bson.D{}
	for name, value := range map[string]string{"alias": h.Alias, "avatar": h.Avatar, "emoji": h.Emoji, "ddpToken": h.Digest, "token": h.Token} {
		if value == "" {
			gone = append(gone, bson.E{Key: name, Value: ""})
		}
	}
	if len(gone) > 0 {
		update = append(update, bson.E{Key: "$unset", Value: gone})
	}
	_, err = s.hooks.Update(ctx, append(byID(h.ID), incoming, bson.E{Key: "_updatedAt", Value: was}), update)
	if !errors.Is(err, dberr.NotFound) {
		return err
	}
	if _, err := s.HookByID(ctx, h.ID); err != nil {
		return err
	}
	return dberr.Conflict
}

// RemoveHook implements rooms.HookStore.
func (s *Store) RemoveHook(ctx context.Context, id string) error {
	_, err := s.hooks.Take(ctx, append(byID(id), incoming))
	return err
}

// ListHooks implements rooms.HookStore.
func (s *Store) ListHooks(ctx context.Context, q rooms.HookQuery) ([]*rooms.Hook, int, error) {
	filter := bson.D{incoming}
	if q.MakerID != "" {
		filter = append(filter, bson.E{Key: "_createdBy._id", Value: q.MakerID})
	}
	if q.Name != "" {
		filter = append(filter, bson.E{Key: "name", Value: q.Name})
	}
	if len(q.Channels) > 0 {
		filter = append(filter, bson.E{Key: "channel", Value: in(q.Channels)})
	}
	total, err := s.hooks.Count(ctx, filter)
	if err != nil {
		return nil, 0, err
	}
	list, err := many(ctx, s.hooks, filter, decodeHook, page(q.Offset, max(q.Limit, 1), "-_createdAt", "-_id"))
	return list, total, err
}
