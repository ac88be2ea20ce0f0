//go:build !norooms

package rest_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/user"
)

func (r *recorder) AddHook(ctx context.Context, h *rooms.Hook) error {
	r.note("AddHook")
	return r.Store.AddHook(ctx, h)
}

func (r *recorder) SetHook(ctx context.Context, h *rooms.Hook, was time.Time) error {
	r.note("SetHook")
	return r.Store.SetHook(ctx, h, was)
}

func (r *recorder) RemoveHook(ctx context.Context, id string) error {
	r.note("RemoveHook")
	return r.Store.RemoveHook(ctx, id)
}

// hooked prepares a hook of the administrator's that writes to somebody.
func hooked(s *stage) { s.token = s.hook(s.admin, s.admin, otherName(s)).ID }

// hook plants a hook whose token is "open sesame", as an adopted database has them.
func (s *stage) hook(maker, as *user.User, channels ...string) *rooms.Hook {
	s.T.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	h := &rooms.Hook{ID: fmt.Sprint("hook", s.n, as.Username), Type: rooms.IncomingHook, Name: "ci", Enabled: true, Username: as.Username, UserID: as.ID,
		Channels: channels, Token: "open sesame", CreatedBy: rooms.Ref{ID: maker.ID, Username: maker.Username}, CreatedAt: now, UpdatedAt: now}
	if err := s.rec.Store.AddHook(s.T.Context(), h); err != nil {
		s.T.Fatal(err)
	}
	return h
}

func hookOf(s *stage) object {
	return object{"type": "webhook-incoming", "name": "ci", "enabled": true, "username": s.admin.Username, "channel": otherName(s), "scriptEnabled": false}
}

func init() {
	byID := with(func(s *stage) []any { return []any{s.token} }).after(hooked)
	maps.Copy(scenesOfRoomMethods, map[string][]scene{
		"addIncomingIntegration":    {with(func(s *stage) []any { return []any{hookOf(s)} })},
		"updateIncomingIntegration": {with(func(s *stage) []any { return []any{s.token, object{"enabled": false}} }).after(hooked)},
		"regenerateToken":           {byID},
		"deleteIncomingIntegration": {byID},
	})
	maps.Copy(scenesOfRoomRoutes, map[string][]scene{
		"POST integrations.create": {req(func(s *stage) any { return hookOf(s) })},
		"PUT integrations.update": {req(func(s *stage) any {
			return object{"type": "webhook-incoming", "integrationId": s.token, "enabled": false}
		}).after(hooked)},
		"POST integrations.remove": {req(func(s *stage) any { return object{"type": "webhook-incoming", "integrationId": s.token} }).after(hooked)},
		"GET integrations.get":     {at("integrations.get?integrationId=%s", func(s *stage) any { return s.token }).after(hooked)},
		"GET integrations.list":    {req(plain)},
	})
	maps.Copy(scenesOfMethods, scenesOfRoomMethods)
	maps.Copy(scenesOfRoutes, scenesOfRoomRoutes)
}

// TestHooksWriteAsTheirUsersMay: a hook in every cell of the matrix of rooms writes where its user
// would, and nowhere else; it has nobody come in.
func TestHooksWriteAsTheirUsersMay(t *testing.T) {
	t.Parallel()
	w := newWalk(t, nil)
	base := w.stage(true, true)
	for i, c := range cells {
		m := matrixOf(w, base, c, 1000+i)
		channel := "#" + m.room
		if c.kind == rooms.Direct {
			if channel = "@" + m.other.Username; c.outside {
				continue // to somebody else he may write
			}
		}
		h := m.hook(base.admin, m.person, channel)
		before := m.content()
		a := w.Caller().Do("POST", "/hooks/"+h.ID+"/open%20sesame", object{"text": "built"})
		if posted := m.content() != before; posted != c.writes || posted != (a.Status == 200) {
			t.Errorf("%s: a hook posts: %v, %d %s", c.name, posted, a.Status, a.Raw)
		}
		if m.member() == m.outside {
			t.Errorf("%s: the hook had its user come in or go", c.name)
		}
	}
}

