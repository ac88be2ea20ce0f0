package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/user"
)

// act is one operation on a room: what the model makes of it, and the same on a
// store. Both tell what they answered, as a text.
type act struct {
	name  string
	model func(m *model) (string, error)
	store func(ctx context.Context, s Store) (string, error)
}

// The people and the marks of the drawn operations: few, so that they meet.
var (
	people = []string{"ann", "bob", "cid"}
	emojis = []string{":a:", ":b:", ":c:"}
)

// genAct draws one of the acts on a room; n numbers them, and is their time.
func genAct(room string) func(n int) *rapid.Generator[act] {
	return func(n int) *rapid.Generator[act] {
		return rapid.Custom(func(t *rapid.T) act {
			d := draw{
				room: room, who: rapid.SampledFrom(people).Draw(t, "who"), by: rapid.SampledFrom(people).Draw(t, "by"),
				id: room + rapid.SampledFrom([]string{"-m1", "-m2", "-m3"}).Draw(t, "message"), at: at(100 + n), on: rapid.Bool().Draw(t, "on"),
				emoji: rapid.SampledFrom(emojis).Draw(t, "emoji"), number: n, some: rapid.IntRange(0, 7).Draw(t, "some"),
			}
			return rapid.SampledFrom(slices.Concat(d.memberActs(), d.messageActs(), d.markActs(), d.roomActs(), d.threadActs())).Draw(t, "act")
		})
	}
}

// draw is what the operations are made of.
type draw struct {
	room, who, by, id, emoji string
	on                       bool
	some, number             int
	at                       time.Time
}

// memberActs are the operations on memberships.
func (d draw) memberActs() []act {
	role := []string{rooms.Owner, rooms.Moderator}[d.some%2]
	joining := func() *rooms.Subscription {
		s := sub(d.room, d.who)
		s.ID, s.TS, s.UpdatedAt = fmt.Sprint(d.room, "/", d.who, d.number), d.at, d.at
		return s
	}
	change := rooms.SubscriptionChange{At: d.at}
	switch d.some % 8 {
	case 5:
		change.UnreadFrom = d.at.Add(-time.Minute)
	case 6:
		change.Ignore = d.by
	case 7:
		change.Heed = d.by
	case 0:
		change.Open = &d.on
	case 1:
		change.Favorite = &d.on
	case 2:
		change.ReadThread = d.id
	case 3:
		change.ReadThreads = true
	default:
		change.Read, change.ReadThreads = true, d.on
	}
	name := rooms.Ref{ID: d.who, Username: fmt.Sprint(d.who, d.some)}
	return []act{
		{"add " + d.who, func(m *model) (string, error) {
			if m.subs[d.who] != nil {
				return "", dberr.Duplicate
			}
			s := joining()
			m.room.AddMember(s)
			m.subs[d.who] = s
			return told(m.room), nil
		}, func(ctx context.Context, s Store) (string, error) {
			r, err := s.AddMember(ctx, joining())
			return told(r), err
		}},
		{fmt.Sprint("remove ", d.who, d.on), func(m *model) (string, error) {
			s := m.subs[d.who]
			if s == nil {
				return "", dberr.NotFound
			}
			if err := m.room.DropMember(d.who, d.on, d.at); err != nil {
				return "", err
			}
			delete(m.subs, d.who)
			m.gone[s.ID] = true
			return told(m.room) + s.ID, nil
		}, func(ctx context.Context, s Store) (string, error) {
			r, was, err := s.RemoveMember(ctx, d.room, d.who, d.on, d.at)
			if err != nil {
				return "", err
			}
			return told(r) + was.ID, nil
		}},
		{fmt.Sprint("role ", role, d.on, d.who), func(m *model) (string, error) {
			s := m.subs[d.who]
			if s == nil {
				return "", dberr.NotFound
			}
			err := rooms.SetMemberRole(m.room, s, role, d.on, d.at)
			return "", err
		}, func(ctx context.Context, s Store) (string, error) {
			_, err := s.SetMemberRole(ctx, d.room, d.who, role, d.on, d.at)
			return "", err
		}},
		{fmt.Sprint("change ", d.who, d.some%8, d.on, d.by), func(m *model) (string, error) {
			if m.subs[d.who] == nil {
				return "", dberr.NotFound
			}
			return fmt.Sprint(m.subs[d.who].Apply(change)), nil
		}, func(ctx context.Context, s Store) (string, error) {
			_, changed, err := s.ChangeSubscription(ctx, d.room, d.who, change)
			return answer(changed, err)
		}},
		{"rename " + d.who, func(m *model) (string, error) {
			if s := m.subs[d.who]; s != nil {
				s.User, s.UserKey, s.UpdatedAt = name, user.Key(name.Username), d.at
			}
			return "", nil
		}, func(ctx context.Context, s Store) (string, error) { return "", s.RenameUser(ctx, name, d.at) }},
	}
}

