package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/mongo"
)

const uploadsName = "rocketchat_uploads"

// fileIndexes are those of files. What another program left there has no state.
var fileIndexes = []mongo.Index{
	{Keys: []string{"userId", "size"}, Ours: true},
	{Keys: []string{"rid", "ddpState", "uploadedAt", "_id"}, Ours: true},
	{Keys: []string{"ddpState", "_updatedAt"}, Ours: true},
}

func decodeFile(raw bson.Raw) (*rooms.File, error) { return decode[rooms.File](raw) }

func inState(s rooms.FileState) bson.E { return bson.E{Key: "ddpState", Value: s} }

// own is the condition that a file is of this program's.
var own = bson.E{Key: "ddpState", Value: bson.D{{Key: "$exists", Value: true}}}

// AddFile implements rooms.FileStore.
func (s *Store) AddFile(ctx context.Context, f *rooms.File) error { return s.uploads.Insert(ctx, f) }

// FileByID implements rooms.FileStore.
func (s *Store) FileByID(ctx context.Context, id string) (*rooms.File, error) {
	return one(ctx, s.uploads, append(byID(id), own), decodeFile)
}

// missed tells why a condition on a file did not hold.
func (s *Store) missed(ctx context.Context, id string, err error) error {
	if !errors.Is(err, dberr.NotFound) {
		return err
	}
	if _, err := s.FileByID(ctx, id); err != nil {
		return err
	}
	return dberr.Conflict
}

// SetFile implements rooms.FileStore.
func (s *Store) SetFile(ctx context.Context, f *rooms.File, from rooms.FileState) error {
	fields, err := document.Fields(f)
	if err != nil {
		return err
	}
	_, err = s.uploads.Update(ctx, append(byID(f.ID), inState(from)), set(fields[1:])) // all but the id, which comes first
	return s.missed(ctx, f.ID, err)
}

// TouchFile implements rooms.FileStore.
func (s *Store) TouchFile(ctx context.Context, id string, at time.Time) error {
	_, err := s.uploads.Update(ctx, append(byID(id), inState(rooms.FileUploading)), set(bson.D{{Key: "_updatedAt", Value: at}}))
	return s.missed(ctx, id, err)
}

// EndFile implements rooms.FileStore.
func (s *Store) EndFile(ctx context.Context, id string, at time.Time) (*rooms.File, error) {
	var f rooms.File
	f.End(at)
	return updated(ctx, s.uploads, append(byID(id), own), set(bson.D{inState(f.State), {Key: "_updatedAt", Value: at},
		{Key: "complete", Value: f.Complete}, {Key: "uploading", Value: f.Uploading}}), decodeFile)
}

// RemoveFile implements rooms.FileStore.
func (s *Store) RemoveFile(ctx context.Context, id string) error {
	_, err := s.uploads.Take(ctx, append(byID(id), inState(rooms.FileGone)))
	return s.missed(ctx, id, err)
}

// FilesSize implements rooms.FileStore. Nothing but the sizes is sent.
func (s *Store) FilesSize(ctx context.Context, userID string) (size int64, err error) {
	err = s.uploads.Newest().All(ctx, bson.D{{Key: "userId", Value: userID}, own}, func(raw bson.Raw) error {
		f, err := decodeFile(raw)
		if err == nil {
			size += f.Size
		}
		return err
	}, options.Find().SetProjection(bson.D{{Key: "size", Value: 1}}))
	return size, err
}

// ListFiles implements rooms.FileStore.
func (s *Store) ListFiles(ctx context.Context, q rooms.FileQuery) (list []*rooms.File, total int, err error) {
	filter := bson.D{{Key: "rid", Value: q.RoomID}, inState(rooms.FileAttached)}
	if q.Group != "" {
		filter = append(filter, bson.E{Key: "typeGroup", Value: q.Group})
	}
	if q.UserID != "" {
		filter = append(filter, bson.E{Key: "userId", Value: q.UserID})
	}
	if q.Name != "" {
		return s.namedFiles(ctx, q, filter)
	}
	if total, err = s.uploads.Count(ctx, filter); err != nil {
		return nil, 0, err
	}
	list, err = many(ctx, s.uploads, filter, decodeFile, page(q.Offset, max(q.Limit, 1), "-uploadedAt", "-_id"))
	return list, total, err
}

// namedFiles searches for names here: no pattern of a client's gets to the database.
func (s *Store) namedFiles(ctx context.Context, q rooms.FileQuery, filter bson.D) (list []*rooms.File, total int, err error) {
	err = s.uploads.All(ctx, filter, func(raw bson.Raw) error {
		f, err := decodeFile(raw)
		if err != nil || !q.Keeps(f) {
			return err
		}
		if total++; total > q.Offset && len(list) < max(q.Limit, 1) {
			list = append(list, f)
		}
		return nil
	}, page(0, 0, "-uploadedAt", "-_id"))
	if err != nil {
		return nil, 0, err
	}
	return list, total, nil
}

// StaleFiles implements rooms.FileStore.
func (s *Store) StaleFiles(ctx context.Context, in rooms.FileState, before time.Time, limit int) ([]*rooms.File, error) {
	return many(ctx, s.uploads, bson.D{inState(in), {Key: "_updatedAt", Value: bson.D{{Key: "$lt", Value: before}}}}, decodeFile,
		page(0, limit, "_updatedAt", "_id"))
}

// FilesAfter implements rooms.FileStore.
func (s *Store) FilesAfter(ctx context.Context, id string, limit int) ([]*rooms.File, error) {
	return many(ctx, s.uploads, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: id}}}, inState(rooms.FileAttached)}, decodeFile,
		page(0, limit, "_id"))
}
