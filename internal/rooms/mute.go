package rooms

import (
	"context"
	"slices"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/user"
)

// Mute keeps a member of a channel or group from writing there, or lets a member write
// again, in a read-only room as well.
func (s *Service) Mute(ctx context.Context, by *user.User, roomID, username string, on bool) error {
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	switch {
	case a.unknown(permission.MuteUser):
		return ErrInvalidRoom
	case !a.may(permission.MuteUser):
		return fault.NotAllowed
	case a.room.Type == Direct:
		return ErrRoomType
	}
	users, err := s.users(ctx, []string{username})
	if err != nil {
		return instead(err, ErrUserNotFound, ErrInvalidUser)
	}
	who := ref(users[0])
	if _, err := s.store.Subscription(ctx, roomID, who.ID); err != nil {
		return instead(err, dberr.NotFound, ErrOtherNotMember)
	}
	c, note := RoomChange{Mute: &who, At: s.time()}, TypeMuted
	if !on {
		c, note = RoomChange{Unmute: &who, At: c.At}, TypeUnmuted
	}
	was, room, err := s.store.ChangeRoom(ctx, roomID, c)
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	if was.sameAs(room) {
		return nil
	}
	if err := s.tellChange(ctx, by, was, room); err != nil {
		return err
	}
	return s.announce(ctx, room, &Message{Type: note, Text: who.Username, User: ref(by), TS: c.At})
}

// Block has the caller block the other side of a direct room of two, or takes that back;
// while one of them blocks, neither writes there. other is an id, and may be empty.
func (s *Service) Block(ctx context.Context, by *user.User, roomID, other string, on bool) error {
	a, err := s.member(ctx, by, roomID, ErrInvalidRoom, ErrInvalidRoom)
	if err != nil {
		return err
	}
	sides := slices.DeleteFunc(slices.Clone(a.room.UserIDs), func(id string) bool { return id == by.ID })
	if a.room.Type != Direct || len(sides) != 1 || other != "" && other != sides[0] {
		return ErrInvalidRoom
	}
	changed, err := s.store.SetBlocked(ctx, roomID, by.ID, sides[0], on, s.time())
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	if changed {
		s.tellUnread(roomID, by.ID, by.ID, sides[0])
	}
	return nil
}
