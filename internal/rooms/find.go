package rooms

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/user"
)

// NameTaken tells whether a channel or group has that name. Whoever makes a room is told
// the same.
func (s *Service) NameTaken(ctx context.Context, name string) (bool, error) {
	key := user.Key(strings.TrimSpace(name))
	if key == "" {
		return false, nil
	}
	_, err := s.store.RoomByName(ctx, key)
	if errors.Is(err, dberr.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// HasMember tells a member of a room whether somebody is in it; of oneself everybody may ask
// who may know of the room.
func (s *Service) HasMember(ctx context.Context, by *user.User, roomID, userID string) (bool, error) {
	_, member, err := s.Room(ctx, by, roomID)
	switch {
	case err != nil:
		return false, err
	case userID == by.ID:
		return member, nil
	case !member:
		return false, ErrNotAuthorized
	}
	return s.IsMember(ctx, userID, roomID)
}

// maxOnline bounds the list of those who are not offline.
const maxOnline = 1000

// Online are the members of a room who are not offline, by user name, for its members: at
// most maxOnline.
func (s *Service) Online(ctx context.Context, by *user.User, roomID string) (out []*user.User, err error) {
	if _, err := s.member(ctx, by, roomID, ErrRoomNotFound, ErrNotAuthorized); err != nil {
		return nil, err
	}
	for at := 0; ; at += maxMembers {
		batch, total, err := s.memberPage(ctx, roomID, at, maxMembers)
		if err != nil {
			return nil, err
		}
		for _, u := range batch {
			if cmp.Or(u.Status, Offline) == Offline {
				continue
			}
			if out = append(out, u); len(out) == maxOnline {
				return out, nil
			}
		}
		if at+maxMembers >= total {
			return out, nil
		}
	}
}

// All pages through the rooms of the server, for those who administer them.
func (s *Service) All(ctx context.Context, by *user.User, q RoomQuery) ([]*Room, int, error) {
	if !permission.Has(by, permission.ViewRoomAdministration) {
		return nil, 0, fault.NotAuthorized
	}
	q.Begins = user.Key(q.Begins)
	return s.store.ListRooms(ctx, q)
}

// Any finds a room whoever is in it, for those who administer rooms.
func (s *Service) Any(ctx context.Context, by *user.User, roomID string) (*Room, error) {
	if !permission.Has(by, permission.ViewRoomAdministration) {
		return nil, fault.NotAuthorized
	}
	if roomID == "" {
		return nil, ErrRoomNotFound
	}
	room, err := s.store.RoomByID(ctx, roomID)
	return room, instead(err, dberr.NotFound, ErrRoomNotFound)
}

// Own pages through the caller's channels and groups whose name contains the text, by name.
func (s *Service) Own(ctx context.Context, by *user.User, text string, offset, count int) (page []*Room, total int, err error) {
	subs, err := s.store.SubscriptionsOf(ctx, by.ID, time.Time{})
	if err != nil {
		return nil, 0, err
	}
	want := user.Key(text)
	subs = slices.DeleteFunc(subs, func(m *Subscription) bool { return m.Type == Direct || !m.named(want) })
	slices.SortFunc(subs, func(a, b *Subscription) int {
		return cmp.Or(strings.Compare(user.Key(a.Name), user.Key(b.Name)), strings.Compare(a.RoomID, b.RoomID))
	})
	total = len(subs)
	subs = subs[min(max(offset, 0), total):]
	subs = subs[:min(max(count, 0), len(subs))]
	if len(subs) == 0 {
		return nil, total, nil
	}
	ids := make([]string, len(subs))
	for i, m := range subs {
		ids[i] = m.RoomID
	}
	page, err = s.store.RoomsByIDs(ctx, ids, time.Time{})
	slices.SortFunc(page, func(a, b *Room) int { return slices.Index(ids, a.ID) - slices.Index(ids, b.ID) })
	return page, total, err
}

// named tells whether what the user calls the room contains a text, made by user.Key.
func (s *Subscription) named(want string) bool {
	return want == "" || strings.Contains(user.Key(s.Name), want) || strings.Contains(user.Key(s.FName), want)
}
