package rooms

import (
	"context"
	"slices"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/user"
)

// Archive takes a channel or group out of use, or back into it. An archived room is read; it
// takes no messages and nobody comes in.
func (s *Service) Archive(ctx context.Context, by *user.User, roomID string, on bool) error {
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	switch {
	case a.unknown(permission.ArchiveRoom):
		return ErrInvalidRoom
	case a.room.Type == Direct:
		return ErrDirectArchive
	case !a.may(permission.ArchiveRoom):
		return fault.NotAuthorized
	}
	was, room, err := s.store.ChangeRoom(ctx, roomID, RoomChange{Archived: &on, At: s.time()})
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	return s.tellChange(ctx, by, was, room)
}

// Erase ends a channel or group with all that was said there. The first channel stays, since
// the next start would make it again, and direct rooms, which are both sides'.
func (s *Service) Erase(ctx context.Context, by *user.User, roomID string) error {
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	need := permission.DeleteChannels
	if a.room.Type == Group {
		need = permission.DeleteGroups
	}
	switch {
	case a.unknown(need), a.sub == nil && a.room.Type == Direct:
		return ErrInvalidRoom
	case a.room.Type == Direct || a.room.ID == GeneralID || !a.may(need):
		return fault.NotAllowed
	}
	was, members, err := s.store.DeleteRoom(ctx, roomID, s.time())
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	s.tellErased(was, by.ID, members)
	return nil
}

// erasedAtOnce is how many members one piece of news names: a transport between nodes bounds it.
const erasedAtOnce = 500

// tellErased publishes to those who were in a room that it is no more.
func (s *Service) tellErased(r *Room, by string, members []*Subscription) {
	for some := range slices.Chunk(members, erasedAtOnce) {
		news := ErasedNews{Counted: Counted{Membership: r.Membership + 1, By: by}}
		for _, m := range some {
			news.Members = append(news.Members, ErasedMember{Subscription: m.ID, UserID: m.User.ID, Username: m.User.Username, Name: m.User.Name})
		}
		RoomErased.Publish(s.feed, r.ID, news)
	}
}

// Ended are the arguments of subscriptions-changed for a membership that went with its room.
func (m *ErasedMember) Ended(roomID string) []any {
	u := Ref{ID: m.UserID, Username: m.Username, Name: m.Name}
	return []any{removed, ejson.Doc{{Key: "_id", Value: m.Subscription}, {Key: "rid", Value: roomID}, {Key: "u", Value: u.Doc()}}}
}

// Erased are the arguments of rooms-changed for a room that is no more.
func Erased(roomID string) []any { return []any{removed, ejson.Doc{{Key: "_id", Value: roomID}}} }
