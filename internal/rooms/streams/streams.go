// Package streams tells members what happens in their rooms: it hears the news of
// package rooms from the hub and gives each subscription of a stream what its
// user may have. It also tells the presence tracker who is connected.
//
// It changes nothing and holds no rule of rooms beyond who is a member.
package streams

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/feed"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
)

// Options are the parts of Streams. All but Logger are required.
type Options struct {
	Hub      *realtime.Hub
	Rooms    *rooms.Service
	Presence *rooms.Tracker
	// Logger gets troubles with the store; nil discards them.
	Logger *zap.Logger
}

// Streams is the group of the streams that carry rooms: messages, what members do,
// and changes of rooms and memberships; it also tells the presence tracker who
// is connected.
//
// Who may have an event of a room is decided by the list of the room's members
// at the moment of delivery, not by what was allowed when somebody subscribed.
// The list is kept here; every event says how many changes of membership came
// before it, and a list that is older is read anew first.
type Streams struct {
	hub      *realtime.Hub
	log      *zap.Logger
	rooms    *rooms.Service
	presence *rooms.Tracker
	members  memberLists
	mine     mine
}

// New makes the group and connects the hub with the news of rooms. It must be
// called before Hub.Run.
func New(o Options) *Streams {
	c := &Streams{hub: o.Hub, log: o.Logger, rooms: o.Rooms, presence: o.Presence}
	if c.log == nil {
		c.log = zap.NewNop()
	}
	h := c.hub
	c.members = memberLists{read: c.rooms.Members, among: c.among, byRoom: map[string]*memberList{}}
	c.mine.byUser = map[string][]*ddp.Subscription{}
	realtime.Listen(h, rooms.MessageChanged, c.message)
	realtime.Listen(h, rooms.Noticed, c.notice)
	realtime.Listen(h, rooms.RoleChanged, c.role)
	realtime.Listen(h, rooms.RoomChanged, c.room)
	realtime.Listen(h, rooms.UnreadChanged, c.unread)
	realtime.Listen(h, rooms.MembershipChanged, c.membership)
	h.HandleGap(c.forget)
	return c
}

// Publications lists the publications of the group.
func (c *Streams) Publications() []realtime.Publication {
	return []realtime.Publication{
		{Do: c.connected, Anonymous: true, Doc: "Nothing; it tells who is connected."},
	}
}

// Streams lists the streams of the group.
func (c *Streams) Streams() []realtime.Stream {
	return []realtime.Stream{
		{
			Name: rooms.RoomMessages, Allow: c.allowMessages, Open: c.openMessages, Events: []string{rooms.MyMessages},
			Doc: "Messages: <room id>, or __my_messages__ for every room of one's own.",
		},
		{
			Name: rooms.NotifyRoom, Allow: c.allowRoom, Events: roomEvents,
			Doc: "What happens in a room: <room id>/typing, /user-activity, /deleteMessage.",
		},
	}
}

// connected follows a session's login.
func (c *Streams) connected(_ context.Context, s *ddp.Subscription) error {
	id := s.Login().UserID
	if id == "" {
		return nil
	}
	conn := s.Session().ID()
	c.presence.Connected(id, conn)
	s.OnStop(func() { c.presence.Disconnected(id, conn) })
	return nil
}

func (c *Streams) allowMessages(ctx context.Context, l rpc.Login, event string) error {
	if event == rooms.MyMessages {
		return nil
	}
	return c.allowMember(ctx, l, event)
}

// openMessages lets subscriptions to all messages listen in their own way.
func (c *Streams) openMessages(_ context.Context, s *ddp.Subscription, event string) (listen bool, err error) {
	if event != rooms.MyMessages {
		return true, nil
	}
	c.mine.add(s)
	return false, nil
}

func (c *Streams) allowMember(ctx context.Context, l rpc.Login, roomID string) error {
	ok, err := c.rooms.IsMember(ctx, l.UserID, roomID)
	if err == nil && !ok {
		err = realtime.ErrStream
	}
	return err
}

// roomEvents are the events of stream-notify-room. Those that nothing here
// sends stay quiet.
var roomEvents = []string{
	"deleteMessage", "deleteMessageBulk", "e2e.keyRequest", "messagesImported", "messagesRead", "typing", "user-activity", "videoconf", "webrtc",
}