// TestHooksAreClosed: what opens no hook is refused alike and posts nothing, and so is a hook that
// is off, whose user is, that has a script, or that would write where its maker may not have it write.
func TestHooksAreClosed(t *testing.T) {
	t.Parallel()
	w := newWalk(t, nil)
	post := func(path string, body any) answer { return w.Caller().Do("POST", path, body) }
	for i, c := range []struct {
		name string
		do   func(s *stage, h *rooms.Hook) (path string, body object)
		want string // "" posts
	}{
		{"as it is", func(*stage, *rooms.Hook) (string, object) { return "", nil }, ""},
		{"another token", func(_ *stage, h *rooms.Hook) (string, object) { return "/hooks/" + h.ID + "/open", nil }, "error-invalid-hook"},
		{"no such hook", func(*stage, *rooms.Hook) (string, object) { return "/hooks/none/open%20sesame", nil }, "error-invalid-hook"},
		{"no token", func(s *stage, h *rooms.Hook) (string, object) {
			h.Token = ""
			return "/hooks/" + h.ID + "/%00", nil
		}, "error-invalid-hook"},
		{"a digest is no token", func(s *stage, h *rooms.Hook) (string, object) {
			h.Token, h.Digest = "", "abc"
			return "/hooks/" + h.ID + "/abc", nil
		}, "error-invalid-hook"},
		{"switched off", func(_ *stage, h *rooms.Hook) (string, object) { h.Enabled = false; return "", nil }, "error-hook-disabled"},
		{"its user is switched off", func(s *stage, _ *rooms.Hook) (string, object) {
			off := false
			_, err := s.rec.Store.UpdateUser(s.T.Context(), s.other.ID, user.Change{Active: &off, At: time.Now()})
			if err != nil {
				s.T.Fatal(err)
			}
			return "", nil
		}, "error-hook-disabled"},
		{"its user is gone", func(_ *stage, h *rooms.Hook) (string, object) { h.UserID = "nobody"; return "", nil }, "error-hook-disabled"},
		{"a script", func(_ *stage, h *rooms.Hook) (string, object) { h.Scripted = true; return "", nil }, "error-invalid-script"},
		{"outgoing", func(_ *stage, h *rooms.Hook) (string, object) { h.Type = "webhook-outgoing"; return "", nil }, "error-invalid-hook"},
		{"another room, which it may not name", func(s *stage, _ *rooms.Hook) (string, object) {
			return "", object{"text": "x", "channel": nameOf(own)(s)}
		}, "error-hook-channel"},
		{"another room, which it may", func(s *stage, h *rooms.Hook) (string, object) {
			h.Override = true
			return "", object{"text": "x", "channel": nameOf(own)(s)}
		}, ""},
		{"a room by its id", func(s *stage, h *rooms.Hook) (string, object) {
			h.Override = true
			return "", object{"text": "x", "roomId": s.own}
		}, ""},
		{"a room that its maker is not in", func(s *stage, h *rooms.Hook) (string, object) {
			h.Override = true
			gone(s)
			return "", object{"text": "x", "channel": nameOf(theirs)(s)}
		}, "error-invalid-channel"},
		{"a room that there is not", func(s *stage, h *rooms.Hook) (string, object) {
			h.Override = true
			return "", object{"text": "x", "channel": "#nowhere"}
		}, "error-invalid-channel"},
		{"nothing but a sign", func(s *stage, h *rooms.Hook) (string, object) {
			h.Override = true
			return "", object{"text": "x", "channel": "#"}
		}, "error-invalid-channel"},
		{"a maker who may have none any more", func(s *stage, h *rooms.Hook) (string, object) {
			h.Override, h.CreatedBy = true, rooms.Ref{ID: s.other.ID, Username: s.other.Username}
			return "", object{"text": "x", "channel": nameOf(own)(s)}
		}, "error-invalid-channel"},
		{"a maker who is gone", func(s *stage, h *rooms.Hook) (string, object) {
			h.Override, h.CreatedBy = true, rooms.Ref{ID: "nobody"}
			return "", object{"text": "x", "channel": nameOf(own)(s)}
		}, "error-invalid-channel"},
		{"no text", func(*stage, *rooms.Hook) (string, object) { return "", object{"avatar": "https://example.com/a.png"} }, "error-invalid-message"},
		{"an address that runs", func(*stage, *rooms.Hook) (string, object) {
			return "", object{"text": "x", "attachments": []any{object{"title": "x", "title_link": "javascript:1"}}}
		}, "error-invalid-message"},
	} {
		s := w.stage(true, true)
		h := s.hook(s.admin, s.other, nameOf(func(s *stage) any { return s.private })(s))
		path, body := c.do(s, h)
		if path == "" {
			path = "/hooks/" + h.ID + "/open%20sesame"
		}
		if body == nil {
			body = object{"text": "built"}
		}
		was := h.UpdatedAt
		h.UpdatedAt = was.Add(time.Duration(i+1) * time.Millisecond)
		if err := s.rec.Store.SetHook(t.Context(), h, was); err != nil {
			t.Fatal(err)
		}
		w.rec.take()
		a := post(path, body)
		ops := w.rec.take()
		if got := a.ErrorType(); got != c.want || slices.Contains(ops, "InsertMessage") != (c.want == "") {
			t.Errorf("%s: %d %s, and %v", c.name, a.Status, a.Raw, ops)
		}
	}
}

