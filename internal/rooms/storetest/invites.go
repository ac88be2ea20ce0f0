package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
)

func link(id, room string, days, uses, seconds int) *rooms.Invite {
	return &rooms.Invite{ID: id, RoomID: room, UserID: "ann", Days: days, MaxUses: uses, CreatedAt: at(seconds), UpdatedAt: at(seconds),
		Seed: fmt.Sprint("seed of ", id, seconds), Digest: fmt.Sprint("digest of ", id, seconds)}
}

// testInvites: an invite stands until it is spent, counts its uses, and goes with its room.
func testInvites(t *testing.T, s Store) {
	ctx := t.Context()
	first := link("a", "r", 1, 2, 10)
	equal(t, must[*rooms.Invite](t)(s.PutInvite(ctx, first)), first)
	// What counts still is found, and not made anew.
	equal(t, must[*rooms.Invite](t)(s.PutInvite(ctx, link("a", "r", 1, 2, 20))), first)
	equal(t, must[*rooms.Invite](t)(s.InviteByID(ctx, "a")), first)
	equal(t, must[*rooms.Invite](t)(s.InviteByDigest(ctx, []string{"none", first.Digest})), first)
	for _, digests := range [][]string{nil, {""}, {"digest of a20"}} {
		_, err := s.InviteByDigest(ctx, digests)
		fails(t, err, dberr.NotFound)
	}
	ok(t, s.UseInvite(ctx, "a", first.Seed, at(11)))
	fails(t, s.UseInvite(ctx, "a", "another seed", at(12)), dberr.Conflict)
	fails(t, s.UseInvite(ctx, "a", first.Seed, first.Expires()), dberr.Conflict)
	ok(t, s.UseInvite(ctx, "a", first.Seed, at(13)))
	fails(t, s.UseInvite(ctx, "a", first.Seed, at(14)), dberr.Conflict)
	fails(t, s.UseInvite(ctx, "none", first.Seed, at(14)), dberr.NotFound)
	// A use that let nobody in is given back, once.
	ok(t, s.UnuseInvite(ctx, "a", first.Seed, at(15)))
	ok(t, s.UnuseInvite(ctx, "a", "another seed", at(15)))
	ok(t, s.UnuseInvite(ctx, "none", first.Seed, at(15)))
	if i := must[*rooms.Invite](t)(s.InviteByID(ctx, "a")); i.Uses != 1 || !i.UpdatedAt.Equal(at(15)) {
		t.Errorf("%+v", i)
	}
	ok(t, s.UseInvite(ctx, "a", first.Seed, at(16)))
	// What is spent is made anew, and the old token is nobody's.
	second := link("a", "r", 1, 2, 30)
	equal(t, must[*rooms.Invite](t)(s.PutInvite(ctx, second)), second)
	_, err := s.InviteByDigest(ctx, []string{first.Digest})
	fails(t, err, dberr.NotFound)
	fails(t, s.UseInvite(ctx, "a", first.Seed, at(31)), dberr.Conflict)
	ok(t, s.UnuseInvite(ctx, "a", first.Seed, at(31)))
	third := link("a", "r", 1, 2, 30)
	third.CreatedAt, third.Digest = second.Expires(), "digest of the third"
	equal(t, must[*rooms.Invite](t)(s.PutInvite(ctx, third)), third)

	talk(t, s, "r", "ann")
	must[*rooms.Invite](t)(s.PutInvite(ctx, link("b", "q", 0, 0, 1)))
	must[*rooms.Invite](t)(s.PutInvite(ctx, link("c", "q", 0, 0, 1)))
	for range 3 {
		ok(t, s.UseInvite(ctx, "b", "seed of b1", at(1000)))
	}
	page, total, err := s.ListInvites(ctx, 1, 1)
	ok(t, err)
	if got := ids(page, func(i *rooms.Invite) string { return i.ID }); got != "b" || total != 3 {
		t.Errorf("invites: %s of %d", got, total)
	}
	_, _, err = s.DeleteRoom(ctx, "r", at(40))
	ok(t, err)
	_, err = s.InviteByID(ctx, "a")
	fails(t, err, dberr.NotFound)
	ok(t, s.RemoveInvite(ctx, "b"))
	fails(t, s.RemoveInvite(ctx, "b"), dberr.NotFound)
	if page, total, err := s.ListInvites(ctx, 0, 9); err != nil || total != 1 || len(page) != 1 || page[0].ID != "c" {
		t.Error(page, total, err)
	}
}

// testInviteRaces: of a crowd no more get in than there are uses, and of many who make an invite
// at once all have the same.
func testInviteRaces(t *testing.T, s Store) {
	ctx := t.Context()
	const crowd, uses = 12, 5
	made := make([]*rooms.Invite, crowd)
	entered := make([]bool, crowd)
	var all sync.WaitGroup
	for n := range crowd {
		all.Go(func() {
			i, err := s.PutInvite(ctx, link("a", "r", 0, uses, n))
			if err != nil {
				t.Error(err)
				return
			}
			made[n] = i
			err = s.UseInvite(ctx, "a", i.Seed, at(100))
			if err != nil && !errors.Is(err, dberr.Conflict) {
				t.Error(err)
			}
			entered[n] = err == nil
		})
	}
	all.Wait()
	in := map[string]int{}
	for n, i := range made {
		if i != nil && entered[n] {
			in[i.Seed]++
		}
	}
	now := must[*rooms.Invite](t)(s.InviteByID(ctx, "a"))
	for seed, n := range in {
		if n > uses || seed == now.Seed && n != now.Uses {
			t.Errorf("%d got in by one invite, which says %+v", n, now)
		}
	}
	if len(in) == 0 {
		t.Error("nobody got in")
	}
}
