package rest_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// U7: every list takes count and offset alike. A count of 0 asks for everything, up to
// the configured maximum, and no number is answered with more; count, offset and total
// say what came; the pages of a list are the list.
func TestEveryListIsPaged(t *testing.T) {
	t.Parallel()
	const most = 3
	w := newWorld(t, map[string]string{settings.UpperCountLimit: fmt.Sprint(most), settings.DefaultCount: "2"})
	w.Account("root1", "admin")
	root := w.Login("root1")
	rooms := furnish(w, root)
	lists := 0
	for _, rt := range w.REST.Routes() {
		properties, _ := rt.Query["properties"].(map[string]any)
		if properties["count"] == nil || properties["offset"] == nil { // chat.syncMessages goes by cursor
			continue
		}
		lists++
		at := rt.Path + "?"
		if properties["roomId"] != nil {
			kind, _, _ := strings.Cut(rt.Path, ".")
			at += "roomId=" + rooms[kind] + "&"
		}
		if properties["rid"] != nil {
			at += "rid=" + rooms["channels"] + "&"
		}
		if properties["tmid"] != nil {
			at += "tmid=" + rooms["thread"] + "&"
		}
		if properties["msgId"] != nil {
			at += "msgId=" + rooms["thread"] + "&"
		}
		if properties["userId"] != nil && strings.HasPrefix(rt.Path, "moderation.") {
			at += "userId=" + root.ID + "&"
		}
		if properties["since"] != nil {
			at += "since=2020-01-01T00:00:00Z&"
		}
		if required, _ := rt.Query["required"].([]any); slices.Contains(required, any("role")) {
			at += "role=user&"
		}
		if properties["searchText"] != nil {
			at += "searchText=message&"
		}
		page := func(query string) (ids []string, a answer) {
			t.Helper()
			a = root.Do(rt.Verb, at+query, nil)
			if a.Status != 200 {
				t.Fatalf("%s%s: %d %s", at, query, a.Status, a.Raw)
			}
			for name, v := range a.Body {
				if list, ok := v.([]any); ok {
					ids = idsOf(list)
					if n, told := a.Body["count"]; told && n != float64(len(ids)) {
						t.Errorf("%s%s: count %v of %d %s", at, query, n, len(ids), name)
					}
				}
			}
			return ids, a
		}
		all, first := page("count=0")
		total, told := first.Body["total"].(float64)
		if told && len(all) != min(most, int(total)) || len(all) > most {
			t.Errorf("%s with a count of 0: %d of %v", rt.Path, len(all), total)
		}
		if len(all) != most {
			t.Errorf("%s: only %d, the list was not furnished", rt.Path, len(all))
		}
		if more, _ := page("count=1000"); len(more) != len(all) {
			t.Errorf("%s: %d for a thousand, %d for a count of 0", rt.Path, len(more), len(all))
		}
		seen := map[string]bool{}
		for offset := 0; ; offset += 2 {
			ids, a := page(fmt.Sprintf("count=2&offset=%d", offset))
			if told && (a.Body["offset"] != float64(offset) || a.Body["total"] != total) {
				t.Errorf("%s from %d: offset %v, total %v, want %v", rt.Path, offset, a.Body["offset"], a.Body["total"], total)
			}
			for _, id := range ids {
				if seen[id] {
					t.Errorf("%s: %s came twice", rt.Path, id)
				}
				seen[id] = true
			}
			if len(ids) < 2 {
				break
			}
		}
		if told && len(seen) != int(total) {
			t.Errorf("%s: the pages hold %d, the total is %v", rt.Path, len(seen), total)
		}
		for _, bad := range []string{"count=-1", "offset=-1", "count=all", "count=1.5", "count=", "offset=x", "count=1&count=2"} {
			name, _, _ := strings.Cut(bad, "=")
			if a := root.Do(rt.Verb, at+bad, nil); a.Status != 400 || a.ErrorType() != "error-invalid-params" || !strings.Contains(a.Raw, "'"+name+"'") {
				t.Errorf("%s%s: %d %s", at, bad, a.Status, a.Raw)
			}
		}
	}
	if lists < atLeast(20, 3) {
		t.Errorf("only %d lists", lists)
	}
}

func idsOf(list []any) []string {
	ids := make([]string, len(list))
	for i, v := range list {
		ids[i], _ = v.(map[string]any)["_id"].(string)
		if name, is := v.(map[string]any)["command"].(string); is {
			ids[i] = name
		}
	}
	return ids
}

