package rooms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// maxRoomName bounds the name of a room in bytes; maxInvited the users one call
// may add.
const (
	maxRoomName = 100
	maxInvited  = 1000
)

// roomName is Rocket.Chat's default for UTF8_Channel_Names_Validation.
var roomName = regexp.MustCompile(`^[0-9a-zA-Z_.-]+$`)

// NewRoom is what a caller asks of a new channel or group.
type NewRoom struct {
	Type string
	Name string
	// Usernames are the first members; the creator is always one of them.
	Usernames []string
	ReadOnly  bool
	Topic     string
}

// Create makes a channel or group, its creator the owner.
func (s *Service) Create(ctx context.Context, by *user.User, n NewRoom) (*Room, error) {
	need := permission.CreateChannels
	if n.Type == Group {
		need = permission.CreateGroups
	}
	if !permission.Has(by, need) {
		return nil, fault.NotAllowed
	}
	name, refusal := checkRoomName(n.Name)
	if refusal != nil {
		return nil, refusal
	}
	if len(n.Usernames) > maxInvited {
		return nil, ErrTooManyUsers
	}
	invited, err := s.users(ctx, n.Usernames)
	if err != nil {
		return nil, err
	}
	at := s.time()
	creator := ref(by)
	room := &Room{
		ID: newID(), Type: n.Type, Name: name, FName: name, NameKey: user.Key(name), Creator: &creator,
		ReadOnly: n.ReadOnly, Topic: clip(n.Topic, 1000), TS: at, UpdatedAt: at, Owners: []string{by.ID},
	}
	own := newSubscription(room, by, at)
	own.Roles, own.LastSeen = []string{Owner}, at
	subs := []*Subscription{own}
	for _, u := range invited {
		if u.ID != by.ID && u.IsActive() {
			subs = append(subs, newSubscription(room, u, at))
		}
	}
	room.Users, room.Membership = len(subs), 1
	if err := s.store.CreateRoom(ctx, room, subs); err != nil {
		return nil, instead(err, dberr.Duplicate, aboutName(ErrDuplicateRoom, "A channel with name '%s' exists", name))
	}
	return room, s.tellArrivals(room, subs)
}

// tellArrivals publishes a room to those who just became members of it.
func (s *Service) tellArrivals(room *Room, subs []*Subscription) error {
	ids := make([]string, len(subs))
	for i, sub := range subs {
		ids[i] = sub.User.ID
	}
	s.tellMembership(room, false, ids...)
	var errs []error
	for _, sub := range subs {
		errs = append(errs, s.tellSubscription(sub, inserted), s.tellOwnRoom(room, sub.User.ID, inserted))
	}
	return errors.Join(errs...)
}

// CreateDirect opens the direct room of the caller and these users, making it
// when there is none: one room for each set of users.
func (s *Service) CreateDirect(ctx context.Context, by *user.User, usernames []string) (*Room, error) {
	if !permission.Has(by, permission.CreateDirect) {
		return nil, fault.NotAllowed
	}
	limit := s.set.Int(settings.DirectMaxUsers)
	if len(usernames) == 0 {
		return nil, ErrInvalidUser
	}
	if len(usernames) > limit {
		return nil, ErrTooManyDirect
	}
	others, err := s.users(ctx, usernames)
	if err != nil {
		return nil, instead(err, ErrUserNotFound, ErrInvalidUser)
	}
	sides := []*user.User{by}
	for _, u := range others {
		if u.ID != by.ID {
			sides = append(sides, u)
		}
	}
	if len(sides) > limit {
		return nil, ErrTooManyDirect
	}
	slices.SortFunc(sides, func(a, b *user.User) int { return strings.Compare(a.ID, b.ID) })
	return s.direct(ctx, by, sides)
}

func (s *Service) direct(ctx context.Context, by *user.User, sides []*user.User) (*Room, error) {
	at := s.time()
	room := &Room{ID: newID(), Type: Direct, Users: len(sides), Membership: 1, TS: at, UpdatedAt: at}
	refs := make([]Ref, len(sides))
	for i, u := range sides {
		refs[i] = ref(u)
		room.UserIDs = append(room.UserIDs, u.ID)
		room.Usernames = append(room.Usernames, u.Username)
	}
	room.DirectKey = DirectKey(room.UserIDs)
	if len(sides) == 2 {
		room.ID = strings.Join(room.UserIDs, "") // as Rocket.Chat names them
	}
	subs := make([]*Subscription, len(sides))
	for i, u := range sides {
		subs[i] = newSubscription(room, u, at)
		subs[i].Open = u.ID == by.ID || len(sides) > 2
		subs[i].Name, subs[i].FName = directNames(refs, u.ID)
	}
	err := s.store.CreateRoom(ctx, room, subs)
	if err == nil {
		return room, s.tellArrivals(room, subs)
	}
	if !errors.Is(err, dberr.Duplicate) {
		return nil, err
	}
	if room, err = s.store.RoomByDirectKey(ctx, room.DirectKey); err != nil {
		return nil, err
	}
	for _, sub := range subs { // one that an earlier crash left out
		sub.RoomID = room.ID
		if r, err := s.store.AddMember(ctx, sub); err == nil {
			room = r
		} else if !errors.Is(err, dberr.Duplicate) {
			return nil, err
		}
	}
	_, err = s.change(ctx, by.ID, room.ID, SubscriptionChange{Open: ptr(true)})
	return room, err
}

