package rooms_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/storetest"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// place is a room of ann, bob and root, a group of ann's, and a message of ann's,
// on a store that can fail.
type place struct {
	*testkit.Ground
	store                *storetest.Failing
	chat                 *rooms.Service
	ann, bob, cid, dan   *user.User // dan is in no room
	root                 *user.User
	team, secret, direct string
	message, reply       string // the reply answers the message
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{store: &storetest.Failing{Store: storetest.OpenSQLite(t)}}
	p.Ground = testkit.NewGround(t, testkit.Options{Store: p.store})
	p.chat = p.NewRooms()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	person := func(name string, roles ...string) *user.User {
		u := &user.User{ID: name, Username: name, Roles: append(roles, "user"), CreatedAt: time.Now(), Status: rooms.Offline}
		u.FillKeys()
		ok(p.store.CreateUser(t.Context(), u))
		return u
	}
	p.ann, p.bob, p.cid, p.root = person("ann"), person("bob"), person("cid"), person("root", "admin")
	p.dan = person("dan")
	for _, u := range []*user.User{p.ann, p.bob, p.cid, p.root} {
		ok(p.chat.JoinDefaults(t.Context(), u))
	}
	make := func(n rooms.NewRoom) string {
		r, err := p.chat.Create(t.Context(), p.ann, n)
		ok(err)
		return r.ID
	}
	p.team = make(rooms.NewRoom{Type: rooms.Channel, Name: "team", Usernames: []string{"bob", "root"}})
	p.secret = make(rooms.NewRoom{Type: rooms.Group, Name: "secret"})
	d, err := p.chat.CreateDirect(t.Context(), p.ann, []string{"bob"})
	ok(err)
	p.direct = d.ID
	m, err := p.chat.Send(t.Context(), p.ann, rooms.Draft{RoomID: p.team, Text: "hello"})
	ok(err)
	p.message = m.ID
	m, err = p.chat.Send(t.Context(), p.ann, rooms.Draft{RoomID: p.team, Text: "yes?", ThreadID: p.message})
	ok(err)
	p.reply = m.ID
	return p
}

// ofHook is a hook that writes as bob, hook makes it.
func (p *place) ofHook() rooms.HookChange {
	return rooms.HookChange{Name: new("ci"), Username: new("bob"), Channels: &[]string{"#team", "@ann"}, Enabled: new(true), Override: new(true)}
}

func (p *place) hook(ctx context.Context) (*rooms.Hook, error) {
	h, _, err := p.chat.AddHook(ctx, p.root, p.ofHook())
	return h, err
}

