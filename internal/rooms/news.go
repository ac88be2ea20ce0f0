package rooms

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/feed"
)

// The streams. News for members of a room only is in payload.go; everything else
// goes out as feed.Stream.
const (
	NotifyUser   = "stream-notify-user"
	NotifyRoom   = "stream-notify-room"
	NotifyLogged = "stream-notify-logged"
	RoomMessages = "stream-room-messages"
)

// MyMessages is the event of stream-room-messages that carries every message of
// every room the subscriber is in.
const MyMessages = "__my_messages__"

// stream publishes an event of a stream with its arguments.
func (s *Service) stream(collection, event string, args ...any) error {
	raw, err := encode(args)
	if err != nil {
		return err
	}
	feed.Stream.Publish(s.feed, collection+"/"+event, feed.StreamEvent{Args: raw})
	return nil
}

func encode(v any) (json.RawMessage, error) {
	raw, err := ejson.Append(nil, v)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return json.RawMessage(raw), nil
}

// counted is what every piece of news about a room says; by is whose call makes it.
func counted(r *Room, by string) Counted { return Counted{Membership: r.Membership, By: by} }

// tellMessage publishes a message that is new or changed.
func (s *Service) tellMessage(r *Room, m *Message, by string) error {
	e, err := messageEvent(r, m, by)
	if err == nil {
		s.feed.Publish(e)
	}
	return err
}

func messageEvent(r *Room, m *Message, by string) (feed.Event, error) {
	raw, err := encode(m.Doc(""))
	news := MessageNews{Counted: counted(r, by), RoomType: r.Type, RoomName: r.Name, Message: raw}
	for _, star := range m.Starred {
		news.StarredBy = append(news.StarredBy, star.ID)
	}
	return MessageChanged.Event(r.ID, news), err
}

// tellNotice publishes an event of stream-notify-room. conn, if not empty, is
// the connection that made it and is not told.
func (s *Service) tellNotice(r *Room, by, event, conn string, args ...any) error {
	e, err := noticeEvent(r, by, event, conn, args...)
	if err == nil {
		s.feed.Publish(e)
	}
	return err
}

func noticeEvent(r *Room, by, event, conn string, args ...any) (feed.Event, error) {
	raw, err := encode(args)
	return Noticed.Event(r.ID, Notice{Counted: counted(r, by), Event: event, Args: raw, From: conn}), err
}

// tellRole publishes that a member got or lost a role of the room. Rocket.Chat
// tells it to everybody who is logged in, private room or not; here it is news of
// the room, for its members.
func (s *Service) tellRole(r *Room, by string, change ejson.Doc) error {
	raw, err := encode(change)
	if err != nil {
		return err
	}
	RoleChanged.Publish(s.feed, r.ID, RoleNews{Counted: counted(r, by), Change: raw})
	return nil
}

// tellRoom publishes that the room's document changed.
func (s *Service) tellRoom(r *Room, by, action string) error {
	e, err := roomEvent(r, by, action)
	if err == nil {
		s.feed.Publish(e)
	}
	return err
}

func roomEvent(r *Room, by, action string) (feed.Event, error) {
	raw, err := encode(r.Doc(true))
	return RoomChanged.Event(r.ID, RoomNews{Counted: counted(r, by), Action: action, Room: raw}), err
}

// tellMembership publishes that users came or, if gone is set, went.
func (s *Service) tellMembership(r *Room, gone bool, userIDs ...string) {
	if len(userIDs) > 0 {
		MembershipChanged.Publish(s.feed, r.ID, UserNews{Counted: counted(r, ""), Users: userIDs, Gone: gone})
	}
}

// tellUnread publishes that the membership documents of these users changed. They are
// read by whoever has somebody to tell.
func (s *Service) tellUnread(roomID, by string, userIDs ...string) {
	UnreadChanged.Publish(s.feed, roomID, UserNews{Counted: Counted{By: by}, Users: userIDs})
}

