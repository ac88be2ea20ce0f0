package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"ddpserver/internal/rooms"
)

// testOwnersComeAndGo: somebody becomes an owner, stops being one and is removed in the
// same moment, again and again. The list of owners, which decides whether the last
// one may leave, never holds one who is not there or has not the role.
func testOwnersComeAndGo(t *testing.T, s Store) {
	ctx := t.Context()
	for i := range 40 {
		id := fmt.Sprint("r", i)
		talk(t, s, id, "ann", "bob", "cid")
		var wg sync.WaitGroup
		for n, do := range []func(){
			func() { _, _ = s.SetMemberRole(ctx, id, "bob", rooms.Owner, true, at(1)) },
			func() { _, _ = s.SetMemberRole(ctx, id, "bob", rooms.Owner, false, at(2)) },
			func() { _, _ = s.SetMemberRole(ctx, id, "bob", rooms.Moderator, true, at(3)) },
			func() { _, _, _ = s.RemoveMember(ctx, id, "bob", false, at(4)) },
		} {
			if n == 1 && i%2 == 0 {
				continue // half of the rooms without somebody who takes the role back
			}
			wg.Go(do)
		}
		wg.Wait()
		r := must[*rooms.Room](t)(s.RoomByID(ctx, id))
		for _, owner := range r.Owners {
			m, err := s.Subscription(ctx, id, owner)
			if err != nil || !m.HasRole(rooms.Owner) {
				t.Errorf("%s is on the list of owners of %s: %+v %v", owner, id, m, err)
			}
		}
		if members, _, err := s.Members(ctx, id); err != nil || r.Users != len(members) {
			t.Errorf("%s counts %d members, %v are there; %v", id, r.Users, members, err)
		}
		// With bob gone or no owner, ann is the last one, and stays.
		if !slices.Contains(r.Owners, "bob") {
			if _, _, err := s.RemoveMember(ctx, id, "ann", false, at(5)); err == nil {
				t.Errorf("the last owner of %s left", id)
			}
		}
	}
}
