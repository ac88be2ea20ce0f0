package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ddpserver/internal/rooms"
)

// testInterleavings: two operations on one room at once leave each document as one
// of them after the other does, and both are done, or refused, as in one of the two
// orders. MongoDB is used without transactions, so two documents may have seen
// different orders (two who write at once are both alerted); the room's time of
// change is that of either.
func testInterleavings(t *testing.T, s Store) {
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		id := fmt.Sprint("r", n)
		start := begun(t, s, id)
		step := 0
		next := func(label string) act {
			step++
			return genAct(id)(step).Draw(rt, label)
		}
		for range rapid.IntRange(0, 6).Draw(rt, "before") {
			a := next("before")
			_, wantErr := a.model(start)
			if _, err := a.store(t.Context(), s); !errors.Is(err, wantErr) {
				rt.Fatalf("%s: %v, want %v", a.name, err, wantErr)
			}
		}
		a, b := next("a"), next("b")
		errs := atOnce(t, s, a, b)
		got := stored(t, s, id)
		got.room.UpdatedAt = time.Time{}
		ab, abErrs := inOrder(start, a, b)
		ba, baErrs := inOrder(start, b, a)
		baErrs[0], baErrs[1] = baErrs[1], baErrs[0]
		if strings.HasPrefix(a.name, changing) && strings.HasPrefix(b.name, changing) {
			// Memberships follow the room, and their time of change is that of either, too.
			for _, m := range []*model{got, ab, ba} {
				for _, s := range m.subs {
					s.UpdatedAt = time.Time{}
				}
			}
		}
		// An answer to nothing is stored for a moment on MongoDB before it is taken back: whoever acts on
		// its id meanwhile, which nobody has been told, is answered as if it were there.
		refused := func(i int, x act) bool {
			return strings.HasPrefix(x.name, "answer ") && errs[i] != nil && errors.Is(errs[i], abErrs[i]) && errors.Is(errs[i], baErrs[i])
		}
		if !refused(0, a) && !refused(1, b) && !same(errs, abErrs) && !same(errs, baErrs) {
			rt.Fatalf("%s and %s at once: %v; one after the other %v, or %v", a.name, b.name, errs, abErrs, baErrs)
		}
		for _, part := range got.parts(ab, ba) {
			if d := part(ab).diff(part(got)); d != "" && part(ba).diff(part(got)) != "" {
				rt.Fatalf("%s and %s at once (-want +got):\n%s\nor the other way round:\n%s", a.name, b.name, d, part(ba).diff(part(got)))
			}
		}
	})
}

// parts are what shows one document of a model, for each that any of these has.
func (m *model) parts(others ...*model) []func(*model) *model {
	list := []func(*model) *model{
		func(m *model) *model { return &model{room: m.room} },
		func(m *model) *model { return &model{gone: m.gone} },
	}
	seen := map[string]bool{}
	for _, each := range append(others, m) {
		for id := range each.subs {
			if !seen["u"+id] {
				list = append(list, func(m *model) *model { return &model{subs: map[string]*rooms.Subscription{id: m.subs[id]}} })
			}
			seen["u"+id] = true
		}
		for id := range each.messages {
			if !seen["m"+id] {
				list = append(list, func(m *model) *model { return &model{messages: map[string]*rooms.Message{id: m.messages[id]}} })
			}
			seen["m"+id] = true
		}
	}
	return list
}

// same tells whether the same ones of two operations were done. Why one was refused
// may be another reason: what was not there is, once it is looked for again.
func same(got, want [2]error) bool {
	return (got[0] == nil) == (want[0] == nil) && (got[1] == nil) == (want[1] == nil)
}

// inOrder is what the rules make of one operation after another.
func inOrder(start *model, first, second act) (after *model, errs [2]error) {
	after = start.copied()
	for i, a := range []act{first, second} {
		_, errs[i] = a.model(after)
	}
	after.room.UpdatedAt = time.Time{}
	return after, errs
}

// atOnce runs two operations in the same moment.
func atOnce(t testing.TB, s Store, a, b act) (errs [2]error) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i, x := range []act{a, b} {
		wg.Go(func() {
			<-begin
			_, errs[i] = x.store(context.WithoutCancel(t.Context()), s)
		})
	}
	close(begin)
	wg.Wait()
	return errs
}
