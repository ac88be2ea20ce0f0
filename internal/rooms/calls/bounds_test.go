package calls_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/methods"
	"ddpserver/internal/rooms"
	"ddpserver/internal/user"
)

// markup grows most on its way to readers.
var markup = strings.Repeat("*a*", 1663)

// fill puts n messages of markup into a room, a millisecond apart but for every
// tenth, which shares the moment of the one before.
func fill(t *testing.T, w *world, room string, by *user.User, n int) {
	t.Helper()
	first := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	for i := range n {
		at := first.Add(time.Duration(i-i/10%2) * time.Millisecond)
		m := &rooms.Message{ID: fmt.Sprintf("%s-%05d", room, i), RoomID: room, Text: markup, TS: at, UpdatedAt: at, User: rooms.Ref{ID: by.ID, Username: by.Username}}
		if _, _, err := w.RoomStore().InsertMessage(t.Context(), m, rooms.Unread{None: true}); err != nil {
			t.Fatal(err)
		}
	}
}

// Every method is asked for as much as there is, among rooms full of markup made
// to grow; no result is longer than a page and what stands around it (docs/security-tests.md A13).
func TestResultsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ada := w.User("ada")
		for i := range 60 {
			r, err := w.Chat.Create(t.Context(), ada, rooms.NewRoom{Type: rooms.Group, Name: fmt.Sprintf("room%d", i)})
			if err != nil {
				t.Fatal(err)
			}
			fill(t, w, r.ID, ada, 1)
		}
		fill(t, w, "GENERAL", ada, 1200)
		params := []string{
			`[]`, `["GENERAL"]`, `["GENERAL",null,200]`, `["GENERAL",null,100000]`, `["GENERAL",{"$date":0}]`, `[{"$date":0}]`, `["GENERAL",true,{"limit":100000}]`,
			`["c","general"]`,
			`["GENERAL-00001"]`, `[{"_id":"GENERAL-00001","rid":"GENERAL","msg":"a","starred":true}]`,
		}
		long := 0
		for i, s := range w.Router.Specs() {
			who := "ada" // whose rooms there are; what a call does to an account is its own
			if !strings.HasSuffix(s.Name, "/get") {
				who = fmt.Sprintf("u%d", i)
				w.User(who)
			}
			c := w.As(who)
			for _, p := range params {
				if s.Effects&methods.Ends != 0 { // the own session, with some parameters
					c = w.As(who)
				}
				raw, _ := c.CallRaw(s.Name, p)
				if len(raw) > rooms.PageBytes+256<<10 {
					t.Errorf("%s%s: %d bytes", s.Name, p, len(raw))
				}
				if len(raw) > rooms.PageBytes/2 {
					long++
				}
			}
		}
		if long < 5 {
			t.Errorf("only %d results were long: nothing was asked", long)
		}
	})
}

// What a page of messages leaves out comes with the next, by the moment of its
// last message, also where several have the same (docs/security-tests.md A13).
func TestHistoryByBytesIsComplete(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ada := w.User("ada")
		fill(t, w, "GENERAL", ada, 300)
		c := w.As("ada")
		type message struct {
			ID string `json:"_id"`
			TS struct {
				Date int64 `json:"$date"`
			} `json:"ts"`
			Type string `json:"t"`
		}
		seen := map[string]bool{}
		note := func(list []message) (end int64) {
			for _, m := range list {
				if seen[m.ID] {
					t.Fatalf("%s came twice", m.ID)
				}
				seen[m.ID], end = true, m.TS.Date
			}
			return end
		}
		raw, fail := c.CallRaw("loadMissedMessages", `["GENERAL",{"$date":0}]`)
		var list []message
		if err := json.Unmarshal(raw, &list); fail != nil || err != nil || len(list) == 0 {
			t.Fatalf("%v %v: %.200s", fail, err, raw)
		}
		for end := note(list); ; {
			raw, fail := c.CallRaw("loadHistory", fmt.Sprintf(`["GENERAL",{"$date":%d},200]`, end))
			var page struct{ Messages []message }
			if err := json.Unmarshal(raw, &page); fail != nil || err != nil {
				t.Fatalf("%v %v: %.200s", fail, err, raw)
			}
			if len(page.Messages) == 0 {
				break
			}
			end = note(page.Messages)
		}
		for i := range 300 {
			if id := fmt.Sprintf("GENERAL-%05d", i); !seen[id] {
				t.Errorf("%s never came", id)
			}
		}
	})
}

// Fields of attachments count even without texts, or a message of five letters
// would be a megabyte for every reader (docs/security-tests.md A13).
func TestEmptyFieldsCount(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.User("ada")
		c := w.As("ada")
		field := `{"short":true,"title":"","value":""}`
		send := func(fields int) string {
			_, fail := c.CallRaw("sendMessage", `[{"rid":"GENERAL","msg":"hello","attachments":[{"fields":[`+strings.Repeat(field+",", fields)+field+`]}]}]`)
			return fail.Code()
		}
		if code := send(20); code != "" {
			t.Errorf("an ordinary attachment: %s", code)
		}
		if code := send(5000); code != "error-message-size-exceeded" {
			t.Errorf("five thousand empty fields: %q", code)
		}
	})
}
