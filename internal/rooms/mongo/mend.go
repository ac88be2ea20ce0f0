package mongo

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/mongo"
)

const (
	// skew is how far clocks of nodes may be apart before an act is mended that is still under way.
	skew = 10 * time.Second
	// mendTries is how often a room is looked at in which others write meanwhile; the next
	// round looks again.
	mendTries = 20
)

// Mend implements rooms.MessageStore. Counters are not moved but computed: from the
// documents that there are, on condition that nothing of the room is under way, and
// that what is replaced is what was read.
func (s *Store) Mend(ctx context.Context, now time.Time) error {
	old := bson.D{{Key: "$lte", Value: now.Add(-s.Limit() - skew)}}
	notes, err := many(ctx, s.acts, bson.D{{Key: "at", Value: old}}, decode[note])
	if err != nil {
		return err
	}
	left := map[string]*leftovers{}
	of := func(room string) *leftovers {
		if left[room] == nil {
			left[room] = &leftovers{room: room, old: old, young: bson.D{{Key: "$gt", Value: now.Add(-s.Limit() - skew)}}, reached: map[string]bool{}}
		}
		return left[room]
	}
	for _, n := range notes {
		if n.UserID != "" {
			err = errors.Join(err, s.mendName(ctx, n))
			continue
		}
		if n.Follow {
			err = errors.Join(err, s.mendFollow(ctx, n))
			continue
		}
		if n.Block != nil {
			err = errors.Join(err, s.mendBlock(ctx, n))
			continue
		}
		if !n.Erase.IsZero() {
			err = errors.Join(err, s.mendErased(ctx, n))
			continue
		}
		of(n.RoomID).notes = append(of(n.RoomID).notes, n)
	}
	err2 := s.messages.All(ctx, bson.D{{Key: openField + ".at", Value: old}}, func(raw bson.Raw) error {
		m, err := decode[openMessage](raw)
		if err == nil {
			of(m.RoomID).messages = append(of(m.RoomID).messages, m)
		}
		return err
	})
	err = errors.Join(err, err2)
	for _, l := range left {
		s.Log().Warn("left_half_written", zap.String("room_id", l.room), zap.Int("messages", len(l.messages)), zap.Int("acts", len(l.notes)))
		err = errors.Join(err, s.mendRoom(ctx, l))
	}
	return err
}

// mendName makes memberships follow the name that an account has now.
func (s *Store) mendName(ctx context.Context, n *note) error {
	u, err := s.UserByID(ctx, n.UserID)
	if err == nil {
		err = s.rename(ctx, rooms.Ref{ID: u.ID, Username: u.Username, Name: u.Name}, s.Clock())
	}
	if err != nil && !errors.Is(err, dberr.NotFound) {
		return err
	}
	return s.acts.Remove(ctx, byID(n.ID))
}

// mendFollow makes memberships follow what their room is called now.
func (s *Store) mendFollow(ctx context.Context, n *note) error {
	if err := s.follow(ctx, n.RoomID, s.Clock()); err != nil {
		return err
	}
	return s.acts.Remove(ctx, byID(n.ID))
}

// openMessage is what counts of a message.
type openMessage struct {
	ID       string          `bson:"_id"`
	RoomID   string          `bson:"rid"`
	Type     string          `bson:"t"`
	ThreadID string          `bson:"tmid"`
	Shown    bool            `bson:"tshow"`
	TS       time.Time       `bson:"ts"`
	User     rooms.Ref       `bson:"u"`
	Hidden   bool            `bson:"_hidden"`
	Mentions []rooms.Mention `bson:"mentions"`
	Open     *open           `bson:"ddpOpen"`
}

// leftovers are what notes are there of in one room, whose nodes must be through.
type leftovers struct {
	room       string
	old, young bson.D // the conditions on the times of notes whose nodes must be, and may not be
	notes      []*note
	messages   []*openMessage
	// reached are the memberships whose counters have been moved for these messages.
	reached map[string]bool
}

