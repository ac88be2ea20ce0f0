package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
)

// An act that writes several documents is one transaction where the database has them. Where
// it has none, and for renames, which may touch any number of documents, a note of it is
// written first and removed last; a message carries its note itself (openField), on every
// database: the document of its room is what everybody in it writes to, and may not stay
// locked for a node that died. What a note is still there of when its node must be through is
// mended from what the documents say (mend.go). ADR 13 weighs this.

// note is an act under way.
type note struct {
	ID     string    `bson:"_id"`
	At     time.Time `bson:"at"`
	RoomID string    `bson:"rid,omitempty"`
	// Members are those with whom a room is made.
	Members []*rooms.Subscription `bson:"members,omitempty"`
	// Gone is what a document leaves that is about to be deleted.
	Gone *rooms.Gone `bson:"gone,omitempty"`
	// ThreadID is what a message answers that is about to be deleted.
	ThreadID string `bson:"tmid,omitempty"`
	// UserID is the account whose name changed.
	UserID string `bson:"uid,omitempty"`
	// Follow says that the room is called otherwise, and its memberships follow.
	Follow bool `bson:"follow,omitempty"`
	// Block is who blocks whom in a direct room.
	Block *blocking `bson:"block,omitempty"`
	// Erase is when the room went, with everything in it.
	Erase time.Time `bson:"erase,omitempty"`
}

// openField is the note that a message carries until its room and its members know it.
const openField = "ddpOpen"

// open is that note: when the message was inserted, and whose counters it moves.
type open struct {
	At           time.Time `bson:"at"`
	rooms.Unread `bson:",inline"`
}

// withNote is a message as it is inserted.
func (s *Store) withNote(m *rooms.Message, e rooms.Unread) (bson.D, error) {
	fields, err := document.Fields(m)
	return append(fields, bson.E{Key: openField, Value: open{s.Clock(), e}}), err
}

// settled takes the note out of a message whose room and members know it. A failure is
// nobody's business but the log's: what is mended then is as it should be.
func (s *Store) settled(ctx context.Context, id string) {
	if _, err := s.messages.UpdateOne(ctx, byID(id), bson.D{{Key: "$unset", Value: bson.D{{Key: openField, Value: 1}}}}); err != nil {
		s.Log().Warn("note_not_removed", zap.String("message_id", id), zap.Error(err))
	}
}

// together runs an act on a room: as one, or with a note of it.
func (s *Store) together(ctx context.Context, n note, do func(ctx context.Context) error) error {
	if s.Transactions() {
		return s.Transaction(ctx, do)
	}
	return s.noted(ctx, n, do)
}

// noted runs an act with a note of it, which stays when it is not known how far the act came.
func (s *Store) noted(ctx context.Context, n note, do func(ctx context.Context) error) error {
	n.ID, n.At = random.ID(), s.Clock()
	if err := s.acts.Insert(ctx, n); err != nil {
		return err
	}
	err := do(ctx)
	if errors.Is(err, dberr.Unavailable) || ctx.Err() != nil {
		return err
	}
	if err := s.acts.Remove(ctx, byID(n.ID)); err != nil {
		s.Log().Warn("note_not_removed", zap.String("room_id", n.RoomID), zap.Error(err))
	}
	return err
}
