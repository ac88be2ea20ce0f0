// Package feed carries the news of committed changes from those who make them
// to those who push them to clients, on this node and on the others that share
// the database.
//
// An event says that something changed and what may be pushed; it is never the
// authority for a decision. The package holds no transport and stores nothing.
package feed

import "time"

// Kind says what an Event is about.
type Kind string

// The kinds of events.
const (
	// UserChanged: fields of a user document changed; Key is the user id.
	UserChanged Kind = "user-changed"
	// TokensRevoked: login tokens of user Key died. Data holds the dead hashes;
	// empty means every token.
	TokensRevoked Kind = "tokens-revoked"
	// TokensKept: of the login tokens of user Key only those whose hashes are in
	// Data were left after a change; every other one is dead. Unlike
	// TokensRevoked it also covers a token that was made while the change ran.
	TokensKept Kind = "tokens-kept"
	// SettingChanged: Key is the setting id.
	SettingChanged Kind = "setting-changed"
	// Stream: a stream event for subscribers; Key is "collection/eventName",
	// Data the one raw EJSON array of args.
	Stream Kind = "stream"
	// MembershipChanged: Key is the room id, Data the user ids concerned.
	MembershipChanged Kind = "membership-changed"
	// RoomMessage, RoomNotice, RoomRole, RoomChanged and UnreadChanged are news of
	// room Key for its members only; package chat says what stands in Data.
	RoomMessage   Kind = "room-message"
	RoomNotice    Kind = "room-notice"
	RoomRole      Kind = "room-role"
	RoomChanged   Kind = "room-changed"
	UnreadChanged Kind = "unread-changed"
)

// Event is one piece of news.
type Event struct {
	// ID is unique; Node names the node that made it (others take it from the store).
	ID   string    `bson:"_id"`
	Node string    `bson:"node"`
	Kind Kind      `bson:"kind"`
	Key  string    `bson:"key"`
	Data []string  `bson:"data,omitempty"`
	At   time.Time `bson:"at"`
}

// Publisher takes events. Publish delivers to local subscribers before it
// returns and hands the event to other nodes; it never blocks on a slow client.
type Publisher interface {
	Publish(e Event)
}
