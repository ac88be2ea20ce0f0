package rooms

import (
	"encoding/json"
	"errors"

	"ddpserver/internal/feed"
)

// The kinds of news about one room, whose id is the key. Only members get them.
// What is for others goes out as feed.Stream.
//
// What is told with every message goes to nodes that follow the room. Every node hears who came
// and went, whether or not it follows: it keeps lists of members of rooms that are talked in, and
// whoever is told here of all rooms may just have come into one that nobody else here is in. A
// role of a room changes seldom, and is told to members who listen to roles-change only.
var (
	// MessageChanged: a message is new, edited or marked.
	MessageChanged = feed.NewKind[MessageNews]("room-message", 1).ByTopic()
	// Noticed is an event of stream-notify-room.
	Noticed = feed.NewKind[Notice]("room-notice", 1).ByTopic()
	// RoleChanged: a member got or lost a role of the room.
	RoleChanged = feed.NewKind[RoleNews]("room-role", 1)
	// RoomChanged: the room's document changed.
	RoomChanged = feed.NewKind[RoomNews]("room-changed", 1).ByTopic()
	// Addressed: a message is shown on the desktops of members.
	Addressed = feed.NewKind[AddressedNews]("room-addressed", 1).ByTopic()
	// UnreadChanged: the membership documents of some members changed.
	UnreadChanged = feed.NewKind[UserNews]("unread-changed", 1).ByTopic()
	// MembershipChanged: users came or went.
	MembershipChanged = feed.NewKind[UserNews]("membership-changed", 1)
	// RoomErased: the room is no more, and its memberships with it.
	RoomErased = feed.NewKind[ErasedNews]("room-erased", 1)
)

// Counted is part of every payload about a room.
type Counted struct {
	// Membership is how often the members of the room had changed at the time of
	// the news. A node whose list of members is older reads it again before it
	// delivers, so nobody who was removed gets anything that came later.
	Membership int64 `json:"membership"`
	// By is whose call made the news: what goes to that user is sent before the call
	// is answered, and the call waits for nobody else's. Empty when nobody waits.
	By string `json:"by,omitempty"`
}

// MessageNews is the payload of MessageChanged.
type MessageNews struct {
	Counted
	RoomType string `json:"roomType"`
	RoomName string `json:"roomName,omitempty"`
	// Message is the message as clients get it, without its stars.
	Message json.RawMessage `json:"message"`
	// StarredBy are the users who starred it; each is told of the own star only.
	StarredBy []string `json:"starredBy,omitempty"`
}

// Notice is the payload of Noticed.
type Notice struct {
	Counted
	// Event is the last part of the event's name, like "typing".
	Event string `json:"event"`
	// Args are the arguments of the event, an EJSON array.
	Args json.RawMessage `json:"args"`
	// From is the connection that made the notice and is not told; empty when all are.
	From string `json:"from,omitempty"`
}

// RoleNews is the payload of RoleChanged.
type RoleNews struct {
	Counted
	// Change is the argument of roles-change.
	Change json.RawMessage `json:"change"`
}

// RoomNews is the payload of RoomChanged.
type RoomNews struct {
	Counted
	// Action is "inserted", "updated" or "removed".
	Action string `json:"action"`
	// Room is the room as clients get it.
	Room json.RawMessage `json:"room"`
}

// AddressedNews is the payload of Addressed.
type AddressedNews struct {
	Counted
	// Users are addressed by name, as far as they are members; All addresses everybody.
	Users []string `json:"users,omitempty"`
	All   bool     `json:"all,omitempty"`
	// From is the author, who is not told.
	From string `json:"from"`
	// Args are the arguments of the event, an EJSON array.
	Args json.RawMessage `json:"args"`
}

// UserNews is the payload of kinds that concern some users of a room.
type UserNews struct {
	Counted
	Users []string `json:"users"`
	// Gone says of MembershipChanged that the users went. Who came is read.
	Gone bool `json:"gone,omitempty"`
}

// ErasedNews is the payload of RoomErased. A large room has several, each with some of those
// who were in it.
type ErasedNews struct {
	Counted
	Members []ErasedMember `json:"members"`
}

// ErasedMember is one who was in a room that is no more.
type ErasedMember struct {
	// Subscription is the id of the membership.
	Subscription string `json:"subscription"`
	UserID       string `json:"userId"`
	Username     string `json:"username,omitempty"`
	Name         string `json:"name,omitempty"`
}

// Check implements feed.Payload.
func (n ErasedNews) Check() error {
	for _, m := range n.Members {
		if m.Subscription == "" || m.UserID == "" {
			return errors.New("a member without a name")
		}
	}
	if len(n.Members) == 0 {
		return errors.New("nobody is concerned")
	}
	return nil
}

// Check implements feed.Payload.
func (n MessageNews) Check() error { return document(n.Message) }

// Check implements feed.Payload.
func (n RoleNews) Check() error { return document(n.Change) }

// Check implements feed.Payload.
func (n Notice) Check() error {
	if n.Event == "" || len(n.Args) == 0 || n.Args[0] != '[' {
		return errors.New("a notice without a name, or without a list of arguments")
	}
	return nil
}

// Check implements feed.Payload.
func (n AddressedNews) Check() error {
	if len(n.Users) == 0 && !n.All || len(n.Args) == 0 || n.Args[0] != '[' {
		return errors.New("a notification for nobody, or without a list of arguments")
	}
	return nil
}

// Check implements feed.Payload.
func (n RoomNews) Check() error {
	if n.Action == "" {
		return errors.New("no action")
	}
	return document(n.Room)
}

// Check implements feed.Payload.
func (n UserNews) Check() error {
	if len(n.Users) == 0 {
		return errors.New("no user is concerned")
	}
	return nil
}

// document refuses what is not an object with a first field.
func document(raw json.RawMessage) error {
	if len(raw) < 2 || raw[0] != '{' || raw[1] != '"' {
		return errors.New("no document")
	}
	return nil
}
