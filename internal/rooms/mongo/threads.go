package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
)

// The order in which an answer is written: itself, what it answers, the room, and the
// memberships in which its thread is unread. What it answers decides: when that is gone,
// nothing has happened.

// room for one more in a list of at most n.
func shorter(list string, n int) bson.E {
	return bson.E{Key: fmt.Sprint(list, ".", n-1), Value: bson.D{{Key: "$exists", Value: false}}}
}

// answerable is what may be answered in a room (rooms.Message.Answerable).
func answerable(id, roomID string) bson.D {
	return bson.D{{Key: "_id", Value: id}, {Key: "rid", Value: roomID}, {Key: "tmid", Value: bson.D{{Key: "$exists", Value: false}}}, visible}
}

// countReply has the message that m answers count it; Conflict when that is not there.
func (s *Store) countReply(ctx context.Context, m *rooms.Message, e rooms.Unread) error {
	counted := bson.D{
		{Key: "$inc", Value: bson.D{{Key: "tcount", Value: 1}}},
		{Key: "$max", Value: bson.D{{Key: "tlm", Value: m.TS}, {Key: "_updatedAt", Value: m.UpdatedAt}}},
	}
	follow := append(slices.Clone(counted), bson.E{Key: "$addToSet", Value: bson.D{{Key: "replies", Value: bson.D{{Key: "$each", Value: e.Follow}}}}})
	ok, err := false, error(nil)
	if len(e.Follow) > 0 {
		ok, err = s.messages.UpdateOne(ctx, append(answerable(e.Thread, m.RoomID), shorter("replies", rooms.MaxFollowers)), follow)
	}
	if !ok && err == nil { // perhaps too many follow
		ok, err = s.messages.UpdateOne(ctx, answerable(e.Thread, m.RoomID), counted)
	}
	if !ok && err == nil {
		err = dberr.Conflict
	}
	return err
}

// countThread makes the thread unread for those who are told of it.
func (s *Store) countThread(ctx context.Context, r *rooms.Room, m *rooms.Message, e rooms.Unread, touched []string) (*rooms.Room, []string, error) {
	var writes []driver.WriteModel
	if m.Aside() {
		writes = append(writes, driver.NewUpdateOneModel().SetFilter(seat(m.RoomID, m.User.ID)).SetUpdate(set(bson.D{
			{Key: "lr", Value: m.TS}, {Key: "open", Value: true}, {Key: "_updatedAt", Value: m.UpdatedAt},
		})))
	}
	var named, others []string
	for _, id := range e.Tell {
		switch {
		case id == m.User.ID:
		case slices.Contains(e.Users, id):
			named = append(named, id)
		default:
			others = append(others, id)
		}
	}
	for _, group := range []struct {
		ids       []string
		mentioned bool
	}{{others, false}, {named, true}} {
		if len(group.ids) == 0 {
			continue
		}
		lists := []string{"tunread"}
		if group.mentioned {
			lists = append(lists, "tunreadUser")
		}
		if e.Group {
			lists = append(lists, "tunreadGroup")
		}
		ids, err := s.texts(ctx, untold(m, group.ids, lists), "u", "_id")
		if err != nil {
			return nil, nil, err
		}
		touched = union(touched, ids)
		if len(ids) > 0 {
			writes = append(writes, tellThread(m, ids, lists))
		}
	}
	var err error
	if len(writes) > 0 {
		err = s.subscriptions.Write(ctx, writes)
	}
	if err == nil && m.Shown {
		r, err = s.shownInRoom(ctx, r, m.ID)
	}
	return r, touched, err
}

// untold selects those of these members whom an answer changes something for
// (rooms.Subscription.CountThread).
func untold(m *rooms.Message, ids, lists []string) bson.D {
	otherwise := bson.A{bson.D{{Key: "open", Value: bson.D{{Key: "$ne", Value: true}}}}}
	for _, list := range lists {
		otherwise = append(otherwise, bson.D{{Key: list, Value: bson.D{{Key: "$ne", Value: m.ThreadID}}}})
	}
	return memberships(bson.E{Key: "rid", Value: m.RoomID}, bson.E{Key: "u._id", Value: in(ids)},
		bson.E{Key: "$and", Value: bson.A{
			bson.D{{Key: "$or", Value: otherwise}},
			bson.D{{Key: "$or", Value: bson.A{bson.D{{Key: "tunread", Value: m.ThreadID}}, bson.D{shorter("tunread", rooms.MaxThreads)}}}},
		}})
}

