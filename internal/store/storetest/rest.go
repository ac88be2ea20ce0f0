package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
	"ddpserver/internal/mail"
	"ddpserver/internal/settings"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

func stored(id string, v any) settings.Stored {
	return settings.Stored{ID: id, Value: v, UpdatedAt: epoch}
}

func testSettings(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	all := func() map[string]any {
		t.Helper()
		out := make(map[string]any)
		for _, v := range must[[]settings.Stored](t)(s.Settings(ctx)) {
			out[v.ID] = v.Value
			if !v.UpdatedAt.Equal(epoch.Truncate(time.Millisecond)) {
				t.Errorf("%s was updated at %v", v.ID, v.UpdatedAt)
			}
		}
		return out
	}
	if got := all(); len(got) != 0 {
		t.Error("an empty store has", got)
	}
	ok(t, s.SaveSettings(ctx, nil))
	ok(t, s.SaveSettings(ctx, []settings.Stored{stored("a", true), stored("b", int64(5)), stored("c", "text"), stored("d", "")}))
	want := map[string]any{"a": true, "b": int64(5), "c": "text", "d": ""}
	if got := all(); fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
	ok(t, s.SaveSettings(ctx, []settings.Stored{stored("b", int64(1)<<40), stored("e", false), stored("b", int64(-1))}))
	ok(t, s.Close())
	s = open(t, db)
	want["b"], want["e"] = int64(-1), false
	if got := all(); fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
}

func item(id string, created, notBefore int) mail.Item {
	return mail.Item{ID: id, Sealed: "v1.xyz", CreatedAt: minute(created), NotBefore: minute(notBefore), Expire: minute(1000)}
}

func minute(m int) time.Time { return epoch.Add(time.Duration(m) * time.Minute) }

func testOutbox(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	next := func(want time.Time) {
		t.Helper()
		if !want.IsZero() {
			want = want.Truncate(time.Millisecond)
		}
		if got := must[time.Time](t)(s.NextMail(ctx)); !got.Equal(want) {
			t.Errorf("next mail at %v, want %v", got, want)
		}
	}
	claim := func(owner string, m int, want string, tries int) mail.Item {
		t.Helper()
		it, err := s.ClaimMail(ctx, owner, minute(m), 2*time.Minute)
		if want == "" {
			fails(t, err, dberr.NotFound)
			return it
		}
		ok(t, err)
		if it.ID != want || it.Owner != owner || it.Tries != tries || !it.LeaseUntil.Equal(minute(m+2).Truncate(time.Millisecond)) || it.Sealed != "v1.xyz" {
			t.Fatalf("claimed %+v, want %s with try %d", it, want, tries)
		}
		return it
	}
	queue := func(waiting int, oldest time.Time) {
		t.Helper()
		if n, at, err := s.MailQueue(ctx); err != nil || n != waiting || !at.Equal(oldest.Truncate(time.Millisecond)) {
			t.Errorf("%d wait, the oldest since %v (%v), want %d since %v", n, at, err, waiting, oldest)
		}
	}
	next(time.Time{})
	queue(0, time.Time{})
	claim("n1", 0, "", 0)
	ok(t, s.PutMail(ctx, item("late", 3, 0), 3))
	ok(t, s.PutMail(ctx, item("early", 1, 0), 3))
	ok(t, s.PutMail(ctx, item("future", 0, 50), 3))
	queue(3, minute(0))
	fails(t, s.PutMail(ctx, item("full", 0, 0), 3), dberr.Exhausted)
	fails(t, s.PutMail(ctx, item("late", 0, 0), 9), dberr.Duplicate)
	next(minute(0))
	claim("n1", -1, "", 0)
	claim("n1", 1, "early", 1)
	claim("n2", 1, "late", 1)
	claim("n3", 2, "", 0)
	next(minute(3))
	// A lease that ran out is free again, and its owner has lost it.
	claim("n2", 3, "early", 2)
	fails(t, s.RetryMail(ctx, "early", "n1", minute(9)), dberr.Conflict)
	fails(t, s.RetryMail(ctx, "early", "", minute(9)), dberr.Conflict)
	fails(t, s.RetryMail(ctx, "none", "n1", minute(9)), dberr.NotFound)
	ok(t, s.RetryMail(ctx, "early", "n2", minute(9)))
	fails(t, s.RetryMail(ctx, "early", "n2", minute(9)), dberr.Conflict)
	claim("n1", 4, "late", 2)
	next(minute(6))
	ok(t, s.DeleteMail(ctx, "late"))
	ok(t, s.DeleteMail(ctx, "late"))
	next(minute(9))
	ok(t, s.PutMail(ctx, item("more", 0, 60), 3))
	fails(t, s.PutMail(ctx, item("full", 0, 0), 3), dberr.Exhausted)
	ok(t, s.Close())
	s = open(t, db)
	fails(t, s.PutMail(ctx, item("full", 0, 0), 3), dberr.Exhausted)
	// Also after its time has come, an item is the sender's to drop.
	it := claim("n1", 2000, "future", 1)
	if !it.NotBefore.Equal(minute(50).Truncate(time.Millisecond)) || !it.Expire.Equal(minute(1000).Truncate(time.Millisecond)) {
		t.Errorf("item came back as %+v", it)
	}
	claim("n1", 2000, "more", 1)
	claim("n1", 2000, "early", 3)
	for _, id := range []string{"future", "more", "early"} {
		ok(t, s.DeleteMail(ctx, id))
	}
	next(time.Time{})
	for i := range 3 {
		ok(t, s.PutMail(ctx, item(fmt.Sprint("again", i), 0, 0), 3))
	}
	fails(t, s.PutMail(ctx, item("full", 0, 0), 3), dberr.Exhausted)
}

