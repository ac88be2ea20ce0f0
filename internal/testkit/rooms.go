//go:build !norooms

package testkit

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/blob"
	"ddpserver/internal/rooms/calls"
	roomsqlite "ddpserver/internal/rooms/sqlite"
	"ddpserver/internal/rooms/storetest"
	"ddpserver/internal/rooms/streams"
	"ddpserver/internal/store/sqlite"
	core "ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
)

// WithRooms says which build is tested.
const WithRooms = true

// withRooms is the store of a server with its half for rooms.
type withRooms = storetest.Store

// embedded is the embedded one.
type embedded = roomsqlite.Store

// openStore opens an empty embedded store with the tables of rooms and more, that ends with the test.
func openStore(t testing.TB, more ...sqlite.Schema) (*embedded, *sqlite.Store) {
	core := core.OpenSQLite(t, append(roomsqlite.Schemas(), more...)...)
	return roomsqlite.New(core), core
}

// Slice is what a World has of rooms; a server without them has none of it.
type Slice struct {
	// Chat has the rules of rooms.
	Chat *rooms.Service
	// Presence says who is connected; it is idle until a test runs it.
	Presence *rooms.Tracker
}

// NewRooms makes the rules of rooms, and the first channel, on a ground whose store
// has a half for them.
func (g *Ground) NewRooms(change ...func(*rooms.Options)) *rooms.Service {
	g.T.Helper()
	blobs, err := blob.OpenDir(filepath.Join(g.T.TempDir(), "files"))
	g.ok(err)
	g.T.Cleanup(func() { g.ok(blobs.Close()) })
	o := rooms.Options{Store: g.RoomStore(), Settings: g.Settings, Feed: g.Feed, Codes: g.Key, Now: g.opts.Now, Blobs: blobs}
	for _, f := range change {
		f(&o)
	}
	s, err := rooms.New(o)
	g.ok(err)
	g.ok(s.Start(g.T.Context()))
	return s
}

// NewTracker makes what knows who is connected.
func (g *Ground) NewTracker(change ...func(*rooms.PresenceOptions)) *rooms.Tracker {
	g.T.Helper()
	o := rooms.PresenceOptions{Store: g.RoomStore(), Settings: g.Settings, Feed: g.Feed, Node: g.opts.Node, Alone: g.opts.Events == nil, Logger: g.log}
	for _, f := range change {
		f(&o)
	}
	p, err := rooms.NewTracker(o)
	g.ok(err)
	return p
}

// RoomStore is the half of the store that keeps rooms.
func (g *Ground) RoomStore() rooms.Store {
	s, ok := g.Store.(rooms.Store)
	if !ok {
		g.T.Fatalf("no rooms in a %T", g.Store)
	}
	return s
}

// furnish makes the rooms of a world; accounts follow from what it returns.
func (w *World) furnish() accounts.Follower {
	w.T.Helper()
	w.Chat, w.Presence = w.NewRooms(), w.NewTracker()
	return &rooms.Follower{Rooms: w.Chat, Presence: w.Presence}
}

// calls are the methods and routes of rooms.
func (w *World) calls() ([]methods.Slice, []rest.Group) {
	o := calls.Options{Rooms: w.Chat, Presence: w.Presence, Accounts: w.Accounts, Settings: w.Settings, Limiter: w.Limiter, Audit: &w.Trail}
	return []methods.Slice{calls.Methods(o)}, calls.Routes(o)
}

// streams are what members may subscribe to.
func (w *World) streams() []realtime.Group {
	return []realtime.Group{streams.New(streams.Options{Hub: w.Hub, Rooms: w.Chat, Presence: w.Presence, Logger: w.log})}
}

