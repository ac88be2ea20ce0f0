package calls_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// gate is a store that keeps back what it has read of other people's memberships
// while it is shut: it is old when it comes.
type gate struct {
	testkit.Store
	mu     sync.Mutex
	shut   chan struct{} // nil is open
	passes []string      // whose own membership passes
}

// close shuts the gate for all but the own memberships of these users.
func (g *gate) close(passes ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.passes = make(chan struct{}), passes
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut = nil
}

func (g *gate) hold(ctx context.Context, err error, users ...string) error {
	g.mu.Lock()
	shut, passes := g.shut, len(users) == 1 && slices.Contains(g.passes, users[0])
	g.mu.Unlock()
	if shut == nil || passes {
		return err
	}
	select {
	case <-shut:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) SubscriptionsIn(ctx context.Context, roomID string, users []string) ([]*rooms.Subscription, error) {
	list, err := g.Store.SubscriptionsIn(ctx, roomID, users)
	return list, g.hold(ctx, err, users...)
}

func (g *gate) Members(ctx context.Context, roomID string) ([]string, int64, error) {
	ids, n, err := g.Store.Members(ctx, roomID)
	return ids, n, g.hold(ctx, err)
}

// gatedWorld is a world on a gate, with these users.
func gatedWorld(t *testing.T, f func(t *testing.T, w *world, g *gate), users ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{Store: testkit.OpenStore(t)}
		w := &world{testkit.NewWorld(t, testkit.Options{Store: g, Overrides: map[string]string{
			settings.UnreadCount: settings.CountAllMessages, // every message changes every membership
		}})}
		w.Unlimited()
		for _, u := range users {
			w.User(u, "verified", "role=admin", "role=user")
		}
		f(t, w, g)
	})
}

// follow listens to what a client of Rocket.Chat listens to in a room.
func (c *talker) follow(room string) {
	c.World.T.Helper()
	for _, e := range []string{"subscriptions-changed", "rooms-changed", "notification"} {
		c.Stream(rooms.NotifyUser, c.World.Vars[c.Name]+"/"+e)
	}
	c.Stream(rooms.RoomMessages, room)
}

// unreads are what the events of a user's memberships say, in their order.
func unreads(t *testing.T, list []testkit.Streamed) (out []string) {
	t.Helper()
	for _, e := range list {
		if strings.HasSuffix(e.Event, "/subscriptions-changed") {
			doc := testkit.Unmarshal[struct {
				Unread int `json:"unread"`
			}](t, e.Args[1])
			out = append(out, fmt.Sprint(testkit.Unmarshal[string](t, e.Args[0]), " ", doc.Unread))
		}
	}
	return out
}

// A call is answered when its own user has what it changed. It waits for no read of
// what others are told, and they are told once it came.
func TestCallsWaitForNobodyElse(t *testing.T) {
	gatedWorld(t, func(t *testing.T, w *world, g *gate) {
		ann, bob, cid, fay := w.talker("ann"), w.talker("bob"), w.talker("cid"), w.talker("fay")
		fay.Stream(rooms.RoomMessages, rooms.MyMessages)
		team := ann.room("createPrivateGroup", "team", "bob", "cid", "dan", "eve")
		for _, c := range []*talker{ann, bob, cid} {
			c.follow(team)
		}
		first := ann.say(team, "first")
		for _, c := range []*talker{ann, bob, cid} {
			c.Events()
		}
		g.close(w.Vars["ann"])
		for _, call := range []struct {
			method string
			params []any
			// own are the events that ann has before the answer.
			own string
		}{
			{"sendMessage", []any{map[string]any{"rid": team, "msg": "second"}}, "stream-room-messages rooms-changed subscriptions-changed"},
			{"sendMessage", []any{map[string]any{"rid": team, "msg": "@bob"}}, "stream-room-messages rooms-changed subscriptions-changed"},
			{"sendMessage", []any{map[string]any{"rid": team, "msg": "@all"}}, "stream-room-messages rooms-changed subscriptions-changed"},
			{"updateMessage", []any{map[string]any{"_id": first.ID, "rid": team, "msg": "changed"}}, "stream-room-messages"},
			{"setReaction", []any{":smile:", first.ID}, "stream-room-messages"},
			{"pinMessage", []any{map[string]any{"_id": first.ID}}, "stream-room-messages stream-room-messages rooms-changed"},
			{"addRoomOwner", []any{team, w.Vars["bob"]}, "stream-room-messages rooms-changed"},
			{"removeUserFromRoom", []any{map[string]any{"rid": team, "username": "eve"}}, "stream-room-messages rooms-changed"},
			{"addUsersToRoom", []any{map[string]any{"rid": team, "users": []string{"fay"}}}, "stream-room-messages rooms-changed"},
			{"toggleFavorite", []any{team, true}, "subscriptions-changed"},
			{"hideRoom", []any{team}, "subscriptions-changed"},
			{"deleteMessage", []any{map[string]any{"_id": first.ID}}, "rooms-changed"},
		} {
			begin := time.Now()
			ann.Must(call.method, call.params...)
			if took := time.Since(begin); took > 0 {
				t.Errorf("%s was answered after %v", call.method, took)
			}
			var own []string
			for _, e := range ann.taken() {
				name := e.Collection
				if name == rooms.NotifyUser {
					_, name, _ = strings.Cut(e.Event, "/")
				}
				own = append(own, name)
			}
			if got := strings.Join(own, " "); got != call.own {
				t.Errorf("before the answer to %s: %s, want %s", call.method, got, call.own)
			}
		}
		got := bob.Events()
		if n := len(roomMessages(t, got)); n != 10 {
			t.Errorf("bob has %d messages", n)
		}
		if all := unreads(t, got); len(all) > 0 {
			t.Errorf("bob was told %v", all)
		}
		g.open()
		for _, c := range []*talker{bob, cid} {
			if all := unreads(t, append(got, c.Events()...)); len(all) == 0 || all[len(all)-1] != "updated 4" {
				t.Errorf("%s was told %v", c.Name, all)
			}
		}
		if all := fmt.Sprint(roomMessages(t, fay.Events())); all != "[au fay by ann]" {
			t.Errorf("fay has %s", all)
		}
		if late := ann.Events(); len(late) > 0 {
			t.Errorf("ann was told more: %v", eventNames(late))
		}
	}, "ann", "bob", "cid", "dan", "eve", "fay")
}