func tellThread(m *rooms.Message, ids, lists []string) driver.WriteModel {
	var add bson.D
	for _, list := range lists {
		add = append(add, bson.E{Key: list, Value: m.ThreadID})
	}
	return driver.NewUpdateManyModel().SetFilter(bson.D{{Key: "rid", Value: m.RoomID}, {Key: "u._id", Value: in(ids)}}).
		SetUpdate(append(set(bson.D{{Key: "open", Value: true}, {Key: "lr", Value: m.TS}, {Key: "_updatedAt", Value: m.UpdatedAt}}),
			bson.E{Key: "$addToSet", Value: add}))
}

// shownInRoom has the room show an answer as what it is by now: what it answers may have
// been deleted before the room knew the answer.
func (s *Store) shownInRoom(ctx context.Context, r *rooms.Room, id string) (*rooms.Room, error) {
	m, err := s.MessageByID(ctx, id)
	if err != nil || m.ThreadID != "" {
		return r, ignore(err, dberr.NotFound)
	}
	if _, err := s.TouchLastMessage(ctx, m, m.UpdatedAt); err != nil {
		return r, err
	}
	return s.RoomByID(ctx, r.ID)
}

// dropThread does for a thread what the deletion of one of its messages does.
func (s *Store) dropThread(ctx context.Context, was *rooms.Message, at time.Time) error {
	switch {
	case was.ThreadID != "":
		return s.dropReply(ctx, was.ThreadID, at)
	case was.Replies > 0:
		return s.free(ctx, was.ID, at)
	}
	return nil
}

// free makes what answered a message that is gone messages of the room.
func (s *Store) free(ctx context.Context, id string, at time.Time) error {
	return s.messages.UpdateAll(ctx, bson.D{{Key: "tmid", Value: id}}, bson.D{
		{Key: "$unset", Value: bson.D{{Key: "tmid", Value: 1}, {Key: "tshow", Value: 1}}},
		{Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: at}}},
	})
}

// dropReply takes an answer out of the count, and then has the message say when it was
// answered last; whoever counts another answer meanwhile says that himself.
func (s *Store) dropReply(ctx context.Context, id string, at time.Time) error {
	p, err := updated(ctx, s.messages, byID(id), bson.D{
		{Key: "$inc", Value: bson.D{{Key: "tcount", Value: -1}}}, {Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: at}}},
	}, decodeMessage)
	for range lostRaces {
		if err != nil {
			break
		}
		var change bson.D
		if p.Replies <= 0 {
			change = bson.D{{Key: "$unset", Value: bson.D{{Key: "tcount", Value: 1}, {Key: "tlm", Value: 1}, {Key: "replies", Value: 1}}}}
		} else {
			newest, err := s.newestReply(ctx, id)
			if err != nil || newest.IsZero() || newest.Equal(p.LastReply) {
				return err
			}
			change = set(bson.D{{Key: "tlm", Value: newest}})
		}
		is := append(byID(id), bson.E{Key: "tcount", Value: p.Replies}, asRead("tlm", p.LastReply))
		ok, err := s.messages.UpdateOne(ctx, is, change)
		if ok || err != nil {
			return err
		}
		if p, err = s.MessageByID(ctx, id); err != nil {
			return ignore(err, dberr.NotFound)
		}
	}
	return ignore(err, dberr.NotFound)
}

// asRead is the condition that a time is as it was read, not there if it is zero.
func asRead(key string, t time.Time) bson.E {
	if t.IsZero() {
		return bson.E{Key: key, Value: bson.D{{Key: "$exists", Value: false}}}
	}
	return bson.E{Key: key, Value: t}
}

