package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// UsersByIDs finds the accounts that exist, in no order.
func (s *Store) UsersByIDs(ctx context.Context, ids []string) ([]*user.User, error) {
	return s.usersWith(ctx, "_id", ids)
}

// UsersByUsernames finds the accounts that exist, in no order. Names are keys
// made by user.Key.
func (s *Store) UsersByUsernames(ctx context.Context, keys []string) ([]*user.User, error) {
	return s.usersWith(ctx, "ddpUsernameKey", keys)
}

// usersWith finds the accounts whose field has one of the values.
func (s *Store) usersWith(ctx context.Context, field string, values []string, opts ...options.Lister[options.FindOptions]) (users []*user.User, err error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	err = findAll(ctx, s.users, bson.D{{Key: field, Value: bson.D{{Key: "$in", Value: values}}}}, func(raw bson.Raw) error {
		u, err := document.DecodeUser(raw)
		if errors.Is(err, document.ErrBroken) {
			return nil // it keeps nobody else from being found
		}
		users = append(users, u)
		return err
	}, opts...)
	if err != nil {
		return nil, err
	}
	return users, nil
}

// SaveStatuses sets the statuses shown to others, by user id, and returns those
// accounts for which it was another one, as they are now.
func (s *Store) SaveStatuses(ctx context.Context, statuses map[string]string, at time.Time) (changed []*user.User, err error) {
	ids := make([]string, 0, len(statuses))
	for id := range statuses {
		ids = append(ids, id)
	}
	users, err := s.UsersByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	byStatus := map[string][]string{}
	for _, u := range users {
		if u.Status != statuses[u.ID] {
			u.Status, u.UpdatedAt = statuses[u.ID], at
			byStatus[u.Status] = append(byStatus[u.Status], u.ID)
			changed = append(changed, u)
		}
	}
	ctx, cancel := s.op(ctx)
	defer cancel()
	for status, ids := range byStatus {
		_, err := s.users.UpdateMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}},
			bson.D{{Key: "$set", Value: bson.D{{Key: "status", Value: status}, {Key: "_updatedAt", Value: at}}}})
		if err != nil {
			return nil, failure(err)
		}
	}
	return changed, nil
}

// UsersNotOffline are the accounts that are shown as something else than
// offline, by id, at most limit of them.
func (s *Store) UsersNotOffline(ctx context.Context, limit int) ([]*user.User, error) {
	return s.usersWith(ctx, "status", []string{user.Online, user.Away, user.Busy},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(int64(limit)))
}
