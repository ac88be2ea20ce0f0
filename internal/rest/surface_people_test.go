//go:build !norooms

package rest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// cell is one kind of person in, or outside, one kind of room.
type cell struct {
	name string
	kind string // of room
	// room and seat change the room and the person's membership, as a database may have them.
	room func(*rooms.Room, *user.User)
	seat func(*rooms.Subscription)
	// outside is somebody who is not in the room, left somebody who was.
	outside, left bool
	// enters says that whoever is outside may come in, writes that what is there may be changed.
	enters, writes bool
}

var cells = []cell{
	{name: "a member of a group", kind: rooms.Group, writes: true},
	{name: "a member of a channel", kind: rooms.Channel, writes: true},
	{name: "a side of a direct room", kind: rooms.Direct, writes: true},
	{name: "a stranger to a group", kind: rooms.Group, outside: true},
	{name: "a stranger to a direct room", kind: rooms.Direct, outside: true},
	{name: "a stranger to a channel", kind: rooms.Channel, outside: true, enters: true},
	{name: "a former member of a group", kind: rooms.Group, outside: true, left: true},
	{name: "a stranger to an archived channel", kind: rooms.Channel, outside: true, room: func(r *rooms.Room, _ *user.User) { r.Archived = true }},
	{name: "a stranger to a channel with a code", kind: rooms.Channel, outside: true, room: func(r *rooms.Room, _ *user.User) {
		r.JoinCodeRequired, r.JoinDigest = true, "digest"
	}},
	{name: "a stranger to a channel whose code is lost", kind: rooms.Channel, outside: true, room: func(r *rooms.Room, _ *user.User) {
		r.JoinCodeRequired = true
	}},
	{name: "a muted member", kind: rooms.Group, room: func(r *rooms.Room, u *user.User) { r.Muted, r.MutedIDs = []string{"once"}, []string{u.ID} }},
	{name: "a member who is muted by name", kind: rooms.Channel, room: func(r *rooms.Room, u *user.User) { r.Muted = []string{u.Username} }},
	{name: "a member of an archived room", kind: rooms.Group, room: func(r *rooms.Room, _ *user.User) { r.Archived = true }},
	{name: "a member of a read-only room", kind: rooms.Channel, room: func(r *rooms.Room, _ *user.User) { r.ReadOnly = true }},
	{name: "a member of a broadcast", kind: rooms.Channel, room: func(r *rooms.Room, _ *user.User) { r.Broadcast = true }},
	{name: "a member of an encrypted group", kind: rooms.Group, room: func(r *rooms.Room, _ *user.User) { r.Encrypted = true }},
	{name: "a member of an encrypted direct room", kind: rooms.Direct, room: func(r *rooms.Room, _ *user.User) { r.Encrypted = true }},
	{name: "who is blocked in a direct room", kind: rooms.Direct, seat: func(m *rooms.Subscription) { m.Blocked = true }},
	{name: "who blocks in a direct room", kind: rooms.Direct, seat: func(m *rooms.Subscription) { m.Blocker = true }},
}

// word is said in every room of the matrix, topicWord is the topic of those that are not public.
const word, topicWord = "xyzzy", "plugh"

// matrix is the room of a cell and who calls.
type matrix struct {
	*stage
	cell
	person *user.User
	room   string
}

