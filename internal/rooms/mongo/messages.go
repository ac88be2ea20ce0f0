package mongo

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/rooms"
)

func decodeMessage(raw bson.Raw) (*rooms.Message, error) {
	m, err := decode[rooms.Message](raw)
	if err == nil {
		dropEmpty(m)
	}
	return m, err
}

// dropEmpty takes out emojis that nobody stands behind any more: they are
// removed in a second step after the last name (see SetReaction).
func dropEmpty(m *rooms.Message) {
	for emoji, r := range m.Reactions {
		if len(r.Usernames) == 0 {
			delete(m.Reactions, emoji)
		}
	}
}

// InsertMessage implements rooms.MessageStore. The message decides; the room and
// the memberships follow from it, and it carries a note until they have.
func (s *Store) InsertMessage(ctx context.Context, m *rooms.Message, e rooms.Unread) (*rooms.Room, []string, error) {
	ctx, cancel := s.Timed(ctx)
	defer cancel()
	doc, err := s.withNote(m, e)
	if err != nil {
		return nil, nil, err
	}
	if err := s.messages.Insert(ctx, doc); err != nil {
		return nil, nil, err
	}
	if e.Thread != "" {
		err = s.countReply(ctx, m, e)
	}
	var r *rooms.Room
	if err == nil {
		r, err = s.countMessage(ctx, m)
	}
	if errors.Is(err, dberr.NotFound) || errors.Is(err, dberr.Conflict) { // there is no such room, or nothing to answer
		return nil, nil, errors.Join(err, s.messages.Remove(ctx, byID(m.ID)))
	}
	var touched []string
	if err == nil && !e.None && !m.Aside() {
		touched, err = s.countUnread(ctx, m, e)
	}
	if err == nil && e.Thread != "" {
		r, touched, err = s.countThread(ctx, r, m, e, touched)
	}
	if err != nil {
		return nil, nil, err
	}
	s.settled(ctx, m.ID)
	return r, touched, nil
}

// countMessage counts a message in its room and makes an ordinary one the last
// unless a newer one is.
func (s *Store) countMessage(ctx context.Context, m *rooms.Message) (*rooms.Room, error) {
	counted := bson.D{
		{Key: "$inc", Value: bson.D{{Key: "msgs", Value: 1}}},
		{Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: m.UpdatedAt}}},
	}
	if m.Type == "" && !m.Aside() {
		filter := append(byID(m.RoomID), bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "lm", Value: bson.D{{Key: "$exists", Value: false}}}},
			bson.D{{Key: "lm", Value: bson.D{{Key: "$lte", Value: m.TS}}}},
		}})
		last := append(slices.Clone(counted), bson.E{Key: "$set", Value: bson.D{{Key: "lm", Value: m.TS}, {Key: "lastMessage", Value: m}}})
		r, err := updated(ctx, s.rooms, filter, last, decodeRoom)
		if !errors.Is(err, dberr.NotFound) {
			return r, err
		}
	}
	return updated(ctx, s.rooms, byID(m.RoomID), counted, decodeRoom)
}

// countUnread moves the counters of the memberships of a room, in one command.
func (s *Store) countUnread(ctx context.Context, m *rooms.Message, e rooms.Unread) ([]string, error) {
	writes := []driver.WriteModel{driver.NewUpdateOneModel().SetFilter(seat(m.RoomID, m.User.ID)).SetUpdate(set(bson.D{
		{Key: "lr", Value: m.TS}, {Key: "ls", Value: m.TS}, {Key: "_updatedAt", Value: m.UpdatedAt}, {Key: "alert", Value: false},
		{Key: "unread", Value: 0}, {Key: "userMentions", Value: 0}, {Key: "groupMentions", Value: 0},
	}))}
	mentioned := slices.DeleteFunc(slices.Clone(e.Users), func(id string) bool { return id == m.User.ID })
	others := memberships(bson.E{Key: "rid", Value: m.RoomID},
		bson.E{Key: "u._id", Value: bson.D{{Key: "$nin", Value: append([]string{m.User.ID}, mentioned...)}}})
	if !e.CountAll && !e.Group {
		others = append(others, bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "alert", Value: bson.D{{Key: "$ne", Value: true}}}},
			bson.D{{Key: "open", Value: bson.D{{Key: "$ne", Value: true}}}},
		}})
	}
	touched, err := s.texts(ctx, others, "u", "_id")
	if err != nil {
		return nil, err
	}
	writes = touch(writes, m, touched, e, false)
	if len(mentioned) > 0 {
		named, err := s.texts(ctx, memberships(bson.E{Key: "rid", Value: m.RoomID}, bson.E{Key: "u._id", Value: in(mentioned)}), "u", "_id")
		if err != nil {
			return nil, err
		}
		writes, touched = touch(writes, m, named, e, true), append(touched, named...)
	}
	return touched, s.subscriptions.Write(ctx, writes)
}