// tellSubscription publishes to one user alone that a membership began or ended.
func (s *Service) tellSubscription(sub *Subscription, action string) error {
	var doc any = sub.Doc()
	if action == removed {
		doc = ejson.Doc{{Key: "_id", Value: sub.ID}, {Key: "rid", Value: sub.RoomID}, {Key: "u", Value: sub.User.Doc()}}
	}
	return s.stream(NotifyUser, sub.User.ID+"/subscriptions-changed", action, doc)
}

// tellOwnRoom publishes a room to one user alone, who just came or went.
func (s *Service) tellOwnRoom(r *Room, userID, action string) error {
	var doc any = r.Doc(true)
	if action == removed {
		doc = ejson.Doc{{Key: "_id", Value: r.ID}}
	}
	return s.stream(NotifyUser, userID+"/rooms-changed", action, doc)
}

// The actions of changed documents.
const (
	inserted = "inserted"
	updated  = "updated"
	removed  = "removed"
)

// tellAddressed shows a message on the desktops of those members it addresses.
func (s *Service) tellAddressed(r *Room, m *Message, userIDs []string, all bool) error {
	if len(userIDs) == 0 && !all {
		return nil
	}
	title, body := m.User.Username, m.Text
	if m.User.Name != "" {
		title = m.User.Name
	}
	if r.Type != Direct {
		title, body = "#"+r.Name, m.User.Username+": "+m.Text
	}
	payload := ejson.Doc{
		{Key: "_id", Value: m.ID}, {Key: "rid", Value: r.ID}, {Key: "sender", Value: m.User.Doc()}, {Key: "type", Value: r.Type},
	}
	payload = text(text(payload, "tmid", m.ThreadID), "name", r.Name)
	payload = append(payload, ejson.Field{Key: "message", Value: ejson.Doc{{Key: "msg", Value: m.Text}}})
	args, err := encode([]any{ejson.Doc{{Key: "title", Value: title}, {Key: "text", Value: body}, {Key: "payload", Value: payload}}})
	if err != nil {
		return err
	}
	Addressed.Publish(s.feed, r.ID, AddressedNews{Counted: counted(r, m.User.ID), Users: userIDs, All: all, From: m.User.ID, Args: args})
	return nil
}

// tellEphemeral shows a text to one user in a room; it is stored nowhere.
func (s *Service) tellEphemeral(userID, roomID, msg string, at time.Time) error {
	return s.stream(NotifyUser, userID+"/message", ejson.Doc{
		{Key: "_id", Value: newID()}, {Key: "rid", Value: roomID}, {Key: "msg", Value: msg},
		{Key: "ts", Value: at}, {Key: "u", Value: ejson.Doc{{Key: "_id", Value: "rocket.cat"}, {Key: "username", Value: "rocket.cat"}}},
		{Key: "private", Value: true},
	})
}

// Typing publishes what a member is doing in a room, under both names that
// clients know it by. conn is the connection that says so; it is not told.
// username must be the caller's own.
func (s *Service) Typing(ctx context.Context, userID, ownName, roomID, event, username string, activity []string, on bool, conn string) (bool, error) {
	if username != ownName || event != "typing" && event != "user-activity" {
		return false, nil
	}
	room, err := s.store.RoomByID(ctx, roomID)
	if err != nil {
		return false, instead(err, dberr.NotFound, nil)
	}
	if ok, err := s.IsMember(ctx, userID, roomID); !ok {
		return false, err
	}
	if event == "typing" {
		activity = nil
		if on {
			activity = []string{"user-typing"}
		}
	} else {
		on = slices.Contains(activity, "user-typing")
	}
	if activity == nil {
		activity = []string{}
	}
	if err := s.tellNotice(room, userID, "typing", conn, username, on); err != nil {
		return false, err
	}
	return true, s.tellNotice(room, userID, "user-activity", conn, username, activity, ejson.Doc{})
}