// matrixOf furnishes a cell on a stage, all of whose rooms are the cell's.
func matrixOf(w *walk, base *stage, c cell, n int) *matrix {
	w.T.Helper()
	ctx, now := w.T.Context(), time.Now()
	must := func(err error) {
		w.T.Helper()
		if err != nil {
			w.T.Fatal(c.name, err)
		}
	}
	account := func(name string) *user.User {
		u, err := w.Accounts.CreateByOperator(ctx, accounts.OperatorAccount{Username: fmt.Sprint(name, n), Password: secret.String(testkit.Password),
			Roles: []string{"user"}})
		must(err)
		return u
	}
	s := *base
	m := &matrix{stage: &s, cell: c, person: account("person"), room: fmt.Sprint("cell", n)}
	s.admin, s.third, s.other = m.person, account("third"), account("other")
	r := &rooms.Room{ID: m.room, Type: c.kind, Users: 2, Membership: 1, TS: now, UpdatedAt: now}
	if c.kind == rooms.Direct {
		r.UserIDs, r.Usernames = []string{s.other.ID, m.person.ID}, []string{s.other.Username, m.person.Username}
		if c.outside {
			r.UserIDs, r.Usernames = []string{s.other.ID, s.third.ID}, []string{s.other.Username, s.third.Username}
		}
		slices.Sort(r.UserIDs)
		r.DirectKey = rooms.DirectKey(r.UserIDs)
	} else {
		r.Name, r.FName, r.NameKey, r.Owners = m.room, m.room, m.room, []string{s.other.ID}
	}
	if c.kind != rooms.Channel {
		r.Topic = topicWord
	}
	if c.room != nil {
		c.room(r, m.person)
	}
	seats := []*rooms.Subscription{m.place(s.other, rooms.Owner)}
	if !c.outside || c.left {
		seats = append(seats, m.place(m.person))
	}
	must(w.rec.Store.CreateRoom(ctx, r, seats))
	say := func(id string, by *user.User) string {
		x := &rooms.Message{ID: m.room + id, RoomID: m.room, Text: word + " of " + id, TS: now, UpdatedAt: now, User: rooms.Ref{ID: by.ID, Username: by.Username}}
		_, _, err := w.rec.Store.InsertMessage(ctx, x, rooms.Unread{})
		must(err)
		return x.ID
	}
	s.mine, s.hers = say("mine", m.person), say("hers", s.other)
	s.own, s.theirs, s.private, s.direct = m.room, m.room, m.room, m.room
	if c.left {
		_, _, err := w.rec.Store.RemoveMember(ctx, m.room, m.person.ID, true, now)
		must(err)
	}
	issued, err := w.Accounts.IssueToken(ctx, &rpc.Peer{Conn: "test", Door: rpc.REST, Address: "127.0.0.1", UserAgent: "rest-test"}, m.person, "password")
	must(err)
	s.session = client{API: w.world, ID: m.person.ID, Token: issued.Token}
	s.proven = true
	return m
}

// place is a membership of the room; the person's is as the cell has it.
func (m *matrix) place(u *user.User, roles ...string) *rooms.Subscription {
	now := time.Now()
	x := &rooms.Subscription{ID: m.room + u.ID, RoomID: m.room, Type: m.kind, Name: m.room, User: rooms.Ref{ID: u.ID, Username: u.Username},
		UserKey: u.UsernameKey, Open: true, Roles: roles, TS: now, UpdatedAt: now}
	if m.cell.seat != nil && u.ID == m.person.ID {
		m.cell.seat(x)
	}
	return x
}

// content is what is in the room: what it says of itself, who else is in it as what, and what was
// written, with the marks that everybody sees.
func (m *matrix) content() string {
	m.T.Helper()
	ctx := m.T.Context()
	r, err := m.rec.Store.RoomByID(ctx, m.room)
	if errors.Is(err, dberr.NotFound) {
		return "gone"
	}
	ids, _, err2 := m.rec.Store.Members(ctx, m.room)
	subs, err3 := m.rec.Store.SubscriptionsIn(ctx, m.room, ids)
	list, err4 := m.rec.Store.History(ctx, rooms.HistoryQuery{RoomID: m.room, Ordinary: true})
	if err := errors.Join(err, err2, err3, err4); err != nil {
		m.T.Fatal(err)
	}
	out := fmt.Sprint(r.Name, r.Type, r.Topic, r.Description, r.Announcement, r.ReadOnly, r.ReactWhenReadOnly, r.Archived, r.Muted, r.Unmuted, r.JoinDigest,
		r.Default, r.CustomFields, r.AvatarETag)
	var lines []string
	for _, s := range subs {
		if s.User.ID != m.person.ID {
			lines = append(lines, fmt.Sprint(s.User.ID, s.Roles))
		} else if len(s.Roles) > 0 {
			lines = append(lines, fmt.Sprint("the person is ", s.Roles))
		}
	}
	for _, x := range list {
		lines = append(lines, fmt.Sprint(x.ID, x.Text, x.Reactions, x.Pinned, x.Attachments))
	}
	slices.Sort(lines)
	return out + "\n" + strings.Join(lines, "\n")
}

// member tells whether the person is in the room.
func (m *matrix) member() bool {
	m.T.Helper()
	_, err := m.rec.Store.Subscription(m.T.Context(), m.room, m.person.ID)
	if err != nil && !errors.Is(err, dberr.NotFound) {
		m.T.Fatal(err)
	}
	return err == nil
}