func (c *Streams) allowRoom(ctx context.Context, l rpc.Login, event string) error {
	roomID, name, _ := strings.Cut(event, "/")
	if !slices.Contains(roomEvents, name) {
		return realtime.ErrStream
	}
	return c.allowMember(ctx, l, roomID)
}

// deliver runs send with the members of the room, once the list is new enough for
// the news. Without any listener nothing is read.
func (c *Streams) deliver(room string, news rooms.Counted, wanted bool, send func(members map[string]struct{})) {
	if !wanted {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), realtime.StoreTime)
	defer cancel()
	if err := c.members.with(ctx, room, news.Membership, send); err != nil {
		c.log.Warn("members_not_readable", zap.String("room", room), zap.Error(err))
	}
}

// among tells which of some users are members of a room.
func (c *Streams) among(ctx context.Context, room string, users []string) ([]string, error) {
	subs, err := c.rooms.SubscriptionsIn(ctx, room, users)
	members := make([]string, len(subs))
	for i, s := range subs {
		members[i] = s.User.ID
	}
	return members, err
}

// message delivers a message to those who listen to its room, and to those who
// listen to all of theirs.
func (c *Streams) message(e feed.Event, news rooms.MessageNews) {
	room := rooms.RoomMessages + "/" + e.Key
	listening := c.hub.Listening(room)
	c.deliver(e.Key, news.Counted, listening || c.mine.any(), func(members map[string]struct{}) {
		stars, raw := set(news.StarredBy), string(news.Message)
		if listening {
			// Once over the listeners, however many starred the message; their own
			// frames are made for those who listen.
			plain := realtime.StreamFrame(room, ejson.Raw("["+raw+"]"))
			c.hub.SendEach(room, func(l rpc.Login) *ddp.Frame {
				if _, member := members[l.UserID]; !member {
					return nil
				}
				if _, own := stars[l.UserID]; own {
					return realtime.StreamFrame(room, ejson.Raw("["+starred(raw, l.UserID)+"]"))
				}
				return plain
			})
		}
		var plain *ddp.Frame
		for _, s := range c.mine.of(members) {
			id := s.Login().UserID
			if _, own := stars[id]; own {
				s.Send(mineFrame(news, starred(raw, id)))
				continue
			}
			if plain == nil {
				plain = mineFrame(news, raw)
			}
			s.Send(plain)
		}
	})
}

// mineFrame is a message with what those need to know who listen to all rooms.
func mineFrame(news rooms.MessageNews, raw string) *ddp.Frame {
	b := append([]byte{'['}, raw...)
	b = append(b, `,{"roomParticipant":true,"roomType":`...)
	b = ejson.AppendString(b, news.RoomType)
	if news.RoomName != "" {
		b = append(b, `,"roomName":`...)
		b = ejson.AppendString(b, news.RoomName)
	}
	return realtime.StreamFrame(rooms.RoomMessages+"/"+rooms.MyMessages, append(b, '}', ']'))
}

// mine are the subscriptions to all messages of one's own rooms. They have no
// topic: what a topic queues for one room could go out after somebody left another.
type mine struct {
	mu     sync.Mutex
	byUser map[string][]*ddp.Subscription
}

func (m *mine) add(s *ddp.Subscription) {
	id := s.Login().UserID
	m.mu.Lock()
	m.byUser[id] = append(m.byUser[id], s)
	m.mu.Unlock()
	s.OnStop(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		rest := slices.DeleteFunc(m.byUser[id], func(x *ddp.Subscription) bool { return x == s })
		if m.byUser[id] = rest; len(rest) == 0 {
			delete(m.byUser, id)
		}
	})
}

func (m *mine) any() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.byUser) > 0
}

// of lists the subscriptions of the members of a room.
func (m *mine) of(members map[string]struct{}) (out []*ddp.Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.byUser) < len(members) {
		for id, subs := range m.byUser {
			if _, member := members[id]; member {
				out = append(out, subs...)
			}
		}
		return out
	}
	for id := range members {
		out = append(out, m.byUser[id]...)
	}
	return out
}

// starred is the message as somebody sees it who starred it.
func starred(raw, userID string) string {
	b := append([]byte(strings.TrimSuffix(raw, "}")), `,"starred":[{"_id":`...)
	b = ejson.AppendString(b, userID)
	return string(append(b, `}]}`...))
}

