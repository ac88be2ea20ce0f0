package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/rooms"
)

// What members have not seen is counted again only where a message may not have reached them:
// a counter may say what no message of this database does, as those of an adopted one.

// maxWindow is how many messages are read to count what a member has not seen. Who has not
// seen more keeps the counters as they are.
const maxWindow = 5000

// write is a change of one document on a condition.
type write struct {
	id             string
	filter, update bson.D
}

// recountUnread are the changes of the memberships that messages did not reach. read is what
// was decoded of them: another program may have left counters out.
func (s *Store) recountUnread(ctx context.Context, l *leftovers, threads []*thread, subs []*rooms.Subscription, read map[string]bson.Raw) ([]write, error) {
	pending := slices.DeleteFunc(slices.Clone(l.messages), func(m *openMessage) bool { return m.Open == nil || m.Open.None || m.aside() })
	var window []*openMessage
	if len(pending) > 0 {
		var err error
		window, err = many(ctx, s.messages.Newest(), bson.D{{Key: "rid", Value: l.room}}, decode[openMessage], page(0, maxWindow, "-ts", "-_id"),
			options.Find().SetProjection(bson.D{{Key: "rid", Value: 1}, {Key: "t", Value: 1}, {Key: "ts", Value: 1}, {Key: "u", Value: 1}, {Key: "tmid", Value: 1},
				{Key: "tshow", Value: 1}, {Key: "_hidden", Value: 1}, {Key: "mentions", Value: 1}, {Key: openField, Value: 1}}))
		if err != nil {
			return nil, err
		}
	}
	var writes []write
	for _, x := range subs {
		var want *rooms.Subscription
		if len(pending) > 0 {
			want = unseen(*x, pending, window)
		}
		want = unseenThreads(x, want, threads, l.messages)
		if want == nil || l.reached[x.ID] {
			continue
		}
		fields := append(countersOf(want), bson.E{Key: "_updatedAt", Value: s.Clock()})
		if !want.LastSeen.Equal(x.LastSeen) {
			fields = append(fields, bson.E{Key: "ls", Value: want.LastSeen})
		}
		if !want.LastReply.Equal(x.LastReply) {
			fields = append(fields, bson.E{Key: "lr", Value: want.LastReply})
		}
		for key, list := range map[string]rooms.Threads{"tunread": want.Threads, "tunreadUser": want.UserThreads, "tunreadGroup": want.GroupThreads} {
			if len(list) > 0 {
				fields = append(fields, bson.E{Key: key, Value: list})
			}
		}
		writes = append(writes, write{x.ID, as(read[x.ID], "unread", "userMentions", "groupMentions", "alert", "open", "_updatedAt"), set(fields)})
	}
	return writes, nil
}

// countersOf are the members of a membership that messages move.
func countersOf(x *rooms.Subscription) bson.D {
	return bson.D{{Key: "unread", Value: x.Unread}, {Key: "userMentions", Value: x.UserMentions}, {Key: "groupMentions", Value: x.GroupMentions},
		{Key: "alert", Value: x.Alert}, {Key: "open", Value: x.Open}}
}

// unseen is what a membership should be after messages that may not have reached it; nil
// when they have. A counter grows by no more than what these messages count.
func unseen(x rooms.Subscription, pending, window []*openMessage) *rooms.Subscription {
	was := x
	wrote := false
	for _, m := range pending {
		if m.User.ID == x.User.ID && m.TS.After(x.LastSeen) {
			x.LastSeen, x.LastReply, x.Alert, wrote = m.TS, m.TS, false, true
		}
	}
	var most, counted [3]int
	reached := false
	for _, m := range pending {
		if !m.counts(&x) {
			continue
		}
		reached = true
		add(&most, m.Open.Unread, &x)
	}
	for _, m := range window {
		if !m.counts(&x) {
			continue
		}
		if wrote {
			reached = true
		}
		add(&counted, m.of(pending[len(pending)-1]), &x)
	}
	if whole := len(window) < maxWindow || !window[len(window)-1].TS.After(x.LastSeen); whole {
		for i, c := range []*int{&x.Unread, &x.UserMentions, &x.GroupMentions} {
			if wrote {
				*c = min(*c, counted[i])
			} else {
				*c = max(*c, min(counted[i], *c+most[i]))
			}
		}
	}
	if reached {
		x.Alert, x.Open = true, true
	}
	counters := func(s *rooms.Subscription) [3]int { return [3]int{s.Unread, s.UserMentions, s.GroupMentions} }
	if x.Alert == was.Alert && x.Open == was.Open && counters(&x) == counters(&was) && !wrote {
		return nil
	}
	return &x
}

// counts tells whether somebody has not seen the message, which is for all.
func (m *openMessage) counts(x *rooms.Subscription) bool {
	return m.Type == "" && !m.Hidden && !m.aside() && m.User.ID != x.User.ID && m.TS.After(x.LastSeen) && !m.TS.Before(x.TS) && (m.Open == nil || !m.Open.None)
}

// of says whose counters the message moved, in a room that counts as it did for another one.
func (m *openMessage) of(other *openMessage) rooms.Unread {
	if m.Open != nil {
		return m.Open.Unread
	}
	e := other.Open.Unread
	e.Users, e.Group = nil, false
	for _, who := range m.Mentions {
		if who.ID == "all" || who.ID == "here" {
			e.Group = true
		} else {
			e.Users = append(e.Users, who.ID)
		}
	}
	return e
}

func add(sum *[3]int, e rooms.Unread, x *rooms.Subscription) {
	unread, users, groups := e.Grows(slices.Contains(e.Users, x.User.ID))
	sum[0], sum[1], sum[2] = sum[0]+unread, sum[1]+users, sum[2]+groups
}
