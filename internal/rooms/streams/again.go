package streams

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rooms"
)

const (
	// roomsAtOnce is how many rooms are read for one answer of the store.
	roomsAtOnce = 100
	// manyRooms is how many rooms one user may have whom the others wait for.
	manyRooms = 500
)

// again tells those who listen on this node what happened since then in the rooms that they
// listen to, and what became of their memberships: the node that made the news died before
// it told it, or it was lost on the way. An error says that the store did not answer, and
// that all of it is to be done again; what cannot be read although it answers is left to the next
// read of the client, and logged. The rooms of somebody who follows very many are read beside, when
// everybody else was told.
func (c *Streams) again(ctx context.Context, since time.Time) error {
	var err error
	c.members.drop() // who came and went is among what was missed
	wanted, late := map[string]struct{}{}, map[string]struct{}{}
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
			to := wanted
			if len(ids) > manyRooms {
				to = late
			}
			maps.Copy(to, set(ids))
		}
	}
	follow := func(user string, ids []string) { // who came into a room may be among what was missed
		if r := c.own.of(user); r != nil {
			r.interest.Follow(ctx, topicsOf(ids)...)
		}
	}
	read(c.mine.users(), c.rooms.RoomIDs, follow)
	changed := func(ctx context.Context, user string) ([]string, error) {
		return c.rooms.MembershipsSince(ctx, user, since)
	}
	read(c.listeners(tellsOfRooms...), changed, func(user string, ids []string) {
		follow(user, ids)
		if c.hub.Listening(rooms.NotifyUser + "/" + user + "/subscriptions-changed") {
			for _, room := range ids {
				c.unreads.tell(room, []string{user})
			}
		}
	})
	err = cmp.Or(c.newsOf(ctx, slices.Collect(maps.Keys(wanted)), since), err)
	if errors.Is(err, dberr.Unavailable) || ctx.Err() != nil {
		return err
	}
	if err != nil {
		c.log.Warn("news_not_made_good", zap.Error(err))
	}
	for room := range wanted {
		delete(late, room)
	}
	c.beside(ctx, late, since)
	return nil
}

// newsOf tells again what happened in rooms since then.
func (c *Streams) newsOf(ctx context.Context, list []string, since time.Time) (err error) {
	for some := range slices.Chunk(list, roomsAtOnce) {
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
	return err
}

// owed are the rooms whose news is told again beside everything else, and since when.
type owed struct {
	mu      sync.Mutex
	rooms   map[string]time.Time
	running bool
}

// add notes rooms; first tells that nobody works on them yet.
func (o *owed) add(rooms map[string]struct{}, since time.Time) (first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rooms == nil {
		o.rooms = map[string]time.Time{}
	}
	for room := range rooms {
		if at, there := o.rooms[room]; !there || since.Before(at) {
			o.rooms[room] = since
		}
	}
	first = !o.running && len(o.rooms) > 0
	o.running = o.running || first
	return first
}

// next takes some rooms, and the time of the one that waits for news from the earliest;
// none when there are no more, and whoever asked is done.
func (o *owed) next() (some []string, since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for room, at := range o.rooms {
		if len(some) == roomsAtOnce {
			break
		}
		if len(some) == 0 || at.Before(since) {
			since = at
		}
		some = append(some, room)
		delete(o.rooms, room)
	}
	o.running = len(some) > 0
	return some, since
}

// beside tells again what happened in rooms, one worker for all of them.
func (c *Streams) beside(ctx context.Context, rooms map[string]struct{}, since time.Time) {
	if !c.owed.add(rooms, since) {
		return
	}
	c.hub.Later(func() {
		var err error
		for {
			some, since := c.owed.next()
			if len(some) == 0 {
				break
			}
			if ctx.Err() != nil || errors.Is(err, dberr.Unavailable) {
				continue // the rest is taken out, and made good with all of it
			}
			if bad := c.newsOf(ctx, some, since); bad != nil {
				c.untold("news_not_made_good", "", bad, since.Add(realtime.LossMargin))
				err = bad
			}
		}
	})
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
