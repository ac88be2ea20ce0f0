package streams

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rooms"
)

// roomsAtOnce is how many rooms are read for one answer of the store.
const roomsAtOnce = 100

// again tells those who listen on this node what happened since then in the rooms that they
// listen to, and what became of their memberships: the node that made the news died before
// it told it, or it was lost on the way. What cannot be read is left to the next read of the
// client, and logged.
func (c *Streams) again(ctx context.Context, since time.Time) {
	var err error
	c.members.drop() // who came and went is among what was missed
	wanted := map[string]struct{}{}
	for _, room := range c.hub.Topics(rooms.RoomMessages + "/") {
		wanted[room] = struct{}{}
	}
	for _, event := range c.hub.Topics(rooms.NotifyRoom + "/") {
		room, _, _ := strings.Cut(event, "/")
		wanted[room] = struct{}{}
	}
	read := func(users []string, rooms func(ctx context.Context, user string) ([]string, error), take func(user string, rooms []string)) {
		for _, user := range users {
			if errors.Is(err, dberr.Unavailable) || ctx.Err() != nil {
				return
			}
			op, cancel := context.WithTimeout(ctx, realtime.StoreTime)
			ids, bad := rooms(op, user)
			cancel()
			err = cmp.Or(err, bad) // one that cannot be read keeps it from nobody else
			take(user, ids)
		}
	}
	read(c.mine.users(), c.rooms.RoomIDs, func(_ string, ids []string) { maps.Copy(wanted, set(ids)) })
	changed := func(ctx context.Context, user string) ([]string, error) {
		return c.rooms.MembershipsSince(ctx, user, since)
	}
	read(c.listeners("rooms-changed", "subscriptions-changed"), changed, func(user string, ids []string) {
		maps.Copy(wanted, set(ids))
		if c.hub.Listening(rooms.NotifyUser + "/" + user + "/subscriptions-changed") {
			for _, room := range ids {
				c.unreads.tell(room, []string{user})
			}
		}
	})
	for some := range slices.Chunk(slices.Collect(maps.Keys(wanted)), roomsAtOnce) {
		if errors.Is(err, dberr.Unavailable) || ctx.Err() != nil {
			break
		}
		op, cancel := context.WithTimeout(ctx, realtime.StoreTime)
		events, bad := c.rooms.NewsSince(op, some, since)
		cancel()
		for _, e := range events {
			c.hub.Again(e)
		}
		err = cmp.Or(err, bad)
	}
	if err != nil && ctx.Err() == nil {
		c.failed("news_not_made_good")("", err)
	}
}

// listeners are the users who listen to one of these events of their own on this node.
func (c *Streams) listeners(events ...string) []string {
	users := map[string]struct{}{}
	for _, key := range c.hub.Topics(rooms.NotifyUser + "/") {
		if user, event, _ := strings.Cut(key, "/"); slices.Contains(events, event) {
			users[user] = struct{}{}
		}
	}
	return slices.Collect(maps.Keys(users))
}
