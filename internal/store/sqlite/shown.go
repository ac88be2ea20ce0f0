package sqlite

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// shownStatuses is the status each account is shown with, by user id. One server
// owns the directory, so nobody else could read it, and it means nothing after
// the process: it lives in memory, and a login writes nothing to the disk. The
// status in a stored document holds until the account is first shown as
// something here.
type shownStatuses struct {
	mu     sync.RWMutex
	byUser map[string]shownStatus
}

type shownStatus struct {
	status string
	at     time.Time
}

// dress gives an account the status it is shown with.
func (s *shownStatuses) dress(u *user.User) {
	s.mu.RLock()
	now, set := s.byUser[u.ID]
	s.mu.RUnlock()
	if !set {
		return
	}
	u.Status = now.status
	if now.at.After(u.UpdatedAt) {
		u.UpdatedAt = now.at
	}
}

func (s *shownStatuses) set(id, status string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byUser == nil {
		s.byUser = map[string]shownStatus{}
	}
	s.byUser[id] = shownStatus{status, at}
}

// unset lets the document say how the account is shown, or forgets one that is
// no more.
func (s *shownStatuses) unset(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byUser, id)
}

// notOffline lists the ids of the accounts that are not offline, in order.
func (s *shownStatuses) notOffline() (ids []string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, now := range s.byUser {
		if now.status != user.Offline {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// SaveStatuses sets the statuses shown to others, by user id, and returns those
// accounts for which it was another one, as they are now.
func (s *Store) SaveStatuses(ctx context.Context, statuses map[string]string, at time.Time) (changed []*user.User, _ error) {
	for id, status := range statuses {
		u, err := s.UserByID(ctx, id)
		if err == dberr.NotFound { // failure makes exactly this value
			continue
		}
		if err != nil {
			return nil, err
		}
		if u.Status != status {
			s.shown.set(id, status, at)
			u.Status, u.UpdatedAt = status, at
			changed = append(changed, u)
		}
	}
	return changed, nil
}

// UsersNotOffline are the accounts that this process shows as something else
// than offline, by id, at most limit of them.
func (s *Store) UsersNotOffline(ctx context.Context, limit int) ([]*user.User, error) {
	ids := s.shown.notOffline()
	return s.UsersByIDs(ctx, ids[:min(len(ids), max(limit, 0))])
}

// UsersByIDs finds the accounts that exist, in no order.
func (s *Store) UsersByIDs(ctx context.Context, ids []string) ([]*user.User, error) {
	return Each(ids, func(id string) (*user.User, error) { return s.UserByID(ctx, id) })
}

// UsersByUsernames finds the accounts that exist, in no order. Names are keys
// made by user.Key.
func (s *Store) UsersByUsernames(ctx context.Context, keys []string) ([]*user.User, error) {
	return Each(keys, func(key string) (*user.User, error) { return s.UserByUsername(ctx, key) })
}

// Each collects what get finds. Prepared look-ups by key cost tens of
// microseconds; a list in the statement would need a new plan for each length.
func Each[T any](keys []string, get func(key string) (*T, error)) ([]*T, error) {
	var out []*T
	for _, key := range keys {
		v, err := get(key)
		switch {
		case err == dberr.NotFound, errors.Is(err, document.ErrBroken): // failure makes exactly that value
		case err != nil:
			return nil, err
		default:
			out = append(out, v)
		}
	}
	return out, nil
}
