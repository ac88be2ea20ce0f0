package calls_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/mongo"
	"ddpserver/internal/settings"
	store "ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testkit"
	"ddpserver/internal/trail"
	trailmongo "ddpserver/internal/trail/mongo"
)

func parts(name, content string, fields ...string) testkit.Parts {
	return testkit.PartsOf("file", name, content, fields...)
}

// picture is a picture of that size, encoded.
func picture(w, h int, kind string) string {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetNRGBA(x, y, color.NRGBA{R: uint8(x), G: uint8(y), B: 99, A: 255})
		}
	}
	var out bytes.Buffer
	var err error
	switch kind {
	case "png":
		err = png.Encode(&out, m)
	case "gif":
		err = gif.Encode(&out, m, nil)
	default:
		err = jpeg.Encode(&out, m, nil)
	}
	if err != nil {
		panic(err)
	}
	return out.String()
}

// read reads an address outside /api/v1, with headers "Name: value".
func read(w *testkit.API, address string, headers ...string) (int, http.Header, string) {
	w.T.Helper()
	req, err := http.NewRequest("GET", testkit.RootURL+address, nil)
	if err != nil {
		w.T.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := w.HTTP.Do(req)
	if err != nil {
		w.T.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.T.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(raw)
}

func login(c *testkit.Caller) []string {
	return []string{"X-User-Id: " + c.ID, "X-Auth-Token: " + c.Token}
}

// eachStore runs a test on the embedded store and on MongoDB's.
func eachStore(t *testing.T, overrides map[string]string, run func(t *testing.T, w *testkit.API, ann, bob, cid *testkit.Caller)) {
	for _, kind := range []string{"embedded", "MongoDB"} {
		t.Run(kind, func(t *testing.T) {
			o := testkit.Options{Overrides: overrides}
			if kind == "MongoDB" {
				core, err := store.Open(t.Context(), mongotest.Start(t), store.Options{Parts: append(mongo.Parts(), trailmongo.Parts()...)})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = core.Close() })
				type withRooms = mongo.Store
				o.Store = &struct {
					*withRooms
					trail.Store
				}{mongo.New(core), trailmongo.New(core)}
			}
			w := testkit.NewAPI(t, o)
			for _, name := range []string{"ann", "bob", "cid"} {
				w.Account(name)
			}
			run(t, w, w.Login("ann"), w.Login("bob"), w.Login("cid"))
		})
	}
}

func attachment(m map[string]any) map[string]any {
	list, _ := m["attachments"].([]any)
	if len(list) != 1 {
		return map[string]any{"attachments": len(list)}
	}
	return list[0].(map[string]any)
}

// has checks members of a document.
func has(t *testing.T, what string, doc, want map[string]any) {
	t.Helper()
	for k, v := range want {
		if fmt.Sprint(doc[k]) != fmt.Sprint(v) {
			t.Errorf("%s: %s is %v, not %v", what, k, doc[k], v)
		}
	}
}

