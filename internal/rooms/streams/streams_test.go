package streams_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/feed"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rooms"
	roommongo "ddpserver/internal/rooms/mongo"
	"ddpserver/internal/rooms/storetest"
	"ddpserver/internal/rooms/streams"
	"ddpserver/internal/rpc"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// be admits everybody to everything.
type be struct{}

func (be) Admit(context.Context, rpc.Login, string, string) error { return nil }
func (be) Enrolled(context.Context, rpc.Login) error              { return nil }
func (be) Observe(ctx context.Context, _ *rpc.Call, _ string, run func(context.Context) error) error {
	return run(ctx)
}
func (be) Stray(_ context.Context, _ *rpc.Call, _ string, err error) error { return err }

// othersStreams are those of the core that rooms tell something in, for everybody.
type othersStreams struct{}

func (othersStreams) Publications() []realtime.Publication { return nil }
func (othersStreams) Streams() []realtime.Stream {
	all := func(context.Context, rpc.Login, string) error { return nil }
	return []realtime.Stream{{Name: rooms.NotifyUser, Allow: all}, {Name: rooms.NotifyLogged, Allow: all}}
}

// beHandler serves the streams, and one method, "be", which logs in as the user it
// is given.
type beHandler struct{ *realtime.Publications }

func (beHandler) Method(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	return nil, c.Session.SetLogin(ctx, rpc.Login{UserID: id})
}

// chatNode is one server of several on a store.
type chatNode struct {
	t      testing.TB
	store  storetest.Store
	hub    *realtime.Hub
	chat   *rooms.Service
	server *ddp.Server
}

// newChatNode makes a server. shared is nil for a server that is alone.
func newChatNode(t testing.TB, name string, s storetest.Store, shared feed.Store) *chatNode {
	t.Helper()
	return newChatNodeOver(t, name, s, shared, realtime.Poll(shared))
}

// newChatNodeOver makes a server whose news another transport carries.
func newChatNodeOver(t testing.TB, name string, s storetest.Store, shared feed.Store, transport feed.Transport) *chatNode {
	t.Helper()
	n := &chatNode{t: t, store: s, hub: realtime.New(realtime.Options{Node: name, Transport: transport})}
	g := testkit.NewGround(t, testkit.Options{Store: s, Node: name, Events: shared, Feed: n.hub})
	n.chat = g.NewRooms()
	table := realtime.NewPublications(n.hub, be{}, nil, othersStreams{}, streams.New(streams.Options{Hub: n.hub, Rooms: n.chat, Presence: g.NewTracker()}))
	n.server = ddp.New(ddp.Options{Handler: beHandler{Publications: table}, Limits: ddp.Limits{HeartbeatInterval: -1}})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = n.hub.Run(ctx) })
	t.Cleanup(func() {
		if err := n.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		stop()
		running.Wait()
	})
	return n
}

// account makes a user who is in GENERAL.
func (n *chatNode) account(id string) *user.User {
	n.t.Helper()
	u := &user.User{ID: id, Username: id, Roles: []string{"user"}, CreatedAt: time.Now()}
	if err := n.store.CreateUser(context.Background(), u); err != nil {
		n.t.Fatal(err)
	}
	if err := n.chat.JoinDefaults(context.Background(), u); err != nil {
		n.t.Fatal(err)
	}
	return u
}

// listen connects as a user and subscribes to streams, given as "stream/event".
func (n *chatNode) listen(id string, streams ...string) *ddptest.Client {
	n.t.Helper()
	conn, c := ddptest.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.server.Serve(conn, &rpc.Peer{})
	}()
	n.t.Cleanup(func() {
		c.Close()
		<-done
	})
	c.Send(`{"msg":"connect","version":"1","support":["1"]}`)
	c.Send(fmt.Sprintf(`{"msg":"method","id":"1","method":"be","params":[%q]}`, id))
	for i, s := range streams {
		name, event, _ := strings.Cut(s, "/")
		c.Send(fmt.Sprintf(`{"msg":"sub","id":"s%d","name":%q,"params":[%q,false]}`, i, name, event))
	}
	for want := 3 + len(streams); want > 0; want-- {
		next(n.t, c, "")
	}
	return c
}

// next is the next frame, which must contain want.
func next(t testing.TB, c *ddptest.Client, want string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	frame, ok, code := c.Next(ctx.Done())
	if !ok || !strings.Contains(frame, want) {
		t.Fatalf("got %q (close %d), want %s", frame, code, want)
	}
	return frame
}

// rest are the frames that come within a while.
func rest(c *ddptest.Client, d time.Duration) (out []string) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	for {
		frame, ok, _ := c.Next(ctx.Done())
		if !ok {
			return out
		}
		out = append(out, frame)
	}
}