func (s *Store) mendRoom(ctx context.Context, l *leftovers) error {
	ctx, cancel := s.Timed(ctx)
	defer cancel()
	for range mendTries {
		done, err := s.mendOnce(ctx, l)
		if err != nil {
			return err
		}
		if done {
			return s.forget(ctx, l)
		}
		select { // others write in the room
		case <-random.Moment(50 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// forget removes the notes of what is mended.
func (s *Store) forget(ctx context.Context, l *leftovers) error {
	var ids, messages []string
	for _, n := range l.notes {
		ids = append(ids, n.ID)
	}
	for _, m := range l.messages {
		messages = append(messages, m.ID)
	}
	var err error
	if len(messages) > 0 {
		err = s.messages.UpdateAll(ctx, bson.D{{Key: "_id", Value: in(messages)}}, bson.D{{Key: "$unset", Value: bson.D{{Key: openField, Value: 1}}}})
	}
	if len(ids) > 0 {
		err = errors.Join(err, s.acts.Remove(ctx, bson.D{{Key: "_id", Value: in(ids)}}))
	}
	return err
}

// mendOnce completes and counts; false when something of the room was under way.
func (s *Store) mendOnce(ctx context.Context, l *leftovers) (bool, error) {
	raw, err := s.rooms.Newest().One(ctx, byID(l.room))
	if errors.Is(err, dberr.NotFound) { // it was not made, and takes no messages
		return true, s.messages.Remove(ctx, bson.D{{Key: "rid", Value: l.room}, {Key: openField + ".at", Value: l.old}})
	}
	if err != nil {
		return false, err
	}
	for _, n := range l.notes {
		if err := s.complete(ctx, n); err != nil {
			return false, err
		}
	}
	read := map[string]bson.Raw{}
	subs, err := many(ctx, s.subscriptions.Newest(), memberships(bson.E{Key: "rid", Value: l.room}), func(raw bson.Raw) (*rooms.Subscription, error) {
		m, err := decodeSubscription(raw)
		if err == nil {
			read[m.ID] = slices.Clone(raw)
		}
		return m, err
	})
	if err != nil {
		return false, err
	}
	update, err := s.recount(ctx, raw, subs)
	if err != nil {
		return false, err
	}
	threads, err := s.recountThreads(ctx, l)
	if err != nil {
		return false, err
	}
	writes, err := s.recountUnread(ctx, l, threads, subs, read)
	if err != nil {
		return false, err
	}
	// Whatever is under way now may be in one of what was read and not in another. What begins
	// from now on changes what the writes are conditional on.
	for c, key := range map[*mongo.Collection]string{&s.messages: openField + ".at", &s.acts: "at"} {
		if n, err := c.Newest().CountUpTo(ctx, bson.D{{Key: "rid", Value: l.room}, {Key: key, Value: l.young}}, 1); n > 0 || err != nil {
			return false, err
		}
	}
	if len(update) > 0 {
		if ok, err := s.rooms.UpdateOne(ctx, as(raw, "usersCount", "msgs", "lm", "ddpMembership", "ddpOwners", "_updatedAt"), update); !ok || err != nil {
			return false, err
		}
	}
	for _, th := range threads {
		if ok, err := s.messages.UpdateOne(ctx, th.filter, th.update); !ok || err != nil {
			return false, err
		}
	}
	for _, w := range writes {
		if ok, err := s.subscriptions.UpdateOne(ctx, w.filter, w.update); !ok || err != nil {
			return false, err
		}
		l.reached[w.id] = true
	}
	return true, nil
}

// complete does what is left of an act that may be done twice, and takes news of a death
// back that did not happen.
func (s *Store) complete(ctx context.Context, n *note) error {
	for _, m := range n.Members {
		if err := s.seatAgain(ctx, m); err != nil {
			return err
		}
	}
	if n.Gone == nil {
		return nil
	}
	c := s.subscriptions
	if n.Gone.Kind == rooms.GoneMessage {
		c = s.messages
	}
	_, err := c.Newest().One(ctx, byID(n.Gone.ID))
	if err == nil { // whoever deletes it meanwhile leaves news of another moment
		return s.trash.Remove(ctx, append(byID(n.Gone.ID), bson.E{Key: "_deletedAt", Value: n.Gone.DeletedAt}))
	}
	if !errors.Is(err, dberr.NotFound) {
		return err
	}
	if n.Gone.Kind == rooms.GoneMessage {
		return s.free(ctx, n.Gone.ID, n.Gone.DeletedAt)
	}
	return nil
}

// seatAgain adds a member of a room that was being made, unless it was added and went since.
// It waits like an invitation until that is known: whoever goes is in the trash before the
// membership ends, so somebody who is not there when the seat is taken never had it.
func (s *Store) seatAgain(ctx context.Context, m *rooms.Subscription) error {
	doc, err := document.Fields(m)
	if err != nil {
		return err
	}
	if err := s.subscriptions.Insert(ctx, append(doc, bson.E{Key: "status", Value: invited})); err != nil && !errors.Is(err, dberr.Duplicate) {
		return err
	}
	waiting := append(byID(m.ID), bson.E{Key: "status", Value: invited})
	_, err = s.trash.Newest().One(ctx, byID(m.ID))
	switch {
	case err == nil:
		return s.subscriptions.Remove(ctx, waiting)
	case errors.Is(err, dberr.NotFound):
		_, err = s.subscriptions.UpdateOne(ctx, waiting, bson.D{{Key: "$unset", Value: bson.D{{Key: "status", Value: 1}}}})
	}
	return err
}

// recount is the update that makes a room's counters what its documents say; empty when they are.
func (s *Store) recount(ctx context.Context, raw bson.Raw, subs []*rooms.Subscription) (update bson.D, err error) {
	r, err := decodeRoom(raw)
	if err != nil {
		return nil, err
	}
	n, err := s.messages.Newest().Count(ctx, bson.D{{Key: "rid", Value: r.ID}})
	if err != nil {
		return nil, err
	}
	newest := historyFilter(rooms.HistoryQuery{RoomID: r.ID, Ordinary: true, Main: true})
	last, err := many(ctx, s.messages.Newest(), newest, decodeMessage, page(0, 1, "-ts", "-_id"))
	if err != nil {
		return nil, err
	}
	fields, gone, max := bson.D{}, bson.D{}, bson.D{}
	if n != r.Messages {
		fields = append(fields, bson.E{Key: "msgs", Value: n})
	}
	switch {
	case len(last) == 0 && r.LastMessage != nil:
		gone = append(gone, bson.E{Key: "lastMessage", Value: 1})
	case len(last) == 1 && (r.LastMessage == nil || r.LastMessage.ID != last[0].ID):
		fields, max = append(fields, bson.E{Key: "lastMessage", Value: last[0]}), append(max, bson.E{Key: "lm", Value: last[0].TS})
	}
	moved := false
	if len(subs) != r.Users {
		fields, moved = append(fields, bson.E{Key: "usersCount", Value: len(subs)}), true
	}
	if owners := ownersIn(subs); r.Owners != nil && !slices.Equal(owners, slices.Sorted(slices.Values(r.Owners))) {
		fields, moved = append(fields, bson.E{Key: "ddpOwners", Value: owners}), true
	}
	if len(fields)+len(gone) == 0 {
		return nil, nil
	}
	update = bson.D{{Key: "$max", Value: append(max, bson.E{Key: "_updatedAt", Value: s.Clock()})}}
	if len(fields) > 0 {
		update = append(update, bson.E{Key: "$set", Value: fields})
	}
	if len(gone) > 0 {
		update = append(update, bson.E{Key: "$unset", Value: gone})
	}
	if moved {
		update = append(update, bson.E{Key: "$inc", Value: bson.D{{Key: "ddpMembership", Value: int64(1)}}})
	}
	return update, nil
}

// ownersIn are the ids of the owners among the members, sorted.
func ownersIn(subs []*rooms.Subscription) []string {
	owners := []string{}
	for _, m := range subs {
		if m.HasRole(rooms.Owner) {
			owners = append(owners, m.User.ID)
		}
	}
	slices.Sort(owners)
	return owners
}

// as selects a document if these members of it are as they were read.
func as(raw bson.Raw, keys ...string) bson.D {
	filter := bson.D{{Key: "_id", Value: raw.Lookup("_id")}}
	for _, key := range keys {
		is := bson.D{{Key: "$exists", Value: false}}
		if v, err := raw.LookupErr(key); err == nil {
			is = bson.D{{Key: "$eq", Value: v}}
		}
		filter = append(filter, bson.E{Key: key, Value: is})
	}
	return filter
}
