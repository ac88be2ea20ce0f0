package rooms

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/user"
)

// Bounds of what a room says of itself: characters as JavaScript counts them, and bytes
// of a join code.
const (
	maxRoomText = 1000
	maxJoinCode = 100
)

// Settings of a room as a caller asks for them; nil leaves one.
type RoomSettings struct {
	Name, Type                           *string
	Topic, Description, Announcement     *string
	ReadOnly, ReactWhenReadOnly, Default *bool
	// JoinCode is the code itself; empty lets everybody in.
	JoinCode     *string
	CustomFields *map[string]any
	// Avatar is a picture as a data: URL; empty takes it away.
	Avatar *string
}

// needs are the permissions that a change needs in its room.
func (c *RoomSettings) needs() []string {
	needs := []string{permission.EditRoom}
	if c.ReadOnly != nil || c.ReactWhenReadOnly != nil {
		needs = append(needs, permission.SetReadOnly)
	}
	if c.Default != nil {
		needs = append(needs, permission.ViewRoomAdministration)
	}
	return needs
}

// topicOnly tells whether nothing but the topic is to change.
func (c RoomSettings) topicOnly() bool {
	c.Topic = nil
	return c == RoomSettings{}
}

// ChangeAsks tells whether the change asks its caller for a second factor: one who may
// make it by a role of the server alone, and everybody who opens a private group to the
// public, which shows what was said there to whoever comes.
func (s *Service) ChangeAsks(ctx context.Context, by *user.User, roomID string, c RoomSettings) (bool, error) {
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return false, instead(err, dberr.NotFound, nil) // Change refuses it
	}
	opens := c.Type != nil && *c.Type == Channel && a.room.Type == Group
	return s.mayChange(a, &c) == nil && (opens || a.byOffice(c.needs()...)), nil
}

// byOffice tells whether the user has one of the permissions by a role of the server alone.
func (a *seat) byOffice(permissions ...string) bool {
	return slices.ContainsFunc(permissions, func(p string) bool { return permission.Has(a.user, p) && a.office([]string{p}) })
}

// Change changes what a room says of itself and who may write and come in, and says so in
// the room. A direct room has a topic, which both sides choose, and nothing else to change.
func (s *Service) Change(ctx context.Context, by *user.User, roomID string, c RoomSettings) (*Room, error) {
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return nil, instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	if err := s.mayChange(a, &c); err != nil {
		return nil, err
	}
	change, err := s.changeOf(a.room, c)
	if err != nil {
		return nil, err
	}
	if c.Avatar != nil {
		picture, err := s.roomPicture(ctx, by, roomID, *c.Avatar)
		if err != nil {
			return nil, err
		}
		change.AvatarETag = &picture
	}
	was, room, err := s.store.ChangeRoom(ctx, roomID, change)
	switch {
	case errors.Is(err, dberr.NotFound):
		return nil, ErrInvalidRoom
	case errors.Is(err, dberr.Duplicate):
		return nil, aboutName(ErrDuplicateRoom, "A channel with name '%s' exists", change.Name)
	case err != nil:
		return nil, err
	}
	if was.AvatarETag != room.AvatarETag {
		s.dropPicture(ctx, was.AvatarETag, room.AvatarETag, &File{OfRoom: roomID})
		if room.Type == Channel { // members of others hear it in the room
			if err := s.tellAvatar("rid", roomID, room.AvatarETag); err != nil {
				return nil, err
			}
		}
	}
	return room, s.tellChange(ctx, by, was, room)
}

// mayChange refuses who may not make the change.
func (s *Service) mayChange(a *seat, c *RoomSettings) error {
	if a.room.Type == Direct {
		switch {
		case a.sub == nil:
			return ErrInvalidRoom
		case !c.topicOnly():
			return ErrEditingRoom
		}
		return barred(a)
	}
	switch {
	case a.unknown(permission.EditRoom):
		return ErrInvalidRoom
	case !a.may(permission.EditRoom):
		return ErrEditingRoom
	case (c.ReadOnly != nil || c.ReactWhenReadOnly != nil) && a.room.Broadcast:
		return ErrBroadcast
	case (c.ReadOnly != nil || c.ReactWhenReadOnly != nil) && !a.may(permission.SetReadOnly):
		return ErrEditingRoom
	case c.Default != nil && !a.may(permission.ViewRoomAdministration):
		return ErrDefaultRoom
	case c.Type == nil || *c.Type == a.room.Type:
		return nil
	case *c.Type == Channel && !a.may(permission.CreateChannels), *c.Type == Group && !a.may(permission.CreateGroups):
		return ErrTypeOfRoom
	}
	return nil
}