// notice delivers an event of stream-notify-room to all but the connection that
// made it.
func (c *Streams) notice(e feed.Event, news rooms.Notice) {
	key := rooms.NotifyRoom + "/" + e.Key + "/" + news.Event
	c.deliver(e.Key, news.Counted, c.hub.Listening(key), func(members map[string]struct{}) {
		c.hub.SendIf(key, realtime.StreamFrame(key, ejson.Raw(news.Args)), func(s *ddp.Subscription, l rpc.Login) bool {
			_, member := members[l.UserID]
			return member && (news.From == "" || s.Session().ID() != news.From)
		})
	})
}

// role delivers a change of a room's roles to those of its members who listen to
// roles-change, which everybody who is logged in may do.
func (c *Streams) role(e feed.Event, news rooms.RoleNews) {
	const key = rooms.NotifyLogged + "/roles-change"
	c.deliver(e.Key, news.Counted, c.hub.Listening(key), func(members map[string]struct{}) {
		c.hub.SendIf(key, realtime.StreamFrame(key, ejson.Raw("["+string(news.Change)+"]")), func(_ *ddp.Subscription, l rpc.Login) bool {
			_, member := members[l.UserID]
			return member
		})
	})
}

// room delivers a changed room to the members who listen to their rooms.
func (c *Streams) room(e feed.Event, news rooms.RoomNews) {
	c.deliver(e.Key, news.Counted, true, func(members map[string]struct{}) {
		var args []byte
		for _, id := range c.hub.ListeningUsers(maps.Keys(members), "rooms-changed") {
			key := rooms.NotifyUser + "/" + id + "/rooms-changed"
			if args == nil {
				args = append(ejson.AppendString([]byte{'['}, news.Action), ',')
				args = append(append(args, news.Room...), ']')
			}
			c.hub.Send(key, realtime.StreamFrame(key, args))
		}
	})
}

// unread delivers to users what became of their memberships.
func (c *Streams) unread(e feed.Event, news rooms.UserNews) {
	ids := c.hub.ListeningUsers(slices.Values(news.Users), "subscriptions-changed")
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), realtime.StoreTime)
	defer cancel()
	subs, err := c.rooms.SubscriptionsIn(ctx, e.Key, ids)
	if err != nil {
		c.log.Warn("memberships_not_readable", zap.String("room", e.Key), zap.Error(err))
		return
	}
	for _, s := range subs {
		if err := c.hub.EmitHere(rooms.NotifyUser, s.User.ID+"/subscriptions-changed", "updated", s.Doc()); err != nil {
			c.log.Error("membership_not_encoded", zap.String("room", e.Key), zap.Error(err))
		}
	}
}

// membership puts a room's list right and ends the subscriptions of those who
// are no longer members. When it returns, nothing more of the room goes to them.
func (c *Streams) membership(e feed.Event, news rooms.UserNews) {
	ctx, cancel := context.WithTimeout(context.Background(), realtime.StoreTime)
	defer cancel()
	if err := c.members.changed(ctx, e.Key, news.Membership, news.Users); err != nil {
		c.log.Warn("members_not_readable", zap.String("room", e.Key), zap.Error(err)) // read with the next news
	}
	for _, id := range news.Users {
		c.recheck(id, e.Key)
	}
}

// recheck ends what a user listens to of a room if the user is no member of it.
// The membership is read once, and only if there is anything to end.
func (c *Streams) recheck(userID, roomID string) {
	subs := c.hub.StreamsOf(userID, func(stream, event string) bool {
		room, _, _ := strings.Cut(event, "/")
		return room == roomID && (stream == rooms.RoomMessages || stream == rooms.NotifyRoom)
	})
	if len(subs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), realtime.StoreTime)
	defer cancel()
	if err := c.allowMember(ctx, rpc.Login{UserID: userID}, roomID); err != nil {
		for _, s := range subs {
			s.Error(err)
		}
	}
}

// forget drops every list, after events may have been missed.
func (c *Streams) forget(context.Context) { c.members.drop() }

// set is the members of a list.
func set(list []string) map[string]struct{} {
	m := make(map[string]struct{}, len(list))
	for _, s := range list {
		m[s] = struct{}{}
	}
	return m
}