// A file becomes a message in Rocket.Chat's shape, whatever its client says that it is, and is read as it was sent.
func TestUpload(t *testing.T) {
	eachStore(t, nil, func(t *testing.T, w *testkit.API, ann, bob, _ *testkit.Caller) {
		for _, c := range []struct {
			name, content string
			inline        bool
			want          map[string]any
		}{
			{"cat.png", picture(40, 20, "png"), true, map[string]any{"image_type": "image/png", "image_dimensions": map[string]any{"width": 40, "height": 20},
				"image_size": len(picture(40, 20, "png")), "title": "cat.png", "type": "file", "title_link_download": true, "description": "a cat"}},
			{"cat.jpg", picture(3, 300, "jpeg"), true, map[string]any{"image_type": "image/jpeg", "image_dimensions": map[string]any{"width": 3, "height": 300}}},
			{"cat.gif", picture(5, 5, "gif"), true, map[string]any{"image_type": "image/gif"}},
			{"song.ogg", "OggS\x00\x02aaaaaaaaaaaaaaaaaaaa", true, map[string]any{"audio_type": "audio/ogg", "audio_size": 26, "image_url": nil}},
			{"film.webm", "\x1aE\xdf\xa3aaaaaaaaaaaa", true, map[string]any{"video_type": "video/webm", "video_size": 16}},
			{"notes.txt", "hello", false, map[string]any{"format": "TXT", "size": 5, "image_url": nil}},
			{"page.png", "<html><script>alert(1)</script>", false, map[string]any{"size": 31, "format": "PNG", "image_url": nil}},
			{"report.pdf", "%PDF-1.4 aaaa", false, map[string]any{"format": "PDF"}},
			{`..\..\a/b/"quoted".txt`, "x", false, map[string]any{"title": `"quoted".txt`}},
			{"наука 😀%2e%2e;=,.txt", "x", false, map[string]any{"title": "наука 😀%2e%2e;=,.txt"}},
			{"..", "x", false, map[string]any{"title": "file"}},
		} {
			m := ann.OK("POST", "rooms.upload/GENERAL", parts(c.name, c.content, "msg=look", "+description=a cat")).Doc("message")
			a := attachment(m)
			has(t, c.name, a, c.want)
			file, _ := m["file"].(map[string]any)
			if m["msg"] != "look" || file["_id"] == nil || file["_id"] != a["fileId"] || m["groupable"] != false {
				t.Errorf("%s: %v", c.name, m)
			}
			if preview, _ := a["image_preview"].(string); (preview != "") != strings.HasPrefix(fmt.Sprint(a["image_type"]), "image/") {
				t.Errorf("%s: preview %q", c.name, preview)
			}
			status, h, got := read(w, a["title_link"].(string), login(bob)...)
			if status != 200 || got != c.content || h.Get("ETag") == "" || h.Get("X-Content-Type-Options") != "nosniff" ||
				!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || h.Get("Cache-Control") != "private, no-cache" {
				t.Errorf("%s: %d %v", c.name, status, h)
			}
			if inline := strings.HasPrefix(h.Get("Content-Disposition"), "inline"); inline != c.inline || !inline && strings.Contains(h.Get("Content-Type"), "html") {
				t.Errorf("%s: %s as %s", c.name, h.Get("Content-Disposition"), h.Get("Content-Type"))
			}
			headers := append(login(bob), "Range: bytes=1-3")
			status, h2, got := read(w, a["title_link"].(string), headers...)
			if len(c.content) > 4 && (status != 206 || got != c.content[1:4] || h2.Get("Content-Range") == "") {
				t.Errorf("%s: a range: %d %q", c.name, status, got)
			}
			// Many ranges would be as many looks into the store.
			for _, ranges := range [][]string{{"Range: bytes=1-1,3-3"}, {"Range: bytes=1-1", "Range: bytes=3-3"}, {"Range: bytes=,1-1"}} {
				if status, _, got := read(w, a["title_link"].(string), append(login(bob), ranges...)...); status != 200 || got != c.content {
					t.Errorf("%s: %q: %d %.40q", c.name, ranges, status, got)
				}
			}
			if status, _, _ := read(w, a["title_link"].(string), append(login(bob), "If-None-Match: "+h.Get("ETag"))...); status != 304 {
				t.Errorf("%s: again: %d", c.name, status)
			}
			if _, h, _ := read(w, a["title_link"].(string)+"?download=1", login(bob)...); !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") {
				t.Errorf("%s: saved as %s", c.name, h.Get("Content-Disposition"))
			}
		}
		list := bob.OK("GET", "channels.files?roomId=GENERAL&count=3&offset=1", nil)
		if list.Body["total"] != 11.0 || list.Column("files", "name") != `наука 😀%2e%2e;=,.txt "quoted".txt report.pdf` {
			t.Errorf("%s", list.Raw)
		}
		for _, path := range []string{"rooms.images", "channels.images"} {
			if got := bob.OK("GET", path+"?roomId=GENERAL", nil).Column("files", "name"); got != "cat.gif cat.jpg cat.png" {
				t.Error(path, got)
			}
		}
		if got := bob.OK("GET", "channels.files?roomName=general&name=REPORT&typeGroup=application", nil).Column("files", "name"); got != "report.pdf" {
			t.Error(got)
		}
	})
}