// acts are what members do, each of which succeeds in a place.
var acts = map[string]func(ctx context.Context, p *place) error{
	"create": func(ctx context.Context, p *place) error {
		_, err := p.chat.Create(ctx, p.ann, rooms.NewRoom{Type: rooms.Channel, Name: "new", Usernames: []string{"cid"}})
		return err
	},
	"create direct": func(ctx context.Context, p *place) error {
		_, err := p.chat.CreateDirect(ctx, p.ann, []string{"cid"})
		return err
	},
	"find direct": func(ctx context.Context, p *place) error {
		_, err := p.chat.CreateDirect(ctx, p.bob, []string{"ann"})
		return err
	},
	"room": func(ctx context.Context, p *place) error { _, _, err := p.chat.Room(ctx, p.cid, p.team); return err },
	"room by name": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.RoomByName(ctx, p.bob, "c", "team")
		return err
	},
	"direct by name": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.RoomByName(ctx, p.bob, "d", "ann")
		return err
	},
	"channels":      func(ctx context.Context, p *place) error { _, _, err := p.chat.Channels(ctx, 0, 10); return err },
	"join":          func(ctx context.Context, p *place) error { _, err := p.chat.Join(ctx, p.cid, p.team, ""); return err },
	"join defaults": func(ctx context.Context, p *place) error { return p.chat.JoinDefaults(ctx, p.dan) },
	"invite":        func(ctx context.Context, p *place) error { return p.chat.Invite(ctx, p.ann, p.team, []string{"cid"}) },
	"leave":         func(ctx context.Context, p *place) error { return p.chat.Leave(ctx, p.bob, p.team) },
	"remove":        func(ctx context.Context, p *place) error { return p.chat.Remove(ctx, p.ann, p.team, "bob") },
	"role": func(ctx context.Context, p *place) error {
		return p.chat.SetRole(ctx, p.ann, p.team, "bob", rooms.Moderator, true)
	},
	"roles": func(ctx context.Context, p *place) error { _, err := p.chat.Roles(ctx, p.bob, p.team); return err },
	"members": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.ListMembers(ctx, p.bob, p.team, rooms.MemberQuery{Count: 10, Filter: "a"})
		return err
	},
	"send": func(ctx context.Context, p *place) error {
		_, err := p.chat.Send(ctx, p.ann, rooms.Draft{RoomID: p.team, Text: "hi @bob and @all in #general"})
		return err
	},
	"send again": func(ctx context.Context, p *place) error {
		_, err := p.chat.Send(ctx, p.ann, rooms.Draft{ID: p.message, RoomID: p.team, Text: "hello"})
		return err
	},
	"send direct": func(ctx context.Context, p *place) error {
		_, err := p.chat.Send(ctx, p.ann, rooms.Draft{RoomID: p.direct, Text: "psst"})
		return err
	},
	"answer": func(ctx context.Context, p *place) error {
		_, err := p.chat.Send(ctx, p.bob, rooms.Draft{RoomID: p.team, Text: "yes @root", ThreadID: p.reply, Shown: true})
		return err
	},
	"quote": func(ctx context.Context, p *place) error {
		_, err := p.chat.Send(ctx, p.bob, rooms.Draft{RoomID: p.direct, Text: "see " + testkit.RootURL + "/channel/team?msg=" + p.message})
		return err
	},
	"quote by an edit": func(ctx context.Context, p *place) error {
		_, err := p.chat.Edit(ctx, p.ann, rooms.EditRequest{ID: p.message, Text: "see " + testkit.RootURL + "/channel/team?msg=" + p.reply})
		return err
	},
	"mentioned": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.Mentioned(ctx, p.bob, p.team, 0, 10)
		return err
	},
	"deleted": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.Deleted(ctx, p.bob, p.team, time.UnixMilli(1), 0, 10)
		return err
	},
	"follow":      func(ctx context.Context, p *place) error { return p.chat.Follow(ctx, p.bob, p.reply, true) },
	"unfollow":    func(ctx context.Context, p *place) error { return p.chat.Follow(ctx, p.ann, p.message, false) },
	"read thread": func(ctx context.Context, p *place) error { return p.chat.ReadThread(ctx, p.bob, p.reply) },
	"thread": func(ctx context.Context, p *place) error {
		_, _, _, err := p.chat.Thread(ctx, p.bob, p.message, rooms.ThreadPage{})
		return err
	},
	"threads": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.Threads(ctx, p.bob, rooms.ThreadQuery{RoomID: p.team, Kind: rooms.UnreadThreads})
		return err
	},
	"threads with a text": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.Threads(ctx, p.ann, rooms.ThreadQuery{RoomID: p.team, Kind: rooms.FollowedThreads, Text: "hello"})
		return err
	},
	"threads since": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.ThreadsSince(ctx, p.bob, p.team, time.UnixMilli(1))
		return err
	},
	"thread since": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.ThreadSince(ctx, p.bob, p.message, time.UnixMilli(1))
		return err
	},
	"delete the answer": func(ctx context.Context, p *place) error { _, err := p.chat.Delete(ctx, p.ann, p.reply); return err },
	"edit": func(ctx context.Context, p *place) error {
		_, err := p.chat.Edit(ctx, p.ann, rooms.EditRequest{ID: p.message, Text: "hello @bob"})
		return err
	},
	"edit by office": func(ctx context.Context, p *place) error {
		_, err := p.chat.Edit(ctx, p.root, rooms.EditRequest{ID: p.message, Text: "moderated"})
		return err
	},
	"delete": func(ctx context.Context, p *place) error { _, err := p.chat.Delete(ctx, p.ann, p.message); return err },
	"pin":    func(ctx context.Context, p *place) error { _, err := p.chat.Pin(ctx, p.ann, p.message); return err },
	"unpin":  func(ctx context.Context, p *place) error { return p.chat.Unpin(ctx, p.ann, p.message) },
	"star": func(ctx context.Context, p *place) error {
		_, err := p.chat.Star(ctx, p.bob, p.message, p.team, true)
		return err
	},
	"react": func(ctx context.Context, p *place) error { return p.chat.React(ctx, p.bob, p.message, ":+1:", nil) },
	"history": func(ctx context.Context, p *place) error {
		_, err := p.chat.Load(ctx, p.bob, p.team, time.Time{}, 20, time.UnixMilli(1), false)
		return err
	},
	"missed": func(ctx context.Context, p *place) error {
		_, err := p.chat.Missed(ctx, p.bob, p.team, time.UnixMilli(1))
		return err
	},
	"page": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.Page(ctx, p.bob, rooms.HistoryQuery{RoomID: p.team, Limit: 10})
		return err
	},
	"message": func(ctx context.Context, p *place) error { _, err := p.chat.Message(ctx, p.bob, p.message); return err },
	"sync": func(ctx context.Context, p *place) error {
		_, _, _, err := p.chat.Sync(ctx, p.bob, p.team, time.UnixMilli(1))
		return err
	},
	"search": func(ctx context.Context, p *place) error {
		_, err := p.chat.Search(ctx, p.bob, p.team, "hello", 0, 10)
		return err
	},
	"place": func(ctx context.Context, p *place) error {
		_, err := p.chat.Place(ctx, p.bob, p.team, p.message)
		return err
	},
	"called": func(ctx context.Context, p *place) error {
		_, err := p.chat.Called(ctx, p.bob, "team", rooms.Channel)
		return err
	},
	"existing": func(ctx context.Context, p *place) error {
		_, err := p.chat.Existing(ctx, []string{"@bob"})
		return err
	},
	"newcomers": func(ctx context.Context, p *place) error {
		_, err := p.chat.Newcomers(ctx, p.ann, p.team, &rooms.Room{ID: p.secret})
		return err
	},
	"add a hook": func(ctx context.Context, p *place) error { _, err := p.hook(ctx); return err },
	"change a hook": func(ctx context.Context, p *place) error {
		h, err := p.hook(ctx)
		if err == nil {
			_, err = p.chat.ChangeHook(ctx, p.root, h.ID, rooms.HookChange{Channels: &[]string{"@cid"}})
		}
		return err
	},
	"replace a hook's token": func(ctx context.Context, p *place) error {
		h, err := p.hook(ctx)
		if err == nil {
			_, _, err = p.chat.ReplaceHookToken(ctx, p.root, h.ID)
		}
		return err
	},
	"remove a hook": func(ctx context.Context, p *place) error {
		h, err := p.hook(ctx)
		if err == nil {
			_, err = p.chat.RemoveHook(ctx, p.root, h.ID)
		}
		return err
	},
	"hooks": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.Hooks(ctx, p.root, rooms.HookQuery{Limit: 9})
		return err
	},
	"post to a hook": func(ctx context.Context, p *place) error {
		h, err := p.hook(ctx)
		var by *user.User
		if err == nil {
			by, err = p.chat.HookUser(ctx, h)
		}
		if err == nil {
			_, err = p.chat.PostHook(ctx, h, by, rooms.HookDraft{Draft: rooms.Draft{Text: "built"}, Channel: "#team"})
		}
		return err
	},
	"open a hook": func(ctx context.Context, p *place) error {
		h, token, err := p.chat.AddHook(ctx, p.root, p.ofHook())
		if err == nil {
			_, err = p.chat.OpenHook(ctx, h.ID, token)
		}
		return err
	},
	"rooms": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.Rooms(ctx, p.bob, time.UnixMilli(1))
		return err
	},
	"subscriptions": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.Subscriptions(ctx, p.bob, time.UnixMilli(1))
		return err
	},
	"subscription": func(ctx context.Context, p *place) error {
		_, err := p.chat.Subscription(ctx, p.bob, p.team)
		return err
	},
	"read": func(ctx context.Context, p *place) error { return p.chat.Read(ctx, p.bob, p.team, true) },
	"hide": func(ctx context.Context, p *place) error {
		_, err := p.chat.Open(ctx, p.bob, p.team, false)
		return err
	},
	"favorite": func(ctx context.Context, p *place) error {
		_, err := p.chat.Favorite(ctx, p.bob, p.team, true)
		return err
	},
	"typing": func(ctx context.Context, p *place) error {
		_, err := p.chat.Typing(ctx, "bob", "bob", p.team, "typing", "bob", nil, true, "c1")
		return err
	},
	"by office": func(ctx context.Context, p *place) error {
		_, err := p.chat.ByOffice(ctx, p.root, p.team, "set-owner")
		return err
	},
	"by office, of a message": func(ctx context.Context, p *place) error {
		_, err := p.chat.ByOfficeMessage(ctx, p.root, p.message, "edit-message")
		return err
	},
	"change": func(ctx context.Context, p *place) error {
		_, err := p.chat.Change(ctx, p.ann, p.team, rooms.RoomSettings{Name: new("crew"), Topic: new("us"), JoinCode: new("sesame")})
		return err
	},
	"change asks": func(ctx context.Context, p *place) error {
		_, err := p.chat.ChangeAsks(ctx, p.root, p.secret, rooms.RoomSettings{Type: new(rooms.Channel)})
		return err
	},
	"archive": func(ctx context.Context, p *place) error { return p.chat.Archive(ctx, p.ann, p.team, true) },
	"erase":   func(ctx context.Context, p *place) error { return p.chat.Erase(ctx, p.ann, p.team) },
	"add all": func(ctx context.Context, p *place) error { return p.chat.AddAll(ctx, p.root, p.team, true) },
	"members by role": func(ctx context.Context, p *place) error {
		_, _, err := p.chat.MembersByRole(ctx, p.bob, p.team, rooms.MemberQuery{Count: 10})
		return err
	},
	"offices": func(ctx context.Context, p *place) error { _, err := p.chat.Offices(ctx); return err },
	"mute":    func(ctx context.Context, p *place) error { return p.chat.Mute(ctx, p.ann, p.team, "bob", true) },
	"unmute":  func(ctx context.Context, p *place) error { return p.chat.Mute(ctx, p.ann, p.team, "bob", false) },
	"block":   func(ctx context.Context, p *place) error { return p.chat.Block(ctx, p.ann, p.direct, "bob", true) },
	"statuses": func(ctx context.Context, p *place) error {
		_, err := p.chat.Statuses(ctx, []string{"ann"}, 10)
		return err
	},
	"renamed": func(ctx context.Context, p *place) error {
		f := &rooms.Follower{Rooms: p.chat}
		f.StatusChosen("bob") // without presence nobody shows it
		return f.Renamed(ctx, p.bob)
	},
	"forgotten":  func(ctx context.Context, p *place) error { return (&rooms.Follower{Rooms: p.chat}).Deleted(ctx, "bob") },
	"is member":  func(ctx context.Context, p *place) error { _, err := p.chat.IsMember(ctx, "bob", p.team); return err },
	"member ids": func(ctx context.Context, p *place) error { _, _, err := p.chat.Members(ctx, p.team); return err },
}