// testBrokenMail: an item that cannot be read is reported once in each lease, and
// those behind it have their turn.
func testBrokenMail(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	for i, id := range []string{"broken", "sound"} {
		ok(t, s.PutMail(ctx, item(id, i, 0), 9))
	}
	db.BreakMail(t, "broken")
	for _, m := range []int{1, 10} { // and again when the lease has ended
		if it, err := s.ClaimMail(ctx, "n", minute(m), 2*time.Minute); !errors.Is(err, document.ErrBroken) || !strings.Contains(err.Error(), "mail broken") {
			t.Fatalf("claimed %+v, %v, want that it is broken", it, err)
		}
		if it := must[mail.Item](t)(s.ClaimMail(ctx, "n", minute(m), 2*time.Minute)); it.ID != "sound" {
			t.Errorf("claimed %+v", it)
		}
		_, err := s.ClaimMail(ctx, "n", minute(m), 2*time.Minute)
		fails(t, err, dberr.NotFound)
	}
	ok(t, s.DeleteMail(ctx, "broken"))
}

// testOutboxClasses: every class is bounded by itself, also after a restart and
// in a race, and a lower rank goes first.
func testOutboxClasses(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	put := func(id, class string, rank, created, max int) error {
		it := item(id, created, 0)
		it.Class, it.Rank = mail.Class(class), rank
		return s.PutMail(ctx, it, max)
	}
	ok(t, s.PutMail(ctx, item("before", 5, 0), 1)) // as a version without classes left it
	ok(t, put("link1", "link", 3, 0, 2))
	ok(t, put("link2", "link", 3, 1, 2))
	fails(t, put("link3", "link", 3, 1, 2), dberr.Exhausted)
	ok(t, put("code1", "code", 0, 3, 2))
	fails(t, put("code1", "code", 0, 3, 9), dberr.Duplicate)
	ok(t, put("code2", "code", 0, 2, 2))
	fails(t, put("code3", "code", 0, 2, 2), dberr.Exhausted)
	ok(t, s.Close())
	s = open(t, db)
	fails(t, put("link3", "link", 3, 1, 2), dberr.Exhausted)
	for i, want := range []string{"code2", "code1", "before", "link1", "link2"} {
		it, err := s.ClaimMail(ctx, "n", minute(10), time.Hour)
		ok(t, err)
		if it.ID != want {
			t.Errorf("claimed %s as number %d, want %s", it.ID, i, want)
		}
		if it.ID == "link1" && (it.Class != "link" || it.Rank != 3) {
			t.Errorf("it came back as %+v", it)
		}
	}
	ok(t, s.DeleteMail(ctx, "code1"))
	ok(t, s.DeleteMail(ctx, "code1"))
	fails(t, put("link3", "link", 3, 1, 2), dberr.Exhausted)
	ok(t, put("code3", "code", 0, 4, 2))
	fails(t, put("code4", "code", 0, 4, 2), dberr.Exhausted)
	if won := race(t, func(i int) error { return put(fmt.Sprint("new", i), "new", 4, i, 7) }, dberr.Exhausted); won != 7 {
		t.Errorf("%d mails put into a class with 7 places", won)
	}
}

