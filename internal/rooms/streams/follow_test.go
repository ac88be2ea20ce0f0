package streams_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/feed/natsfeed"
	"ddpserver/internal/feed/natstest"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/storetest"
	"ddpserver/internal/secret"
	"ddpserver/internal/testwait"
	"ddpserver/internal/user"
)

// overNATS are nodes on one store whose news NATS carries, which listen.
func overNATS(t *testing.T, names ...string) (server *natstest.Server, nodes []*chatNode) {
	t.Helper()
	server = natstest.Start(t, nil)
	key, err := secret.NewKey(secret.Generate())
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.OpenSQLite(t)
	for _, name := range names {
		transport, err := natsfeed.Open(natsfeed.Options{Address: server.URL(), Node: name, Database: "chat", Key: key})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = transport.Close() })
		nodes = append(nodes, newChatNodeOver(t, name, s, s, transport))
	}
	hearing(t, true, nodes...)
	return server, nodes
}

func hearing(t *testing.T, want bool, nodes ...*chatNode) {
	t.Helper()
	for _, n := range nodes {
		testwait.Until(t, fmt.Sprint("a node hears: ", want), func() bool { _, hears := n.hub.Transport(); return hears == want })
	}
}

// until passes frames over until one has all of the texts.
func until(t *testing.T, c *ddptest.Client, texts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testwait.Limit)
	defer cancel()
	if _, ok, code := c.Await(ctx.Done(), texts...); !ok {
		t.Fatalf("nothing came with %q; closed with %d", texts, code)
	}
}

func (n *chatNode) says(by *user.User, room, text string) {
	n.t.Helper()
	if _, err := n.chat.Send(context.Background(), by, rooms.Draft{RoomID: room, Text: text}); err != nil {
		n.t.Fatal(err)
	}
}

func (n *chatNode) channel(by *user.User, name string, others ...string) string {
	n.t.Helper()
	r, err := n.chat.Create(context.Background(), by, rooms.NewRoom{Type: rooms.Group, Name: name, Usernames: others})
	if err != nil {
		n.t.Fatal(err)
	}
	return r.ID
}

// Every event of rooms that clients listen to comes from another node although each node asks
// for the rooms of its clients alone: the row is a way to listen, and what it is told of a
// message that addresses the listener.
func TestEventsOfFollowedRooms(t *testing.T) {
	_, nodes := overNATS(t, "a", "b", "c")
	a, b, c := nodes[0], nodes[1], nodes[2]
	ann := a.account("ann")
	for i, row := range []struct{ listen, frame string }{
		{rooms.RoomMessages + "/ROOM", `"msg":"hello @bob`},
		{rooms.RoomMessages + "/" + rooms.MyMessages, `"msg":"hello @bob`},
		{rooms.NotifyUser + "/USER/rooms-changed", `"lastMessage"`},
		{rooms.NotifyUser + "/USER/subscriptions-changed", `"unread":1`},
		{rooms.NotifyUser + "/USER/notification", `"hello @bob`},
		{rooms.NotifyRoom + "/ROOM/typing", `"ann",true`},
		{rooms.NotifyLogged + "/roles-change", `"moderator"`},
	} {
		bob := fmt.Sprint("bob", i)
		b.account(bob)
		room := a.channel(ann, fmt.Sprint("room", i), bob)
		listener := b.listen(bob, strings.NewReplacer("ROOM", room, "USER", bob).Replace(row.listen))
		a.says(ann, room, "hello @"+bob)
		if _, err := a.chat.Typing(t.Context(), "ann", "ann", room, "typing", "ann", nil, true, ""); err != nil {
			t.Fatal(err)
		}
		if err := a.chat.SetRole(t.Context(), ann, room, bob, "moderator", true); err != nil {
			t.Fatal(err)
		}
		until(t, listener, row.frame)
	}
	// Of each round it hears that bob came into two rooms and got a role, and as much of ann.
	a.channel(ann, "last")
	testwait.Until(t, "the last news", func() bool { return c.hub.News().Taken >= 23 })
	if taken := c.hub.News().Taken; taken != 23 {
		t.Errorf("a node without listeners took %d events", taken)
	}
	if n := a.hub.News().Topics + c.hub.News().Topics; n != 0 {
		t.Errorf("nodes without listeners follow %d topics", n)
	}
}

