package rooms_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/user"
)

const site = "https://chat.example.com/team"

func linkTo(room, id string) string { return fmt.Sprintf("%s/group/%s?msg=%s", site, room, id) }

// A message is quoted by who may read it, in whatever room of his, and by nobody else.
func TestAccessToQuotes(t *testing.T) {
	h := newHouse(t)
	ann, bob, was, out := h.account("ann"), h.account("bob"), h.account("was"), h.account("out")
	ctx := t.Context()
	h.room("desk", rooms.Group, func(*rooms.Room, []*rooms.Subscription) {}, ann, bob, was, out)
	for room, change := range map[string]func(*rooms.Room, []*rooms.Subscription){
		"open":     func(*rooms.Room, []*rooms.Subscription) {},
		"muted":    func(r *rooms.Room, _ []*rooms.Subscription) { r.MutedIDs = []string{"bob"} },
		"archived": func(r *rooms.Room, _ []*rooms.Subscription) { r.Archived = true },
	} {
		h.room(room, rooms.Group, change, ann, bob, was)
		if _, _, err := h.store.RemoveMember(ctx, room, "was", false, time.Now()); err != nil {
			t.Fatal(err)
		}
		for _, who := range []*user.User{ann, bob, was, out} {
			reads := who == ann || who == bob
			text := "[ ](" + linkTo(room, "in-"+room) + ") look"
			sent, err := h.Send(ctx, who, rooms.Draft{RoomID: "desk", Text: text})
			if err != nil {
				t.Fatal(err)
			}
			plain, err := h.Send(ctx, who, rooms.Draft{RoomID: "desk", Text: "nothing yet"})
			if err != nil {
				t.Fatal(err)
			}
			edited, err := h.Edit(ctx, who, rooms.EditRequest{ID: plain.ID, Text: text})
			if err != nil {
				t.Fatal(err)
			}
			for how, m := range map[string]*rooms.Message{"sent": sent, "edited": edited} {
				if quoted := len(m.Attachments) == 1 && m.Attachments[0].Text == "old"; quoted != reads || !reads && len(m.Attachments) > 0 {
					t.Errorf("%s by %s, a message in %s: %+v", how, who.Username, room, m.Attachments)
				}
			}
		}
	}
}

