package rooms_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/feed"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/storetest"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// deaf hears no news.
type deaf struct{}

func (deaf) Publish(feed.Event) {}

// codes makes digests that show what they are of.
var codes = plainCodes{}

type plainCodes struct{}

func (plainCodes) Digest(parts ...string) string { return strings.Join(parts, "/") }
func (c plainCodes) Digests(parts ...string) []string {
	return []string{c.Digest(parts...), "old/" + c.Digest(parts...)}
}

// house is the rules of rooms over a real embedded store.
type house struct {
	*rooms.Service
	t     testing.TB
	store storetest.Store
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, store: storetest.OpenSQLite(t)}
	set, err := settings.Open(t.Context(), settings.Options{Store: h.store,
		Definitions: append(settings.Table(), settings.Facts("https://chat.example.com/team")...)})
	if err == nil {
		h.Service, err = rooms.New(rooms.Options{Store: h.store, Settings: set, Feed: deaf{}, Codes: codes})
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) account(name string) *user.User {
	h.t.Helper()
	u := &user.User{ID: name, Username: name, CreatedAt: time.Now(), Roles: []string{"user"}}
	if err := h.store.CreateUser(h.t.Context(), u); err != nil {
		h.t.Fatal(err)
	}
	return u
}

// room makes a room as it is found in a database, with a message in it.
func (h *house) room(id, kind string, change func(*rooms.Room, []*rooms.Subscription), members ...*user.User) {
	h.t.Helper()
	r := &rooms.Room{ID: id, Type: kind, Name: id, NameKey: id, Users: len(members), TS: time.Now(), UpdatedAt: time.Now()}
	var subs []*rooms.Subscription
	for _, u := range members {
		subs = append(subs, &rooms.Subscription{ID: id + u.ID, RoomID: id, Type: kind, Name: id, User: rooms.Ref{ID: u.ID, Username: u.Username},
			Roles: []string{rooms.Owner}, Open: true, TS: time.Now(), UpdatedAt: time.Now()})
	}
	change(r, subs)
	err := h.store.CreateRoom(h.t.Context(), r, subs)
	if err == nil {
		_, _, err = h.store.InsertMessage(h.t.Context(), &rooms.Message{ID: "in-" + id, RoomID: id, Text: "old", TS: time.Now(), UpdatedAt: time.Now(),
			User: rooms.Ref{ID: members[0].ID, Username: members[0].Username}}, rooms.Unread{})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// What a database says of a room or a member keeps them from writing there, in every
// way there is; they go on reading.
func TestProtectedRooms(t *testing.T) {
	h := newHouse(t)
	ann, bob := h.account("ann"), h.account("bob")
	renamed := *ann
	renamed.Username = "anna"
	none := func(*rooms.Room, []*rooms.Subscription) {}
	h.room("plain", rooms.Channel, none, ann, bob)
	h.room("muted", rooms.Group, func(r *rooms.Room, _ []*rooms.Subscription) { r.Muted, r.MutedIDs = []string{"ann"}, []string{"ann"} }, ann, bob)
	h.room("encrypted", rooms.Group, func(r *rooms.Room, _ []*rooms.Subscription) { r.Encrypted = true }, ann, bob)
	h.room("broadcast", rooms.Channel, func(r *rooms.Room, s []*rooms.Subscription) { r.Broadcast, s[0].Roles = true, nil }, ann, bob)
	h.room("quiet", rooms.Channel, func(r *rooms.Room, s []*rooms.Subscription) {
		r.ReadOnly, r.Unmuted, r.UnmutedIDs, s[0].Roles, s[1].Roles = true, []string{"bob"}, []string{"bob"}, nil, nil
	}, ann, bob)
	h.room("blocked", rooms.Direct, func(_ *rooms.Room, s []*rooms.Subscription) { s[0].Blocked, s[1].Blocker = true, true }, ann, bob)
	for _, c := range []struct {
		room string
		who  *user.User
		want error
	}{
		{"plain", ann, nil}, {"muted", ann, rooms.ErrMuted}, {"muted", &renamed, rooms.ErrMuted}, {"muted", bob, nil},
		{"encrypted", ann, rooms.ErrEncrypted}, {"encrypted", bob, rooms.ErrEncrypted},
		{"broadcast", ann, rooms.ErrReadOnly}, {"broadcast", bob, nil}, {"quiet", ann, rooms.ErrReadOnly}, {"quiet", bob, nil},
		{"blocked", ann, rooms.ErrBlocked}, {"blocked", bob, rooms.ErrBlocked},
	} {
		ctx, mine := t.Context(), "in-"+c.room
		for what, do := range map[string]func() error{
			"send":  func() error { _, err := h.Send(ctx, c.who, rooms.Draft{RoomID: c.room, Text: "new"}); return err },
			"react": func() error { return h.React(ctx, c.who, mine, "smile", nil) },
			"pin":   func() error { _, err := h.Pin(ctx, c.who, mine); return err },
			"unpin": func() error { return h.Unpin(ctx, c.who, mine) },
			"edit": func() error {
				if c.who.ID != "ann" {
					return c.want // it is not his
				}
				_, err := h.Edit(ctx, c.who, rooms.EditRequest{ID: mine, Text: "edited by " + c.who.Username})
				return err
			},
		} {
			if strings.Contains(what, "pin") && (c.room == "quiet" || c.room == "broadcast") {
				continue // that is for those who run the room
			}
			if err := do(); !errors.Is(err, c.want) {
				t.Errorf("%s of %s in %s: %v, want %v", what, c.who.Username, c.room, err, c.want)
			}
		}
		if page, err := h.Load(ctx, c.who, c.room, time.Time{}, 10, time.Time{}, false); err != nil || page == nil || len(page.Messages) == 0 {
			t.Errorf("%s reads in %s: %v", c.who.Username, c.room, err)
		}
	}
}

// A room that is read-only may let everybody answer with emojis, and then lets nobody do
// more.
func TestReactWhenReadOnly(t *testing.T) {
	h := newHouse(t)
	ann, bob := h.account("ann"), h.account("bob")
	h.room("quiet", rooms.Channel, func(r *rooms.Room, s []*rooms.Subscription) {
		r.ReadOnly, r.ReactWhenReadOnly, s[1].Roles = true, true, nil
	}, ann, bob)
	h.room("muted", rooms.Channel, func(r *rooms.Room, s []*rooms.Subscription) {
		r.ReadOnly, r.ReactWhenReadOnly, r.Muted, r.MutedIDs, s[1].Roles = true, true, []string{"bob"}, []string{"bob"}, nil
	}, ann, bob)
	h.room("old", rooms.Channel, func(r *rooms.Room, s []*rooms.Subscription) {
		r.ReadOnly, r.ReactWhenReadOnly, r.Archived, s[1].Roles = true, true, true, nil
	}, ann, bob)
	for room, want := range map[string]error{"quiet": nil, "muted": rooms.ErrMuted, "old": rooms.ErrRoomArchived} {
		if err := h.React(t.Context(), bob, "in-"+room, "smile", nil); !errors.Is(err, want) {
			t.Errorf("an emoji in %s: %v, want %v", room, err, want)
		}
		if _, err := h.Send(t.Context(), bob, rooms.Draft{RoomID: room, Text: "x"}); err == nil {
			t.Errorf("a message in %s", room)
		}
	}
}

// A channel with a join code lets in who knows it, and one whose code is lost nobody.
func TestJoinCode(t *testing.T) {
	h := newHouse(t)
	ann, bob := h.account("ann"), h.account("bob")
	h.room("locked", rooms.Channel, func(r *rooms.Room, _ []*rooms.Subscription) { r.JoinCodeRequired, r.JoinCode = true, "sesame" }, ann)
	h.room("lost", rooms.Channel, func(r *rooms.Room, _ []*rooms.Subscription) { r.JoinCodeRequired = true }, ann)
	h.room("old-key", rooms.Channel, func(r *rooms.Room, _ []*rooms.Subscription) {
		r.JoinCodeRequired, r.JoinDigest, r.JoinCode = true, "old/join code/old-key/sesame", "another"
	}, ann)
	h.room("no-code", rooms.Channel, func(*rooms.Room, []*rooms.Subscription) {}, ann)
	if _, err := h.Change(t.Context(), ann, "no-code", rooms.RoomSettings{JoinCode: new("open")}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		room, code string
		want       error
	}{
		{"old-key", "another", rooms.ErrCodeInvalid}, {"old-key", "sesame", nil}, {"no-code", "", rooms.ErrCodeRequired}, {"no-code", "Open", rooms.ErrCodeInvalid},
		{"no-code", "open", nil},
		{"locked", "", rooms.ErrCodeRequired}, {"locked", "Sesame", rooms.ErrCodeInvalid}, {"lost", "", rooms.ErrCodeRequired}, {"lost", "x", rooms.ErrCodeInvalid},
		{"locked", "sesame", nil},
	} {
		joined, err := h.Join(t.Context(), bob, c.room, c.code)
		if !errors.Is(err, c.want) || joined != (c.want == nil) {
			t.Errorf("%s with %q: %v %v, want %v", c.room, c.code, joined, err, c.want)
		}
	}
	// A code that was chosen here is kept as a digest alone, and one of before goes with it.
	if _, err := h.Change(t.Context(), ann, "locked", rooms.RoomSettings{JoinCode: new("new")}); err != nil {
		t.Fatal(err)
	}
	if r, err := h.store.RoomByID(t.Context(), "locked"); err != nil || r.JoinCode != "" || r.JoinDigest != codes.Digest("join code", "locked", "new") {
		t.Errorf("kept as %q %q; %v", r.JoinCode, r.JoinDigest, err)
	}
}

// What a room says of itself is bounded, and is text.
func TestRoomSettingsAreBounded(t *testing.T) {
	h := newHouse(t)
	ann := h.account("ann")
	h.room("team", rooms.Channel, func(*rooms.Room, []*rooms.Subscription) {}, ann)
	long, exact := strings.Repeat("\U0001F600", 500)+"x", strings.Repeat("\U0001F600", 500)
	for _, c := range []struct {
		name string
		s    rooms.RoomSettings
		want error
	}{
		{"topic", rooms.RoomSettings{Topic: &long}, rooms.ErrRoomText}, {"announcement", rooms.RoomSettings{Announcement: &long}, rooms.ErrRoomText},
		{"description", rooms.RoomSettings{Description: &long}, rooms.ErrRoomText}, {"no text", rooms.RoomSettings{Topic: new("\xff")}, rooms.ErrRoomText},
		{"a long code", rooms.RoomSettings{JoinCode: new(strings.Repeat("x", 101))}, rooms.ErrRoomText},
		{"fields", rooms.RoomSettings{CustomFields: &map[string]any{"x": strings.Repeat("x", 11<<10)}}, rooms.ErrRoomText},
		{"a long name", rooms.RoomSettings{Name: new(strings.Repeat("x", 101))}, rooms.ErrRoomName},
		{"as long as may be", rooms.RoomSettings{Topic: &exact, Announcement: &exact, Description: &exact, JoinCode: new(strings.Repeat("x", 100)),
			Name: new(strings.Repeat("x", 100))}, nil},
	} {
		if _, err := h.Change(t.Context(), ann, "team", c.s); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}