// furnish makes five of everything that there are lists of, and gives a room of each kind.
func furnish(w *testkit.API, c *client) map[string]string {
	rooms := map[string]string{}
	for i := range 5 {
		w.Account(fmt.Sprint("user", i))
		w.Login("root1") // one more session
	}
	if err := w.FlushTrail(); err != nil {
		w.T.Fatal(err)
	}
	if !testkit.WithRooms {
		return rooms
	}
	for i := range 5 {
		user := fmt.Sprint("user", i)
		for _, kind := range []string{"channels", "groups"} {
			a := c.OK("POST", kind+".create", map[string]any{"name": fmt.Sprint(kind, i), "members": []string{"user0", "user1", "user2", "user3", "user4"}})
			rooms[kind] = a.Doc(strings.TrimSuffix(kind, "s"))["_id"].(string)
		}
		rooms["im"] = c.OK("POST", "im.create", map[string]any{"usernames": user + ",user" + fmt.Sprint((i+1)%5)}).Doc("room")["_id"].(string)
	}
	for i := range 5 {
		for _, kind := range []string{"channels", "groups"} {
			c.Proven().OK("POST", "integrations.create", map[string]any{"type": "webhook-incoming", "name": fmt.Sprint(kind, i), "enabled": true,
				"username": "user0", "channel": "#" + kind + "4", "scriptEnabled": false})
		}
	}
	// Somebody else writes in each, within the limit on posting.
	var said []string
	for kind, by := range map[string]*client{"channels": c, "groups": w.Login("user0"), "im": w.Login("user4")} {
		for i := range 5 {
			m := by.OK("POST", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": rooms[kind], "msg": fmt.Sprint("@root1 message ", i)}}).Doc("message")
			by.OK("POST", "rooms.upload/"+rooms[kind], testkit.PartsOf("file", "a.gif", "GIF89a"+strings.Repeat("x", i)))
			if kind == "channels" {
				c.OK("POST", "chat.starMessage", map[string]any{"messageId": m["_id"]})
				c.OK("POST", "chat.pinMessage", map[string]any{"messageId": m["_id"]})
				said = append(said, m["_id"].(string))
			}
		}
	}
	for _, uses := range []int{0, 5, 10, 25, 50} {
		c.OK("POST", "findOrCreateInvite", map[string]any{"rid": rooms["channels"], "days": 1, "maxUses": uses})
	}
	// Each has an answer, the first one five.
	for i := range 5 {
		for by, to := range map[string]string{"user1": said[i], "user2": said[0]} {
			a := w.Login(by).OK("POST", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": rooms["channels"], "tmid": to, "msg": "yes"}})
			if i == 0 {
				c.OK("POST", "chat.reportMessage", map[string]any{"messageId": a.Doc("message")["_id"], "description": "rude"})
			}
		}
	}
	// Everybody reports and is reported.
	for i := range 5 {
		by := w.Login(fmt.Sprint("user", i))
		by.OK("POST", "chat.reportMessage", map[string]any{"messageId": said[0], "description": "rude"})
		by.OK("POST", "moderation.reportUser", map[string]any{"userId": c.ID, "description": "rude"})
		c.OK("POST", "moderation.reportUser", map[string]any{"userId": by.ID, "description": "rude"})
	}
	w.Login("user0").OK("POST", "chat.reportMessage", map[string]any{"messageId": said[1], "description": "rude"})
	w.Login("user0").OK("POST", "chat.reportMessage", map[string]any{"messageId": said[2], "description": "rude"})
	// As many are there no more.
	author := w.Login("user3")
	for range 5 {
		gone := author.OK("POST", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": rooms["channels"], "msg": "oh"}}).Doc("message")
		author.OK("POST", "chat.delete", map[string]any{"roomId": rooms["channels"], "msgId": gone["_id"]})
	}
	rooms["thread"] = said[0]
	rooms["dm"], rooms["chat"], rooms["rooms"] = rooms["im"], rooms["channels"], rooms["channels"]
	return rooms
}

// U6: a list is written in any of three ways, and each means what it says.
func TestListsInQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.Account("root1", "admin")
	root := w.Login("root1")
	spelled := func(name string, values ...string) []string {
		var brackets, repeated []string
		for _, v := range values {
			brackets = append(brackets, name+"[]="+v)
			repeated = append(repeated, name+"="+v)
		}
		escaped := strings.ReplaceAll(strings.Join(brackets, "&"), "[]", "%5B%5D")
		return []string{name + "=" + strings.Join(values, ","), strings.Join(brackets, "&"), escaped, strings.Join(repeated, "&"),
			name + "=" + strings.Join(values, url.QueryEscape(",")), brackets[0] + "&" + strings.Join(repeated[1:], "&")}
	}
	for _, query := range spelled("_id", settings.SiteName, settings.Language) {
		a := root.OK("GET", "settings.public?"+query, nil)
		got := strings.Fields(a.Column("settings", "_id"))
		if slices.Sort(got); !slices.Equal(got, []string{settings.Language, settings.SiteName}) || a.Body["total"] != 2.0 {
			t.Errorf("%s: %s", query, a.Raw)
		}
	}
	if !testkit.WithRooms {
		return
	}
	one, two := w.Account("user1"), w.Account("user2")
	w.Account("user3")
	room := root.OK("POST", "channels.create", map[string]any{"name": "lobby", "members": []string{"user1", "user2", "user3"}}).Doc("channel")["_id"].(string)
	w.Login("user1").OK("POST", "users.setStatus", map[string]any{"status": "busy", "message": "in a meeting"})
	for _, query := range spelled("ids", one.ID, two.ID) {
		if a := root.OK("GET", "users.presence?"+query, nil); a.Column("users", "username") != "user1 user2" && a.Column("users", "username") != "user2 user1" {
			t.Errorf("%s: %s", query, a.Raw)
		}
	}
	everybody := root.OK("GET", "channels.members?roomId="+room, nil)
	byStatus := map[string][]string{}
	for _, m := range everybody.Body["members"].([]any) {
		m := m.(map[string]any)
		byStatus[m["status"].(string)] = append(byStatus[m["status"].(string)], m["username"].(string))
	}
	for status, names := range byStatus {
		for _, query := range spelled("status", status) {
			a := root.OK("GET", "channels.members?roomId="+room+"&"+query, nil)
			if got := a.Column("members", "username"); got != strings.Join(names, " ") || a.Body["total"] != float64(len(names)) {
				t.Errorf("%s: %s, want %v", query, a.Raw, names)
			}
		}
	}
	for _, query := range spelled("status", "online", "away", "busy", "offline") {
		if a := root.OK("GET", "channels.members?roomId="+room+"&"+query, nil); a.Body["total"] != 4.0 {
			t.Errorf("%s: %s", query, a.Raw)
		}
	}
	if a := root.Do("GET", "channels.members?roomId="+room+"&status[]=asleep", nil); a.Status != 400 || !strings.Contains(a.Raw, "'status/0'") {
		t.Errorf("a status that there is not: %d %s", a.Status, a.Raw)
	}
}

// U7: a date in a query is read as DDP reads one.
func TestDatesInQueries(t *testing.T) {
	w := newWorld(t, nil)
	w.Account("root1", "admin")
	root := w.Login("root1")
	dates := 0
	for _, rt := range w.REST.Routes() {
		properties, _ := rt.Query["properties"].(map[string]any)
		for _, name := range []string{"latest", "oldest", "lastUpdate", "updatedSince"} {
			if properties[name] == nil {
				continue
			}
			dates++
			at := rt.Path + "?" + name + "="
			if properties["roomId"] != nil {
				kind, _, _ := strings.Cut(rt.Path, ".")
				at = rt.Path + "?roomId=" + room(w, root, kind) + "&" + name + "="
			}
			if properties["rid"] != nil {
				at = rt.Path + "?rid=GENERAL&" + name + "="
			}
			if properties["tmid"] != nil {
				said := root.OK("POST", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": "GENERAL", "msg": "who?"}}).Doc("message")
				at = rt.Path + "?tmid=" + said["_id"].(string) + "&" + name + "="
			}
			for _, date := range []string{"2026-11-28", "2026-11-28T20:16:57", "2026-11-28T20:16:57+0100", "2026-11-28T20:16:57.123+01:00", "2026-11-28T20:16Z",
				"2026", "2026-11", "2026/11/28", "Sat, 28 Nov 2026 20:16:57 GMT", "Sat Nov 28 2026 20:16:57 GMT+0100", "November 28, 2026"} {
				if a := root.Do(rt.Verb, at+url.QueryEscape(date), nil); a.Status != 200 {
					t.Errorf("%s%s: %d %s", at, date, a.Status, a.Raw)
				}
			}
			for _, date := range []string{"yesterday", "2026-13-01", "{}", "2026-11-28T99:99:99Z"} {
				a := root.Do(rt.Verb, at+url.QueryEscape(date), nil)
				if a.Status != 400 || a.ErrorType() != "error-invalid-params" || !strings.Contains(a.Raw, "'"+name+"'") {
					t.Errorf("%s%s: %d %s", at, date, a.Status, a.Raw)
				}
			}
		}
	}
	if dates < atLeast(12, 1) {
		t.Errorf("only %d dates", dates)
	}
	for since, want := range map[string]bool{"2020-01-01": true, "2100-01-01": false} {
		a := root.OK("GET", "permissions.listAll?updatedSince="+since, nil)
		if got := len(a.Body["update"].([]any)) > 0; got != want {
			t.Errorf("permissions since %s: %v", since, got)
		}
	}
}

// room is a room of that kind, with a message in it that is older than tomorrow.
func room(w *world, c *client, kind string) string {
	switch kind {
	case "im", "dm":
		if _, err := w.Accounts.Named(w.T.Context(), "someone"); err != nil {
			w.Account("someone")
		}
		return c.OK("POST", kind+".create", map[string]any{"username": "someone"}).Doc("room")["_id"].(string)
	case "groups":
		w.T.Helper()
		a := c.Do("POST", "groups.create", map[string]any{"name": fmt.Sprint("g", len(w.T.Name()))})
		if a.Status != 200 {
			a = c.OK("GET", "groups.info?roomName="+fmt.Sprint("g", len(w.T.Name())), nil)
		}
		return a.Doc("group")["_id"].(string)
	}
	a := c.Do("POST", "channels.create", map[string]any{"name": "lobby"})
	if a.Status != 200 {
		a = c.OK("GET", "channels.info?roomName=lobby", nil)
	}
	return a.Doc("channel")["_id"].(string)
}
