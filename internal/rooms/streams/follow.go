package streams

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"ddpserver/internal/ddp"
	"ddpserver/internal/feed"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rooms"
)

// ownRooms are the users on this node who are told of every room that they are in, each with
// the rooms that the node follows for that, where other nodes' news of a room come only
// when it is followed (realtime.Hub.Selective). They stay as long as one of their
// subscriptions does.
//
// A user is noted first, then the rooms are read, then they are followed, and then the
// subscription is ready: who comes into a room meanwhile is found in what is read, or is told by
// the news of the membership, which every node hears.
type ownRooms struct {
	mu     sync.Mutex
	byUser map[string]*roomsOf
}

// roomsOf is what is followed for one user.
type roomsOf struct {
	uses     int // guarded by ownRooms.mu
	interest *realtime.Interest

	mu   sync.Mutex // held while the rooms are read and followed
	read bool
}

// tellsOfRooms are the own events that tell of all rooms of a user.
var tellsOfRooms = []string{"rooms-changed", "subscriptions-changed", "notification"}

// ofAllRooms tells whether an event tells of every room that the user is in.
func ofAllRooms(stream, event string) bool {
	if stream == rooms.RoomMessages {
		return event == rooms.MyMessages
	}
	_, name, _ := strings.Cut(event, "/")
	return stream == rooms.NotifyUser && slices.Contains(tellsOfRooms, name)
}

// topicOfRoom is realtime.Stream.Topic of the streams whose events begin with the id of a room.
func topicOfRoom(event string) string {
	room, _, _ := strings.Cut(event, "/")
	if room == rooms.MyMessages {
		return ""
	}
	return feed.TopicOf(room)
}

// subscribing follows the rooms of whoever is to be told of all of them.
func (c *Streams) subscribing(ctx context.Context, s *ddp.Subscription, stream, event string) error {
	id := s.Login().UserID
	if id == "" || !ofAllRooms(stream, event) {
		return nil
	}
	r := c.own.use(id, c.hub)
	s.OnStop(func() { c.own.leave(id, r) })
	r.mu.Lock() // who comes with the second of several subscriptions waits for the first
	defer r.mu.Unlock()
	if r.read {
		return nil
	}
	ids, err := c.rooms.RoomIDs(ctx, id)
	if err != nil {
		return err
	}
	r.interest.Follow(ctx, topicsOf(ids)...)
	r.read = ctx.Err() == nil // else it did not wait, and whoever comes next does
	return nil
}

func topicsOf(ids []string) []string {
	topics := make([]string, len(ids))
	for i, id := range ids {
		topics[i] = feed.TopicOf(id)
	}
	return topics
}

func (o *ownRooms) use(user string, h *realtime.Hub) *roomsOf {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.byUser[user]
	if r == nil {
		r = &roomsOf{interest: h.NewInterest()}
		o.byUser[user] = r
	}
	r.uses++
	return r
}

func (o *ownRooms) leave(user string, r *roomsOf) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.uses--; r.uses > 0 {
		return
	}
	delete(o.byUser, user)
	r.interest.End()
}

func (o *ownRooms) of(user string) *roomsOf {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byUser[user]
}

// moved follows a room that users of this node came into, and ends that for those who went.
// What was told of the room before it was followed is made anew. News of a removal may come
// after the news that its user came back, which another node told: who is in the room all
// the same follows it again.
func (c *Streams) moved(e feed.Event, news rooms.UserNews) {
	here := map[string]*roomsOf{}
	for _, id := range news.Users {
		if r := c.own.of(id); r != nil {
			here[id] = r
		}
	}
	if len(here) == 0 {
		return
	}
	topic := feed.TopicOf(e.Key)
	if news.Gone {
		for _, r := range here {
			r.interest.Drop(topic)
		}
	}
	c.hub.Later(func() {
		ctx, cancel := context.WithTimeout(context.Background(), realtime.StoreTime)
		defer cancel()
		ids := slices.Collect(maps.Keys(here))
		if news.Gone { // where that cannot be read the room stays followed, which harms nobody
			if members, err := c.among(ctx, e.Key, ids); err == nil {
				ids = members
			}
		}
		fresh := false
		for _, id := range ids {
			fresh = here[id].interest.Follow(ctx, topic) || fresh
		}
		if !fresh { // somebody here has been told of the room all the time
			return
		}
		c.unreads.tell(e.Key, ids)
		events, err := c.rooms.NewsSince(ctx, []string{e.Key}, e.At.Add(-realtime.LossMargin))
		for _, e := range events {
			c.hub.Again(e)
		}
		if err != nil {
			c.untold("news_not_made_good", e.Key, err, e.At)
		}
	})
}
