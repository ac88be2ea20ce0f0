package calls_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// What is too long, or too far from the present, has Rocket.Chat's name; the other
// refusals are in testdata/conversations/messages.txtar.
func TestMessageRefusals(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.talker("ann"), w.talker("bob")
		m := ann.say(general, "mine")
		now := time.Now()
		for name, c := range map[string]struct {
			code, field string
			value       any
		}{
			"too long":           {"error-message-size-exceeded", "msg", strings.Repeat("x", 5001)},
			"too long in UTF-16": {"error-message-size-exceeded", "msg", strings.Repeat("😀", 2501)},
			"long id":            {"error-invalid-message", "_id", strings.Repeat("a", 65)},
			"clock off":          {"error-message-ts-out-of-sync", "ts", now.Add(2 * time.Minute)},
			"ancient":            {"error-message-ts-out-of-sync", "ts", now.AddDate(-100, 0, 0)},
			"an ISO ts, off":     {"error-message-ts-out-of-sync", "ts", now.Add(2 * time.Minute).Format(time.RFC3339Nano)},
			"huge card":          {"error-message-size-exceeded", "attachments", []any{map[string]any{"text": strings.Repeat("x", 30_000)}}},
		} {
			p := map[string]any{"rid": general, "msg": "x"}
			p[c.field] = c.value
			if fail := bob.Refused(c.code, "sendMessage", p); fail == nil || fail.Reason == "" {
				t.Errorf("%s: no reason", name)
			}
		}
		ann.Refused("error-message-size-exceeded", "updateMessage", map[string]any{"_id": m.ID, "msg": strings.Repeat("x", 5001)})
		ann.Refused("error-not-allowed", "setReaction", strings.Repeat("x", 65), m.ID)
		bob.Refused("error-invalid-room-name", "createChannel", strings.Repeat("x", 101), []string{})

		out := &talker{w.Connect()}
		for _, s := range w.Router.Specs() {
			if !s.Anonymous {
				if _, fail := out.Call(s.Name); fail.Code() == "" {
					t.Errorf("%s without a login", s.Name)
				}
			}
		}
	}, "ann", "bob")
}

