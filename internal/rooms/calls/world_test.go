package calls_test

import (
	"encoding/json"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"ddpserver/internal/rooms"
	"ddpserver/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// talker is a connection with what the tests of rooms need beside calls.
type talker struct{ *testkit.Client }

// talker logs in a new connection of an account made by World.User.
func (w *world) talker(name string) *talker {
	w.T.Helper()
	return &talker{w.As(name)}
}

// names lists events as "collection/event arg…", the arguments cut short.
func eventNames(list []testkit.Streamed) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.Collection+"/"+e.Event)
	}
	return out
}

// wireMessage is a message as the tests look at it.
type wireMessage struct {
	ID        string           `json:"_id"`
	RoomID    string           `json:"rid"`
	Type      string           `json:"t"`
	Msg       string           `json:"msg"`
	MD        json.RawMessage  `json:"md"`
	U         wireUser         `json:"u"`
	TS        wireDate         `json:"ts"`
	EditedAt  *wireDate        `json:"editedAt"`
	EditedBy  *wireUser        `json:"editedBy"`
	Mentions  []wireUser       `json:"mentions"`
	Channels  []map[string]any `json:"channels"`
	URLs      []map[string]any `json:"urls"`
	Pinned    bool             `json:"pinned"`
	Starred   []wireUser       `json:"starred"`
	Reactions map[string]struct {
		Usernames []string `json:"usernames"`
	} `json:"reactions"`
	Attachments []map[string]any `json:"attachments"`
}

type wireUser struct {
	ID       string `json:"_id"`
	Username string `json:"username"`
	Name     string `json:"name"`
}

type wireDate struct {
	MS int64 `json:"$date"`
}

func wire(t testing.TB, raw json.RawMessage) wireMessage {
	t.Helper()
	return testkit.Unmarshal[wireMessage](t, raw)
}

// say posts a message and returns it.
func (c *talker) say(rid, text string) wireMessage {
	c.World.T.Helper()
	return wire(c.World.T, c.Must("sendMessage", map[string]any{"rid": rid, "msg": text}))
}

// room makes a channel and returns its id.
func (c *talker) room(method, name string, members ...string) string {
	c.World.T.Helper()
	if members == nil {
		members = []string{}
	}
	return testkit.Unmarshal[struct {
		RID string `json:"rid"`
	}](c.World.T, c.Must(method, name, members)).RID
}

// world is a whole server in fake time.
type world struct{ *testkit.World }

// bubble runs f in fake time with a world of its own.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	testkit.Bubble(t, testkit.Options{}, func(t *testing.T, w *testkit.World) { f(t, &world{w}) })
}

// chatWorld is a world with these users, "root" an administrator, and no limits.
func chatWorld(t *testing.T, f func(t *testing.T, w *world), users ...string) {
	t.Helper()
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		for _, u := range users {
			if u == "root" {
				w.User(u, "verified", "role=admin", "role=user")
			} else {
				w.User(u, "verified")
			}
		}
		f(t, w)
	})
}

const general = rooms.GeneralID

// roomMessages lists the events of stream-room-messages as "type text by author".
func roomMessages(t *testing.T, list []testkit.Streamed) []string {
	t.Helper()
	var out []string
	for _, e := range list {
		if e.Collection == rooms.RoomMessages {
			m := wire(t, e.Args[0])
			out = append(out, strings.TrimSpace(m.Type+" "+m.Msg+" by "+m.U.Username))
		}
	}
	return out
}

// only is the only event of that name.
func only(t *testing.T, list []testkit.Streamed, name string) testkit.Streamed {
	t.Helper()
	var found []testkit.Streamed
	for _, e := range list {
		if e.Collection+"/"+e.Event == name {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d events %s in %v", len(found), name, eventNames(list))
	}
	return found[0]
}