// Whatever operation of the store fails, what needed it is refused as a failure of
// the server, never as somebody's mistake and never as a success; and as long as
// nothing was written, nobody hears of anything. Afterwards the same act works, or is refused by
// what is there already.
func TestNothingSucceedsOnAFailingStore(t *testing.T) {
	for name, act := range acts {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				done := false
				synctest.Test(t, func(t *testing.T) { done = failAt(t, act, n) })
				if done {
					if n == 1 {
						t.Error("the act uses no store")
					}
					return
				}
			}
		})
	}
}

// failAt does an act whose n-th operation fails, and tells whether there is none.
func failAt(t *testing.T, act func(context.Context, *place) error, n int) (done bool) {
	p := newPlace(t)
	p.News.Take()
	p.store.FailAt(n)
	err := act(t.Context(), p)
	operation, wrote := p.store.Failed()
	p.store.FailAt(0)
	told := p.News.Take()
	switch _, refusal := fault.From(err); {
	case operation == "":
		if err != nil {
			t.Errorf("on a store that works: %v", err)
		}
		return true
	case err == nil:
		t.Errorf("%s fails, number %d, and the call succeeds", operation, n)
	case refusal || !errors.Is(err, dberr.Unavailable):
		t.Errorf("%s fails: %v", operation, err)
	}
	if again := act(t.Context(), p); again != nil {
		if _, refusal := fault.From(again); !refusal {
			t.Errorf("%s failed, and on a store that works again: %v", operation, again)
		}
	}
	if len(wrote) == 0 && len(told) > 0 {
		t.Errorf("%s fails, nothing is written, and %d events are told", operation, len(told))
	}
	return false
}
