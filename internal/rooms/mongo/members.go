package mongo

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/user"
)

// invited is what Rocket.Chat writes into the document of somebody who was asked into
// a room and did not say yes. It is no membership.
const invited = "INVITED"

// memberships narrows a filter to those who are in a room.
func memberships(filter ...bson.E) bson.D {
	return append(filter, bson.E{Key: "status", Value: bson.D{{Key: "$ne", Value: invited}}})
}

func seat(roomID, userID string) bson.D {
	return memberships(bson.E{Key: "rid", Value: roomID}, bson.E{Key: "u._id", Value: userID})
}

func decodeSubscription(raw bson.Raw) (*rooms.Subscription, error) {
	return decode[rooms.Subscription](raw)
}

// moved is the part of a room's update that says its membership changed.
func moved(users int, at time.Time) bson.D {
	return bson.D{
		{Key: "$inc", Value: bson.D{{Key: "usersCount", Value: users}, {Key: "ddpMembership", Value: int64(1)}}},
		{Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: at}}},
	}
}

// AddMember implements rooms.SubscriptionStore. The membership claims the seat;
// the room counts it afterwards.
func (s *Store) AddMember(ctx context.Context, m *rooms.Subscription) (r *rooms.Room, err error) {
	ctx, cancel := s.Timed(ctx)
	defer cancel()
	if _, err := s.RoomByID(ctx, m.RoomID); err != nil {
		return nil, err
	}
	err = s.together(ctx, note{RoomID: m.RoomID}, func(ctx context.Context) error {
		// An invitation that waits for an answer is where the membership goes.
		waiting := bson.D{{Key: "rid", Value: m.RoomID}, {Key: "u._id", Value: m.User.ID}, {Key: "status", Value: invited}}
		if err := s.subscriptions.Remove(ctx, waiting); err != nil {
			return err
		}
		if err := s.subscriptions.Insert(ctx, m); err != nil {
			return err
		}
		update := moved(1, m.UpdatedAt)
		if m.HasRole(rooms.Owner) {
			update = append(update, bson.E{Key: "$addToSet", Value: bson.D{{Key: "ddpOwners", Value: m.User.ID}}})
		}
		if r, err = updated(ctx, s.rooms, byID(m.RoomID), update, decodeRoom); err != nil || !m.Follow(r, m.UpdatedAt) {
			return err
		}
		// It was renamed since the membership was made.
		_, err = s.subscriptions.UpdateOne(ctx, byID(m.ID), set(bson.D{{Key: "name", Value: m.Name}, {Key: "fname", Value: m.FName}, {Key: "t", Value: m.Type},
			{Key: "archived", Value: m.Archived}, {Key: "open", Value: m.Open}, {Key: "alert", Value: m.Alert}}))
		return err
	})
	if errors.Is(err, dberr.NotFound) && !s.Transactions() { // the room was deleted meanwhile
		err = errors.Join(err, s.subscriptions.Remove(ctx, byID(m.ID)))
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// RemoveMember implements rooms.SubscriptionStore. The list of owners decides
// whether an owner may go; then the seat, which only one caller can take away, and
// only as it was when the list was asked.
func (s *Store) RemoveMember(ctx context.Context, roomID, userID string, force bool, at time.Time) (r *rooms.Room, was *rooms.Subscription, err error) {
	ctx, cancel := s.Timed(ctx)
	defer cancel()
	for range seatTries {
		m, err := s.Subscription(ctx, roomID, userID)
		if err != nil {
			return nil, nil, err
		}
		if m.HasRole(rooms.Owner) {
			if err := s.listOwners(ctx, roomID); err != nil {
				return nil, nil, err
			}
		}
		gone := rooms.Gone{ID: m.ID, Kind: rooms.GoneSubscription, RoomID: roomID, UserID: userID, DeletedAt: at}
		err = s.together(ctx, note{RoomID: roomID, Gone: &gone}, func(ctx context.Context) (err error) {
			r, was, err = s.removeMember(ctx, m, gone, force)
			return err
		})
		if !errors.Is(err, errOtherSeat) {
			if err != nil {
				return nil, nil, err
			}
			return r, was, nil
		}
	}
	return nil, nil, dberr.Conflict
}

// errOtherSeat says that the membership is another one than it was.
var errOtherSeat = errors.New("rooms: somebody else took the seat, or it has other roles now")

func (s *Store) removeMember(ctx context.Context, m *rooms.Subscription, gone rooms.Gone, force bool) (*rooms.Room, *rooms.Subscription, error) {
	if m.HasRole(rooms.Owner) {
		if err := s.dropOwner(ctx, m.RoomID, m.User.ID, force, gone.DeletedAt); err != nil {
			return nil, nil, err
		}
	}
	if err := s.bury(ctx, gone); err != nil {
		return nil, nil, err
	}
	raw, err := s.subscriptions.Take(ctx, append(byID(m.ID), withRoles(m.Roles)))
	if errors.Is(err, dberr.NotFound) {
		return nil, nil, errOtherSeat
	}
	if err != nil {
		return nil, nil, err
	}
	if m, err = decodeSubscription(raw); err != nil {
		return nil, nil, err
	}
	// Once more off the list: whoever made this member an owner may have listed it after
	// the list was asked.
	update := append(moved(-1, gone.DeletedAt), bson.E{Key: "$pull", Value: bson.D{{Key: "ddpOwners", Value: m.User.ID}}})
	r, err := updated(ctx, s.rooms, byID(m.RoomID), update, decodeRoom)
	return r, m, err
}

// seatTries is how often somebody is removed whose roles change meanwhile.
const seatTries = 10

// withRoles is the condition that a membership carries exactly these roles.
func withRoles(roles []string) bson.E {
	if len(roles) == 0 {
		return bson.E{Key: "roles", Value: bson.D{{Key: "$in", Value: bson.A{nil, bson.A{}}}}}
	}
	return bson.E{Key: "roles", Value: roles}
}

// bury leaves a Gone. It comes before the deletion: news of a death that did
// not happen after a crash is put right by the next look at the document.
func (s *Store) bury(ctx context.Context, g rooms.Gone) error {
	fields := bson.D{{Key: "__collection__", Value: g.Kind}, {Key: "rid", Value: g.RoomID}, {Key: "_deletedAt", Value: g.DeletedAt}}
	if g.UserID != "" {
		fields = append(fields, bson.E{Key: "uid", Value: g.UserID})
	}
	return s.trash.Put(ctx, g.ID, set(fields))
}

// Subscription implements rooms.SubscriptionStore.
func (s *Store) Subscription(ctx context.Context, roomID, userID string) (*rooms.Subscription, error) {
	return one(ctx, s.subscriptions, seat(roomID, userID), decodeSubscription)
}

// SubscriptionsOf implements rooms.SubscriptionStore.
func (s *Store) SubscriptionsOf(ctx context.Context, userID string, since time.Time) ([]*rooms.Subscription, error) {
	filter := memberships(bson.E{Key: "u._id", Value: userID})
	if !since.IsZero() {
		filter = append(filter, bson.E{Key: "_updatedAt", Value: bson.D{{Key: "$gte", Value: since}}})
	}
	return many(ctx, s.subscriptions, filter, decodeSubscription)
}

// SubscriptionsIn implements rooms.SubscriptionStore.
func (s *Store) SubscriptionsIn(ctx context.Context, roomID string, userIDs []string) ([]*rooms.Subscription, error) {
	return many(ctx, s.subscriptions, memberships(bson.E{Key: "rid", Value: roomID}, bson.E{Key: "u._id", Value: in(userIDs)}), decodeSubscription)
}

// RoomIDsOf implements rooms.SubscriptionStore.
func (s *Store) RoomIDsOf(ctx context.Context, userID string) ([]string, error) {
	return s.texts(ctx, memberships(bson.E{Key: "u._id", Value: userID}), "rid")
}

// texts reads one text of each membership that the filter selects.
func (s *Store) texts(ctx context.Context, filter bson.D, path ...string) (out []string, err error) {
	err = s.subscriptions.All(ctx, filter, func(raw bson.Raw) error {
		if v, ok := raw.Lookup(path...).StringValueOK(); ok {
			out = append(out, v)
		}
		return nil
	}, options.Find().SetProjection(bson.D{{Key: path[0], Value: 1}}))
	return out, err
}

// Members implements rooms.SubscriptionStore.
func (s *Store) Members(ctx context.Context, roomID string) ([]string, int64, error) {
	r, err := s.RoomByID(ctx, roomID)
	if err != nil {
		return nil, 0, err
	}
	ids, err := s.texts(ctx, memberships(bson.E{Key: "rid", Value: roomID}), "u", "_id")
	return ids, r.Membership, err
}

// ListMembers implements rooms.SubscriptionStore.
func (s *Store) ListMembers(ctx context.Context, roomID string, offset, count int) (subs []*rooms.Subscription, total int, err error) {
	filter := memberships(bson.E{Key: "rid", Value: roomID})
	if total, err = s.subscriptions.Count(ctx, filter); err != nil || count <= 0 {
		return nil, total, err
	}
	subs, err = many(ctx, s.subscriptions, filter, decodeSubscription, page(offset, count, "ddpUserKey", "_id"))
	return subs, total, err
}

// MembersWithRole implements rooms.SubscriptionStore.
func (s *Store) MembersWithRole(ctx context.Context, roomID string) ([]*rooms.Subscription, error) {
	return many(ctx, s.subscriptions, memberships(
		bson.E{Key: "rid", Value: roomID}, bson.E{Key: "roles.0", Value: bson.D{{Key: "$exists", Value: true}}},
	), decodeSubscription, page(0, 0, "ddpUserKey", "_id"))
}

// ChangeSubscription implements rooms.SubscriptionStore.
func (s *Store) ChangeSubscription(ctx context.Context, roomID, userID string, c rooms.SubscriptionChange) (*rooms.Subscription, bool, error) {
	fields := bson.D{{Key: "_updatedAt", Value: c.At}}
	var otherwise bson.A
	put := func(key string, v bool) {
		fields = append(fields, bson.E{Key: key, Value: v})
		otherwise = append(otherwise, bson.D{{Key: key, Value: bson.D{{Key: "$ne", Value: v}}}})
	}
	if c.Favorite != nil {
		otherwiseFavorite(&fields, &otherwise, *c.Favorite)
	}
	switch {
	case c.Read:
		fields = append(fields, bson.E{Key: "open", Value: true}, bson.E{Key: "alert", Value: false}, bson.E{Key: "unread", Value: 0},
			bson.E{Key: "userMentions", Value: 0}, bson.E{Key: "groupMentions", Value: 0}, bson.E{Key: "ls", Value: c.At})
	case c.Open != nil:
		put("open", *c.Open)
		if !*c.Open {
			fields = append(fields, bson.E{Key: "alert", Value: false})
		}
	}
	if !c.UnreadFrom.IsZero() {
		fields = append(fields, bson.E{Key: "open", Value: true}, bson.E{Key: "alert", Value: true}, bson.E{Key: "ls", Value: c.UnreadFrom})
	}
	pulls := pullThreads(&otherwise, c)
	filter := seat(roomID, userID)
	filter, pulls = ignoring(filter, pulls, c)
	if !c.Read && len(otherwise) > 0 {
		filter = append(filter, bson.E{Key: "$or", Value: otherwise})
	}
	m, err := updated(ctx, s.subscriptions, filter, append(set(fields), pulls...), decodeSubscription)
	if errors.Is(err, dberr.NotFound) {
		m, err = s.Subscription(ctx, roomID, userID)
		return m, false, err
	}
	return m, err == nil, err
}

// ignoring adds what a change says of who is ignored: the condition, and what is done.
func ignoring(filter, update bson.D, c rooms.SubscriptionChange) (where, do bson.D) {
	switch {
	case c.Ignore != "":
		full := "ignored." + strconv.Itoa(rooms.MaxIgnored-1)
		return append(filter, bson.E{Key: "ignored", Value: bson.D{{Key: "$ne", Value: c.Ignore}}}, bson.E{Key: full, Value: bson.D{{Key: "$exists", Value: false}}}),
			append(update, bson.E{Key: "$addToSet", Value: bson.D{{Key: "ignored", Value: c.Ignore}}})
	case c.Heed != "":
		return append(filter, bson.E{Key: "ignored", Value: c.Heed}), append(update, bson.E{Key: "$pull", Value: bson.D{{Key: "ignored", Value: c.Heed}}})
	}
	return filter, update
}

func otherwiseFavorite(fields *bson.D, otherwise *bson.A, on bool) {
	*fields = append(*fields, bson.E{Key: "f", Value: on})
	not := bson.D{{Key: "f", Value: bson.D{{Key: "$ne", Value: true}}}}
	if !on {
		not = bson.D{{Key: "f", Value: true}}
	}
	*otherwise = append(*otherwise, not)
}

// RenameUser implements rooms.SubscriptionStore. It may touch any number of documents, so it
// is no transaction; who mends it does it again with the name that the account has then.
func (s *Store) RenameUser(ctx context.Context, r rooms.Ref, at time.Time) error {
	return s.noted(ctx, note{UserID: r.ID}, func(ctx context.Context) error { return s.rename(ctx, r, at) })
}

func (s *Store) rename(ctx context.Context, r rooms.Ref, at time.Time) error {
	err := s.subscriptions.UpdateAll(ctx, bson.D{{Key: "u._id", Value: r.ID}}, set(bson.D{
		{Key: "u", Value: r}, {Key: "ddpUserKey", Value: user.Key(r.Username)}, {Key: "_updatedAt", Value: at},
	}))
	if err != nil {
		return err
	}
	direct, err := many(ctx, s.subscriptions, memberships(bson.E{Key: "u._id", Value: r.ID}, bson.E{Key: "t", Value: rooms.Direct}), decodeSubscription)
	for _, m := range direct {
		err = errors.Join(err, s.callDirect(ctx, m.RoomID, at))
	}
	return err
}

// callDirect has a direct room follow the names of its members, the room first.
func (s *Store) callDirect(ctx context.Context, roomID string, at time.Time) error {
	r, err := s.RoomByID(ctx, roomID)
	if errors.Is(err, dberr.NotFound) {
		return nil
	}
	if err != nil || len(r.UserIDs) == 0 { // of an adopted database
		return err
	}
	subs, err := many(ctx, s.subscriptions, memberships(bson.E{Key: "rid", Value: roomID}), decodeSubscription)
	if err != nil {
		return err
	}
	renamed := r.CallDirect(subs, at)
	_, err = s.rooms.UpdateOne(ctx, byID(roomID), bson.D{
		{Key: "$set", Value: bson.D{{Key: "usernames", Value: r.Usernames}}}, {Key: "$max", Value: bson.D{{Key: "_updatedAt", Value: r.UpdatedAt}}},
	})
	for _, m := range renamed {
		if err != nil {
			return err
		}
		_, err = s.subscriptions.UpdateOne(ctx, byID(m.ID), set(bson.D{{Key: "name", Value: m.Name}, {Key: "fname", Value: m.FName}, {Key: "_updatedAt", Value: at}}))
	}
	return err
}

// GoneSubscriptions implements rooms.SubscriptionStore.
func (s *Store) GoneSubscriptions(ctx context.Context, userID string, since time.Time) ([]rooms.Gone, error) {
	return s.gone(ctx, bson.D{
		{Key: "uid", Value: userID}, {Key: "__collection__", Value: rooms.GoneSubscription},
		{Key: "_deletedAt", Value: bson.D{{Key: "$gte", Value: since}}},
	}, page(0, 0, "_deletedAt"))
}

func (s *Store) gone(ctx context.Context, filter bson.D, page options.Lister[options.FindOptions]) (out []rooms.Gone, err error) {
	list, err := many(ctx, s.trash, filter, decode[rooms.Gone], page)
	for _, g := range list {
		out = append(out, *g)
	}
	return out, err
}
