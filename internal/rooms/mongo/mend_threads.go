package mongo

import (
	"context"
	"errors"
	"maps"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
)

// What threads say is computed from the answers that there are. Who follows, and for whom
// a thread is unread, no document says but the note: whoever has read the answer of a dead
// node before it is mended finds it unread again, and who has ceased to follow, follows.

// thread is a message whose answers are counted again.
type thread struct {
	*rooms.Message
	write
}

// aside tells whether the message was written for its thread alone. One whose thread is
// gone is taken for that.
func (m *openMessage) aside() bool {
	return m.ThreadID != "" && !m.Shown || m.ThreadID == "" && m.Open != nil && m.Open.Thread != ""
}

// recountThreads are the changes of messages that may not have counted an answer. Where
// one of them is gone, its answers are the room's.
func (s *Store) recountThreads(ctx context.Context, l *leftovers) ([]*thread, error) {
	follow := map[string][]string{}
	for _, n := range l.notes {
		if n.ThreadID != "" {
			follow[n.ThreadID] = nil
		}
	}
	for _, m := range l.messages {
		if m.Open != nil && m.Open.Thread != "" {
			follow[m.Open.Thread] = union(follow[m.Open.Thread], m.Open.Follow)
		}
	}
	var list []*thread
	for _, id := range slices.Sorted(maps.Keys(follow)) {
		raw, err := s.messages.Newest().One(ctx, byID(id))
		if errors.Is(err, dberr.NotFound) {
			_, err := s.ForgetThread(ctx, l.room, id, s.Clock())
			if err := errors.Join(err, s.free(ctx, id, s.Clock())); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		th, err := s.recountThread(ctx, raw, follow[id])
		if err != nil {
			return nil, err
		}
		list = append(list, th)
	}
	return list, nil
}

func (s *Store) recountThread(ctx context.Context, raw bson.Raw, follow []string) (*thread, error) {
	m, err := decodeMessage(raw)
	if err != nil {
		return nil, err
	}
	answers := bson.D{{Key: "tmid", Value: m.ID}}
	n, err := s.messages.Newest().Count(ctx, answers)
	if err != nil {
		return nil, err
	}
	last, err := many(ctx, s.messages.Newest(), answers, decodeMessage, page(0, 1, "-ts", "-_id"))
	if err != nil {
		return nil, err
	}
	answered := m.Replies != 0 || !m.LastReply.IsZero()
	if m.Replies = n; len(last) > 0 {
		m.LastReply = last[0].TS
		if len(m.Followers) < rooms.MaxFollowers {
			m.Followers = union(m.Followers, follow)
		}
	}
	update := bson.D{{Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: s.Clock()}}}}
	switch {
	case n > 0:
		update = append(update, bson.E{Key: "$set", Value: bson.D{{Key: "tcount", Value: n}, {Key: "tlm", Value: m.LastReply}, {Key: "replies", Value: m.Followers}}})
	case answered:
		update = append(update, bson.E{Key: "$unset", Value: bson.D{{Key: "tcount", Value: 1}, {Key: "tlm", Value: 1}, {Key: "replies", Value: 1}}})
	}
	return &thread{Message: m, write: write{id: m.ID, filter: as(raw, "tcount", "tlm", "replies", "_updatedAt"), update: update}}, nil
}

// unseenThreads is what a membership should be after answers that may not have reached it;
// want is what it should be for other reasons, or nil.
func unseenThreads(x, want *rooms.Subscription, threads []*thread, pending []*openMessage) *rooms.Subscription {
	is := *x
	if want != nil {
		is = *want
	}
	is.Threads, is.UserThreads, is.GroupThreads = slices.Clone(is.Threads), slices.Clone(is.UserThreads), slices.Clone(is.GroupThreads)
	changed := false
	for _, m := range pending {
		at := slices.IndexFunc(threads, func(th *thread) bool { return m.Open != nil && th.ID == m.Open.Thread })
		if at < 0 {
			continue
		}
		reply := &rooms.Message{ThreadID: m.Open.Thread, Shown: m.Shown, TS: m.TS}
		switch {
		case m.User.ID == x.User.ID && m.aside() && x.LastReply.Before(m.TS):
			is.CountOwnReply(reply)
			changed = true
		case m.User.ID != x.User.ID && slices.Contains(threads[at].Followers, x.User.ID):
			changed = is.CountThread(reply, slices.Contains(m.Open.Users, x.User.ID), m.Open.Group) || changed
		}
	}
	if !changed {
		return want
	}
	return &is
}
