package calls_test

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/testkit"
)

// hostileMarks are texts that grow most on their way to readers.
var hostileMarks = []string{"*a*", "`a`", " :a:", "@a ", "[a](b.c)", "www.a ", "\n", "*_~a~_*", "\x01"}

// hostileRoom fills a channel with messages of markup, at different moments, and
// gives the room and their ids.
func hostileRoom(t *testing.T, w *testkit.API, name, author string, n int) (room string, ids map[string]bool) {
	t.Helper()
	by := w.Account(author)
	r, err := w.Chat.Create(t.Context(), by, rooms.NewRoom{Type: rooms.Channel, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	ids = map[string]bool{}
	first := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	for i := range n {
		at := first.Add(time.Duration(i) * time.Millisecond)
		m := &rooms.Message{ID: fmt.Sprintf("m%05d", i), RoomID: r.ID, Text: strings.Repeat(hostileMarks[i%len(hostileMarks)], 5000)[:4990], TS: at, UpdatedAt: at,
			User: rooms.Ref{ID: by.ID, Username: by.Username}}
		if _, _, err := w.RoomStore().InsertMessage(t.Context(), m, rooms.Unread{None: true}); err != nil {
			t.Fatal(err)
		}
		ids[m.ID] = true
	}
	return r.ID, ids
}

// answerBytes is what no testkit.Answer of a list may be longer than: a page, and what
// stands around it.
const answerBytes = rooms.PageBytes + 256<<10

// Every route that reads is asked for as much as there is, in a room full of
// markup made to grow (docs/security-tests.md A13).
func TestAnswersAreBounded(t *testing.T) {
	w := testkit.NewAPI(t, testkit.Options{})
	room, _ := hostileRoom(t, w, "hostile", "ada", 1200)
	ada, err := w.Store.UserByUsername(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 { // rooms with a long last message each
		r, err := w.Chat.Create(t.Context(), ada, rooms.NewRoom{Type: rooms.Group, Name: fmt.Sprintf("room%d", i)})
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now().UTC()
		m := &rooms.Message{ID: fmt.Sprintf("l%d", i), RoomID: r.ID, Text: strings.Repeat("*a*", 1663), TS: at, UpdatedAt: at,
			User: rooms.Ref{ID: ada.ID, Username: "ada"}}
		if _, _, err := w.RoomStore().InsertMessage(t.Context(), m, rooms.Unread{None: true}); err != nil {
			t.Fatal(err)
		}
	}
	c := w.Login("ada")
	known := map[string]string{
		"roomId": room, "lastUpdate": "2000-01-01T00:00:00Z", "searchText": "a", "msgId": "m00001", "count": "1000", "oldest": "2000-01-01T00:00:00Z",
		"latest": "2100-01-01T00:00:00Z", "inclusive": "true",
	}
	asked := 0
	for _, rt := range w.REST.Routes() {
		if rt.Verb != "GET" || strings.Contains(rt.Path, "logout") {
			continue
		}
		q := url.Values{}
		properties, _ := rt.Query["properties"].(map[string]any)
		for name := range properties {
			if v, ok := known[name]; ok {
				q.Set(name, v)
			}
		}
		a := c.Do("GET", rt.Path+"?"+q.Encode(), nil)
		if a.Status == 200 {
			asked++
		}
		if len(a.Raw) > answerBytes {
			t.Errorf("%s: %d bytes", rt.Path, len(a.Raw))
		}
		if a.Status != 200 && (strings.Contains(rt.Path, "hist") || strings.Contains(rt.Path, "essages")) && strings.HasPrefix(rt.Path, "chan") {
			t.Errorf("%s: %d %s", rt.Path, a.Status, a.Raw)
		}
	}
	if asked < 30 {
		t.Errorf("only %d routes answered", asked)
	}
}

// What a page leaves out comes with the next: whichever way a client goes on, it
// gets every message once (docs/security-tests.md A13).
func TestPagesByBytesAreComplete(t *testing.T) {
	w := testkit.NewAPI(t, testkit.Options{})
	room, ids := hostileRoom(t, w, "hostile", "ada", 400)
	c := w.Login("ada")
	list := func(a testkit.Answer, in string) []any {
		t.Helper()
		at := a.Body
		if in != "" {
			at, _ = a.Body["result"].(map[string]any)
		}
		for _, key := range []string{"messages", "updated"} {
			if l, ok := at[key].([]any); ok {
				return l
			}
		}
		t.Fatalf("%d %.200s", a.Status, a.Raw)
		return nil
	}
	ways := map[string]func(page []any, got int, last testkit.Answer) string{}
	offset := func(path string) func([]any, int, testkit.Answer) string {
		return func(_ []any, got int, _ testkit.Answer) string { return fmt.Sprintf("%s&offset=%d", path, got) }
	}
	ways["messages"] = offset("channels.messages?count=100&roomId=" + room)
	ways["history by number"] = offset("channels.history?count=100&roomId=" + room)
	ways["search"] = offset("chat.search?searchText=a&count=100&roomId=" + room)
	ways["history by time"] = func(page []any, _ int, _ testkit.Answer) string {
		path := "channels.history?count=100&roomId=" + room
		if len(page) > 0 {
			path += "&latest=" + page[len(page)-1].(map[string]any)["ts"].(string)
		}
		return path
	}
	ways["sync"] = func(page []any, _ int, last testkit.Answer) string {
		since := "2000-01-01T00:00:00.000Z"
		if last.Body != nil {
			cursor, _ := last.Body["result"].(map[string]any)["cursor"].(map[string]any)
			if cursor == nil {
				return ""
			}
			since = cursor["next"].(string)
		}
		return "chat.syncMessages?roomId=" + room + "&lastUpdate=" + since
	}
	for name, next := range ways {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			var page []any
			var last testkit.Answer
			for range 100 {
				path := next(page, len(seen), last)
				if path == "" {
					break
				}
				last = c.Do("GET", path, nil)
				in := ""
				if name == "sync" {
					in = "result"
				}
				if page = list(last, in); len(page) == 0 {
					break
				}
				if len(last.Raw) > answerBytes {
					t.Errorf("a page of %d bytes", len(last.Raw))
				}
				for _, m := range page {
					id := m.(map[string]any)["_id"].(string)
					if seen[id] {
						t.Fatalf("%s came twice", id)
					}
					seen[id] = true
				}
			}
			want := maps.Clone(ids)
			if name == "search" {
				maps.DeleteFunc(want, func(id string, _ bool) bool { return !seen[id] })
				if len(want) < 300 {
					t.Errorf("only %d found", len(want))
				}
			}
			for id := range want {
				if !seen[id] {
					t.Fatalf("%s never came; %d of %d did: %.5v", id, len(seen), len(ids), slices.Sorted(maps.Keys(seen)))
				}
			}
		})
	}
}