// DirectKey names the set of users of a direct room.
func DirectKey(userIDs []string) string {
	ids := slices.Clone(userIDs)
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), ",")
}

// directNames is what one side of a direct room calls it: the others.
func directNames(sides []Ref, selfID string) (name, fname string) {
	var names, fnames []string
	for _, u := range sides {
		if u.ID == selfID && len(sides) > 1 {
			continue
		}
		names = append(names, u.Username)
		fnames = append(fnames, cmp.Or(u.Name, u.Username))
	}
	return strings.Join(names, ", "), strings.Join(fnames, ", ")
}

// Room finds a room that the caller may know of: one's own rooms and public
// channels. member tells which of both it is.
func (s *Service) Room(ctx context.Context, by *user.User, roomID string) (room *Room, member bool, err error) {
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return nil, false, instead(err, dberr.NotFound, ErrRoomNotFound)
	}
	if a.sub == nil && a.room.Type != Channel {
		return nil, false, ErrRoomNotFound
	}
	return a.room, a.sub != nil, nil
}

// ByIDOrName is the room with that id, or where there is none the channel or group of that
// name, as far as the user may know of it: ErrInvalidRoom otherwise. The name is for anybody
// to choose, and may be the id of another room: who chose it would be sent what is meant for
// that one.
func (s *Service) ByIDOrName(ctx context.Context, by *user.User, text string) (*Room, error) {
	a, err := s.seat(ctx, by, text)
	switch {
	case errors.Is(err, dberr.NotFound):
		room, err := s.Called(ctx, by, text, Channel, Group)
		if err == nil && room == nil {
			err = ErrInvalidRoom
		}
		return room, err
	case err != nil:
		return nil, err
	case a.sub == nil && a.room.Type != Channel:
		return nil, ErrInvalidRoom
	}
	return a.room, nil
}

// RoomByName is Room by type and name, id, or, for direct rooms, the other
// side's user name.
func (s *Service) RoomByName(ctx context.Context, by *user.User, t, name string) (room *Room, member bool, err error) {
	if t != Channel && t != Group && t != Direct || name == "" {
		return nil, false, ErrInvalidRoom
	}
	var found *Room
	if t == Direct {
		found, err = s.directByName(ctx, by, name)
	} else {
		found, err = s.store.RoomByName(ctx, user.Key(name))
	}
	id := name
	switch {
	case err == nil && found.Type == t:
		id = found.ID
	case err != nil && !errors.Is(err, dberr.NotFound):
		return nil, false, err
	}
	room, member, err = s.Room(ctx, by, id)
	if err == nil && room.Type != t {
		err = ErrRoomNotFound
	}
	if err != nil {
		return nil, false, instead(err, ErrRoomNotFound, ErrInvalidRoom)
	}
	return room, member, nil
}

func (s *Service) directByName(ctx context.Context, by *user.User, name string) (*Room, error) {
	other, err := s.store.UserByUsername(ctx, user.Key(trimAt(name)))
	if err != nil {
		return nil, err
	}
	ids := []string{by.ID, other.ID}
	return s.store.RoomByDirectKey(ctx, DirectKey(ids))
}

// Channels pages through the public channels, by name.
func (s *Service) Channels(ctx context.Context, offset, count int) ([]*Room, int, error) {
	return s.store.ListRooms(ctx, RoomQuery{Types: []string{Channel}, Offset: offset, Count: count})
}

func clip(text string, max int) string {
	if len(text) <= max {
		return text
	}
	return strings.ToValidUTF8(text[:max], "")
}

func ptr[T any](v T) *T { return &v }

// aboutName is a refusal whose reason quotes a room's name, as pages may show it.
func aboutName(e *fault.Error, reason, name string) *fault.Error {
	name = html.EscapeString(clip(name, maxRoomName))
	return fault.New(e.Code, fmt.Sprintf(reason, name)).With(map[string]any{"channel_name": name})
}
