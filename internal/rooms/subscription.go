package rooms

import (
	"context"
	"errors"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Rooms are the caller's rooms that changed at or after since (zero: all of
// them), and what is gone since then, by room id.
func (s *Service) Rooms(ctx context.Context, by *user.User, since time.Time) (update []*Room, gone []Gone, err error) {
	ids, err := s.store.RoomIDsOf(ctx, by.ID)
	if err != nil {
		return nil, nil, err
	}
	if len(ids) > 0 {
		if update, err = s.store.RoomsByIDs(ctx, ids, since); err != nil {
			return nil, nil, err
		}
	}
	if since.IsZero() {
		return update, nil, nil
	}
	subs, err := s.store.GoneSubscriptions(ctx, by.ID, since)
	if err != nil {
		return nil, nil, err
	}
	still := make(map[string]bool, len(ids))
	for _, id := range ids {
		still[id] = true
	}
	for _, g := range subs {
		if !still[g.RoomID] {
			gone = append(gone, Gone{ID: g.RoomID, DeletedAt: g.DeletedAt})
		}
	}
	return update, gone, nil
}

// Subscriptions are the caller's memberships that changed at or after since
// (zero: all of them), and those that ended since then.
func (s *Service) Subscriptions(ctx context.Context, by *user.User, since time.Time) (update []*Subscription, gone []Gone, err error) {
	if update, err = s.store.SubscriptionsOf(ctx, by.ID, since); err != nil || since.IsZero() {
		return update, nil, err
	}
	gone, err = s.store.GoneSubscriptions(ctx, by.ID, since)
	return update, gone, err
}

// Subscription is the caller's own membership of a room, or nil.
func (s *Service) Subscription(ctx context.Context, by *user.User, roomID string) (*Subscription, error) {
	sub, err := s.store.Subscription(ctx, roomID, by.ID)
	if errors.Is(err, dberr.NotFound) {
		return nil, nil
	}
	return sub, err
}

// Read marks everything in a room as seen by the caller; threads: what stands in its
// threads as well.
func (s *Service) Read(ctx context.Context, by *user.User, roomID string, threads bool) error {
	a, err := s.seat(ctx, by, roomID)
	switch {
	case errors.Is(err, dberr.NotFound):
		return ErrNoRoom
	case err != nil:
		return err
	case a.sub == nil:
		return fault.NotAllowed
	}
	_, err = s.change(ctx, by.ID, roomID, SubscriptionChange{Read: true, ReadThreads: threads})
	return instead(err, dberr.NotFound, fault.NotAllowed)
}

// Open shows a room in the caller's list, or hides it; it tells whether that
// changed anything. A room that the caller is not in changes nothing.
func (s *Service) Open(ctx context.Context, by *user.User, roomID string, on bool) (bool, error) {
	changed, err := s.change(ctx, by.ID, roomID, SubscriptionChange{Open: &on})
	return changed, instead(err, dberr.NotFound, nil)
}

// Favorite marks a room in the caller's list; it tells whether that changed anything.
func (s *Service) Favorite(ctx context.Context, by *user.User, roomID string, on bool) (bool, error) {
	if !s.set.Bool(settings.FavoriteRooms) {
		return false, ErrNotSubscribed
	}
	changed, err := s.change(ctx, by.ID, roomID, SubscriptionChange{Favorite: &on})
	return changed, instead(err, dberr.NotFound, ErrNotSubscribed)
}

// change changes one membership and tells its user.
func (s *Service) change(ctx context.Context, userID, roomID string, c SubscriptionChange) (bool, error) {
	c.At = s.time()
	_, changed, err := s.store.ChangeSubscription(ctx, roomID, userID, c)
	if err != nil || !changed {
		return false, err
	}
	s.tellUnread(roomID, userID, userID)
	return true, nil
}

// Renamed follows a change of an account's name or user name: memberships are
// rewritten and everybody is told.
func (s *Service) Renamed(ctx context.Context, u *user.User) error {
	if err := s.store.RenameUser(ctx, ref(u), s.time()); err != nil {
		return err
	}
	doc := ref(u)
	return s.stream(NotifyLogged, "Users:NameChanged", doc.Doc())
}

// Forget ends every membership of an account that is no more. Where it was the
// last owner, another member becomes one.
func (s *Service) Forget(ctx context.Context, userID string) error {
	ids, err := s.store.RoomIDsOf(ctx, userID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		at := s.time()
		room, sub, err := s.store.RemoveMember(ctx, id, userID, false, at)
		if errors.Is(err, dberr.Conflict) {
			if err = s.passOn(ctx, id, userID, at); err == nil {
				room, sub, err = s.store.RemoveMember(ctx, id, userID, true, at)
			}
		}
		if errors.Is(err, dberr.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		s.tellMembership(room, true, userID)
		if err := errors.Join(s.tellSubscription(sub, removed), s.tellRoom(room, "", updated)); err != nil {
			return err
		}
	}
	return nil
}

// passOn makes the first other member of a room, if there is one, an owner.
func (s *Service) passOn(ctx context.Context, roomID, userID string, at time.Time) error {
	subs, _, err := s.store.ListMembers(ctx, roomID, 0, 2)
	if err != nil {
		return err
	}
	for _, sub := range subs {
		if sub.User.ID != userID {
			_, err = s.store.SetMemberRole(ctx, roomID, sub.User.ID, Owner, true, at)
			return instead(err, dberr.Conflict, nil)
		}
	}
	return nil
}