// Clients ask for custom emojis at their start.
func TestCustomEmojis(t *testing.T) {
	_, ann, _, _ := apiWorld(t, nil)
	for _, query := range []string{"", "?updatedSince=2020-01-01T00:00:00Z", "?_id=x"} {
		a := ann.OK("GET", "emoji-custom.list"+query, nil)
		if list := a.Doc("emojis"); fmt.Sprint(list["update"], list["remove"]) != "[] []" {
			t.Error(a.Raw)
		}
	}
}

// A file waits for its message a day, is its uploader's until then, and goes with one message.
func TestMedia(t *testing.T) {
	eachStore(t, nil, func(t *testing.T, w *testkit.API, ann, bob, _ *testkit.Caller) {
		f := ann.OK("POST", "rooms.media/GENERAL", parts("a.txt", "hello")).Doc("file")
		id, address := f["_id"].(string), f["url"].(string)
		for who, want := range map[*testkit.Caller]int{ann: 200, bob: 403} {
			if status, _, _ := read(w, address, login(who)...); status != want {
				t.Errorf("before its message: %d, want %d", status, want)
			}
		}
		if a := bob.OK("GET", "channels.files?roomId=GENERAL", nil); a.Body["total"] != 0.0 {
			t.Error(a.Raw)
		}
		bob.Refused("invalid-file", "POST", "rooms.mediaConfirm/GENERAL/"+id, map[string]any{})
		bob.Refused("invalid-file", "POST", "uploads.delete", map[string]any{"fileId": id})
		ann.Refused("invalid-file", "POST", "rooms.mediaConfirm/GENERAL/none", map[string]any{})
		ann.Refused("error-message-size-exceeded", "POST", "rooms.mediaConfirm/GENERAL/"+id, map[string]any{"description": strings.Repeat("x", 5001)})
		m := ann.OK("POST", "rooms.mediaConfirm/GENERAL/"+id, map[string]any{"msg": "look", "description": "d"}).Doc("message")
		if a := attachment(m); m["msg"] != "look" || a["description"] != "d" || a["title_link"] != address {
			t.Errorf("%v", m)
		}
		ann.Refused("invalid-file", "POST", "rooms.mediaConfirm/GENERAL/"+id, map[string]any{})
		if status, _, got := read(w, address, login(bob)...); status != 200 || got != "hello" {
			t.Errorf("%d %q", status, got)
		}
	})
}