func TestMessageRights(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		root, ann, bob := w.talker("root"), w.talker("ann"), w.talker("bob")
		room := ann.room("createChannel", "team", "bob", "root")
		old := bob.say(room, "bob's")

		// Owners and administrators edit, pin and delete what others wrote.
		ann.Must("updateMessage", map[string]any{"_id": old.ID, "msg": "by the owner"})
		// Who runs the room is asked nothing; who acts by a role of the server alone
		// proves who he is.
		root.Refused("totp-required", "updateMessage", map[string]any{"_id": old.ID, "msg": "by root"})
		root.Must("updateMessage", map[string]any{"_id": old.ID, "msg": "by root"},
			map[string]any{"twoFactorCode": testkit.DigestOf("root"), "twoFactorMethod": "password"})
		bob.Stream(rooms.RoomMessages, room)
		note := wire(t, ann.Must("pinMessage", map[string]any{"_id": old.ID, "rid": room, "msg": "by root"}))
		if note.Type != "message_pinned" || len(note.Attachments) != 1 || note.Attachments[0]["text"] != "by root" ||
			note.Attachments[0]["author_name"] != "bob" || note.Attachments[0]["author_icon"] != "/avatar/bob" {
			t.Errorf("%+v", note)
		}
		if again := wire(t, root.Must("pinMessage", map[string]any{"_id": old.ID})); again.ID != old.ID || !again.Pinned {
			t.Errorf("%+v", again)
		}
		got := bob.Events()
		if names := roomMessages(t, got); !slices.Equal(names, []string{"by root by bob", "message_pinned  by ann"}) || !wire(t, got[0].Args[0]).Pinned {
			t.Errorf("%q", names)
		}
		ann.Must("unpinMessage", map[string]any{"_id": old.ID})
		ann.Must("unpinMessage", map[string]any{"_id": old.ID})
		w.Set(settings.MessageAllowPinning, false)
		ann.Refused("error-action-not-allowed", "pinMessage", map[string]any{"_id": old.ID})
		ann.Refused("error-action-not-allowed", "unpinMessage", map[string]any{"_id": old.ID})
		w.Set(settings.MessageAllowStarring, false)
		ann.Refused("error-action-not-allowed", "starMessage", map[string]any{"_id": old.ID, "starred": true})

		// Limits on one's own.
		w.Set(settings.MessageEditMinutes, 1)
		w.Set(settings.MessageDeleteMinutes, 1)
		time.Sleep(59 * time.Second)
		bob, ann = w.talker("bob"), w.talker("ann") // the old ones answered no ping
		bob.Must("updateMessage", map[string]any{"_id": old.ID, "msg": "in time"})
		time.Sleep(2 * time.Second)
		bob.Refused("error-message-editing-blocked", "updateMessage", map[string]any{"_id": old.ID, "msg": "late"})
		bob.Refused("error-action-not-allowed", "deleteMessage", map[string]any{"_id": old.ID})
		ann.Must("deleteMessage", map[string]any{"_id": old.ID})
		w.Set(settings.MessageEditMinutes, 0)
		w.Set(settings.MessageAllowEditing, false)
		w.Set(settings.MessageAllowDeleting, false)
		mine := bob.say(room, "mine")
		bob.Refused("error-action-not-allowed", "updateMessage", map[string]any{"_id": mine.ID, "msg": "x"})
		bob.Refused("error-action-not-allowed", "deleteMessage", map[string]any{"_id": mine.ID})
		w.Set(settings.MessageAllowDeleting, true)
		w.Set(settings.MessageAllowPinning, true)
		bob.Must("deleteMessage", map[string]any{"_id": mine.ID})
		note = ann.say(room, "x")
		ann.Must("pinMessage", map[string]any{"_id": note.ID})

		// Read-only rooms are written by owners and moderators.
		quiet := ann.roomOf("createChannel", "quiet", []string{"bob"}, true)
		word := ann.say(quiet, "hear, hear")
		bob.Refused("error-not-allowed", "sendMessage", map[string]any{"rid": quiet, "msg": "x"})
		bob.Refused("error-not-allowed", "setReaction", ":a:", word.ID)
		ann.Must("addRoomModerator", quiet, w.Vars["bob"])
		bob.say(quiet, "now I may")

		// @all needs a right that bots do not have, and is off in big rooms.
		w.User("robot", "verified", "role=bot")
		robot := w.talker("robot")
		robot.Refused("error-action-not-allowed", "sendMessage", map[string]any{"rid": general, "msg": "@all wake up"})
		robot.Refused("error-action-not-allowed", "sendMessage", map[string]any{"rid": general, "msg": "@here wake up"})
		if m := wire(t, robot.Must("sendMessage", map[string]any{"rid": general, "msg": "as another", "alias": "News",
			"avatar": "https://x.org/a.png"})); m.U.Username != "robot" {
			t.Errorf("%+v", m)
		}
		w.Set(settings.GroupMentionMax, 2)
		if m := ann.say(general, "@all @here"); len(m.Mentions) != 0 {
			t.Errorf("%+v", m.Mentions)
		}
	}, "root", "ann", "bob")
}

// roomOf makes a room with every parameter given.
func (c *talker) roomOf(method string, params ...any) string {
	c.World.T.Helper()
	return testkit.Unmarshal[struct {
		RID string `json:"rid"`
	}](c.World.T, c.Must(method, params...)).RID
}

