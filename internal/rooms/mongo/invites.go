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

// invitesName is a collection of our own: the tokens of Rocket.Chat's invites are six
// characters that stand there in clear.
const invitesName = "ddpserver_invites"

var inviteIndexes = []mongo.Index{{Keys: []string{"digest"}, Unique: true, Ours: true}, {Keys: []string{"rid"}, Ours: true}}

// inviteTries is how often an invite is put again that somebody else changes meanwhile.
const inviteTries = 10

// PutInvite implements rooms.InviteStore.
func (s *Store) PutInvite(ctx context.Context, i *rooms.Invite) (*rooms.Invite, error) {
	fields, err := document.Fields(i)
	if err != nil {
		return nil, err
	}
	for range inviteTries {
		old, err := s.InviteByID(ctx, i.ID)
		switch {
		case errors.Is(err, dberr.NotFound):
			if err = s.invites.Insert(ctx, i); !errors.Is(err, dberr.Duplicate) {
				return i, err
			}
			continue // somebody else made it
		case err != nil:
			return nil, err
		case old.Usable(i.CreatedAt):
			return old, nil
		}
		done, err := s.invites.UpdateOne(ctx, bson.D{{Key: "_id", Value: i.ID}, {Key: "seed", Value: old.Seed}, {Key: "uses", Value: old.Uses}}, set(fields[1:]))
		if err != nil || done {
			return i, err
		}
	}
	return nil, dberr.Unavailable
}

// InviteByID implements rooms.InviteStore.
func (s *Store) InviteByID(ctx context.Context, id string) (*rooms.Invite, error) {
	return one(ctx, s.invites, byID(id), decode[rooms.Invite])
}

// InviteByDigest implements rooms.InviteStore.
func (s *Store) InviteByDigest(ctx context.Context, digests []string) (*rooms.Invite, error) {
	if len(digests) == 0 {
		return nil, dberr.NotFound
	}
	return one(ctx, s.invites, bson.D{{Key: "digest", Value: in(digests)}}, decode[rooms.Invite])
}

// UseInvite implements rooms.InviteStore. It is written on condition that the uses are those that
// were looked at.
func (s *Store) UseInvite(ctx context.Context, id, seed string, at time.Time) error {
	for {
		i, err := s.InviteByID(ctx, id)
		switch {
		case err != nil:
			return err
		case i.Seed != seed || !i.Usable(at):
			return dberr.Conflict
		}
		if done, err := s.countUses(ctx, i, 1, at); err != nil || done {
			return err
		}
	}
}

// UnuseInvite implements rooms.InviteStore.
func (s *Store) UnuseInvite(ctx context.Context, id, seed string, at time.Time) error {
	for {
		i, err := s.InviteByID(ctx, id)
		switch {
		case err != nil:
			return ignore(err, dberr.NotFound)
		case i.Seed != seed || i.Uses == 0:
			return nil
		}
		if done, err := s.countUses(ctx, i, -1, at); err != nil || done {
			return err
		}
	}
}

func (s *Store) countUses(ctx context.Context, was *rooms.Invite, by int, at time.Time) (bool, error) {
	return s.invites.UpdateOne(ctx, bson.D{{Key: "_id", Value: was.ID}, {Key: "seed", Value: was.Seed}, {Key: "uses", Value: was.Uses}},
		set(bson.D{{Key: "uses", Value: was.Uses + by}, {Key: "_updatedAt", Value: at}}))
}

// RemoveInvite implements rooms.InviteStore.
func (s *Store) RemoveInvite(ctx context.Context, id string) error {
	_, err := s.invites.Take(ctx, byID(id))
	return err
}

// ListInvites implements rooms.InviteStore.
func (s *Store) ListInvites(ctx context.Context, offset, count int) (list []*rooms.Invite, total int, err error) {
	if total, err = s.invites.Count(ctx, bson.D{}); err != nil || count <= 0 {
		return nil, total, err
	}
	list, err = many(ctx, s.invites, bson.D{}, decode[rooms.Invite], page(offset, count, "_id"))
	return list, total, err
}