// Two nodes on one store: what is written on one is heard on the other, and
// somebody who was removed on one hears nothing more on the other, although the
// news of the removal has not come there yet.
func TestChatOnTwoNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.OpenSQLite(t)
		a, b := newChatNode(t, "a", s, s), newChatNode(t, "b", s, s)
		ann, _ := a.account("ann"), a.account("bob")
		room, err := a.chat.Create(t.Context(), ann, rooms.NewRoom{Type: rooms.Group, Name: "team", Usernames: []string{"bob"}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // node b asks for news once a second: what was before is not told to who listens later
		bob := b.listen("bob", rooms.RoomMessages+"/"+room.ID, rooms.RoomMessages+"/"+rooms.MyMessages, rooms.NotifyRoom+"/"+room.ID+"/typing")
		owner := b.listen("ann", rooms.RoomMessages+"/"+room.ID)
		say := func(n *chatNode, text string) {
			t.Helper()
			if _, err := n.chat.Send(t.Context(), ann, rooms.Draft{RoomID: room.ID, Text: text}); err != nil {
				t.Fatal(err)
			}
		}
		say(a, "from the other node")
		next(t, bob, "from the other node")
		next(t, bob, "from the other node")
		next(t, owner, "from the other node")

		if err := a.chat.Remove(t.Context(), ann, room.ID, "bob"); err != nil {
			t.Fatal(err)
		}
		// At once, before node b has asked for news.
		say(b, "on the same node")
		if _, err := b.chat.Typing(t.Context(), "ann", "ann", room.ID, "typing", "ann", nil, true, ""); err != nil {
			t.Fatal(err)
		}
		if got := rest(bob, 10*time.Millisecond); len(got) > 0 {
			t.Errorf("after the removal: %q", got)
		}
		next(t, owner, "on the same node")
		// The news comes: the subscriptions end, and nothing else comes with them.
		for _, frame := range rest(bob, time.Minute) {
			if !strings.Contains(frame, `"nosub"`) {
				t.Errorf("got %s", frame)
			}
		}
		if err := a.chat.Invite(t.Context(), ann, room.ID, []string{"bob"}); err != nil {
			t.Fatal(err)
		}
		say(b, "welcome back")
		if got := strings.Join(rest(bob, time.Second), "\n"); strings.Count(got, `"msg":"welcome back"`) != 1 { // only __my_messages__ is left
			t.Errorf("%s", got)
		}
	})
}

// The same conversation on MongoDB, over real time: two nodes, a message each
// way, an edit, a pin, a removal.
func TestChatOnMongoDB(t *testing.T) {
	url := mongotest.Start(t)
	open := func() storetest.Store {
		s, err := mongo.Open(t.Context(), url, mongo.Options{Parts: roommongo.Parts()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return roommongo.New(s)
	}
	sa, sb := open(), open()
	a, b := newChatNode(t, "a", sa, sa), newChatNode(t, "b", sb, sb)
	ann, bob := a.account("ann"), b.account("bob")
	room, err := a.chat.Create(t.Context(), ann, rooms.NewRoom{Type: rooms.Group, Name: "team", Usernames: []string{"bob"}})
	if err != nil {
		t.Fatal(err)
	}
	here := a.listen("ann", rooms.RoomMessages+"/"+room.ID)
	there := b.listen("bob", rooms.RoomMessages+"/"+room.ID)
	m, err := a.chat.Send(t.Context(), ann, rooms.Draft{RoomID: room.ID, Text: "hello @bob"})
	if err != nil {
		t.Fatal(err)
	}
	next(t, here, `"msg":"hello @bob"`)
	next(t, there, `"msg":"hello @bob"`)
	if _, err := b.chat.Send(t.Context(), bob, rooms.Draft{RoomID: room.ID, Text: "hi"}); err != nil {
		t.Fatal(err)
	}
	next(t, there, `"msg":"hi"`)
	next(t, here, `"msg":"hi"`)
	if _, err := a.chat.Edit(t.Context(), ann, rooms.EditRequest{ID: m.ID, Text: "hello all"}); err != nil {
		t.Fatal(err)
	}
	next(t, there, `"editedAt"`)
	if _, err := a.chat.Pin(t.Context(), ann, m.ID); err != nil {
		t.Fatal(err)
	}
	next(t, there, `"pinned":true`)
	next(t, there, `"message_pinned"`)
	if err := a.chat.Remove(t.Context(), ann, room.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.chat.Send(t.Context(), ann, rooms.Draft{RoomID: room.ID, Text: "alone"}); err != nil {
		t.Fatal(err)
	}
	next(t, there, `"nosub"`) // and not the message, which was delivered before on the same node
	for _, want := range []string{`"editedAt"`, `"pinned":true`, `"message_pinned"`, `"ru"`, `"alone"`} {
		next(t, here, want)
	}
}

// BenchmarkRoomMessage is a message from the call of the service to the last
// socket: stored, counted, encoded once, checked against the members for each.
func BenchmarkRoomMessage(b *testing.B) {
	for _, n := range []int{1, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			node := newChatNode(b, "n", storetest.OpenSQLite(b), nil)
			ann := node.account("ann")
			stop := make(chan struct{})
			var readers sync.WaitGroup
			for i := range n {
				id := fmt.Sprint("u", i)
				node.account(id)
				c := node.listen(id, rooms.RoomMessages+"/"+rooms.GeneralID)
				readers.Go(func() {
					for {
						if _, ok, _ := c.Next(stop); !ok {
							return
						}
					}
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := node.chat.Send(b.Context(), ann, rooms.Draft{RoomID: rooms.GeneralID, Text: "hi *everybody*, how is it?"}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/delivery")
			close(stop)
			readers.Wait()
		})
	}
}
