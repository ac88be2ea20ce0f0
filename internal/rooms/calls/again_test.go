package calls_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/feed"
	"ddpserver/internal/rooms"
	"ddpserver/internal/secret"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// A node dies before it told anything of what it had acknowledged: whoever listens on
// another one is told of every kind of it once that is known, and of nothing of rooms in
// which they are no members any more, and of nothing that is older.
func TestNewsOfADeadNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, key := testkit.OpenStore(t), secret.Generate()
		n1 := testkit.NewWorld(t, testkit.Options{Store: db, RawKey: key, Node: "n1"}) // it tells nobody
		n2 := testkit.NewWorld(t, testkit.Options{Store: db, RawKey: key, Node: "n2", Events: db})
		n1.Unlimited()
		n2.Unlimited()
		for _, name := range []string{"ann", "bob", "cat"} {
			n1.User(name, "verified")
		}
		ann := n1.As("ann")
		group := func(name string, members ...string) string {
			t.Helper()
			var r struct{ RID string }
			if err := json.Unmarshal(ann.Must("createPrivateGroup", name, members), &r); err != nil {
				t.Fatal(err)
			}
			return r.RID
		}
		say := func(room, text string) string {
			t.Helper()
			var m struct {
				ID string `json:"_id"`
			}
			if err := json.Unmarshal(ann.Must("sendMessage", map[string]any{"rid": room, "msg": text}), &m); err != nil {
				t.Fatal(err)
			}
			return m.ID
		}
		team, lost, quiet := group("team", "bob"), group("lost", "bob", "cat"), group("quiet", "bob", "cat")
		say(team, "long before")
		edited, deleted := say(team, "to be edited"), say(team, "to be deleted")
		say(quiet, "a quiet room")
		time.Sleep(10 * time.Minute)
		bob, cat := n2.As("bob"), n2.As("cat")
		id := n1.Vars["bob"]
		for _, e := range []string{rooms.RoomMessages + "/" + team, rooms.RoomMessages + "/" + lost, rooms.NotifyRoom + "/" + team + "/deleteMessage",
			rooms.NotifyUser + "/" + id + "/subscriptions-changed", rooms.NotifyUser + "/" + id + "/rooms-changed"} {
			stream, event, _ := strings.Cut(e, "/")
			bob.Stream(stream, event)
		}
		cat.Stream(rooms.RoomMessages, rooms.MyMessages)

		say(team, "@bob never told")
		say(lost, "not for bob")
		ann.Must("updateMessage", map[string]any{"_id": edited, "rid": team, "msg": "was edited"})
		ann.Must("deleteMessage", map[string]any{"_id": deleted})
		ann.Must("removeUserFromRoom", map[string]any{"rid": lost, "username": "bob"})
		all := func(c *testkit.Client) string {
			time.Sleep(5 * time.Second)
			var b strings.Builder
			for _, e := range c.Events() {
				b.WriteString(e.Collection + "/" + e.Event)
				for _, arg := range e.Args {
					b.Write(arg)
				}
				b.WriteByte('\n')
			}
			return b.String()
		}
		if got := all(bob); got != "" {
			t.Fatalf("the first node told of it:\n%s", got)
		}
		if err := db.AppendEvents(t.Context(), []feed.Event{{ID: "lost", Node: "n1", Kind: "events-lost", At: time.Now()}}); err != nil {
			t.Fatal(err)
		}
		got := all(bob)
		for what, want := range map[string]string{
			"a message": `"msg":"@bob never told"`, "an edit": `"msg":"was edited"`, "a deletion": `/deleteMessage{"_id":"` + deleted + `"}`,
			"a membership": `/subscriptions-changed"updated"{`, "a room": `/rooms-changed"updated"{`,
		} {
			if !strings.Contains(got, want) {
				t.Errorf("not told of %s:\n%s", what, got)
			}
		}
		for what, never := range map[string]string{
			"somebody who left": "not for bob", "what is old": "long before", "a room where nothing happened": quiet,
		} {
			if strings.Contains(got, never) {
				t.Errorf("%s: told anyway:\n%s", what, got)
			}
		}
		got = all(cat)
		if strings.Count(got, `"msg":"not for bob"`) != 1 || strings.Contains(got, "never told") || strings.Contains(got, quiet) {
			t.Errorf("who listens to all rooms got\n%s", got)
		}
	})
}

