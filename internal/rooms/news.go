package rooms

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/feed"
	"ddpserver/internal/random"
)

// What stands in feed.Event.Data of the kinds that concern one room (Key is the
// room id). The first entry is always the room's membership counter at the time
// of the news: a node whose list of members is older reads it again before it
// delivers, so nobody who was removed gets anything that came later.
//
//	RoomMessage:       counter, type, name, message as JSON, ids of those who starred it
//	RoomNotice:        counter, event ("typing", "deleteMessage" …), args as JSON, connection not to tell
//	RoomRole:          counter, the one argument of roles-change as JSON
//	RoomChanged:       counter, "inserted", "updated" or "removed", room as JSON
//	UnreadChanged:     counter, ids of the users whose membership document changed
//	MembershipChanged: counter, ids of the users who came or went
//
// Everything else goes out as feed.Stream under "collection/eventName".
const (
	NotifyUser   = "stream-notify-user"
	NotifyRoom   = "stream-notify-room"
	NotifyLogged = "stream-notify-logged"
	RoomMessages = "stream-room-messages"
)

// MyMessages is the event of stream-room-messages that carries every message of
// every room the subscriber is in.
const MyMessages = "__my_messages__"

// publish hands news on.
func (s *Service) publish(kind feed.Kind, key string, data ...string) {
	s.feed.Publish(feed.Event{ID: random.ID(), Kind: kind, Key: key, Data: data, At: s.time()})
}

// stream publishes an event of a stream with its arguments.
func (s *Service) stream(collection, event string, args ...any) error {
	raw, err := encode(args)
	if err != nil {
		return err
	}
	s.publish(feed.Stream, collection+"/"+event, raw)
	return nil
}

func encode(v any) (string, error) {
	raw, err := ejson.Append(nil, v)
	if err != nil {
		return "", fmt.Errorf("encode event: %w", err)
	}
	return string(raw), nil
}

func counter(r *Room) string { return strconv.FormatInt(r.Membership, 10) }

// tellMessage publishes a message that is new or changed.
func (s *Service) tellMessage(r *Room, m *Message) error {
	raw, err := encode(m.Doc(""))
	if err != nil {
		return err
	}
	data := []string{counter(r), r.Type, r.Name, raw}
	for _, star := range m.Starred {
		data = append(data, star.ID)
	}
	s.publish(feed.RoomMessage, r.ID, data...)
	return nil
}

// tellNotice publishes an event of stream-notify-room. conn, if not empty, is
// the connection that made it and is not told.
func (s *Service) tellNotice(r *Room, event, conn string, args ...any) error {
	raw, err := encode(args)
	if err != nil {
		return err
	}
	s.publish(feed.RoomNotice, r.ID, counter(r), event, raw, conn)
	return nil
}

// tellRole publishes that a member got or lost a role of the room. Rocket.Chat
// tells it to everybody who is logged in, private room or not; here it is news of
// the room, for its members.
func (s *Service) tellRole(r *Room, change ejson.Doc) error {
	raw, err := encode(change)
	if err != nil {
		return err
	}
	s.publish(feed.RoomRole, r.ID, counter(r), raw)
	return nil
}

// tellRoom publishes that the room's document changed.
func (s *Service) tellRoom(r *Room, action string) error {
	raw, err := encode(r.Doc(true))
	if err != nil {
		return err
	}
	s.publish(feed.RoomChanged, r.ID, counter(r), action, raw)
	return nil
}

// tellMembership publishes that users came or went.
func (s *Service) tellMembership(r *Room, userIDs ...string) {
	s.publish(feed.MembershipChanged, r.ID, append([]string{counter(r)}, userIDs...)...)
}

// tellUnread publishes that the membership documents of these users changed.
func (s *Service) tellUnread(r *Room, userIDs []string) {
	s.publish(feed.UnreadChanged, r.ID, append([]string{counter(r)}, userIDs...)...)
}

// tellSubscription publishes one user's membership to that user alone.
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

// tellNotification shows a message on the desktop of a user it addresses.
func (s *Service) tellNotification(r *Room, m *Message, userID string) error {
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
	payload = text(payload, "name", r.Name)
	payload = append(payload, ejson.Field{Key: "message", Value: ejson.Doc{{Key: "msg", Value: m.Text}}})
	return s.stream(NotifyUser, userID+"/notification", ejson.Doc{
		{Key: "title", Value: title}, {Key: "text", Value: body}, {Key: "payload", Value: payload},
	})
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
	if err := s.tellNotice(room, "typing", conn, username, on); err != nil {
		return false, err
	}
	return true, s.tellNotice(room, "user-activity", conn, username, activity, ejson.Doc{})
}