// taken are the events that came with the calls before.
func (c *talker) taken() (out []testkit.Streamed) {
	c.World.T.Helper()
	for _, f := range c.Other {
		if f.Msg == "changed" {
			e := testkit.Unmarshal[testkit.Streamed](c.World.T, f.Fields)
			e.Collection = f.Collection
			out = append(out, e)
		}
	}
	c.Other = nil
	return out
}

// Who listens to nothing of a room does not wait for the list of its members, and who
// does waits for it and has everything in its order.
func TestColdRoom(t *testing.T) {
	gatedWorld(t, func(t *testing.T, w *world, g *gate) {
		ann, bob := w.talker("ann"), w.talker("bob")
		cold := ann.room("createPrivateGroup", "cold", "bob")
		bob.follow(cold)
		bob.Events()
		g.close()
		for i := range 3 {
			begin := time.Now()
			if ann.say(cold, fmt.Sprint("m", i)); time.Since(begin) > 0 {
				t.Errorf("answered after %v", time.Since(begin))
			}
		}
		id := bob.NextID()
		bob.Send(`{"msg":"method","id":%q,"method":"sendMessage","params":[{"rid":%q,"msg":"m3"}]}`, id, cold)
		if early := bob.Events(); len(early) > 0 {
			t.Errorf("without the list: %v", eventNames(early))
		}
		g.open()
		if _, fail := bob.Result(id); fail != nil {
			t.Fatal(fail)
		}
		if got := fmt.Sprint(roomMessages(t, bob.taken())); got != "[m0 by ann m1 by ann m2 by ann m3 by bob]" {
			t.Errorf("bob has %s before the answer", got)
		}
	}, "ann", "bob")
}

// What was read before a later change, and comes after it, is told to nobody.
func TestNothingOldIsTold(t *testing.T) {
	gatedWorld(t, func(t *testing.T, w *world, g *gate) {
		ann, bob, cid, dan := w.talker("ann"), w.talker("bob"), w.talker("cid"), w.talker("dan")
		team := ann.room("createPrivateGroup", "team", "bob", "cid", "dan")
		talkers := []*talker{ann, bob, cid, dan}
		for _, c := range talkers {
			c.follow(team)
		}
		ann.say(team, "first")
		for _, c := range talkers {
			c.Events()
		}
		g.close(w.Vars["ann"], w.Vars["cid"], w.Vars["dan"])
		ann.say(team, "second")
		synctest.Wait()
		// The memberships of bob, cid and dan have been read, but nobody has them yet.
		cid.Must("readMessages", team)
		dan.Must("sendMessage", map[string]any{"rid": team, "msg": "third"})
		ann.Must("removeUserFromRoom", map[string]any{"rid": team, "username": "bob"})
		told := map[string][]string{"bob": unreads(t, bob.Events()), "cid": unreads(t, cid.Events()), "dan": unreads(t, dan.Events())}
		g.open()
		for _, c := range talkers[1:] {
			told[c.Name] = append(told[c.Name], unreads(t, c.Events())...)
		}
		for name, want := range map[string]string{"bob": "[removed 0]", "cid": "[updated 0 updated 1]", "dan": "[updated 0]"} {
			if got := fmt.Sprint(told[name]); got != want {
				t.Errorf("%s was told %s, want %s", name, got, want)
			}
		}
	}, "ann", "bob", "cid", "dan")
}