// TestHooksKeepTheirTokens: the token is shown to whoever makes a hook, or has it replaced, and to
// nobody else; no log, audit event or document has it.
func TestHooksKeepTheirTokens(t *testing.T) {
	t.Parallel()
	w := newWalk(t, nil)
	s := w.stage(true, true)
	s.caller = *s.proof()
	mine := hookOf(s)
	mine["channel"] = nameOf(own)(s)
	made := s.caller.OK("POST", "integrations.create", mine).Body["integration"].(map[string]any)
	id, first := made["_id"].(string), made["token"].(string)
	if a := w.Caller().Do("POST", "/hooks/"+id+"/"+first, object{"text": "built"}); a.Status != 200 {
		t.Fatal(a.Raw)
	}
	frame := fmt.Sprintf(`{"msg":"method","id":"1","method":"regenerateToken","params":[%q]}`, id)
	answer := s.caller.OK("POST", "method.call/regenerateToken", object{"message": frame}).Text("message")
	_, second, _ := strings.Cut(answer, `"token":"`)
	second, _, _ = strings.Cut(second, `"`)
	for token, want := range map[string]int{first: 400, second: 200, first + second: 400, "": 404} {
		if a := w.Caller().Do("POST", "/hooks/"+id+"/"+token, object{"text": "built"}); a.Status != want {
			t.Errorf("%d %s, want %d", a.Status, a.Raw, want)
		}
	}
	form := w.Caller().With("Content-Type", "application/x-www-form-urlencoded")
	if a := form.Do("POST", "/hooks/"+id+"/"+second, "payload=%7B%22text%22%3A%22formed%22%7D"); a.Status != 200 {
		t.Errorf("a form: %d %s", a.Status, a.Raw)
	}
	// Whoever tries tokens is soon not looked at any more, and those who have the right one are.
	tries := 1
	for ; tries < 100; tries++ {
		if a := w.Caller().Do("POST", "/hooks/"+id+"/"+fmt.Sprint("wrong", tries), object{"text": "built"}); a.Status == 429 {
			break
		}
	}
	if a := w.Caller().Do("POST", "/hooks/"+id+"/"+second, object{"text": "built"}); tries == 100 || a.Status != 200 {
		t.Errorf("after %d wrong tokens: %d %s", tries, a.Status, a.Raw)
	}
	h, err := w.rec.Store.HookByID(t.Context(), id)
	if err != nil || h.Token != "" {
		t.Errorf("%+v %v", h, err)
	}
	seen := fmt.Sprintf("%+v", h) + s.session.Do("GET", "integrations.list", nil).Raw + s.session.Do("GET", "integrations.get?integrationId="+id, nil).Raw +
		s.session.Do("GET", "channels.getIntegrations?roomId="+s.own, nil).Raw + fmt.Sprintf("%+v", w.Trail.All())
	if !strings.Contains(seen, id) || !strings.Contains(seen, "hook_created") || !strings.Contains(seen, "hook_token_replaced") {
		t.Errorf("the hook is not listed, or its acts are not: %s", seen)
	}
	for _, token := range []string{first, second} {
		if len(token) < 40 || strings.Contains(seen, token) {
			t.Errorf("the token %q is short, or shown again", token)
		}
	}
}