// What a quote shows, how deep, and which links are no quotes.
func TestQuotes(t *testing.T) {
	h := newHouse(t)
	ann, bob := h.account("ann"), h.account("bob")
	ctx := t.Context()
	h.room("r", rooms.Group, func(*rooms.Room, []*rooms.Subscription) {}, ann, bob)
	send := func(text string, list ...rooms.Attachment) *rooms.Message {
		t.Helper()
		m, err := h.Send(ctx, ann, rooms.Draft{RoomID: "r", Text: text, Attachments: list})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	shape := func(m *rooms.Message) string {
		var walk func(list []rooms.Attachment) string
		walk = func(list []rooms.Attachment) string {
			var out []string
			for _, a := range list {
				text, _, _ := strings.Cut(a.Text, " ")
				out = append(out, text+walk(a.Attachments))
			}
			if out == nil {
				return ""
			}
			return "(" + strings.Join(out, " ") + ")"
		}
		return walk(m.Attachments)
	}
	first := send("1", rooms.Attachment{Text: "card"})
	second := send("2 " + linkTo("r", first.ID))
	third := send("3 " + linkTo("r", second.ID))
	fourth := send("4 " + linkTo("r", third.ID) + " " + linkTo("r", first.ID) + " " + linkTo("r", first.ID))
	for m, want := range map[*rooms.Message]string{second: "(1(card))", third: "(2(1))", fourth: "(3(2) 1(card))"} {
		if got := shape(m); got != want {
			t.Errorf("%s has %s, want %s", m.Text, got, want)
		}
	}
	q := second.Attachments[0]
	if q.AuthorName != "ann" || q.AuthorIcon != "/avatar/ann" || q.MessageLink != linkTo("r", first.ID) || !q.TS.Equal(first.TS) {
		t.Errorf("%+v", q)
	}
	forged := rooms.Attachment{Text: "forged", MessageLink: linkTo("r", first.ID)}
	if m := send("x "+linkTo("r", first.ID), forged, rooms.Attachment{Text: "own"}); shape(m) != "(own 1(card))" {
		t.Error("a forged quote stays:", shape(m))
	}
	for what, link := range map[string]string{
		"another server": "https://other.example.com/team/group/r?msg=" + first.ID, "another scheme": "http://chat.example.com/team/group/r?msg=" + first.ID,
		"another port":          "https://chat.example.com:444/team/group/r?msg=" + first.ID,
		"a name in front":       "https://chat.example.com@other.example.com/team/group/r?msg=" + first.ID,
		"not below the address": "https://chat.example.com/group/r?msg=" + first.ID, "no room": site + "/group/?msg=" + first.ID,
		"no kind":    site + "/r?msg=" + first.ID,
		"no message": linkTo("r", "none"), "no id": linkTo("r", ""), "a longer path": "https://chat.example.com/teams/group/r?msg=" + first.ID,
	} {
		if m := send("x " + link); len(m.Attachments) > 0 {
			t.Errorf("%s: %+v", what, m.Attachments)
		}
	}
	// What would be too long is left out from the inside.
	long := send("long " + strings.Repeat("x", 4900))
	var cards []rooms.Attachment
	for range 3 {
		cards = append(cards, rooms.Attachment{Text: strings.Repeat("y", 4900)})
	}
	heavy := send("heavy "+strings.Repeat("z", 3000), cards...)
	whole := fmt.Sprintf("(heavy(%s %s %s))", cards[0].Text, cards[0].Text, cards[0].Text)
	if m := send("x " + linkTo("r", heavy.ID) + " " + linkTo("r", long.ID)); shape(m) != whole {
		t.Errorf("%.200s", shape(m))
	}
	if m := send("x " + linkTo("r", long.ID) + " " + linkTo("r", heavy.ID)); shape(m) != "(long heavy)" {
		t.Errorf("%.200s", shape(m))
	}

	// An edit makes quotes anew, lets those go whose links went, and leaves the author's
	// where the editor may not read what is quoted.
	h.room("apart", rooms.Group, func(*rooms.Room, []*rooms.Subscription) {}, ann)
	edit := func(by *user.User, id, text string) string {
		t.Helper()
		m, err := h.Edit(ctx, by, rooms.EditRequest{ID: id, Text: text})
		if err != nil {
			t.Fatal(err)
		}
		return shape(m)
	}
	m := send("x "+linkTo("apart", "in-apart")+" "+linkTo("r", first.ID), rooms.Attachment{Text: "own"})
	if got := edit(bob, m.ID, "y "+linkTo("apart", "in-apart")); got != "(own old)" {
		t.Error("edited by another:", got)
	}
	if got := edit(bob, m.ID, "y "+linkTo("r", first.ID)); got != "(own 1(card))" {
		t.Error("another link:", got)
	}
	if got := edit(bob, m.ID, "y "+linkTo("apart", "in-apart")); got != "(own)" {
		t.Error("a link to what the editor may not read:", got)
	}
}

// Nobody is shown a message that he may not read by writing a link to it and having
// somebody edit that who may.
func TestEditorsQuoteTheirOwnLinks(t *testing.T) {
	h := newHouse(t)
	ann, bob := h.account("ann"), h.account("bob")
	ctx := t.Context()
	h.room("r", rooms.Group, func(_ *rooms.Room, subs []*rooms.Subscription) { subs[0].Roles = []string{rooms.Owner} }, ann, bob)
	for _, name := range []string{"secret", "other"} {
		h.room(name, rooms.Group, func(*rooms.Room, []*rooms.Subscription) {}, ann)
	}
	link, other := linkTo("secret", "in-secret"), linkTo("other", "in-other")
	for _, c := range []struct {
		by, editor *user.User
		text       string
		want       int
	}{
		{bob, ann, "mended: " + link, 0},
		{bob, ann, "mended: " + link + " " + other, 1}, // the editor's own
		{bob, bob, "mended: " + link, 0},
		{ann, ann, "mended: " + link, 1},
	} {
		many := strings.Repeat(linkTo("r", "none")+" ", 20) // more than are kept
		m, err := h.Send(ctx, c.by, rooms.Draft{RoomID: "r", Text: many + link})
		if err != nil {
			t.Fatal(err)
		}
		if m, err = h.Edit(ctx, c.editor, rooms.EditRequest{ID: m.ID, Text: c.text}); err != nil {
			t.Fatal(err)
		}
		if len(m.Attachments) != c.want {
			t.Errorf("%s by %s, edited by %s: %+v", c.text, c.by.Username, c.editor.Username, m.Attachments)
		}
	}
}