// sliceActs are the "do" lines about rooms: presence (it runs from now on); "room ID
// TYPE FIELDS MEMBER…", a room as another program left it in the database, its
// members NAME, NAME=owner, NAME=moderator, NAME=blocked or NAME=blocker; and
// "message ID ROOM NAME FIELDS", what somebody wrote there. FIELDS is JSON without blanks.
func (w *World) sliceActs() map[string]func(string) error {
	return map[string]func(string) error{
		"presence": func(string) error {
			ctx, stop := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() { _ = w.Presence.Run(ctx) })
			w.T.Cleanup(func() { stop(); running.Wait() })
			return nil
		},
		"room": w.foundRoom,
		"file": w.sendFile,
		"link": w.makeLink,
		"message": func(args string) error {
			f := strings.Fields(args)
			at := time.Now().UTC().Truncate(time.Millisecond)
			m := &rooms.Message{ID: f[0], RoomID: f[1], User: rooms.Ref{ID: w.Vars[f[2]], Username: f[2]}, TS: at, UpdatedAt: at}
			if err := json.Unmarshal([]byte(f[3]), m); err != nil {
				return err
			}
			_, _, err := w.RoomStore().InsertMessage(w.T.Context(), m, rooms.Unread{None: true})
			return err
		},
	}
}

// sendFile is the "do" line "file VAR ROOM NAME TEXT": what NAME uploads there as a.txt, whose
// id VAR is from then on.
func (w *World) sendFile(args string) error {
	ctx, f := w.T.Context(), strings.Fields(args)
	by, err := w.Store.UserByID(ctx, w.Vars[f[2]])
	if err != nil {
		return err
	}
	up, err := w.Chat.BeginUpload(ctx, by, f[1], "a.txt", int64(len(f[3])))
	if err != nil {
		return err
	}
	defer up.Close()
	if _, err := up.Write([]byte(f[3])); err != nil {
		return err
	}
	m, err := up.Send(rooms.Draft{RoomID: f[1]}, "")
	if err == nil {
		w.Vars[f[0]] = m.File.ID
	}
	return err
}

// makeLink is the "do" line "link VAR ROOM NAME USES": an invite of NAME's into the room that
// counts for a day, whose token VAR is from then on.
func (w *World) makeLink(args string) error {
	ctx, f := w.T.Context(), strings.Fields(args)
	by, err := w.Store.UserByID(ctx, w.Vars[f[2]])
	if err != nil {
		return err
	}
	uses, err := strconv.Atoi(f[3])
	if err != nil {
		return err
	}
	i, err := w.Chat.Invitation(ctx, by, f[1], 1, uses)
	if err == nil {
		link := w.Chat.InviteLink(i)
		w.Vars[f[0]] = link[strings.LastIndex(link, "/")+1:]
	}
	return err
}

// foundRoom puts a room into the database.
func (w *World) foundRoom(args string) error {
	f := strings.Fields(args)
	at := time.Now().UTC().Truncate(time.Millisecond)
	r := &rooms.Room{ID: f[0], Type: f[1], TS: at, UpdatedAt: at, Membership: 1}
	if r.Type != rooms.Direct {
		r.Name, r.FName, r.NameKey = f[0], f[0], user.Key(f[0])
	}
	if err := json.Unmarshal([]byte(f[2]), r); err != nil {
		return err
	}
	var subs []*rooms.Subscription
	for _, member := range f[3:] {
		name, what, _ := strings.Cut(member, "=")
		s := &rooms.Subscription{ID: f[0] + name, RoomID: r.ID, Type: r.Type, Name: r.Name, FName: r.FName, Open: true, TS: at, UpdatedAt: at,
			User: rooms.Ref{ID: w.Vars[name], Username: name, Name: strings.ToUpper(name[:1]) + name[1:]}, UserKey: user.Key(name)}
		switch what {
		case rooms.Owner:
			r.Owners = append(r.Owners, s.User.ID)
			s.Roles = []string{what}
		case rooms.Moderator:
			s.Roles = []string{what}
		case "blocked":
			s.Blocked = true
		case "blocker":
			s.Blocker = true
		}
		if r.Type == rooms.Direct {
			r.UserIDs, r.Usernames = append(r.UserIDs, s.User.ID), append(r.Usernames, name)
		}
		subs = append(subs, s)
	}
	if r.Type == rooms.Direct {
		r.DirectKey = rooms.DirectKey(r.UserIDs)
	}
	r.Users = len(subs)
	return w.RoomStore().CreateRoom(w.T.Context(), r, subs)
}