func TestUploadsThatAreRefused(t *testing.T) {
	eachStore(t, map[string]string{settings.FilesPerUser: "1", settings.FileTypesRefused: "image/svg+xml, text/html"},
		func(t *testing.T, w *testkit.API, ann, _, _ *testkit.Caller) {
			w.Set(settings.FileMaxSize, 1000)
			long := strings.Repeat("x", 70<<10)
			for _, c := range []struct {
				code string
				body any
			}{
				{"error-file-too-large", parts("a.txt", strings.Repeat("x", 1001))},
				{"error-invalid-file-type", parts("a.txt", "<!DOCTYPE html><p>")},
				{"error-invalid-file-type", parts("a.txt", "<?xml version='1.0'?><svg onload='alert(1)'/>")},
				{"error-invalid-file-type", parts("a.svg", "hello")},
				{"error-invalid-file", parts("a.txt", "")},
				{"invalid-field", testkit.PartsOf("other", "a.txt", "hello")},
				{"invalid-field", testkit.Parts{Type: "multipart/form-data; boundary=x",
					Body: "--x\r\nContent-Disposition: form-data; name=\"msg\"\r\n\r\nm\r\n--x--\r\n"}},
				{"invalid-params", testkit.Parts{Type: "multipart/form-data; boundary=x", Body: "hello"}},
				{"invalid-params", testkit.Parts{Type: "multipart/form-data; boundary=----between",
					Body: strings.TrimSuffix(parts("a.txt", "hello").Body, "\r\n------between--\r\n")}},
				{"invalid-params", parts("a.txt", "hello", "msg="+long)},
				{"invalid-params", parts("a.txt", "hello", "+msg="+long)},
				{"invalid-params", parts("a.txt", "hello", "msg=a", "msg=b")},
				{"invalid-params", parts("a.txt", "hello", many("f=", 40)...)},
				{"invalid-params", testkit.Parts{Type: "multipart/form-data; boundary=x", Body: "--x\r\nX-Long: " + long + "\r\n\r\n"}},
				{"error-message-size-exceeded", parts("a.txt", "hello", "msg="+strings.Repeat("m", 5001))},
				{"error-not-allowed", parts("a.txt", "hello", "alias=root")},
				{"error-unsupported-media-type", map[string]any{"file": "hello"}},
				{"error-unsupported-media-type", testkit.Parts{Type: "multipart/form-data", Body: ""}},
				{"error-unsupported-media-type", testkit.Parts{Type: "multipart/form-data; boundary=" + strings.Repeat("x", 71), Body: ""}},
			} {
				ann.Refused(c.code, "POST", "rooms.upload/GENERAL", c.body)
			}
			two := parts("a.txt", "hello")
			two.Body = strings.TrimSuffix(two.Body, "------between--\r\n") + parts("b.txt", "hello").Body
			ann.Refused("invalid-field", "POST", "rooms.upload/GENERAL", two)
			ann.Refused("error-invalid-room", "POST", "rooms.upload/none", parts("a.txt", "hello"))
			w.Set(settings.FilesEnabled, false)
			ann.Refused("error-file-upload-disabled", "POST", "rooms.upload/GENERAL", parts("a.txt", "hello"))
			w.Set(settings.FilesEnabled, true)
			w.Set(settings.FilesDirect, false)
			direct := ann.OK("POST", "im.create", map[string]any{"username": "bob"}).Doc("room")["_id"].(string)
			ann.Refused("error-direct-message-file-upload-not-allowed", "POST", "rooms.upload/"+direct, parts("a.txt", "hello"))

			// Nothing is left of any of them, and a megabyte is what ann may keep.
			if n := filesOf(t, w, ann); n != 0 {
				t.Errorf("%d bytes are left", n)
			}
			w.Set(settings.FileMaxSize, 700<<10)
			ann.OK("POST", "rooms.upload/GENERAL", parts("a.bin", strings.Repeat("\x01", 600<<10)))
			ann.Refused("error-file-quota-exceeded", "POST", "rooms.upload/GENERAL", parts("b.bin", strings.Repeat("\x01", 600<<10)))
			if n := filesOf(t, w, ann); n != 600<<10 {
				t.Errorf("%d bytes are ann's", n)
			}
		})
}

func many(field string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("f", i, field)
	}
	return out
}

