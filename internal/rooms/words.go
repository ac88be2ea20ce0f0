package rooms

import (
	"context"
	"errors"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/user"
)

// What slash commands look up before they call what everybody may call. Nothing here
// writes but the notes that the caller alone is shown.

// ErrNotInRoom answers a command about a room that is not the caller's to know of.
var ErrNotInRoom = fault.New("error-not-allowed", "User does not have access to this room")

// Whisper shows the caller alone a text in a room; it is stored nowhere.
func (s *Service) Whisper(by *user.User, roomID, text string) error {
	return s.tellEphemeral(by.ID, roomID, text, s.time())
}

// Place is the room in which somebody gives a command: one that he may know of. threadID
// is the message in whose thread he does, or "": one of that room that he may read.
func (s *Service) Place(ctx context.Context, by *user.User, roomID, threadID string) (*Room, error) {
	room, _, err := s.Room(ctx, by, roomID)
	if err != nil || threadID == "" {
		return room, instead(err, ErrRoomNotFound, ErrNotInRoom)
	}
	m, err := s.Message(ctx, by, threadID)
	if err == nil && (m == nil || m.RoomID != roomID) {
		err = ErrInvalidMessage
	}
	return room, err
}

// Called finds a room that the caller may know of by what commands call it: #name is a
// channel or group, @name the direct room with that user. nil when there is none.
func (s *Service) Called(ctx context.Context, by *user.User, name string, kinds ...string) (*Room, error) {
	for _, t := range kinds {
		room, _, err := s.RoomByName(ctx, by, t, name)
		if !errors.Is(err, ErrInvalidRoom) {
			return room, err
		}
	}
	return nil, nil
}

// Existing are the accounts with these user names that there are, in their order and each
// once; names may be written as mentions.
func (s *Service) Existing(ctx context.Context, names []string) ([]*user.User, error) {
	if len(names) > maxInvited {
		return nil, ErrTooManyUsers
	}
	keys := make([]string, 0, len(names))
	for _, n := range names {
		keys = append(keys, user.Key(trimAt(n)))
	}
	found, err := s.store.UsersByUsernames(ctx, keys)
	if err != nil {
		return nil, err
	}
	byKey := make(map[string]*user.User, len(found))
	for _, u := range found {
		byKey[u.UsernameKey] = u
	}
	var out []*user.User
	for _, k := range keys {
		if u := byKey[k]; u != nil {
			out = append(out, u)
			delete(byKey, k)
		}
	}
	return out, nil
}

// Newcomers are the members of one room, whom the caller may list, that another does not have
// yet: to the caller's user names of a room, for those who are to come. room may be nil.
func (s *Service) Newcomers(ctx context.Context, by *user.User, from string, room *Room) (usernames []string, err error) {
	for at := 0; ; at += maxMembers {
		batch, total, err := s.ListMembers(ctx, by, from, MemberQuery{Offset: at, Count: maxMembers})
		switch {
		case err != nil:
			return nil, err
		case total > maxInvited:
			return nil, ErrUserLimit
		}
		there := map[string]bool{by.ID: true}
		if room != nil && len(batch) > 0 {
			ids := make([]string, len(batch))
			for i, u := range batch {
				ids[i] = u.ID
			}
			subs, err := s.store.SubscriptionsIn(ctx, room.ID, ids)
			if err != nil {
				return nil, instead(err, dberr.NotFound, ErrInvalidRoom)
			}
			for _, m := range subs {
				there[m.User.ID] = true
			}
		}
		for _, u := range batch {
			if !there[u.ID] && u.Username != "" {
				usernames = append(usernames, u.Username)
			}
		}
		if at+maxMembers >= total {
			return usernames, nil
		}
	}
}
