package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
)

func hook(id, maker string, seconds int, channels ...string) *rooms.Hook {
	return &rooms.Hook{ID: id, Type: rooms.IncomingHook, Name: "n" + id, Enabled: true, Username: "bob", UserID: "bob", Channels: channels,
		Digest: "digest of " + id, CreatedBy: rooms.Ref{ID: maker, Username: maker}, CreatedAt: at(seconds), UpdatedAt: at(seconds)}
}

func testHooks(t *testing.T, s Store) {
	ctx := t.Context()
	h := hook("h1", "ann", 1, "#team", "@bob")
	h.Alias, h.Avatar, h.Emoji, h.Override = "A", "https://example.com/a.png", ":x:", true
	ok(t, s.AddHook(ctx, h))
	equal(t, must[*rooms.Hook](t)(s.HookByID(ctx, "h1")), h)
	fails(t, s.AddHook(ctx, hook("h1", "cid", 2, "#x")), dberr.Duplicate)
	_, err := s.HookByID(ctx, "none")
	fails(t, err, dberr.NotFound)

	// What it is no more is gone, and whoever read it before does not write over it.
	next := hook("h1", "ann", 1, "@bob")
	next.UpdatedAt, next.Enabled = at(2), false
	ok(t, s.SetHook(ctx, next, at(1)))
	equal(t, must[*rooms.Hook](t)(s.HookByID(ctx, "h1")), next)
	fails(t, s.SetHook(ctx, h, at(1)), dberr.Conflict)
	fails(t, s.SetHook(ctx, hook("none", "ann", 1, "#x"), at(1)), dberr.NotFound)

	for i := range 3 {
		ok(t, s.AddHook(ctx, hook(fmt.Sprint("l", i), "cid", 10+i, "#team")))
	}
	for want, q := range map[string]rooms.HookQuery{
		"l2 l1 l0 h1 of 4": {Limit: 9}, "l1 of 4": {Offset: 1, Limit: 1}, " of 4": {Offset: 9, Limit: 9},
		"h1 of 1": {MakerID: "ann", Limit: 9}, "l2 l1 l0 of 3": {Channels: []string{"#team", "#other"}, Limit: 9},
		" of 0": {MakerID: "ann", Channels: []string{"#team"}, Limit: 9}, "l0 of 1": {Name: "nl0", Limit: 9},
	} {
		page, total, err := s.ListHooks(ctx, q)
		ok(t, err)
		text := ""
		for _, h := range page {
			text += h.ID + " "
		}
		if got := text + fmt.Sprint("of ", total); got != want && " "+got != want {
			t.Errorf("%+v: %q, want %q", q, got, want)
		}
	}
	ok(t, s.RemoveHook(ctx, "h1"))
	fails(t, s.RemoveHook(ctx, "h1"), dberr.NotFound)

	// Of many who change one at once from the same state, one does.
	var done sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		done.Go(func() {
			h := hook("l0", "cid", 10, "#team")
			h.UpdatedAt = at(100 + i)
			errs[i] = s.SetHook(ctx, h, at(10))
		})
	}
	done.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, dberr.Conflict) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d changes of one state were made", won)
	}
}