func filesOf(t *testing.T, w *testkit.API, c *testkit.Caller) int64 {
	t.Helper()
	n, err := w.RoomStore().FilesSize(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Who may read a file of a room, by what he is in it: generated over ways to log in, kinds of rooms and people.
func TestWhoReadsFiles(t *testing.T) {
	eachStore(t, nil, func(t *testing.T, w *testkit.API, ann, bob, cid *testkit.Caller) {
		w.Account("dan")
		w.Account("eve")
		dan, eve := w.Login("dan"), w.Login("eve")
		logout := w.Login("bob")
		logout.OK("POST", "logout", nil)
		for _, kind := range []string{"channels", "groups"} {
			room := ann.OK("POST", kind+".create", map[string]any{"name": "x" + kind, "members": []string{"bob", "dan", "eve"}}).
				Doc(map[string]string{"channels": "channel", "groups": "group"}[kind])["_id"].(string)
			sent := func() (message, file, address string) {
				m := ann.OK("POST", "rooms.upload/"+room, parts("a.txt", "secret")).Doc("message")
				return m["_id"].(string), attachment(m)["fileId"].(string), attachment(m)["title_link"].(string)
			}
			deleted, _, gone := sent()
			ann.OK("POST", "chat.delete", map[string]any{"roomId": room, "msgId": deleted})
			_, alone, dropped := sent()
			ann.OK("POST", "uploads.delete", map[string]any{"fileId": alone})
			_, _, address := sent()
			dan.OK("POST", kind+".leave", map[string]any{"roomId": room})
			ann.OK("POST", kind+".kick", map[string]any{"roomId": room, "userId": eve.ID})
			nobody := w.Caller()
			forged := w.Caller()
			forged.ID, forged.Token = ann.ID, bob.Token
			people := []struct {
				who    string
				c      *testkit.Caller
				status int
			}{{"author", ann, 200}, {"member", bob, 200}, {"stranger", cid, 403}, {"who left", dan, 403}, {"who was removed", eve, 403}, {"nobody", nobody, 403},
				{"logged out", logout, 403}, {"another's token", forged, 403}}
			for _, p := range people {
				for way, headers := range map[string][]string{
					"headers": login(p.c), "cookies": {"Cookie: rc_uid=" + p.c.ID + "; rc_token=" + url.QueryEscape(p.c.Token)}, "query": nil,
				} {
					query := ""
					if way == "query" {
						query = "?rc_uid=" + p.c.ID + "&rc_token=" + url.QueryEscape(p.c.Token)
					}
					for name, c := range map[string]struct {
						address string
						status  int
					}{"the file": {address, p.status}, "of a deleted message": {gone, 403}, "deleted": {dropped, 403},
						"none": {"/file-upload/aaaaaaaaaaaaaaaaa/a.txt", 403}, "no id": {"/file-upload/%2e%2e%2fx/a.txt", 403}} {
						// A page of another origin, which is allowed, reads by a login of its own.
						status, h, got := read(w, c.address+query, append(slices.Clone(headers), "Origin: "+testkit.RootURL)...)
						if foreign := h.Get("Access-Control-Allow-Origin") != ""; status == 200 && foreign == (way == "cookies") {
							t.Errorf("%s by %s: read across origins %v", name, way, foreign)
						}
						if status != c.status || (status == 200) != (got == "secret") {
							t.Errorf("%s: %s reads %s by %s: %d %.40q, want %d", kind, p.who, name, way, status, got, c.status)
						}
						if policy := h.Get("Cross-Origin-Resource-Policy"); status == 200 && (policy == "same-site") != (way == "cookies") {
							t.Errorf("%s by %s: %s", name, way, policy)
						}
					}
				}
				if status := p.c.Do("GET", kind+".files?roomId="+room, nil).Status; (status == 200) != (p.status == 200) {
					t.Errorf("%s: %s lists files: %d", kind, p.who, status)
				}
				if p.status != 200 {
					if a := p.c.Do("POST", "rooms.upload/"+room, parts("a.txt", "x")); a.Status == 200 {
						t.Errorf("%s: %s uploads", kind, p.who)
					}
				}
			}
			// Twice in a header is nobody's, and so is a cookie twice.
			if status, _, _ := read(w, address, append(login(bob), "X-User-Id: "+ann.ID)...); status == 200 {
				t.Error("two headers are somebody")
			}
			if status, _, _ := read(w, address, "Cookie: rc_uid="+bob.ID+"; rc_uid="+ann.ID+"; rc_token="+bob.Token); status == 200 {
				t.Error("two cookies are somebody")
			}
			w.Set(settings.FilesProtected, false)
			for name, c := range map[string]struct {
				address string
				status  int
			}{"the file": {address, 200}, "of a deleted message": {gone, 403}, "deleted": {dropped, 403}} {
				if status, _, _ := read(w, c.address); status != c.status {
					t.Errorf("%s, not protected: %d, want %d", name, status, c.status)
				}
			}
			w.Set(settings.FilesProtected, true)
		}
		// The bytes of what is gone are gone.
		if n := filesOf(t, w, ann); n != 2*int64(len("secret")) {
			t.Errorf("%d bytes are left", n)
		}
	})
}

// A picture that unpacks to gigabytes has its dimensions read, and no preview made.
func TestPicturesThatUnpackToMuch(t *testing.T) {
	_, ann, _, _ := apiWorld(t, nil)
	bomb := []byte(picture(8, 8, "png"))
	copy(bomb[16:24], []byte{0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30}) // 30,000 by 30,000
	sum := crc(bomb[12:29])
	copy(bomb[29:33], sum[:])
	a := attachment(ann.OK("POST", "rooms.upload/GENERAL", parts("bomb.png", string(bomb))).Doc("message"))
	has(t, "bomb", a, map[string]any{"image_dimensions": map[string]any{"width": 30000, "height": 30000}, "image_preview": nil})
	for name, content := range map[string]string{"cut.png": picture(50, 50, "png")[:60],
		"cut.gif": picture(50, 50, "gif")[:30], "cut.jpg": picture(9, 9, "jpeg")[:40]} {
		if a := ann.Do("POST", "rooms.upload/GENERAL", parts(name, content)); a.Status != 200 {
			t.Errorf("%s: %s", name, a.Raw)
		}
	}
}

// Files pass through: twenty of them at once leave no room for one of them in memory.
func TestUploadsAreNotHeldInMemory(t *testing.T) {
	_, ann, bob, _ := apiWorld(t, nil)
	const files, size = 20, 4 << 20
	whole := parts("a.bin", "@")
	head, tail, _ := strings.Cut(whole.Body, "@")
	zeros := func() io.Reader {
		return io.MultiReader(strings.NewReader(head), io.LimitReader(forever{}, size), strings.NewReader(tail))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var all sync.WaitGroup
	for i := range files {
		all.Go(func() {
			c := []*testkit.Caller{ann, bob}[i%2]
			req, err := http.NewRequest("POST", testkit.RootURL+"/api/v1/rooms.upload/GENERAL", zeros())
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Content-Type", whole.Type)
			req.Header.Set("X-User-Id", c.ID)
			req.Header.Set("X-Auth-Token", c.Token)
			resp, err := c.API.HTTP.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = resp.Body.Close() }()
			if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
				t.Errorf("%d %s", resp.StatusCode, text)
			}
		})
	}
	all.Wait()
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > files*size/4 {
		t.Errorf("%d files of %d MiB allocated %d MiB", files, size>>20, grown>>20)
	}
}

// S090: a body in parts may be long, and nobody may be slow for ever: who stops sending is refused in half a minute, who
// sends a byte now and then is soon too slow, and nothing is left of either.
func TestSlowUploadsEnd(t *testing.T) {
	for name, pause := range map[string]time.Duration{"stops": time.Hour, "trickles": 9 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := testkit.NewAPI(t, testkit.Options{})
				w.Account("ann")
				ann := w.Login("ann")
				begun := time.Now()
				body, out := io.Pipe()
				var writing sync.WaitGroup
				writing.Go(func() {
					_, err := io.WriteString(out, "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n")
					for err == nil {
						time.Sleep(pause)
						_, err = io.WriteString(out, "slowly")
					}
				})
				req, err := http.NewRequest("POST", testkit.RootURL+"/api/v1/rooms.upload/GENERAL", body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
				req.Header.Set("X-User-Id", ann.ID)
				req.Header.Set("X-Auth-Token", ann.Token)
				resp, err := w.HTTP.Do(req)
				if err == nil {
					_ = resp.Body.Close()
				}
				if took := time.Since(begun); err == nil && resp.StatusCode == 200 || took > time.Minute {
					t.Errorf("%v %v after %v", resp, err, took)
				}
				_ = body.CloseWithError(io.ErrClosedPipe)
				writing.Wait()
				if n := filesOf(t, w, ann); n != 0 {
					t.Errorf("%d bytes are left", n)
				}
			})
		})
	}
}