func TestMessageMarks(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.talker("ann"), w.talker("bob")
		ann.Stream(rooms.RoomMessages, general)
		bob.Stream(rooms.RoomMessages, general)
		m := ann.say(general, "first")
		ann.Events()
		bob.Events()

		// A repeated call gives the message that is there, and tells it again; the text decides.
		own := map[string]any{"_id": "298gMs93982Le9A7pZjo2D2iB", "rid": general, "msg": "chosen", "ts": time.Now().Add(3 * time.Second),
			"bot": map[string]any{"i": "x"}, "u": map[string]any{"_id": "root"}}
		first := wire(t, ann.Must("sendMessage", own))
		again := wire(t, ann.Must("sendMessage", own))
		if first.ID != "298gMs93982Le9A7pZjo2D2iB" || first.U.Username != "ann" || again.TS != first.TS || again.ID != first.ID {
			t.Errorf("%+v %+v", first, again)
		}
		if got := roomMessages(t, bob.Events()); len(got) != 2 || got[0] != got[1] {
			t.Errorf("%v", got)
		}
		ann.Events()

		// Dates as clients write them that post over REST too, and a mark that is none.
		for _, ts := range []any{time.Now().Add(2 * time.Second).UTC().Format("2006-01-02T15:04:05.000Z"), time.Now().Add(2 * time.Second).UnixMilli(), nil} {
			sent := ann.Must("sendMessage", map[string]any{"rid": general, "msg": "dated", "ts": ts, "bot": true})
			if d := wire(t, sent).TS.MS - time.Now().UnixMilli(); ts != nil && d != 2000 || ts == nil && d != 0 || strings.Contains(string(sent), "bot") {
				t.Errorf("%v: %s", ts, sent)
			}
		}
		ann.Events()
		bob.Events()

		// Reactions.
		for _, c := range []struct {
			by     *talker
			params []any
			want   string
		}{
			{bob, []any{":+1:", m.ID}, "bob"},
			{ann, []any{"+1", m.ID, true}, "bob,ann"},
			{ann, []any{":+1:", m.ID, true}, ""}, // nothing changes, nothing is told
			{bob, []any{":+1:", m.ID}, "ann"},
			{bob, []any{":+1:", m.ID, false}, ""},
		} {
			c.by.Must("setReaction", c.params...)
			got := bob.Events()
			if c.want == "" {
				if len(got) > 0 {
					t.Errorf("%v: %v", c.params, eventNames(got))
				}
				continue
			}
			if names := wire(t, got[0].Args[0]).Reactions[":+1:"].Usernames; strings.Join(names, ",") != c.want {
				t.Errorf("%v: %v", c.params, names)
			}
		}
		for i := range 49 {
			ann.Must("setReaction", fmt.Sprint("e", i), m.ID)
		}
		ann.Refused("error-not-allowed", "setReaction", "one-more", m.ID)

		// A star is shown to the one who set it, to nobody else.
		ann.Events()
		bob.Events()
		ann.Must("starMessage", map[string]any{"_id": m.ID, "rid": general, "starred": true})
		if e := wire(t, ann.Events()[0].Args[0]); len(e.Starred) != 1 || e.Starred[0].ID != w.Vars["ann"] {
			t.Errorf("%+v", e)
		}
		if e := wire(t, bob.Events()[0].Args[0]); len(e.Starred) != 0 {
			t.Errorf("%+v", e)
		}
		history := func(c *talker) wireMessage {
			t.Helper()
			h := testkit.Unmarshal[struct{ Messages []wireMessage }](t, c.Must("loadHistory", general, nil, 50, time.UnixMilli(0)))
			return h.Messages[slices.IndexFunc(h.Messages, func(x wireMessage) bool { return x.ID == m.ID })]
		}
		if len(history(ann).Starred) != 1 || len(history(bob).Starred) != 0 {
			t.Error("stars in the history")
		}
		ann.Must("updateMessage", map[string]any{"_id": m.ID, "msg": "edited"})
		if a, b := wire(t, ann.Events()[0].Args[0]), wire(t, bob.Events()[0].Args[0]); len(a.Starred) != 1 || len(b.Starred) != 0 || a.Msg != "edited" ||
			b.Msg != "edited" {
			t.Errorf("%+v %+v", a, b)
		}
		ann.Must("starMessage", map[string]any{"_id": m.ID, "rid": general, "starred": false})
		if e := wire(t, ann.Events()[0].Args[0]); len(e.Starred) != 0 {
			t.Errorf("%+v", e)
		}
	}, "ann", "bob")
}