// newestReply is when a message was answered last by what is there.
func (s *Store) newestReply(ctx context.Context, id string) (time.Time, error) {
	list, err := many(ctx, s.messages, bson.D{{Key: "tmid", Value: id}}, decodeMessage, page(0, 1, "-ts", "-_id"))
	if err != nil || len(list) == 0 {
		return time.Time{}, err
	}
	return list[0].TS, nil
}

// ForgetThread implements rooms.SubscriptionStore.
func (s *Store) ForgetThread(ctx context.Context, roomID, id string, at time.Time) ([]string, error) {
	marked := bson.D{{Key: "rid", Value: roomID}, {Key: "tunread", Value: id}}
	touched, err := s.texts(ctx, marked, "u", "_id")
	if err != nil || len(touched) == 0 {
		return nil, err
	}
	return touched, s.subscriptions.UpdateAll(ctx, marked, bson.D{
		pullThread(id), {Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: at}}},
	})
}

func pullThread(what any) bson.E {
	return bson.E{Key: "$pull", Value: bson.D{{Key: "tunread", Value: what}, {Key: "tunreadUser", Value: what}, {Key: "tunreadGroup", Value: what}}}
}

// pullThreads is the part of a change of a membership that is about threads; otherwise are
// the conditions under which it changes anything.
func pullThreads(otherwise *bson.A, c rooms.SubscriptionChange) bson.D {
	switch {
	case c.ReadThreads:
		for _, list := range []string{"tunread", "tunreadUser", "tunreadGroup"} {
			*otherwise = append(*otherwise, bson.D{{Key: list + ".0", Value: bson.D{{Key: "$exists", Value: true}}}})
		}
		return bson.D{pullThread(bson.D{{Key: "$exists", Value: true}})}
	case c.ReadThread != "":
		*otherwise = append(*otherwise, bson.D{{Key: "tunread", Value: c.ReadThread}})
		return bson.D{pullThread(c.ReadThread)}
	}
	return nil
}

// ofThreads adds what a query says of threads.
func ofThreads(filter bson.D, q rooms.HistoryQuery) bson.D {
	if q.Main {
		filter = append(filter, bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "tmid", Value: bson.D{{Key: "$exists", Value: false}}}}, bson.D{{Key: "tshow", Value: true}},
		}})
	}
	if q.Thread != "" {
		filter = append(filter, bson.E{Key: "tmid", Value: q.Thread})
	}
	if q.Threads {
		filter = append(filter, bson.E{Key: "tlm", Value: bson.D{{Key: "$exists", Value: true}}})
	}
	if q.FollowedBy != "" {
		filter = append(filter, bson.E{Key: "replies", Value: q.FollowedBy})
	}
	if q.In != nil {
		filter = append(filter, bson.E{Key: "_id", Value: in(q.In)})
	}
	return filter
}

// SetFollower implements rooms.MessageStore.
func (s *Store) SetFollower(ctx context.Context, id, userID string, on bool, at time.Time) (*rooms.Message, bool, error) {
	was, change := bson.D{{Key: "replies", Value: bson.D{{Key: "$ne", Value: userID}}}, shorter("replies", rooms.MaxFollowers)},
		bson.E{Key: "$push", Value: bson.D{{Key: "replies", Value: userID}}}
	if !on {
		was, change = bson.D{{Key: "replies", Value: userID}}, bson.E{Key: "$pull", Value: bson.D{{Key: "replies", Value: userID}}}
	}
	m, err := s.changeMessage(ctx, id, was, bson.D{{Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: at}}}, change})
	if !errors.Is(err, dberr.Conflict) {
		return m, err == nil, err
	}
	if m, err = s.MessageByID(ctx, id); err == nil && on && !slices.Contains(m.Followers, userID) {
		err = dberr.Exhausted
	}
	return m, false, err
}

// union are the values of both lists, each once.
func union(a, b []string) []string {
	for _, v := range b {
		if !slices.Contains(a, v) {
			a = append(a, v)
		}
	}
	return a
}