// touch adds the change that moves the counters of these members.
func touch(writes []driver.WriteModel, m *rooms.Message, ids []string, e rooms.Unread, mentioned bool) []driver.WriteModel {
	if len(ids) == 0 {
		return writes
	}
	update := set(bson.D{{Key: "alert", Value: true}, {Key: "open", Value: true}, {Key: "_updatedAt", Value: m.UpdatedAt}})
	unread, users, groups := e.Grows(mentioned)
	var inc bson.D
	for _, c := range []struct {
		key string
		n   int
	}{{"unread", unread}, {"userMentions", users}, {"groupMentions", groups}} {
		if c.n > 0 {
			inc = append(inc, bson.E{Key: c.key, Value: c.n})
		}
	}
	if len(inc) > 0 {
		update = append(update, bson.E{Key: "$inc", Value: inc})
	}
	return append(writes, driver.NewUpdateManyModel().SetFilter(bson.D{{Key: "rid", Value: m.RoomID}, {Key: "u._id", Value: in(ids)}}).SetUpdate(update))
}

// MessageByID implements rooms.MessageStore.
func (s *Store) MessageByID(ctx context.Context, id string) (*rooms.Message, error) {
	return one(ctx, s.messages, byID(id), decodeMessage)
}

var visible = bson.E{Key: "_hidden", Value: bson.D{{Key: "$ne", Value: true}}}

func historyFilter(q rooms.HistoryQuery) bson.D {
	filter := bson.D{{Key: "rid", Value: q.RoomID}}
	var ts bson.D
	bound := func(op string, t time.Time) {
		if q.Inclusive {
			op += "e"
		}
		if !t.IsZero() {
			ts = append(ts, bson.E{Key: op, Value: t})
		}
	}
	bound("$gt", q.After)
	bound("$lt", q.Before)
	if len(ts) > 0 {
		filter = append(filter, bson.E{Key: "ts", Value: ts})
	}
	filter = append(filter, visible)
	if q.Pinned {
		filter = append(filter, bson.E{Key: "pinned", Value: true})
	}
	if q.StarredBy != "" {
		filter = append(filter, bson.E{Key: "starred._id", Value: q.StarredBy})
	}
	if q.Ordinary {
		filter = append(filter, bson.E{Key: "t", Value: bson.D{{Key: "$exists", Value: false}}})
	}
	return ofThreads(filter, q)
}

// History implements rooms.MessageStore.
func (s *Store) History(ctx context.Context, q rooms.HistoryQuery) ([]*rooms.Message, error) {
	order := []string{"-ts", "-_id"}
	switch {
	case q.Threads:
		order = []string{"-tlm", "-_id"}
	case q.OldestFirst:
		order = []string{"ts", "_id"}
	}
	return s.pageOfMessages(ctx, historyFilter(q), page(q.Offset, max(q.Limit, 0), order...))
}

// CountHistory implements rooms.MessageStore.
func (s *Store) CountHistory(ctx context.Context, q rooms.HistoryQuery) (int, error) {
	return s.messages.Count(ctx, historyFilter(q))
}

// ChangedMessages implements rooms.MessageStore.
func (s *Store) ChangedMessages(ctx context.Context, roomID string, in rooms.Span) ([]*rooms.Message, error) {
	moment, order := spanned(in)
	filter := bson.D{{Key: "rid", Value: roomID}, {Key: "_updatedAt", Value: moment}, visible}
	return s.pageOfMessages(ctx, ofThreads(filter, rooms.HistoryQuery{Thread: in.Thread, Threads: in.Threads}),
		page(0, in.Limit, order+"_updatedAt", order+"_id"))
}

// spanned is a span as a condition, and the sign of its order.
func spanned(in rooms.Span) (moment bson.D, order string) {
	if !in.Before.IsZero() {
		return bson.D{{Key: "$lt", Value: in.Before}}, "-"
	}
	return bson.D{{Key: "$gt", Value: in.After}}, ""
}

// GoneMessages implements rooms.MessageStore.
func (s *Store) GoneMessages(ctx context.Context, roomID string, in rooms.Span) ([]rooms.Gone, error) {
	moment, order := spanned(in)
	return s.gone(ctx, bson.D{{Key: "rid", Value: roomID}, {Key: "__collection__", Value: rooms.GoneMessage}, {Key: "_deletedAt", Value: moment}},
		page(0, in.Limit, order+"_deletedAt"))
}

