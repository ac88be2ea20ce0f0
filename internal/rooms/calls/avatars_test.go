package calls_test

import (
	"encoding/base64"
	"fmt"
	"image"
	"net/http"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

func dataURL(content string) string {
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString([]byte(content))
}

func avatarParts(content string, fields ...string) testkit.Parts {
	return testkit.PartsOf("image", "../me.html", content, fields...)
}

// etagOf is the name of an account's picture, as others are told it.
func etagOf(c *testkit.Caller, name string) string {
	text, _ := c.OK("GET", "users.info?username="+name, nil).Doc("user")["avatarETag"].(string)
	return text
}

// square checks that what is answered is a picture of this server's making.
func square(t *testing.T, what, raw string, h http.Header, kind string, side int) {
	t.Helper()
	c, format, err := image.DecodeConfig(strings.NewReader(raw))
	if err != nil || "image/"+format != h.Get("Content-Type") || format != kind || c.Width != side || c.Height != side {
		t.Errorf("%s: %v %s %s %dx%d", what, err, format, h.Get("Content-Type"), c.Width, c.Height)
	}
	if h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") ||
		strings.Contains(h.Get("Cache-Control"), "public") {
		t.Errorf("%s: %v", what, h)
	}
}

// A picture that is sent is made a small square of this server's own bytes, is read at its addresses, and takes the place of the one before.
func TestAvatars(t *testing.T) {
	eachStore(t, nil, func(t *testing.T, w *testkit.API, ann, bob, cid *testkit.Caller) {
		for _, c := range []struct {
			name, content, kind string
			side                int
		}{
			{"large.png", picture(500, 300, "png"), "jpeg", 200},
			{"tall.jpg", picture(30, 700, "jpeg") + "<script>hidden()</script>", "jpeg", 30},
			{"small.gif", picture(20, 20, "gif"), "jpeg", 20},
		} {
			ann.OK("POST", "users.setAvatar", avatarParts(c.content))
			id := etagOf(bob, "ann")
			for _, address := range []string{"/avatar/ann", "/avatar/uid/" + ann.ID, "/avatar/ANN?size=50&format=jpg&_dc=1", "/avatar/ann?etag=" + id} {
				status, h, raw := read(w, address, login(bob)...)
				if status != 200 || h.Get("ETag") != `"`+id+`"` || strings.Contains(raw, "hidden") {
					t.Errorf("%s at %s: %d %v", c.name, address, status, h)
				}
				square(t, c.name, raw, h, c.kind, c.side)
				if kept := strings.Contains(h.Get("Cache-Control"), "max-age=86400"); kept != strings.Contains(address, "etag=") {
					t.Errorf("%s: %s", address, h.Get("Cache-Control"))
				}
				if status, _, raw := read(w, address, append(login(bob), "If-None-Match: "+h.Get("ETag"))...); status != 304 || raw != "" {
					t.Errorf("%s again: %d", address, status)
				}
			}
			if n := filesOf(t, w, ann); n == 0 || n > 20_000 {
				t.Errorf("%s: %d bytes are kept", c.name, n)
			}
		}
		// What is clear stays clear.
		ann.OK("POST", "users.setAvatar", avatarParts(onePixel()))
		_, h, raw := read(w, "/avatar/ann", login(bob)...)
		square(t, "one clear pixel", raw, h, "png", 1)
		if me := ann.OK("GET", "me", nil).Body; me["avatarETag"] != etagOf(bob, "ann") || me["avatarOrigin"] != "upload" {
			t.Errorf("%v", me)
		}
		a := bob.Do("GET", "users.getAvatar?username=ann", nil)
		if to := a.Header.Get("Location"); a.Status != 307 || to != testkit.RootURL+"/avatar/uid/"+ann.ID+"?etag="+etagOf(bob, "ann") {
			t.Errorf("%d %s", a.Status, to)
		}
		if got := bob.OK("GET", "users.getAvatarSuggestion", nil); fmt.Sprint(got.Body["suggestions"]) != "map[]" {
			t.Error(got.Raw)
		}
		ann.OK("POST", "users.resetAvatar", map[string]any{})
		if etagOf(bob, "ann") != "" || filesOf(t, w, ann) != 0 {
			t.Errorf("a picture is left: %d bytes", filesOf(t, w, ann))
		}

		// With the account goes its picture.
		cid.OK("POST", "users.setAvatar", avatarParts(picture(9, 9, "png")))
		w.Account("root", "admin")
		w.Login("root").With("x-2fa-method", "password").With("x-2fa-code", testkit.Proof()).OK("POST", "users.delete", map[string]any{"userId": cid.ID})
		for _, address := range []string{"/avatar/cid", "/avatar/uid/" + cid.ID} {
			if _, h, _ := read(w, address, login(bob)...); h.Get("Content-Type") != "image/svg+xml" {
				t.Errorf("%s shows somebody who is gone: %v", address, h)
			}
		}
	})
}

// onePixel is a picture that one can look through.
func onePixel() string {
	raw, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// Who may change and see which picture: by what he is, and by the settings.
func TestWhoseAvatars(t *testing.T) {
	eachStore(t, nil, func(t *testing.T, w *testkit.API, ann, bob, _ *testkit.Caller) {
		w.Account("root", "admin")
		root := w.Login("root")
		png := picture(9, 9, "png")
		ann.OK("POST", "users.setAvatar", avatarParts(png, "userId="+ann.ID))
		ann.Refused("error-not-allowed", "POST", "users.setAvatar", avatarParts(png, "userId="+bob.ID))
		ann.Refused("error-not-allowed", "POST", "users.setAvatar", avatarParts(png, "+username=bob"))
		ann.Refused("error-not-allowed", "POST", "users.setAvatar", avatarParts(png, "username=nobody"))
		ann.Refused("error-not-allowed", "POST", "users.resetAvatar", map[string]any{"username": "bob"})
		root.Refused("totp-required", "POST", "users.setAvatar", avatarParts(png, "username=bob"))
		root.Refused("totp-required", "POST", "users.resetAvatar", map[string]any{"username": "ann"})
		proven := root.With("x-2fa-method", "password").With("x-2fa-code", testkit.Proof())
		proven.Refused("error-invalid-user", "POST", "users.setAvatar", avatarParts(png, "username=nobody"))
		proven.OK("POST", "users.setAvatar", avatarParts(png, "username=bob"))
		if etagOf(ann, "bob") == "" {
			t.Error("bob has no picture")
		}

		w.Set(settings.AllowAvatarChange, false)
		ann.Refused("error-not-allowed", "POST", "users.setAvatar", avatarParts(png))
		ann.Refused("error-not-allowed", "POST", "users.resetAvatar", map[string]any{})
		proven.OK("POST", "users.resetAvatar", map[string]any{"userId": bob.ID})

		// Without a login a name shows its letter, whether there is a picture, an account or nothing.
		for _, address := range []string{"/avatar/ann", "/avatar/aob", "/avatar/uid/" + ann.ID, "/avatar/uid/ann", "/avatar/@ann"} {
			_, h, raw := read(w, address)
			if h.Get("Content-Type") != "image/svg+xml" || strings.Contains(address, "/a") && !strings.Contains(raw, "<text") {
				t.Errorf("%s: %v", address, h)
			}
		}
		w.Set(settings.AvatarsClosed, false)
		for address, kind := range map[string]string{"/avatar/ann": "image/jpeg", "/avatar/uid/" + ann.ID: "image/jpeg", "/avatar/bob": "image/svg+xml",
			"/avatar/@ann": "image/svg+xml"} {
			if _, h, _ := read(w, address); h.Get("Content-Type") != kind {
				t.Errorf("%s: %v", address, h)
			}
		}
	})
}

// Everything that is no picture of a bearable size leaves nothing.
func TestAvatarsThatAreRefused(t *testing.T) {
	_, ann, _, _ := apiWorld(t, nil)
	w := ann.API
	for _, c := range []struct {
		code string
		body any
	}{
		{"error-invalid-file-type", avatarParts("<svg onload='alert(1)'/>")},
		{"error-invalid-file-type", avatarParts("hello")},
		{"error-invalid-file-type", avatarParts(picture(9, 9, "png")[:60])},
		{"error-invalid-file", avatarParts("")},
		{"invalid-field", testkit.PartsOf("file", "a.png", picture(9, 9, "png"))},
		{"error-avatar-invalid-url", avatarParts(picture(9, 9, "png"), "avatarUrl=http://127.0.0.1/x")},
		{"error-unsupported-media-type", map[string]any{"avatarUrl": "http://127.0.0.1/x"}},
	} {
		ann.Refused(c.code, "POST", "users.setAvatar", c.body)
	}
	w.Set(settings.FileMaxSize, 100)
	ann.Refused("error-file-too-large", "POST", "users.setAvatar", avatarParts(picture(90, 90, "png")))
	if n := filesOf(t, w, ann); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
	for address, want := range map[string]int{"/avatar/" + strings.Repeat("x", 201): 403, "/avatar/a%2Fb": 403, "/avatar/a/b": 404, "/avatar/": 404,
		"/avatar/%3Cscript%3E": 200, "/avatar/%FF": 403} {
		if status, _, raw := read(w, address, login(ann)...); status != want || strings.Contains(raw, "script") {
			t.Errorf("%s: %d %s", address, status, raw)
		}
	}
	for address, want := range map[string]string{"/avatar/nobody.at.all": ">N<", "/avatar/%3Cscript%3E": ">S<", "/avatar/_": ">?<",
		"/avatar/%D1%91%D0%B6": ">Ё<"} {
		status, h, raw := read(w, address)
		if status != 200 || !strings.Contains(raw, want) || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %d %s", address, status, raw)
		}
		if status, _, _ := read(w, address, "If-None-Match: "+h.Get("ETag")); status != 304 {
			t.Errorf("%s again: %d", address, status)
		}
	}
}

// The picture of a room is seen by whoever may know of the room.
func TestRoomAvatars(t *testing.T) {
	eachStore(t, nil, func(t *testing.T, w *testkit.API, ann, bob, cid *testkit.Caller) {
		for _, kind := range []string{"channels", "groups"} {
			room := ann.OK("POST", kind+".create", map[string]any{"name": "y" + kind, "members": []string{"bob"}}).
				Doc(map[string]string{"channels": "channel", "groups": "group"}[kind])["_id"].(string)
			save := func(picture string) {
				ann.OK("POST", "rooms.saveRoomSettings", map[string]any{"rid": room, "roomAvatar": picture})
			}
			save(dataURL(picture(40, 40, "png")))
			save(dataURL(picture(50, 60, "png")))
			bob.Refused("error-action-not-allowed", "POST", "rooms.saveRoomSettings", map[string]any{"rid": room, "roomAvatar": dataURL(picture(1, 1, "png"))})
			id, _ := bob.OK("GET", "rooms.info?roomId="+room, nil).Doc("room")["avatarETag"].(string)
			shown := func(c *testkit.Caller) bool {
				var headers []string
				if c != nil {
					headers = login(c)
				}
				status, h, raw := read(w, "/avatar/room/"+room+"?etag="+id, headers...)
				if h.Get("Content-Type") == "image/jpeg" {
					square(t, kind, raw, h, "jpeg", 50)
				}
				return status == 200 && h.Get("Content-Type") == "image/jpeg"
			}
			if in, out, nobody := shown(bob), shown(cid), shown(nil); !in || out != (kind == "channels") || nobody {
				t.Errorf("%s: %v %v %v", kind, in, out, nobody)
			}
			bob.OK("POST", kind+".leave", map[string]any{"roomId": room})
			if shown(bob) != (kind == "channels") {
				t.Errorf("%s after leaving: %v", kind, shown(bob))
			}
			if list := ann.OK("GET", kind+".files?roomId="+room, nil); list.Body["total"] != 0.0 {
				t.Errorf("the picture is a file of the room: %s", list.Raw)
			}
			if status, _, _ := read(w, "/file-upload/"+id+"/avatar", login(ann)...); status != 403 {
				t.Errorf("the picture is read as a file: %d", status)
			}
			for code, data := range map[string]string{"error-avatar-invalid-url": "https://example.org/a.png", "error-invalid-avatar": "hello",
				"error-invalid-file-type": dataURL("hello"), "error-invalid-file": "data:;base64,"} {
				ann.Refused(code, "POST", "rooms.saveRoomSettings", map[string]any{"rid": room, "roomAvatar": data})
			}
			ann.Refused("error-invalid-avatar", "POST", "rooms.saveRoomSettings", map[string]any{"rid": room, "roomAvatar": "data:;base64,!!"})
			if !shown(ann) {
				t.Error("what was refused took the picture away")
			}
			save("")
			if shown(ann) {
				t.Error("the picture is still there")
			}
		}
		if n := filesOf(t, w, ann); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	})
}

// What a node left half done that died is swept: a picture that nobody names, and that of who is gone.
func TestAvatarsAreSwept(t *testing.T) {
	testkit.Bubble(t, testkit.Options{}, func(t *testing.T, w *testkit.World) {
		ctx := t.Context()
		ann := w.User("ann")
		for range 2 {
			if err := w.Chat.SetAvatarData(ctx, ann, ann, dataURL(picture(9, 9, "png"))); err != nil {
				t.Fatal(err)
			}
		}
		sweeper := &rooms.FileSweeper{Rooms: w.Chat}
		left := func() (n int) {
			time.Sleep(11 * time.Minute)
			if err := sweeper.Sweep(ctx, false); err != nil {
				t.Fatal(err)
			}
			list, err := w.RoomStore().FilesAfter(ctx, "", 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		if n := left(); n != 1 {
			t.Errorf("%d pictures, want the one that is shown", n)
		}
		if _, err := w.Store.UpdateUser(ctx, ann.ID, user.Change{AvatarETag: new("other"), At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if n := left(); n != 0 {
			t.Errorf("%d pictures that nobody names", n)
		}
	})
}