func TestHistoryMethods(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.talker("ann"), w.talker("bob")
		var dates []time.Time
		for i := range 30 {
			time.Sleep(100 * time.Millisecond)
			ann.say(general, fmt.Sprint("m", i))
			dates = append(dates, time.Now())
		}
		type page struct {
			Messages        []wireMessage
			FirstUnread     *wireMessage
			UnreadNotLoaded int
		}
		load := func(params ...any) page {
			t.Helper()
			return testkit.Unmarshal[page](t, bob.Must("loadHistory", params...))
		}
		if p := load(general); len(p.Messages) != 20 || p.Messages[0].Msg != "m29" || p.Messages[19].Msg != "m10" {
			t.Errorf("%d messages, newest %s", len(p.Messages), p.Messages[0].Msg)
		}
		if p := load(general, dates[9], 5); len(p.Messages) != 5 || p.Messages[0].Msg != "m8" {
			t.Errorf("%+v", p.Messages)
		}
		if p := load(general, nil, 1_000_000_000); len(p.Messages) != 32 {
			t.Errorf("%d messages", len(p.Messages))
		}
		p := load(general, nil, 10, dates[4])
		if p.UnreadNotLoaded != 15 || p.FirstUnread == nil || p.FirstUnread.Msg != "m5" {
			t.Errorf("%d unread, first %+v", p.UnreadNotLoaded, p.FirstUnread)
		}
		if p := load(general, nil, 10, dates[25].UTC().Format(time.RFC3339Nano)); p.UnreadNotLoaded != 0 || p.FirstUnread != nil {
			t.Errorf("%+v", p)
		}
		missed := testkit.Unmarshal[[]wireMessage](t, bob.Must("loadMissedMessages", general, dates[26]))
		if len(missed) != 3 || missed[0].Msg != "m29" {
			t.Errorf("%+v", missed)
		}
		if missed := testkit.Unmarshal[[]wireMessage](t, bob.Must("loadMissedMessages", general, dates[29])); len(missed) != 0 {
			t.Errorf("%+v", missed)
		}
	}, "ann", "bob")
}

// A message of a thousand mentions, or of marks alone, costs what its length
// says, and only those who exist are mentioned.
func TestHostileMarkup(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.talker("ann"), w.talker("bob")
		bob.Stream(rooms.RoomMessages, general)
		var names []string
		for i := range 1000 {
			names = append(names, fmt.Sprint("@u", i))
		}
		m := ann.say(general, "@bob "+strings.Join(names, " ")[:4900])
		if len(m.Mentions) != 1 {
			t.Errorf("%d mentions", len(m.Mentions))
		}
		for _, text := range []string{
			strings.Repeat("[", 5000), strings.Repeat("*_~", 1666), strings.Repeat("[a](", 1250), "<img src=x onerror=alert(1)>",
			"[x](javascript:alert(1))", "\x00\x01\u202e\u2028</script>", `{"$ne":1}`, "__proto__ constructor", strings.Repeat("```\n", 1250),
		} {
			if got := ann.say(general, text); got.Msg != text || strings.Contains(string(got.MD), `"LINK"`) {
				t.Errorf("%.40q: %.200s", text, got.MD)
			}
		}
		if got := bob.Events(); len(got) != 10 {
			t.Errorf("%d events", len(got))
		}
	}, "ann", "bob")
}

// Two who edit at once: both are answered, one edit stands as a whole, and
// everybody sees the same at the end.
func TestEditsAtOnce(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann := w.talker("ann")
		m := ann.say(general, "start")
		ann.Stream(rooms.RoomMessages, general)
		u, err := w.Store.UserByID(t.Context(), w.Vars["ann"])
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, err := w.Chat.Edit(t.Context(), u, rooms.EditRequest{ID: m.ID, Text: fmt.Sprintf("edit %d #general", i)})
				if err != nil && !errors.Is(err, rooms.ErrEditedMeanTime) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got := wire(t, ann.Must("getSingleMessage", m.ID))
		if !strings.HasPrefix(got.Msg, "edit ") || len(got.Channels) != 1 {
			t.Errorf("%+v", got)
		}
	}, "ann")
}

// The author is slowed down to five messages a second; a bot is not.
func TestSendLimit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.User("ann")
		w.User("robot", "role=bot")
		ann, robot := w.talker("ann"), w.talker("robot")
		for i := range 5 {
			ann.say(general, fmt.Sprint(i))
		}
		if fail := ann.Refused("too-many-requests", "sendMessage", map[string]any{"rid": general, "msg": "6"}); !strings.Contains(string(fail.Details), "timeToReset") {
			t.Errorf("%s", fail.Details)
		}
		time.Sleep(time.Second)
		ann.say(general, "7")
		for i := range 40 {
			robot.say(general, fmt.Sprint(i))
		}
	})
}