// Somebody who is told of all rooms is told of one that others take them into on another node:
// of whatever is written behind that, although nobody on the node had followed it. And who
// comes and goes leaves nothing behind.
func TestComingIntoRoomsElsewhere(t *testing.T) {
	_, nodes := overNATS(t, "a", "b")
	a, b := nodes[0], nodes[1]
	ann := a.account("ann")
	b.account("bob")
	bob := b.listen("bob", rooms.RoomMessages+"/"+rooms.MyMessages, rooms.NotifyUser+"/bob/rooms-changed")
	const many = 30
	before := b.hub.News().Topics
	for i := range many {
		room := a.channel(ann, fmt.Sprint("room", i), "bob")
		a.says(ann, room, fmt.Sprint("first in ", i))
		until(t, bob, rooms.MyMessages, fmt.Sprint("first in ", i))
		if i%2 == 0 {
			if err := a.chat.Remove(t.Context(), ann, room, "bob"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := b.hub.News().Topics - before; got > many {
		t.Errorf("%d topics for %d rooms", got, many)
	}
	bob.Close()
	testwait.Until(t, "nothing to be followed any more", func() bool { return b.hub.News().Topics == 0 })
}

// What is written on one node from the moment in which a subscription on another is ready comes,
// however many listen and write.
func TestReadyHearsAll(t *testing.T) {
	_, nodes := overNATS(t, "a", "b")
	a, b := nodes[0], nodes[1]
	ann := a.account("ann")
	b.account("bob")
	for i := range 90 {
		room := a.channel(ann, fmt.Sprint("room", i), "bob")
		listen := rooms.RoomMessages + "/" + room
		if i%3 == 0 {
			listen = rooms.RoomMessages + "/" + rooms.MyMessages
		}
		c := b.listen("bob", listen)
		a.says(ann, room, "said at once")
		until(t, c, "said at once")
		c.Close()
	}
}

// Whoever comes into a room while NATS is away is told what was written there when it is back.
func TestComingWhileNATSIsAway(t *testing.T) {
	server, nodes := overNATS(t, "a", "b")
	a, b := nodes[0], nodes[1]
	ann := a.account("ann")
	b.account("bob")
	bob := b.listen("bob", rooms.RoomMessages+"/"+rooms.MyMessages, rooms.NotifyUser+"/bob/subscriptions-changed")
	server.Stop()
	hearing(t, false, a, b)
	room := a.channel(ann, "room", "bob")
	a.says(ann, room, "while it is away")
	begin := time.Now()
	late := b.listen("bob", rooms.RoomMessages+"/"+room)
	if took := time.Since(begin); took > testwait.Limit/10 {
		t.Errorf("held up for %v", took)
	}
	server.Restart()
	hearing(t, true, a, b)
	until(t, bob, rooms.MyMessages, "while it is away")
	until(t, late, "while it is away")
	a.says(ann, room, "behind it")
	until(t, bob, rooms.MyMessages, "behind it")
	until(t, late, "behind it")
}

// Who was taken into a room again is told of it although the news of the removal before comes
// later, as it does from a node that was parted from NATS meanwhile. The room that ann leaves
// tells when topics that nobody needs are over.
func TestNewsOfRemovalsThatAreLate(t *testing.T) {
	t.Parallel()
	_, nodes := overNATS(t, "a", "b")
	a, b := nodes[0], nodes[1]
	ann := a.account("ann")
	b.account("bob")
	again, left := a.channel(ann, "again", "bob"), a.channel(ann, "left", "bob")
	bob := b.listen("bob", rooms.RoomMessages+"/"+rooms.MyMessages)
	before := b.hub.News().Topics
	rooms.MembershipChanged.Publish(a.hub, again, rooms.UserNews{Counted: rooms.Counted{Membership: 1}, Users: []string{"bob"}, Gone: true})
	if err := a.chat.Remove(t.Context(), ann, left, "bob"); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "a topic less", func() bool { return b.hub.News().Topics < before })
	a.says(ann, again, "still here")
	until(t, bob, "still here")
}