// messageActs are the operations on messages as a whole.
func (d draw) messageActs() []act {
	unread := rooms.Unread{Group: d.some&1 > 0, CountAll: d.some&2 > 0, CountUsers: true, CountGroup: d.on}
	if d.some&4 > 0 {
		unread.Users = []string{d.by, "eve"}
	}
	written := func() *rooms.Message {
		m := message(d.room, d.id, d.who, 0)
		m.TS, m.UpdatedAt = d.at, d.at
		if d.some == 7 {
			m.Type = rooms.TypeJoined
		}
		return m
	}
	edit := rooms.Edit{Text: fmt.Sprint("edit ", d.number), By: rooms.Ref{ID: d.by, Username: d.by}, At: d.at}
	if d.some > 4 {
		edit.Attachments = &[]rooms.Attachment{{Text: "quoted", MessageLink: "/x", Attachments: []rooms.Attachment{{Text: "in it"}}}}
	}
	if edit.Old = "text of " + d.id; d.on {
		edit.Old = "edit 1"
	}
	return []act{
		{"insert " + d.id, func(m *model) (string, error) { return m.insert(written(), unread) }, func(ctx context.Context, s Store) (string, error) {
			r, touched, err := s.InsertMessage(ctx, written(), unread)
			slices.Sort(touched)
			return told(r) + strings.Join(touched, ","), err
		}},
		{"edit " + d.id, func(m *model) (string, error) {
			if m.messages[d.id] == nil {
				return "", dberr.NotFound
			}
			return "", m.messages[d.id].Edit(edit)
		}, func(ctx context.Context, s Store) (string, error) {
			_, err := s.EditMessage(ctx, d.id, edit)
			return "", err
		}},
		{"delete " + d.id, func(m *model) (string, error) { return m.remove(d.id, d.at) }, func(ctx context.Context, s Store) (string, error) {
			r, was, err := s.DeleteMessage(ctx, d.id, d.at)
			if err != nil {
				return "", err
			}
			return told(r) + was.Text, nil
		}},
		{"show " + d.id, func(m *model) (string, error) { // as after every change of a message
			x, l := m.messages[d.id], m.room.LastMessage
			if x == nil {
				return "", dberr.NotFound
			}
			if l == nil || l.ID != d.id {
				return "false", nil
			}
			m.room.LastMessage, m.room.UpdatedAt = copyMessage(x), d.at
			return "true", nil
		}, func(ctx context.Context, s Store) (string, error) {
			m, err := s.MessageByID(ctx, d.id)
			if err != nil {
				return "", err
			}
			last, err := s.TouchLastMessage(ctx, m, d.at)
			return answer(last, err)
		}},
	}
}

// markActs are the operations on what others put to a message.
func (d draw) markActs() []act {
	by := rooms.Ref{ID: d.by, Username: d.by}
	toggled := &d.on
	if d.some%2 == 0 {
		toggled = nil
	}
	const most = 2
	found := func(m *model, do func(x *rooms.Message) (string, error)) (string, error) {
		if m.messages[d.id] == nil {
			return "", dberr.NotFound
		}
		return do(m.messages[d.id])
	}
	return []act{
		{fmt.Sprint("pin ", d.id, d.on), func(m *model) (string, error) {
			return found(m, func(x *rooms.Message) (string, error) { return "", x.SetPinned(d.on, by, d.at) })
		}, func(ctx context.Context, s Store) (string, error) {
			_, err := s.SetPinned(ctx, d.id, d.on, by, d.at)
			return "", err
		}},
		{fmt.Sprint("star ", d.id, d.by, d.on), func(m *model) (string, error) {
			return found(m, func(x *rooms.Message) (string, error) { return fmt.Sprint(x.SetStar(d.by, d.on, d.at)), nil })
		}, func(ctx context.Context, s Store) (string, error) {
			_, changed, err := s.SetStar(ctx, d.id, d.by, d.on, d.at)
			return answer(changed, err)
		}},
		{fmt.Sprint("react ", d.id, d.by, d.emoji, d.on), func(m *model) (string, error) {
			return found(m, func(x *rooms.Message) (string, error) {
				set, changed, err := x.SetReaction(d.emoji, d.by, toggled, most, d.at)
				return fmt.Sprint(set, changed), err
			})
		}, func(ctx context.Context, s Store) (string, error) {
			_, set, changed, err := s.SetReaction(ctx, d.id, d.emoji, d.by, toggled, most, d.at)
			return fmt.Sprint(set, changed), err
		}},
	}
}

// told is what an answer says of the room.
func told(r *rooms.Room) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%d members, change %d, %d messages; ", r.Users, r.Membership, r.Messages)
}

func answer(changed bool, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return fmt.Sprint(changed), nil
}