// back puts the person where the cell has it.
func (m *matrix) back() {
	m.T.Helper()
	var err error
	switch in := m.member(); {
	case in && m.outside:
		_, _, err = m.rec.Store.RemoveMember(m.T.Context(), m.room, m.person.ID, true, time.Now())
	case !in && !m.outside:
		_, err = m.rec.Store.AddMember(m.T.Context(), m.place(m.person))
	case m.kind == rooms.Direct && in: // each side blocks for itself, which the calls may change
		_, err = m.rec.Store.SetBlocked(m.T.Context(), m.room, m.person.ID, m.other.ID, m.place(m.person).Blocker, time.Now())
	}
	if err != nil {
		m.T.Fatal(m.name, err)
	}
}

// answers calls a line of the surface as the person, with all proof, and gives all that is answered.
func (m *matrix) answers(name string, c scene) string {
	m.T.Helper()
	verb, path, route := strings.Cut(name, " ")
	m.caller = *m.session.With("x-2fa-method", "password").With("x-2fa-code", testkit.Proof())
	if route {
		if c.path != nil {
			path = c.path(m.stage)
		}
		var body any
		if c.body != nil {
			body = c.body(m.stage)
		}
		return m.caller.Do(verb, path, body).Raw
	}
	params, err := ejson.Append(nil, append([]any{}, c.params(m.stage)...))
	if err != nil {
		m.T.Fatal(name, err)
	}
	headers := http.Header{}
	for name, value := range m.caller.Header {
		headers.Set(name, value)
	}
	peer := &rpc.Peer{Conn: "socket", Door: rpc.DDP, Address: "127.0.0.1", UserAgent: "rest-test", Proof: rpc.HeaderProof(headers)}
	login := rpc.Login{UserID: m.caller.ID, Token: accounts.HashToken(m.caller.Token)}
	result, err := m.Router.Method(context.Background(), &rpc.Call{Method: name, Params: params, Peer: peer, Login: login, Session: mute{}})
	if err != nil {
		return refusal(err)
	}
	raw, err := ejson.Append(nil, result)
	if err != nil {
		m.T.Fatal(name, err)
	}
	return string(raw)
}

// TestRoomsAreClosed: whoever calls whatever of the surface about a room or a message, with every
// proof. Who is outside learns nothing that was said there, changes nothing, and is not in it
// afterwards but where the room is open; who is inside and may not write changes nothing either.
// Those who may write show that the calls do what they are for.
func TestRoomsAreClosed(t *testing.T) {
	t.Parallel()
	w := newWalk(t, nil)
	base := w.stage(true, true)
	type call struct {
		name string
		scene
	}
	var calls []call
	for _, l := range w.lines() {
		_, method := scenesOfRoomMethods[l.name]
		_, route := scenesOfRoomRoutes[l.name]
		_, path, _ := strings.Cut(l.name, " ")
		kind, _, _ := strings.Cut(path, ".")
		if !method && !route && !slices.Contains([]string{"channels", "groups", "im", "dm"}, kind) {
			continue
		}
		for _, c := range l.scenes {
			calls = append(calls, call{l.name, c})
		}
	}
	if len(calls) < 150 {
		t.Fatalf("only %d calls are about rooms", len(calls))
	}
	for i, c := range cells {
		t.Run(c.name, func(t *testing.T) {
			m := matrixOf(w, base, c, i)
			before, changed, learned, entered := m.content(), 0, 0, 0
			for _, call := range calls {
				got := m.answers(call.name, call.scene)
				m.rec.take()
				if strings.Contains(got, word) || strings.Contains(got, topicWord) {
					if learned++; c.outside && !m.member() {
						t.Errorf("%s %s tells %s: %.300s", call.name, call.does, c.name, got)
					}
				}
				if m.outside && m.member() {
					if entered++; !c.enters {
						t.Errorf("%s %s lets %s in", call.name, call.does, c.name)
					}
				}
				m.back()
				if after := m.content(); after != before {
					if changed++; !c.writes {
						t.Errorf("%s %s by %s:\n%s\nbefore:\n%s", call.name, call.does, c.name, after, before)
					}
					before = after
				}
			}
			t.Logf("%d calls, %d change something, %d tell what is there, %d let in", len(calls), changed, learned, entered)
			if c.writes && changed < 3 || !c.outside && learned < 5 || c.enters && entered < 2 {
				t.Errorf("%d calls change something, %d tell what is there, %d let in: the matrix calls nothing", changed, learned, entered)
			}
		})
	}
}