// changeOf is the change of the document; it refuses what a room cannot be.
func (s *Service) changeOf(r *Room, c RoomSettings) (RoomChange, error) {
	out := RoomChange{Topic: c.Topic, Description: c.Description, Announcement: c.Announcement, ReadOnly: c.ReadOnly,
		ReactWhenReadOnly: c.ReactWhenReadOnly, Default: c.Default, CustomFields: c.CustomFields, At: s.time()}
	for _, text := range []*string{c.Topic, c.Description, c.Announcement} {
		if text != nil && (!utf8.ValidString(*text) || length(*text) > maxRoomText) {
			return out, ErrRoomText
		}
	}
	if c.CustomFields != nil && user.CheckFields(*c.CustomFields) != nil {
		return out, ErrRoomText
	}
	becomes := r.Type
	if c.Type != nil {
		if becomes = *c.Type; becomes != Channel && becomes != Group {
			return out, ErrRoomType
		}
		out.Type = becomes
	}
	if c.Name != nil {
		name, refusal := checkRoomName(*c.Name)
		if refusal != nil {
			return out, refusal
		}
		out.Name = name
	}
	if c.JoinCode != nil {
		switch {
		case len(*c.JoinCode) > maxJoinCode || !utf8.ValidString(*c.JoinCode):
			return out, ErrRoomText
		case becomes != Channel && *c.JoinCode != "": // nobody comes into a group by himself
			return out, ErrTypeOfRoom
		}
		digest := ""
		if *c.JoinCode != "" {
			digest = s.codes.Digest(joinCode, r.ID, *c.JoinCode)
		}
		out.JoinDigest = &digest
	}
	if c.Default != nil && *c.Default && becomes != Channel {
		return out, ErrTypeOfRoom // nobody joins a group by getting an account
	}
	return out, nil
}

// checkRoomName is the name of a channel or group as it is kept.
func checkRoomName(text string) (string, *fault.Error) {
	name := strings.TrimSpace(text)
	if name == "" || len(name) > maxRoomName || !roomName.MatchString(name) {
		return "", aboutName(ErrRoomName, "%s is not a valid room name.", name)
	}
	return name, nil
}

// tellChange tells the members of a room that it changed, and says in the room what did.
func (s *Service) tellChange(ctx context.Context, by *user.User, was, room *Room) error {
	if was.sameAs(room) {
		return nil
	}
	if err := s.tellRoom(room, by.ID, updated); err != nil {
		return err
	}
	if !was.Calls(room) {
		ids, _, err := s.Members(ctx, room.ID)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			s.tellUnread(room.ID, by.ID, ids...)
		}
	}
	for _, note := range was.notes(room) {
		note.User, note.TS = ref(by), room.UpdatedAt
		if err := s.announce(ctx, room, note); err != nil {
			return instead(err, dberr.NotFound, nil) // it was deleted meanwhile
		}
	}
	return nil
}

// notes are the messages that tell what became of a room.
func (r *Room) notes(now *Room) (out []*Message) {
	text := func(kind, before, after string) {
		if before != after {
			out = append(out, &Message{Type: kind, Text: after})
		}
	}
	flag := func(on, off string, before, after bool) {
		switch {
		case after && !before:
			out = append(out, &Message{Type: on})
		case before && !after:
			out = append(out, &Message{Type: off})
		}
	}
	text(TypeRenamed, r.Name, now.Name)
	text(TypeTopic, r.Topic, now.Topic)
	text(TypeAnnouncement, r.Announcement, now.Announcement)
	text(TypeDescription, r.Description, now.Description)
	if r.AvatarETag != now.AvatarETag {
		out = append(out, &Message{Type: TypeAvatar})
	}
	text(TypePrivacy, shownTypes[r.Type], shownTypes[now.Type])
	flag(TypeReadOnlyOn, TypeReadOnlyOff, r.ReadOnly, now.ReadOnly)
	flag(TypeReactionsOpened, TypeReactionsClosed, r.ReactWhenReadOnly, now.ReactWhenReadOnly)
	flag(TypeArchived, TypeUnarchived, r.Archived, now.Archived)
	return out
}

// shownTypes are the types of rooms as messages name them.
var shownTypes = map[string]string{Channel: "Channel", Group: "Private Group"}