// TestNobodyShutsAHookWithWrongTokens: whoever sees a message of a hook knows its id. With that alone
// he keeps nobody out who has the token, from however many addresses he tries.
func TestNobodyShutsAHookWithWrongTokens(t *testing.T) {
	w := newWalk(t, nil)
	s := w.stage(true, true)
	h := s.hook(s.admin, s.admin, nameOf(own)(s))
	for i := range 320 {
		from := w.Caller().With("Test-Address", fmt.Sprint("192.0.2.", i%8))
		from.Do("POST", "/hooks/"+h.ID+"/"+fmt.Sprint("wrong", i), object{"text": "x"})
	}
	if a := w.Caller().With("Test-Address", "198.51.100.1").Do("POST", "/hooks/"+h.ID+"/open%20sesame", object{"text": "built"}); a.Status != 200 {
		t.Errorf("who has the token is kept out: %d %s", a.Status, a.Raw)
	}
}

// TestHooksFindRoomsByTheirIdsFirst: names are for anybody to choose, the id of another room among
// them. What a hook is told to post to a room is not posted to one of that name.
func TestHooksFindRoomsByTheirIdsFirst(t *testing.T) {
	w := newWalk(t, nil)
	for _, c := range []struct {
		name string
		body func(id string) object
		out  bool // the hook's user is in the other room alone
	}{
		{"roomId", func(id string) object { return object{"roomId": id} }, false},
		{"channel", func(id string) object { return object{"channel": id} }, false},
		{"a sign before it", func(id string) object { return object{"channel": "#" + id} }, false},
		{"a room that its user left", func(id string) object { return object{"roomId": id} }, true},
	} {
		s := w.stage(true, true)
		ctx := t.Context()
		maker, members := w.Account(fmt.Sprint("maker", s.n)), []string{s.admin.Username, s.other.Username}
		like, err := s.Chat.Create(ctx, maker, rooms.NewRoom{Type: rooms.Channel, Name: s.private, Usernames: members})
		if err != nil {
			t.Fatal(err)
		}
		if c.out {
			if err := s.Chat.Leave(ctx, s.other, s.private); err != nil {
				t.Fatal(err)
			}
		}
		h := s.hook(s.admin, s.other, nameOf(own)(s))
		was := h.UpdatedAt
		h.Override, h.UpdatedAt = true, was.Add(time.Millisecond)
		if err := s.rec.Store.SetHook(ctx, h, was); err != nil {
			t.Fatal(err)
		}
		body := c.body(s.private)
		body["text"] = "built"
		a := w.Caller().Do("POST", "/hooks/"+h.ID+"/open%20sesame", body)
		r, err := s.rec.Store.RoomByID(ctx, like.ID)
		if err != nil || r.LastMessage != nil && r.LastMessage.Text == "built" || (a.Status == 200) == c.out {
			t.Errorf("%s: %d %s, and in the room of that name stand %d messages %v", c.name, a.Status, a.Raw, r.Messages, err)
		}
	}
}