// slow is a store whose rooms take their time.
type slow struct {
	testkit.Store
	each time.Duration
}

func (s *slow) ChangedMessages(ctx context.Context, roomID string, in rooms.Span) ([]*rooms.Message, error) {
	time.Sleep(s.each)
	return s.Store.ChangedMessages(ctx, roomID, in)
}

// Somebody who follows very many rooms is told of what was missed in all of them, and
// nobody else waits for that, not the next time either.
func TestNewsOfVeryManyRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, key := testkit.OpenStore(t), secret.Generate()
		db := &slow{Store: shared}
		n1 := testkit.NewWorld(t, testkit.Options{Store: shared, RawKey: key, Node: "n1"}) // it tells nobody
		n2 := testkit.NewWorld(t, testkit.Options{Store: db, RawKey: key, Node: "n2", Events: shared})
		n1.Unlimited()
		n2.Unlimited()
		ann, bob, cat := n1.User("ann"), n1.User("bob"), n1.User("cat")
		now := time.Now().UTC().Truncate(time.Millisecond)
		var ids []string
		for i := range 700 {
			r := &rooms.Room{ID: fmt.Sprint("r", i), Type: rooms.Group, Name: fmt.Sprint("r", i), FName: "r", NameKey: fmt.Sprint("r", i), TS: now, UpdatedAt: now,
				Membership: 1}
			people := []*user.User{ann, cat}
			if i == 0 {
				people = []*user.User{ann, bob}
			}
			var subs []*rooms.Subscription
			for _, u := range people {
				subs = append(subs, &rooms.Subscription{ID: r.ID + u.ID, RoomID: r.ID, Type: r.Type, Name: r.Name, FName: r.FName, Open: true, TS: now, UpdatedAt: now,
					User: rooms.Ref{ID: u.ID, Username: u.Username}, UserKey: u.Username})
			}
			r.Users = len(subs)
			if err := n1.RoomStore().CreateRoom(t.Context(), r, subs); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, r.ID)
		}
		writer, few, many := n1.As("ann"), n2.As("bob"), n2.As("cat")
		few.Stream(rooms.RoomMessages, "r0")
		many.Stream(rooms.RoomMessages, rooms.MyMessages)
		time.Sleep(time.Second)
		db.each = 20 * time.Millisecond
		heard := func(c *testkit.Client, after time.Duration) int {
			time.Sleep(after)
			texts := map[string]bool{}
			for _, e := range c.Events() {
				for _, arg := range e.Args {
					var m struct{ Msg string }
					if json.Unmarshal(arg, &m) == nil && strings.HasPrefix(m.Msg, "never told") {
						texts[m.Msg] = true
					}
				}
			}
			return len(texts)
		}
		for round := range 2 {
			for _, id := range ids[:7+round] {
				writer.Must("sendMessage", map[string]any{"rid": id, "msg": fmt.Sprint("never told ", round, id)})
			}
			if err := shared.AppendEvents(t.Context(), []feed.Event{{ID: fmt.Sprint("lost", round), Node: "n1", Kind: "events-lost", At: time.Now()}}); err != nil {
				t.Fatal(err)
			}
			if n := heard(few, 5*time.Second); n < 1 {
				t.Errorf("round %d: who listens to one room waits for who listens to 700", round)
			}
		}
		if n := heard(many, 5*time.Minute); n != 13 {
			t.Errorf("who listens to 699 rooms heard %d messages", n)
		}
	})
}