func testEvents(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	since := func(s Core, cursor string) ([]feed.Event, string) {
		t.Helper()
		events, next, err := s.EventsSince(ctx, cursor)
		ok(t, err)
		if next == "" {
			t.Fatal("an empty cursor")
		}
		return events, next
	}
	event := func(id string) feed.Event {
		return feed.Event{ID: id, Node: "n", Kind: "kind", Key: "k", Version: 3, Body: []byte("{\"x\":\"\xff\"}"), At: epoch}
	}
	ok(t, s.AppendEvents(ctx, []feed.Event{event("before")}))
	events, start := since(s, "")
	if len(events) != 0 {
		t.Errorf("the empty cursor gave %v", events)
	}
	events, cursor := since(s, start)
	if len(events) != 0 {
		t.Errorf("an event from before: %v", events)
	}
	ok(t, s.AppendEvents(ctx, []feed.Event{event("e1")}))
	ok(t, s.AppendEvents(ctx, []feed.Event{event("e2")}))
	events, cursor = since(s, cursor)
	if len(events) != 2 || events[0].ID != "e1" || events[1].ID != "e2" {
		t.Fatalf("got %v", events)
	}
	same(t, "event", events[0], event("e1"))
	events, cursor = since(s, cursor)
	if len(events) != 0 {
		t.Errorf("given twice: %v", events)
	}
	// An older cursor starts over from there: the reader may have died.
	if events, _ = since(s, start); len(events) != 2 {
		t.Errorf("from the first cursor: %v", events)
	}
	// Another process with that cursor is left out of nothing.
	ok(t, s.AppendEvents(ctx, []feed.Event{event("e3")}))
	ok(t, s.Close())
	s = open(t, db)
	events, cursor = since(s, cursor)
	if len(events) == 0 || events[len(events)-1].ID != "e3" {
		t.Errorf("after reopening: %v", events)
	}
	if events, _ = since(s, cursor); len(events) != 0 {
		t.Errorf("given twice: %v", events)
	}
	// Many at once keep their order.
	var many []feed.Event
	for i := range 300 {
		many = append(many, event(fmt.Sprintf("m%03d", i)))
	}
	_, cursor = since(s, "")
	ok(t, s.AppendEvents(ctx, many[:1]))
	ok(t, s.AppendEvents(ctx, many[1:]))
	events, cursor = since(s, cursor)
	if len(events) != len(many) || !slices.IsSortedFunc(events, func(a, b feed.Event) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("%d of %d events at once, in this order: %v", len(events), len(many), events)
	}
	if events, _ = since(s, cursor); len(events) != 0 {
		t.Errorf("given twice: %v", events)
	}
	if _, _, err := s.EventsSince(ctx, "nonsense"); err == nil {
		t.Error("a nonsense cursor was accepted")
	}
}

// testLife: contexts and closing.
func testLife(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	ok(t, s.Ping(ctx))
	create(t, s, "ann")
	done, cancel := context.WithCancel(ctx)
	cancel()
	fails(t, s.Ping(done), context.Canceled)
	_, err := s.UserByID(done, "ann")
	fails(t, err, dberr.Unavailable)
	_, err = s.UpdateUser(done, "ann", user.Change{Name: ptr("x"), At: epoch})
	fails(t, err, dberr.Unavailable)
	if get(t, s, "ann").Name != "" {
		t.Error("a cancelled change was made")
	}
	ok(t, s.Close())
	ok(t, s.Close())
	fails(t, s.Ping(ctx), dberr.Unavailable)
	_, err = s.UserByID(ctx, "ann")
	fails(t, err, dberr.Unavailable)
	fails(t, s.CreateUser(ctx, &user.User{ID: "bob", CreatedAt: epoch}), dberr.Unavailable)
	_, err = s.CountAttempt(ctx, "ann", "totp", epoch, attemptLimits)
	fails(t, err, dberr.Unavailable)
	s = open(t, db)
	if get(t, s, "ann").Username != "ann" {
		t.Error("lost at closing")
	}
}