// changeMessage runs a conditional update of a message; Conflict when the
// condition does not hold.
func (s *Store) changeMessage(ctx context.Context, id string, condition, update bson.D) (*rooms.Message, error) {
	m, err := updated(ctx, s.messages, append(byID(id), condition...), update, decodeMessage)
	if errors.Is(err, dberr.NotFound) {
		if _, err = s.MessageByID(ctx, id); err == nil {
			err = dberr.Conflict
		}
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// EditMessage implements rooms.MessageStore.
func (s *Store) EditMessage(ctx context.Context, id string, e rooms.Edit) (*rooms.Message, error) {
	fields := bson.D{{Key: "msg", Value: e.Text}, {Key: "editedAt", Value: e.At}, {Key: "editedBy", Value: e.By}, {Key: "_updatedAt", Value: e.At}}
	// What an older program derived from the text is no longer true.
	unset := bson.D{{Key: "md", Value: 1}}
	put := func(key string, v any, n int) {
		if n > 0 {
			fields = append(fields, bson.E{Key: key, Value: v})
		} else {
			unset = append(unset, bson.E{Key: key, Value: 1})
		}
	}
	put("mentions", e.Mentions, len(e.Mentions))
	put("channels", e.Channels, len(e.Channels))
	put("urls", e.URLs, len(e.URLs))
	if e.Attachments != nil {
		put("attachments", *e.Attachments, len(*e.Attachments))
	}
	return s.changeMessage(ctx, id,
		bson.D{{Key: "msg", Value: e.Old}, {Key: "t", Value: bson.D{{Key: "$exists", Value: false}}}, visible},
		append(set(fields), bson.E{Key: "$unset", Value: unset}))
}

// SetPinned implements rooms.MessageStore.
func (s *Store) SetPinned(ctx context.Context, id string, on bool, by rooms.Ref, at time.Time) (*rooms.Message, error) {
	was := bson.D{{Key: "pinned", Value: bson.D{{Key: "$ne", Value: true}}}}
	if !on {
		was = bson.D{{Key: "pinned", Value: true}}
	}
	return s.changeMessage(ctx, id, was, set(bson.D{
		{Key: "pinned", Value: on}, {Key: "pinnedBy", Value: by}, {Key: "pinnedAt", Value: at}, {Key: "_updatedAt", Value: at},
	}))
}

// SetStar implements rooms.MessageStore.
func (s *Store) SetStar(ctx context.Context, id, userID string, on bool, at time.Time) (*rooms.Message, bool, error) {
	star := bson.D{{Key: "starred", Value: rooms.Star{ID: userID}}}
	was, change := bson.D{{Key: "starred._id", Value: bson.D{{Key: "$ne", Value: userID}}}}, bson.E{Key: "$push", Value: star}
	if !on {
		was, change = bson.D{{Key: "starred._id", Value: userID}}, bson.E{Key: "$pull", Value: bson.D{{Key: "starred", Value: bson.D{{Key: "_id", Value: userID}}}}}
	}
	m, err := s.changeMessage(ctx, id, was, append(set(bson.D{{Key: "_updatedAt", Value: at}}), change))
	if errors.Is(err, dberr.Conflict) {
		m, err = s.MessageByID(ctx, id)
		return m, false, err
	}
	return m, err == nil, err
}

// lostRaces bounds how often a reaction is tried again because somebody else
// changed the message; the operation's deadline bounds it too.
const lostRaces = 1000

// SetReaction implements rooms.MessageStore.
func (s *Store) SetReaction(ctx context.Context, id, emoji, username string, on *bool, max int, at time.Time) (m *rooms.Message, set, changed bool, err error) {
	for range lostRaces {
		read, err := s.MessageByID(ctx, id)
		if err != nil {
			return nil, false, false, err
		}
		_, known := read.Reactions[emoji]
		seen := read.UpdatedAt
		if set, changed, err = read.SetReaction(emoji, username, on, max, at); err != nil || !changed {
			return read, set, false, err
		}
		m, err := s.react(ctx, id, emoji, username, set, known, seen, at)
		if !errors.Is(err, dberr.Conflict) {
			return m, set, err == nil, err
		}
	}
	return nil, false, false, dberr.Conflict
}

// react makes the change that was decided on what was read; Conflict when that
// is no longer so. seen guards the number of different emojis.
func (s *Store) react(ctx context.Context, id, emoji, username string, on, known bool, seen, at time.Time) (*rooms.Message, error) {
	path := "reactions." + emoji
	names := path + ".usernames"
	stamp := set(bson.D{{Key: "_updatedAt", Value: at}})
	if on {
		was := bson.D{{Key: names, Value: bson.D{{Key: "$ne", Value: username}}}}
		if !known {
			was = append(was, bson.E{Key: "_updatedAt", Value: seen})
		}
		return s.changeMessage(ctx, id, was, append(stamp, bson.E{Key: "$push", Value: bson.D{{Key: names, Value: username}}}))
	}
	m, err := s.changeMessage(ctx, id, bson.D{{Key: names, Value: username}}, append(stamp, bson.E{Key: "$pull", Value: bson.D{{Key: names, Value: username}}}))
	if err != nil {
		return nil, err
	}
	_, err = s.messages.UpdateOne(ctx, append(byID(id), bson.E{Key: names, Value: bson.D{{Key: "$size", Value: 0}}}),
		bson.D{{Key: "$unset", Value: bson.D{{Key: path, Value: 1}}}})
	return m, err
}

// DeleteMessage implements rooms.MessageStore.
func (s *Store) DeleteMessage(ctx context.Context, id string, at time.Time) (r *rooms.Room, m *rooms.Message, err error) {
	ctx, cancel := s.Timed(ctx)
	defer cancel()
	m, err = s.MessageByID(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	gone := rooms.Gone{ID: id, Kind: rooms.GoneMessage, RoomID: m.RoomID, DeletedAt: at}
	err = s.together(ctx, note{RoomID: m.RoomID, Gone: &gone, ThreadID: m.ThreadID}, func(ctx context.Context) (err error) {
		r, m, err = s.deleteMessage(ctx, gone)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return r, m, nil
}

func (s *Store) deleteMessage(ctx context.Context, gone rooms.Gone) (*rooms.Room, *rooms.Message, error) {
	if err := s.bury(ctx, gone); err != nil {
		return nil, nil, err
	}
	raw, err := s.messages.Take(ctx, byID(gone.ID))
	if err != nil {
		return nil, nil, err
	}
	m, err := decodeMessage(raw)
	if err != nil {
		return nil, nil, err
	}
	if _, err := raw.LookupErr(openField); err == nil { // perhaps the room never counted it
		if err := s.acts.Insert(ctx, note{ID: random.ID(), At: s.Clock(), RoomID: m.RoomID}); err != nil {
			return nil, nil, err
		}
	}
	if err := s.dropThread(ctx, m, gone.DeletedAt); err != nil {
		return nil, nil, err
	}
	r, err := updated(ctx, s.rooms, byID(m.RoomID), bson.D{
		{Key: "$inc", Value: bson.D{{Key: "msgs", Value: -1}}}, {Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: gone.DeletedAt}}},
	}, decodeRoom)
	if err != nil || !r.Lost(m) {
		return r, m, err
	}
	r, err = s.anotherLast(ctx, r)
	return r, m, err
}

// anotherLast makes the newest message the last of its room.
func (s *Store) anotherLast(ctx context.Context, r *rooms.Room) (*rooms.Room, error) {
	last, err := s.History(ctx, rooms.HistoryQuery{RoomID: r.ID, Ordinary: true, Main: true, Limit: 1})
	if err != nil || len(last) > 0 && r.LastMessage != nil && last[0].ID == r.LastMessage.ID {
		return r, err
	}
	update := bson.D{{Key: "$unset", Value: bson.D{{Key: "lastMessage", Value: 1}}}}
	if len(last) > 0 {
		update = append(set(bson.D{{Key: "lastMessage", Value: last[0]}}), bson.E{Key: "$max", Value: bson.D{{Key: "lm", Value: last[0].TS}}})
	}
	was := bson.E{Key: "lastMessage._id", Value: bson.D{{Key: "$exists", Value: false}}}
	if r.LastMessage != nil {
		was.Value = r.LastMessage.ID
	}
	now, err := updated(ctx, s.rooms, append(byID(r.ID), was), update, decodeRoom)
	if errors.Is(err, dberr.NotFound) { // a newer message came meanwhile
		return s.RoomByID(ctx, r.ID)
	}
	return now, err
}

// SweepGone implements rooms.MessageStore.
func (s *Store) SweepGone(ctx context.Context, before time.Time) error {
	return s.trash.Remove(ctx, bson.D{{Key: "_deletedAt", Value: bson.D{{Key: "$lt", Value: before}}}})
}