// forever is bytes without end.
type forever struct{}

func (forever) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// What an upload leaves that nobody finishes is swept: at the start what there is, and later by age. A file whose message
// somebody else deleted goes too.
func TestSweep(t *testing.T) {
	testkit.Bubble(t, testkit.Options{}, func(t *testing.T, w *testkit.World) {
		ctx := context.Background()
		ann := w.User("ann")
		if err := w.Chat.JoinDefaults(ctx, ann); err != nil {
			t.Fatal(err)
		}
		begin := func() *rooms.Upload {
			up, err := w.Chat.BeginUpload(ctx, ann, rooms.GeneralID, "a.txt", 10)
			if err == nil {
				_, err = io.WriteString(up, "hello")
			}
			if err != nil {
				t.Fatal(err)
			}
			return up
		}
		size := func() int64 {
			n, err := w.RoomStore().FilesSize(ctx, ann.ID)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		sweeper := &rooms.FileSweeper{Rooms: w.Chat}
		sweep := func(start bool) {
			t.Helper()
			if err := sweeper.Sweep(ctx, start); err != nil {
				t.Fatal(err)
			}
		}
		begin() // and nobody ends it: its process is dead
		late := begin()
		sweep(false)
		if n := size(); n != 20 {
			t.Errorf("%d bytes; uploads under way were swept", n)
		}
		sweep(true)
		if n := size(); n != 0 {
			t.Errorf("%d bytes are left of uploads", n)
		}
		if _, err := late.Keep(); err == nil {
			t.Error("an upload that was swept was kept")
		}
		late.Close()

		// Of another node nobody knows whether it is dead, but by age.
		slow, dead := begin(), begin()
		time.Sleep(3 * time.Minute)
		if _, err := slow.Write([]byte("!")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		sweep(false)
		if n := size(); n != 10 {
			t.Errorf("%d bytes, want those of the upload that goes on", n)
		}
		if _, err := dead.Write([]byte("!")); !errors.Is(err, rooms.ErrUploadLost) {
			t.Errorf("an upload that was swept goes on: %v", err)
		}
		dead.Close()
		if _, err := slow.Keep(); err != nil {
			t.Fatal(err)
		}
		slow.Close()
		time.Sleep(23 * time.Hour)
		if sweep(false); size() != 6 {
			t.Error("a file did not wait for its message")
		}
		time.Sleep(2 * time.Hour)
		if sweep(false); size() != 0 {
			t.Error("a file waits for ever")
		}

		// Whoever deletes messages or rooms need not know of files.
		up := begin()
		m, err := up.Send(rooms.Draft{RoomID: rooms.GeneralID}, "")
		if err != nil {
			t.Fatal(err)
		}
		up.Close()
		if _, _, err := w.RoomStore().DeleteMessage(ctx, m.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Chat.OpenFile(ctx, ann, m.File.ID); !errors.Is(err, rooms.ErrFileAccess) {
			t.Errorf("a file without its message is read: %v", err)
		}
		time.Sleep(11 * time.Minute)
		if sweep(false); size() != 0 {
			t.Error("a file without its message stays")
		}
	})
}

func crc(b []byte) [4]byte {
	n := crc32.ChecksumIEEE(b)
	return [4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}
